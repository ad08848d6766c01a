//! The bytes of a connection to the gate's reader: it finds the same requests as the second reader
//! of the tests, or refuses the same one; and the same however the bytes are divided into reads,
//! also if the connection is handed over to another process between two of them. The input is what
//! the client sends; the readers are also compared on it as a chunked body.

#![no_main]

use libfuzzer_sys::fuzz_target;

mod reads;

#[path = "../it"]
mod it {
    pub mod first_reader;
    pub mod pieces;
    pub mod reader_laws;
    pub mod second_reader;
}

use it::reader_laws::{assert_hand_over, assert_readers_agree, assert_split};

const HEAD: &[u8] = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";

/// Small, so that short inputs exceed it.
const BODY_BYTES_MAX: usize = 256;

fuzz_target!(|bytes: &[u8]| {
    assert_readers_agree(&[HEAD, bytes].concat(), BODY_BYTES_MAX);
    let whole = assert_readers_agree(bytes, BODY_BYTES_MAX);
    let read_bytes = reads::read_bytes(bytes);
    assert_split(bytes, &[1], BODY_BYTES_MAX, &whole);
    assert_split(bytes, &read_bytes, BODY_BYTES_MAX, &whole);
    assert_hand_over(bytes, &read_bytes, BODY_BYTES_MAX, &whole);
});
