//! What holds for every connection and for every chunked body, whatever their bytes.
//!
//! Fuzz targets share this file. Each law panics if it is broken.
//!
//! # Intended differences of the two readers
//!
//! - The second reader gives all faults of a head, the first one the first that it finds. The status
//!   code has to be of one of them.
//! - A third word of the request line that is no version at all (`GET / x`) is 400 in RFC 9112; the
//!   first reader may answer 505. The second reader gives both faults.
//! - Both follow the issue where it departs from the RFCs: a missing `Host` is allowed, the value of
//!   `Host` is not examined, HTTP/1.2 and later are refused, trailers are any lines without control
//!   characters, and white space after a chunk size needs an extension after it.
//! - After a hand-over the bounds of extensions and trailers begin again. They bound memory and time
//!   of one process, and are no part of the framing.

use prometheus_aggregation_gateway::http::chunked::{ChunkError, Chunked, Decoded};

use super::first_reader::{self, Connection, End, Reading};
use super::second_reader;

/// Both readers find the same requests, or refuse the same one.
pub fn assert_readers_agree(bytes: &[u8], body_bytes_max: usize) -> Reading {
    let first = first_reader::read(bytes, body_bytes_max);
    let second = second_reader::read(bytes, body_bytes_max);
    let shown = bytes.escape_ascii();
    assert_eq!(first.requests, second.requests, "of {shown}");
    let is_same_end = match (&first.end, &second.end) {
        (End::Between, second_reader::End::Between)
        | (End::Within, second_reader::End::Within)
        | (End::Closed, second_reader::End::Closed) => true,
        (End::Refused { code, .. }, second_reader::End::Refused(faults)) => {
            faults.iter().any(|fault| fault.code() == *code)
        }
        _ => false,
    };
    assert!(
        is_same_end,
        "{:?} and {:?}, of {shown}",
        first.end, second.end
    );
    if let End::Refused { message, .. } = &first.end {
        let is_line = !message.contains(|character: char| character.is_control());
        assert!(is_line && message.len() <= 200, "{message:?}, of {shown}");
    }
    first
}

/// The bytes in reads of these lengths, the last of which is repeated, give the same as at once.
pub fn assert_split(bytes: &[u8], read_bytes: &[usize], body_bytes_max: usize, whole: &Reading) {
    let mut connection = Connection::new(body_bytes_max);
    for read in pieces(bytes, read_bytes) {
        connection.receive(read);
    }
    let shown = bytes.escape_ascii();
    assert_eq!(
        connection.reading(),
        *whole,
        "in reads of {read_bytes:?}, of {shown}"
    );
}

/// The same if the connection is handed over to another process after each read.
pub fn assert_hand_over(
    bytes: &[u8],
    read_bytes: &[usize],
    body_bytes_max: usize,
    whole: &Reading,
) {
    let mut connection = Connection::new(body_bytes_max);
    for read in pieces(bytes, read_bytes) {
        connection.receive(read);
        connection = connection.hand_over();
    }
    let shown = bytes.escape_ascii();
    assert_eq!(
        connection.reading(),
        *whole,
        "handed over after reads of {read_bytes:?}, of {shown}"
    );
}

/// The bytes in pieces of these lengths, the last of which is repeated.
pub fn pieces<'a>(bytes: &'a [u8], lengths: &[usize]) -> Vec<&'a [u8]> {
    let mut pieces = Vec::new();
    let mut rest = bytes;
    let mut lengths = lengths.iter();
    let mut length = 1;
    while !rest.is_empty() {
        length = lengths.next().map_or(length, |next| (*next).max(1));
        let piece;
        (piece, rest) = rest.split_at(length.min(rest.len()));
        pieces.push(piece);
    }
    pieces
}

/// A decoder and its data.
pub struct Decoding {
    chunked: Chunked,
    data: Vec<u8>,
    body_bytes_max: usize,
}

impl Decoding {
    pub fn new(body_bytes_max: usize) -> Decoding {
        Decoding {
            chunked: Chunked::default(),
            data: Vec::new(),
            body_bytes_max,
        }
    }

    pub fn decode(&mut self, input: &[u8]) -> Result<Decoded, ChunkError> {
        self.chunked
            .decode(input, &mut self.data, self.body_bytes_max)
    }

    pub fn data(&self) -> &[u8] {
        &self.data
    }

    /// A new decoder that was given the `encoded` bytes of this one, which have to be valid.
    pub fn hand_over(&self) -> Decoding {
        let encoded = self.encoded();
        let bytes = encoded.len();
        let shown = encoded.escape_ascii();
        let is_end = self.copy().decode(b"x").is_ok_and(|ended| ended.is_end);
        let mut next = Decoding::new(self.body_bytes_max);
        let decoded = next.decode(&encoded);
        assert_eq!(decoded, Ok(Decoded { bytes, is_end }), "of {shown}");
        assert_eq!(next.data, self.data, "of {shown}");
        assert_eq!(next.encoded(), encoded, "it is encoded in another way");
        next
    }

    fn copy(&self) -> Decoding {
        Decoding {
            chunked: self.chunked.clone(),
            data: self.data.clone(),
            body_bytes_max: self.body_bytes_max,
        }
    }

    fn encoded(&self) -> Vec<u8> {
        self.chunked.encoded(&self.data)
    }
}

/// Each of these tells some states apart.
const CONTINUATIONS: [&[u8]; 12] = [
    b"",
    b"\r",
    b"\n",
    b"\r\n",
    b"\r\n\r\n",
    b"0",
    b"0\r\n\r\n",
    b"00000000",
    b" ;x\r\n",
    b";\r\n0\r\n\r\n",
    b"x\r\n\r\n",
    b"\0",
];

/// A decoder that was brought to some state, and a new one that was given its `encoded` bytes, have
/// the same data and go on in the same way. `rest` is what follows in the input.
pub fn assert_encoded(before: &Decoding, rest: &[u8]) {
    let after = before.hand_over();
    let encoded = before.encoded();
    for continuation in CONTINUATIONS.into_iter().chain([rest]) {
        let mut one = before.copy();
        let mut other = after.copy();
        let continued = [one.decode(continuation), other.decode(continuation)];
        let shown = format!(
            "{} and then {}",
            encoded.escape_ascii(),
            continuation.escape_ascii()
        );
        assert_eq!(continued[0], continued[1], "of {shown}");
        assert_eq!(one.data, other.data, "of {shown}");
    }
}

/// Decodes in pieces of these lengths; the same as at once. `encoded` is right after each of them.
pub fn assert_decoder(bytes: &[u8], read_bytes: &[usize], body_bytes_max: usize) {
    let mut whole = Decoding::new(body_bytes_max);
    let expected = whole.decode(bytes);
    let mut decoding = Decoding::new(body_bytes_max);
    let mut used = 0;
    let mut result = Ok(Decoded {
        bytes: 0,
        is_end: false,
    });
    for piece in pieces(bytes, read_bytes) {
        assert_encoded(&decoding, &bytes[used..]);
        match decoding.decode(piece) {
            Ok(decoded) => {
                used += decoded.bytes;
                result = Ok(Decoded {
                    bytes: used,
                    is_end: decoded.is_end,
                });
                assert!(decoded.is_end || decoded.bytes == piece.len());
            }
            Err(error) => {
                result = Err(error);
                break;
            }
        }
    }
    if result.is_ok() {
        assert_encoded(&decoding, &bytes[used..]);
    }
    let shown = bytes.escape_ascii();
    assert_eq!(result, expected, "in reads of {read_bytes:?}, of {shown}");
    assert_eq!(decoding.data, whole.data, "of {shown}");
}
