//! Compressed bodies and their contents: `data/compressed`, and laws.

use std::fs;
use std::path::{Path, PathBuf};

use prometheus_aggregation_gateway::compression::ContentCoding::{
    self, Deflate, Gzip, Identity, Snappy,
};
use prometheus_aggregation_gateway::compression::{DecompressError, decompress};

use super::cases::paths;
use super::compression_laws::{CODINGS, assert_decompressed};
use super::random::Random;
use super::random_compressed;
use super::second_decompressor::{SNAPPY_IDENTIFIER, framed_block, framed_stream, gzip_member};

const MIB: usize = 1 << 20;

const EXTENSIONS: [(ContentCoding, &str); 3] =
    [(Gzip, "gzip"), (Deflate, "deflate"), (Snappy, "snappy")];

fn cases(directory: &str) -> Vec<(ContentCoding, PathBuf, Vec<u8>)> {
    let mut cases = Vec::new();
    for (coding, extension) in EXTENSIONS {
        for path in paths(&format!("compressed/{directory}"), extension) {
            let body = read(&path);
            cases.push((coding, path, body));
        }
    }
    cases
}

fn read(path: &Path) -> Vec<u8> {
    fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn beside(path: &Path, extension: &str) -> PathBuf {
    PathBuf::from(format!("{}.{extension}", path.display()))
}

/// `name.gzip` has the contents `name.gzip.contents`, or those of `contents` if there is none.
#[test]
fn accept() {
    for (coding, path, body) in cases("accept") {
        let own = beside(&path, "contents");
        let contents = read(if own.exists() {
            &own
        } else {
            Path::new(SHARED)
        });
        let found = decompress(coding, &body, MIB);
        assert!(found == Ok(contents), "{}: {found:?}", path.display());
        assert_decompressed(coding, &body, MIB);
    }
}

/// What most accepted cases hold.
const SHARED: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/tests/it/data/compressed/accept/contents"
);

/// `name.gzip` is refused with the message in `name.gzip.message`.
#[test]
fn reject() {
    for (coding, path, body) in cases("reject") {
        let message = read(&beside(&path, "message"));
        let message = String::from_utf8(message).expect("a message is UTF-8");
        let found = decompress(coding, &body, MIB).map_err(|error| error.to_string());
        assert_eq!(
            found,
            Err(message.trim_end().to_owned()),
            "{}",
            path.display()
        );
        assert_decompressed(coding, &body, MIB);
    }
}

/// Cut anywhere, a body is refused, but between two members of gzip and two chunks of snappy:
/// neither format marks the end of a body.
#[test]
fn truncated() {
    for (coding, path, body) in cases("accept") {
        let whole = decompress(coding, &body, MIB).expect("it is accepted");
        for length in 0..body.len() {
            let found = assert_decompressed(coding, &body[..length], MIB);
            let is_prefix = |found: &Vec<u8>| whole.starts_with(found);
            let has_members = path.to_string_lossy().ends_with("members.gzip");
            let is_between = coding == Snappy || has_members;
            assert!(
                found
                    .as_ref()
                    .is_none_or(|found| is_between && is_prefix(found)),
                "{}: {length} bytes of it give {found:?}",
                path.display()
            );
        }
    }
}

/// One wrong byte makes another body that is refused, or of the same contents. A chunk of snappy
/// can become one that is skipped.
#[test]
fn corrupted() {
    for (coding, path, mut body) in cases("accept") {
        let whole = decompress(coding, &body, MIB).expect("it is accepted");
        for place in 0..body.len() {
            let right = body[place];
            for wrong in [1, 8, 128, 255].map(|bits| right ^ bits) {
                body[place] = wrong;
                let found = decompress(coding, &body, MIB);
                let is_skipped = coding == Snappy && right < 2 && wrong >= 128;
                assert!(
                    found.is_err() || found.as_ref() == Ok(&whole) || is_skipped,
                    "{}: {wrong:#x} at {place} gives other contents",
                    path.display()
                );
            }
            body[place] = right;
        }
    }
}

