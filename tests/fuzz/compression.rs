//! A body to `decompress`: a second decompressor finds the same contents, in every coding and
//! within any limit. Checksums stop a fuzzer, so the input is also taken for what they are of:
//! DEFLATE data and a snappy block, put into frames with the checksums that they need.

#![no_main]

use libfuzzer_sys::fuzz_target;
use prometheus_aggregation_gateway::compression::ContentCoding;

#[path = "../it"]
mod it {
    pub mod compression_laws;
    pub mod second_decompressor;
}

use it::compression_laws::{CODINGS, assert_decompressed};
use it::second_decompressor::{framed_block, framed_stream};

fuzz_target!(|bytes: &[u8]| {
    let bytes = &bytes[..bytes.len().min(4000)];
    for bytes_max in [100, 1 << 20] {
        for coding in CODINGS {
            assert_decompressed(coding, bytes, bytes_max);
        }
        if let Some(body) = framed_stream(bytes, 1 << 20) {
            assert_decompressed(ContentCoding::Gzip, &body, bytes_max);
        }
        if let Some(body) = framed_block(bytes, 1 << 20) {
            assert_decompressed(ContentCoding::Snappy, &body, bytes_max);
        }
    }
});
