//! What holds for every chunked body, whatever its bytes.
//!
//! Fuzz targets share this file. Each law panics if it is broken.

use prometheus_aggregation_gateway::http::chunked::{ChunkError, Chunked, Decoded};

use super::pieces::pieces;

/// A decoder and its data.
pub struct Decoding {
    chunked: Chunked,
    pub data: Vec<u8>,
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