#[test]
fn random_bodies() {
    let mut random = Random::new(1);
    for _ in 0..1000 {
        for (coding, compressed) in [
            (Gzip, random_compressed::gzip(&mut random)),
            (Deflate, random_compressed::deflate(&mut random)),
            (Snappy, random_compressed::snappy(&mut random)),
        ] {
            let found = decompress(coding, &compressed.body, MIB);
            assert_eq!(found.as_ref(), Ok(&compressed.contents), "{coding:?}");
            let mut body = compressed.body;
            body.truncate(4096);
            assert_decompressed(coding, &body, MIB);
            let place = random.below(body.len());
            body[place] ^= 1 << random.below(8);
            assert_decompressed(coding, &body, 1 + random.below(1000));
        }
    }
}

/// Wrong data in right frames: no checksum hides what the data is taken for.
#[test]
fn random_data() {
    let mut random = Random::new(3);
    let mut framed = 0;
    for _ in 0..5000 {
        let (mut stream, _) = random_compressed::stream(&mut random);
        let place = random.below(stream.len().min(20));
        stream[place] ^= 1 << random.below(8);
        if let Some(body) = framed_stream(&stream, MIB).filter(|body| body.len() <= 4096) {
            assert_decompressed(Gzip, &body, MIB).expect("it is framed");
            framed += 1;
        }
        let (mut block, _) = random_compressed::block(&mut random);
        let place = random.below(block.len().min(20));
        block[place] ^= 1 << random.below(8);
        if let Some(body) = framed_block(&block, MIB).filter(|body| body.len() <= 4096) {
            assert_decompressed(Snappy, &body, MIB).expect("it is framed");
            framed += 1;
        }
    }
    assert!(framed > 1000, "{framed} were valid");
}

#[test]
fn random_bytes() {
    let mut random = Random::new(2);
    for _ in 0..10_000 {
        let bytes: Vec<u8> = (0..random.below(60)).map(|_| random.bits() as u8).collect();
        for start in [
            &b""[..],
            b"\x1f\x8b\x08\0\0\0\0\0\0\0",
            b"\x78\x9c",
            SNAPPY_IDENTIFIER,
        ] {
            let bytes = [start, &bytes].concat();
            for coding in CODINGS {
                assert_decompressed(coding, &bytes, MIB);
            }
        }
    }
}

/// So many times the letter `a` in one DEFLATE block: a literal, then the longest matches at
/// distance 1, of 13 bits each. There is no end and no checksum after it.
fn endless(matches: usize) -> Vec<u8> {
    let mut body = gzip_member(b"", b"", 0)[..10].to_vec();
    let mut bits = random_compressed::Bits::default();
    bits.put(0b011, 3);
    bits.put_symbol(usize::from(b'a'));
    for _ in 0..matches {
        bits.put_symbol(285);
        bits.put(0, 5);
    }
    body.extend(bits.bytes);
    body
}

/// The limits end the work before what is wrong behind them is met.
#[test]
fn bombs() {
    let body = endless(1_000_000);
    let bytes_max = 16 * MIB;
    let error = DecompressError::TooLong { bytes_max };
    assert_eq!(decompress(Gzip, &body, bytes_max), Err(error));
    assert_eq!(
        decompress(Gzip, &body, usize::MAX),
        Err(DecompressError::Ratio)
    );
    // Up to 1 MiB any ratio is allowed.
    let short = endless(MIB / 258 - 1);
    let what = "DEFLATE data";
    let truncated = Err(DecompressError::Truncated { what });
    assert!(short.len() * 100 < MIB);
    assert_eq!(decompress(Gzip, &short, usize::MAX), truncated);
    let longer = endless(MIB / 258 + 1);
    assert_eq!(
        decompress(Gzip, &longer, usize::MAX),
        Err(DecompressError::Ratio)
    );
}

