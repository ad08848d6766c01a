//! One DEFLATE stream (RFC 1951), by `miniz_oxide`.

use miniz_oxide::inflate::TINFLStatus as Status;
use miniz_oxide::inflate::core::{DecompressorOxide, inflate_flags};

use super::DecompressError;
use super::output::Output;

/// Blocks that are decompressed however little they hold. Most blocks need tables, which take as
/// much time as kilobytes of text, and a block may be empty and ten bits long.
const BLOCKS_ANY: usize = 4096;

/// One more block is decompressed for this much output. Compressors end a block after thousands of
/// symbols, or when they are flushed.
const BLOCK_BYTES_MIN: usize = 512;

/// The stream of no bytes as compressors write it: one block with the fixed codes.
const EMPTY_STREAM: [u8; 2] = [0x03, 0x00];

/// What frames a stream.
pub enum Frame {
    /// Nothing; its contents are given to this checksum.
    Checksum(crc32fast::Hasher),
    /// The header and the Adler-32 of RFC 1950.
    Zlib,
}

/// The decoder of all streams of a body: its tables, 11 kB, are made once.
#[derive(Default)]
pub struct Inflate {
    decompressor: DecompressorOxide,
    /// Blocks that were begun, in all streams.
    blocks: usize,
}

impl Inflate {
    /// Decompresses one stream that begins at `offset` in `body`, and gives the offset behind it.
    /// No stream can refer to the output of another.
    pub fn stream(
        &mut self,
        body: &[u8],
        mut offset: usize,
        frame: &mut Frame,
        output: &mut Output,
    ) -> Result<usize, DecompressError> {
        let mut flags = inflate_flags::TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF
            | inflate_flags::TINFL_FLAG_STOP_ON_BLOCK_BOUNDARY;
        if let Frame::Zlib = frame {
            flags |= inflate_flags::TINFL_FLAG_PARSE_ZLIB_HEADER;
        } else if body
            .get(offset..)
            .unwrap_or_default()
            .starts_with(&EMPTY_STREAM)
        {
            // Files with thousands of empty members exist, and need no tables.
            return Ok(offset.saturating_add(EMPTY_STREAM.len()));
        }
        let start = output.len();
        self.decompressor.init();
        self.begin_block(start)?;
        loop {
            let before = output.len();
            let (status, read, written) = miniz_oxide::inflate::core::decompress(
                &mut self.decompressor,
                body.get(offset..).unwrap_or_default(),
                output.buffer_since(start),
                before - start,
                flags,
            );
            offset = offset.saturating_add(read);
            output.advance(written);
            if let Frame::Checksum(hasher) = frame {
                hasher.update(output.since(before));
            }
            match status {
                Status::Done => return Ok(offset),
                Status::HasMoreOutput => output.grow()?,
                Status::BlockBoundary => self.begin_block(output.len())?,
                Status::NeedsMoreInput | Status::FailedCannotMakeProgress => {
                    let what = "DEFLATE data";
                    return Err(DecompressError::Truncated { what });
                }
                Status::Adler32Mismatch => {
                    let offset = offset.saturating_sub(4);
                    return Err(DecompressError::Checksum { offset });
                }
                _ => {
                    let what = "valid DEFLATE data";
                    return Err(DecompressError::Expected { what, offset });
                }
            }
        }
    }
    fn begin_block(&mut self, output_bytes: usize) -> Result<(), DecompressError> {
        self.blocks = self.blocks.saturating_add(1);
        if self.blocks > BLOCKS_ANY.saturating_add(output_bytes / BLOCK_BYTES_MIN) {
            return Err(DecompressError::ShortBlocks);
        }
        Ok(())
    }
}
