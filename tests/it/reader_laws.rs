//! What holds for every connection, whatever its bytes.
//!
//! Fuzz targets share this file. Each law panics if it is broken.
//!
//! # Intended differences of the two readers
//!
//! - The second reader gives all faults of a head, the first reader gives the first that it
//!   finds. The status code has to be of one of them.
//! - A third word of the request line that is no version at all (`GET / x`) is 400 in RFC 9112;
//!   the first reader may answer 505. The second reader gives both faults.
//!
//! # Where both depart from the RFCs, as the issue says
//!
//! - A missing `Host` is allowed, and the value of `Host` is not examined.
//! - HTTP/1.2 and later are refused.
//! - Trailers are any lines without control characters. White space after a chunk size needs an
//!   extension after it.
//! - After a hand-over the bounds of extensions and trailers begin again. They bound the work of
//!   one process, and are no part of the framing.

use super::first_reader::{self, Connection, End, Reading};
use super::pieces::pieces;
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
