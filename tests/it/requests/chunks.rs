//! Cases of chunked bodies: each rule, each message, and each limit at its edge and one beyond.

use prometheus_aggregation_gateway::http::chunked::{EXTENSION_BYTES_MAX, TRAILER_BYTES_MAX};

use crate::decoder_laws::{Decoding, assert_decoder};

const BODY_BYTES_MAX: usize = 100_000;

/// The data of a body that ends where the text does; bytes after it are not read.
#[track_caller]
fn data(body: &str) -> Vec<u8> {
    let bytes = format!("{body}0\r\n\r\n");
    let mut decoding = Decoding::new(BODY_BYTES_MAX);
    let decoded = decoding.decode(bytes.as_bytes());
    let decoded = decoded.unwrap_or_else(|error| panic!("{error}, of {body:?}"));
    assert!(decoded.is_end, "{body:?} does not end");
    assert_eq!(decoded.bytes, body.len(), "of {body:?}");
    decoding.data
}

/// The last byte of the text makes it invalid: no byte before it, nor any after it.
#[track_caller]
fn refused(body: impl AsRef<[u8]>, message: &str) {
    let body = body.as_ref();
    let shown = body[..body.len().min(200)].escape_ascii();
    let [before, last] = [&body[..body.len() - 1], &body[body.len() - 1..]];
    let mut decoding = Decoding::new(BODY_BYTES_MAX);
    let decoded = decoding.decode(before);
    assert!(
        decoded.is_ok_and(|decoded| !decoded.is_end),
        "{decoded:?}, of {shown}"
    );
    match decoding.decode(last) {
        Err(error) => assert_eq!(
            error.to_string(),
            format!("chunked body: {message}"),
            "{shown}"
        ),
        Ok(decoded) => panic!("{decoded:?} instead of {message}, of {shown}"),
    }
    let mut whole = Decoding::new(BODY_BYTES_MAX);
    let error = whole
        .decode(body)
        .map(drop)
        .map_err(|error| error.to_string());
    assert_eq!(error, Err(format!("chunked body: {message}")), "{shown}");
}

const SIZE: &str = "expected the size of a chunk, one to 8 hexadecimal digits";
const LINE_END: &str = "expected CRLF behind the size of a chunk";
const DATA_END: &str = "expected CRLF behind the data of a chunk";
const EXTENSION: &str = "control character in a chunk extension";
const TRAILER: &str = "expected trailers, each a line that ends in CRLF";

#[test]
fn bodies() {
    for (body, expected) in [
        ("0\r\n\r\n", ""),
        ("00000000\r\n\r\n", ""),
        ("1\r\nx\r\n0\r\n\r\n", "x"),
        ("1\r\nx\r\n00000001\r\ny\r\n0\r\n\r\n", "xy"),
        ("a\r\n0123456789\r\n0\r\n\r\n", "0123456789"),
        ("0A\r\n0\r\n\r\n789\0\n\r\n0\r\n\r\n", "0\r\n\r\n789\0\n"),
        ("10\r\n0123456789abcdef\r\n0\r\n\r\n", "0123456789abcdef"),
        ("1;\r\nx\r\n0;a=b;c=\"d;\"\r\n\r\n", "x"),
        ("1 \t;\t a = b \r\nx\r\n0\t;\u{e4}\r\n\r\n", "x"),
        ("1\r\nx\r\n0\r\nA: b\r\nno colon \t\u{e4}\r\n\r\n", "x"),
        ("1\r\nx\r\n0\r\n folded\r\n\tand more\r\n\r\n", "x"),
    ] {
        assert_eq!(data(body), expected.as_bytes(), "of {body:?}");
        for read_bytes in [1, 2, 3, 5, 1000] {
            assert_decoder(body.as_bytes(), &[read_bytes], BODY_BYTES_MAX);
        }
    }
    let all_digits = "0123456789abcdefABCDEF";
    for digit in all_digits.chars() {
        let size = digit.to_digit(16).expect("it is a digit") as usize;
        let end = if size == 0 { "\r\n" } else { "\r\n0\r\n\r\n" };
        let body = format!("{digit}\r\n{}{end}", "x".repeat(size));
        assert_eq!(data(&body).len(), size);
    }
}