/// A stated length reserves nothing beyond the limits, and a wrong one is an error at the end.
#[test]
fn stated_lengths() {
    let stored = |contents: &[u8]| {
        let length = contents.len() as u16;
        let lengths = [length.to_le_bytes(), (!length).to_le_bytes()].concat();
        [&[1], &lengths[..], contents].concat()
    };
    for length in [0, 2, 1000, MIB as u32, u32::MAX] {
        let body = gzip_member(&stored(b"a"), b"a", length);
        let offset = body.len() - 4;
        let found = decompress(Gzip, &body, usize::MAX);
        assert_eq!(found, Err(DecompressError::Length { offset }), "{length}");
    }
    let contents = vec![b'a'; 60_000];
    let body = gzip_member(&stored(&contents), &contents, 60_000);
    let found = decompress(Gzip, &body, usize::MAX).expect("it is right");
    assert_eq!((found.len(), found.capacity()), (60_000, 60_000));
}

#[test]
fn short_blocks() {
    // Ten bits: a block with the fixed codes that is not the last, and its end.
    let mut bits = random_compressed::Bits::default();
    for _ in 0..5000 {
        bits.put(0b010, 3);
        bits.put_symbol(256);
    }
    bits.put(0b011, 3);
    bits.put_symbol(256);
    let body = gzip_member(&bits.bytes, b"", 0);
    assert_eq!(
        decompress(Gzip, &body, MIB),
        Err(DecompressError::ShortBlocks)
    );
    // Members with a block of their own count as blocks do, empty ones do not.
    let member = gzip_member(&[1, 0, 0, 0xff, 0xff], b"", 0);
    assert_eq!(decompress(Gzip, &member.repeat(4096), MIB), Ok(Vec::new()));
    let found = decompress(Gzip, &member.repeat(4097), MIB);
    assert_eq!(found, Err(DecompressError::ShortBlocks));
    let empty = gzip_member(&[3, 0], b"", 0);
    assert_eq!(decompress(Gzip, &empty.repeat(50_000), MIB), Ok(Vec::new()));
    // Blocks that are long enough may be as many as there are.
    let stored = [&[0, 0, 2, 0xff, 0xfd][..], &[b'a'; 512]].concat();
    let stream = [&stored.repeat(10_000)[..], &[3, 0]].concat();
    let contents = vec![b'a'; 512 * 10_000];
    let body = gzip_member(&stream, &contents, contents.len() as u32);
    assert_eq!(decompress(Gzip, &body, usize::MAX), Ok(contents));
}

#[test]
fn many_empty_chunks() {
    let chunk = b"\x01\x04\0\0\xd8\xea\x82\xa2";
    let body = [SNAPPY_IDENTIFIER, &chunk.repeat(100_000)].concat();
    assert_eq!(decompress(Snappy, &body, 0), Ok(Vec::new()));
}

#[test]
fn identity() {
    assert_eq!(decompress(Identity, b"a 1\n", 4), Ok(b"a 1\n".to_vec()));
    let bytes_max = 3;
    let error = DecompressError::TooLong { bytes_max };
    assert_eq!(decompress(Identity, b"a 1\n", bytes_max), Err(error));
}

#[test]
fn codings() {
    #[track_caller]
    fn check(value: &str, expected: Result<ContentCoding, &str>) {
        let found = ContentCoding::from_header(Some(value.as_bytes()));
        let found = found.map_err(|error| error.to_string());
        assert_eq!(found, expected.map_err(str::to_owned), "{value}");
    }
    assert_eq!(ContentCoding::from_header(None), Ok(Identity));
    for value in ["", " ", ",", "identity", "Identity"] {
        check(value, Ok(Identity));
    }
    for value in ["gzip", "GZip", "x-gzip", "X-GZIP", " gzip\t", ", gzip ,"] {
        check(value, Ok(Gzip));
    }
    check("Deflate", Ok(Deflate));
    check("SNAPPY", Ok(Snappy));
    for value in [
        "br",
        "zstd",
        "gzip, gzip",
        "identity, gzip",
        "gzip;q=1",
        "gzip gzip",
        "xgzip",
    ] {
        let message = format!(
            "unsupported Content-Encoding `{value}`, expected one of gzip, deflate, snappy"
        );
        check(value, Err(&message));
    }
}
