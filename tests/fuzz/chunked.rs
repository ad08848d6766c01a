//! A chunked body to `Chunked`: the same data and the same end, or the same error, however the
//! bytes are divided into reads. Between two reads, what `encoded` gives brings a new decoder to
//! the same data and the same state. The input is the body and what follows it.

#![no_main]

use libfuzzer_sys::fuzz_target;

mod reads;

#[path = "../it"]
mod it {
    pub mod decoder_laws;
    pub mod pieces;
}

use it::decoder_laws::assert_decoder;

/// Longer inputs are divided into fewer reads, for a good number of inputs per second.
const SHORT_BYTES_MAX: usize = 128;

fuzz_target!(|bytes: &[u8]| {
    for body_bytes_max in [4, 1 << 20] {
        if bytes.len() <= SHORT_BYTES_MAX {
            assert_decoder(bytes, &[1], body_bytes_max);
        }
        assert_decoder(bytes, &reads::read_bytes(bytes), body_bytes_max);
    }
});