#[test]
fn sizes() {
    for body in [
        "\r",
        "\n",
        ";",
        " ",
        "\t",
        "x",
        "-",
        "+",
        "g",
        "G",
        "0x",
        "1,",
        "1g",
        "1\n",
        "1\0",
        "1_",
        "1\"",
        "123456789",
        "000000000",
        "1\r\nx\r\n\r",
        "1\r\nx\r\n;",
        "1\r\nx\r\n ",
        "1\r\nx\r\nx",
    ] {
        refused(body, SIZE);
    }
    for body in [
        "1 \r", "1 0", "1\t\n", "1 x", "1\rx", "1\r\r", "1;\rx", "0\r0", "1;\r;",
    ] {
        refused(body, LINE_END);
    }
}

#[test]
fn ends_of_data() {
    for body in [
        "1\r\nx0",
        "1\r\nxx",
        "1\r\nx\n",
        "1\r\nx\rx",
        "1\r\nx\r\r",
        "2\r\nxy ",
    ] {
        refused(body, DATA_END);
    }
}

#[test]
fn extensions() {
    for byte in (0..b' ')
        .chain([0x7f])
        .filter(|byte| !b"\t\r".contains(byte))
    {
        refused([b'1', b';', byte], EXTENSION);
        refused([b'1', b';', b'x', byte], EXTENSION);
    }
    // Everything between the digits and the CR counts, in all chunks together.
    assert_eq!(EXTENSION_BYTES_MAX, 4096);
    let message = "chunk extensions of more than 4096 bytes";
    let one = |bytes: usize| format!("1;{}", "x".repeat(bytes - 1));
    assert_eq!(data(&format!("{}\r\nx\r\n0\r\n\r\n", one(4096))), b"x");
    refused(one(4097), message);
    let blanks = |bytes: usize| format!("1{}", " ".repeat(bytes));
    assert_eq!(data(&format!("{};\r\nx\r\n0\r\n\r\n", blanks(4095))), b"x");
    refused(blanks(4097), message);
    refused(format!("{};", blanks(4096)), message);
    let many = "1;\r\nx\r\n".repeat(4096);
    assert_eq!(data(&format!("{many}0\r\n\r\n")).len(), 4096);
    refused(format!("{many}0;"), message);
}

#[test]
fn trailers() {
    for byte in (0..b' ')
        .chain([0x7f])
        .filter(|byte| !b"\t\r".contains(byte))
    {
        refused([b'0', b'\r', b'\n', byte], TRAILER);
        refused([b'0', b'\r', b'\n', b'x', byte], TRAILER);
    }
    for body in [
        "0\r\n\rx",
        "0\r\n\r\r",
        "0\r\nx\rx",
        "0\r\nx\r\r",
        "0\r\nx\r\n\r\r",
    ] {
        refused(body, TRAILER);
    }
    // All bytes but those of the line ends, in all trailers together.
    assert_eq!(TRAILER_BYTES_MAX, 8192);
    let message = "trailers of more than 8192 bytes";
    let one = |bytes: usize| format!("0\r\n{}", "x".repeat(bytes));
    assert_eq!(data(&format!("{}\r\n\r\n", one(8192))), b"");
    refused(one(8193), message);
    let many = "x\r\n".repeat(8192);
    assert_eq!(data(&format!("0\r\n{many}\r\n")), b"");
    refused(format!("0\r\n{many}x"), message);
}

#[test]
fn long_bodies() {
    let message = "longer than allowed";
    let body = format!(
        "18000\r\n{}\r\n6a0\r\n{}\r\n",
        "x".repeat(0x18000),
        "x".repeat(0x6a0)
    );
    assert_eq!(data(&format!("{body}0\r\n\r\n")).len(), BODY_BYTES_MAX);
    // Before the data has come.
    refused(format!("{body}1\r\n"), message);
    refused("186a1\r\n", message);
    refused("ffffffff\r\n", message);
    refused("80000000;x\r\n", message);
    assert_decoder(body.as_bytes(), &[0x18000, 100], BODY_BYTES_MAX);
}

/// What is handed over has no extensions and no trailers: their bounds begin again.
#[test]
fn bounds_after_a_hand_over() {
    let mut decoding = Decoding::new(BODY_BYTES_MAX);
    let extension = "x".repeat(4095);
    decoding
        .decode(format!("1;{extension}").as_bytes())
        .expect("it is within the bound");
    let mut next = decoding.hand_over();
    assert!(next.decode(extension.as_bytes()).is_ok());
    assert!(decoding.decode(b"x").is_err());
    assert!(next.decode(b"x").is_err());
}
