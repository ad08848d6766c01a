//! Cases of heads: each rule, each message, and each limit at its edge and one beyond.

use prometheus_aggregation_gateway::http::head::{
    EMPTY_LINES_MAX, Expectation, FIELDS_MAX, Framing, HEAD_BYTES_MAX, Head, Persistence,
    REQUEST_LINE_BYTES_MAX, Version, read_head,
};
use prometheus_aggregation_gateway::tokens::Credentials;

/// The head at the begin of the bytes, however they are divided into two reads.
#[track_caller]
fn accepted<'a>(head: &'a [u8]) -> Head<'a> {
    for end in 0..head.len() {
        let mut scanned = 0;
        let begun = read_head(&head[..end], &mut scanned);
        assert_eq!(begun, Ok(None), "of {}", head[..end].escape_ascii());
        assert!(scanned <= end);
        let read = read_head(head, &mut scanned);
        assert!(matches!(read, Ok(Some(_))), "{read:?} after {end} bytes");
    }
    let read = read_head(head, &mut 0).unwrap_or_else(|error| panic!("{error}"));
    let read = read.unwrap_or_else(|| panic!("not complete: {}", head.escape_ascii()));
    assert_eq!(read.bytes, head.len());
    read
}

#[track_caller]
fn refused(head: impl AsRef<[u8]>, code: u16, message: &str) {
    let head = head.as_ref();
    let shown = head[..head.len().min(200)].escape_ascii();
    match read_head(head, &mut 0) {
        Err(error) => assert_eq!(
            (error.code(), &*error.to_string()),
            (code, message),
            "{shown}"
        ),
        Ok(read) => panic!("{read:?} instead of {message}, of {shown}"),
    }
}

/// A POST with this line among its fields.
#[track_caller]
fn field_refused(line: impl AsRef<[u8]>, code: u16, message: &str) {
    let head = [b"POST / HTTP/1.1\r\n", line.as_ref(), b"\r\nA: b\r\n\r\n"].concat();
    refused(head, code, message);
}

/// A POST with these lines as its fields.
#[track_caller]
fn framing(fields: &str) -> Framing {
    let head = format!("POST / HTTP/1.1\r\n{fields}\r\n");
    accepted(head.as_bytes()).framing
}

#[track_caller]
fn persistence(version: &str, fields: &str) -> Persistence {
    let head = format!("GET / {version}\r\n{fields}\r\n");
    accepted(head.as_bytes()).persistence
}

const LINE: &str = "expected a request line such as `POST /metrics/job/x HTTP/1.1`, found another";
const NAME: &str = "expected a field such as `Name: value`, found an invalid name, or white space \
                    before the colon";
const VERSION: &str = "expected HTTP/1.1 or HTTP/1.0";
const FEED: &str = "a line of the head ends in LF instead of CRLF";
const RETURN: &str = "a CR without LF in the head";
const FOLDED: &str = "a line of the head begins with white space (obsolete line folding)";

#[test]
fn all_of_a_head() {
    let head = b"\r\nPUT http://h/m?x=y HTTP/1.0\r\ncontent-type:\t text/plain \t\r\n\
        Content-Type: second\r\nContent-ENCODING: gz\xff\r\nOrigin: http://page\r\n\
        ACCEPT: */*\r\nAccept: second\r\n\
        Content-Length: 7\r\nHost: h\r\nExpect: 100-Continue\r\nconnection: a,KEEP-alive\r\n\r\n";
    let expected = Head {
        method: "PUT",
        target: "http://h/m?x=y",
        version: Version::Http10,
        framing: Framing::Length(7),
        persistence: Persistence::KeepAlive,
        // RFC 9110 section 10.1.1: not of HTTP/1.0.
        expectation: Expectation::None,
        passed_on: [Some(b"text/plain"), Some(b"gz\xff"), None],
        accept: Some(b"*/*"),
        origin: Some(b"http://page"),
        credentials: Credentials::None,
        bytes: head.len(),
    };
    assert_eq!(accepted(head), expected);
    assert_eq!(expected.content_encoding(), Some(&b"gz\xff"[..]));

    let head = b"GET * HTTP/1.1\r\nExpect: 100-continue\r\nauthorization: Basic eA==\r\n\r\n";
    let expected = Head {
        method: "GET",
        target: "*",
        version: Version::Http11,
        framing: Framing::None,
        persistence: Persistence::KeepAlive,
        expectation: Expectation::Continue,
        passed_on: [None, None, None],
        accept: None,
        origin: None,
        credentials: Credentials::Field(b"Basic eA=="),
        bytes: head.len(),
    };
    assert_eq!(accepted(head), expected);
    assert_eq!(expected.content_encoding(), None);
}

#[test]
fn what_follows_a_head_is_not_examined() {
    let head = b"GET / HTTP/1.1\r\n\r\n";
    for rest in [&b"\n"[..], b"\r\n\r\n\r\n\r\n\r\n\r\n", b"\0", b" "] {
        let bytes = [head, rest].concat();
        let read = read_head(&bytes, &mut 0).expect("the head is valid");
        assert_eq!(read.map(|head| head.bytes), Some(head.len()));
    }
}

#[test]
fn empty_lines() {
    let head = |lines: usize| format!("{}GET / HTTP/1.1\r\n\r\n", "\r\n".repeat(lines));
    assert_eq!(EMPTY_LINES_MAX, 4);
    for lines in 0..=4 {
        accepted(head(lines).as_bytes());
    }
    let message = "more than 4 empty lines before the request line";
    refused(head(5), 400, message);
    refused("\r\n".repeat(5), 400, message);
    refused("\nGET / HTTP/1.1\r\n\r\n", 400, FEED);
    refused("\r\n\nGET / HTTP/1.1\r\n\r\n", 400, FEED);
    refused("\r\rGET / HTTP/1.1\r\n\r\n", 400, RETURN);
    refused("\r\n \r\nGET / HTTP/1.1\r\n\r\n", 400, LINE);
}

#[test]
fn request_lines() {
    for method in ["G", "get", "!#$%&'*+-.^_`|~09AZaz"] {
        let head = format!("{method} / HTTP/1.1\r\n\r\n");
        assert_eq!(accepted(head.as_bytes()).method, method);
    }
    for line in [
        "GET",
        "GET /",
        "GET  / HTTP/1.1",
        "GET /\tHTTP/1.1",
        "GET\t/ HTTP/1.1",
        " GET / HTTP/1.1",
        " / HTTP/1.1",
        "\tGET / HTTP/1.1",
        "GE(T / HTTP/1.1",
        "G\u{e4}T / HTTP/1.1",
        "GET: / HTTP/1.1",
        "GET / HTTP/1.1 ",
        "GET / HTTP/1.1 x",
        "GET / HTTP/1.11",
    ] {
        refused(format!("{line}\r\nHost: x\r\n\r\n"), 400, LINE);
    }
    for version in [
        "HTTP/2.0",
        "HTTP/1.2",
        "HTTP/0.9",
        "http/1.1",
        "HTTP/1,1",
        "HTTP/1 1",
        " HTTP/1.1",
        "x HTTP/1.1",
    ] {
        refused(format!("GET / {version}\r\n\r\n"), 505, VERSION);
    }
    refused("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, VERSION);
}

#[test]
fn targets() {
    for target in [
        "/",
        "*",
        "/#",
        "/\"<>\\^`{|}~",
        "//x",
        "http://x",
        "hTTp://",
        "/?\u{7e}",
    ] {
        let head = format!("GET {target} HTTP/1.1\r\n\r\n");
        assert_eq!(accepted(head.as_bytes()).target, target);
    }
    let message = |found: &str| {
        format!(
            "expected a target such as /metrics/job/x in visible ASCII, all else percent-encoded, \
             found {found}"
        )
    };
    for target in [
        "x",
        "**",
        "*/",
        "https://x/",
        "http:/x",
        "x:443",
        "?x",
        "/\u{e4}",
    ] {
        let head = format!("GET {target} HTTP/1.1\r\n\r\n");
        refused(head, 400, &message(&format!("`{target}`")));
    }
    refused(
        "GET http:/\u{e4}/ HTTP/1.1\r\n\r\n",
        400,
        &message("`http:/\u{e4}/`"),
    );
    // It is not UTF-8.
    refused(b"GET /\xe4 HTTP/1.1\r\n\r\n", 400, LINE);
}

#[test]
fn line_ends_and_control_characters() {
    field_refused("A: b\nC: d", 400, FEED);
    field_refused("A: b\rC: d", 400, RETURN);
    field_refused("A: b\r\r", 400, RETURN);
    field_refused(" A: b", 400, FOLDED);
    field_refused("A: b\r\n\tc", 400, FOLDED);
    field_refused(" ", 400, FOLDED);
    refused("GET / HTTP/1.1\n", 400, FEED);
    refused("GET / HTTP/1.1\r\n\n", 400, FEED);
    refused("GET / HTTP/1.1\r\n\rX", 400, RETURN);
    refused("GET / HTTP/1.1\rX", 400, RETURN);
    refused("GET / HTTP/1.1\r\nA: b\r\n\t", 400, FOLDED);
    refused("GET / HTTP/1.1\r\n ", 400, FOLDED);
    for byte in (0..b' ')
        .chain([0x7f])
        .filter(|byte| !b"\t\r\n".contains(byte))
    {
        let mut message = format!("control character 0x{byte:02x} in the head");
        if byte == 0x16 {
            message.push_str("; if this is TLS, use http://");
        }
        field_refused([b'A', b':', byte], 400, &message);
        refused([b"GET /".as_slice(), &[byte]].concat(), 400, &message);
    }
}

#[test]
fn fields() {
    for line in [
        ": b",
        "A",
        "A : b",
        "A\t: b",
        "A b: c",
        "\u{e4}: b",
        "A(: b",
        "A\"",
        ":",
    ] {
        field_refused(line, 400, NAME);
    }
    for line in [
        "A:",
        "A:\t",
        "!#$%&'*+-.^_`|~09AZaz: b",
        "A:b:c",
        "A: \t\u{e4}\u{80}",
        "Host:",
    ] {
        assert_eq!(framing(&format!("{line}\r\n")), Framing::None);
    }
    field_refused("Host: a\r\nHOST: a", 400, "two Host fields");
}

#[test]
fn lengths() {
    assert_eq!(framing("Content-Length: 0\r\n"), Framing::None);
    assert_eq!(framing("content-length:\t007 \t\r\n"), Framing::Length(7));
    let largest = u64::MAX;
    for digits in [
        format!("{largest}"),
        format!("{largest}0"),
        "9".repeat(1000),
    ] {
        assert_eq!(
            framing(&format!("Content-Length: {digits}\r\n")),
            Framing::Length(largest)
        );
    }
    for value in [
        "5, 5", "5,5", "+5", "-5", "5 5", "0x5", "5;", "\u{b2}", "5.0",
    ] {
        let message = format!("Content-Length: expected digits, found `{value}`");
        field_refused(format!("Content-Length: {value}"), 400, &message);
    }
    field_refused(
        "Content-Length:",
        400,
        "Content-Length: expected digits, found nothing",
    );
    let message = "two Content-Length fields";
    field_refused("Content-Length: 5\r\ncontent-length: 5", 400, message);
    field_refused(
        "Content-Length: 0\r\nA: b\r\nContent-Length: 0",
        400,
        message,
    );

    let message = "a push of HTTP/1.0 needs a Content-Length";
    refused("POST / HTTP/1.0\r\n\r\n", 411, message);
    refused("PUT / HTTP/1.0\r\nHost: x\r\n\r\n", 411, message);
    for method in ["GET", "DELETE", "post"] {
        let head = format!("{method} / HTTP/1.0\r\n\r\n");
        assert_eq!(accepted(head.as_bytes()).framing, Framing::None);
    }
    let head = accepted(b"POST / HTTP/1.0\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(head.framing, Framing::None);
}

#[test]
fn codings() {
    for value in ["chunked", "CHUNKED \t", "\tChunked"] {
        assert_eq!(
            framing(&format!("Transfer-Encoding:{value}\r\n")),
            Framing::Chunked
        );
    }
    for value in [
        "gzip",
        "identity",
        "gzip, chunked",
        "chunked, chunked",
        "chunked,",
        "chunked;q=1",
        "\"chunked\"",
        "chunke",
        "chunkedd",
        "\u{a0}chunked",
    ] {
        let message = format!("Transfer-Encoding: expected chunked, found `{value}`");
        field_refused(
            format!("Transfer-Encoding: {value}"),
            501,
            &message.replace('\u{a0}', "\\u{a0}"),
        );
    }
    let message = "Transfer-Encoding: expected chunked, found `chunked`";
    field_refused(
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        501,
        message,
    );
    let message = "Transfer-Encoding: expected chunked, found nothing";
    field_refused("Transfer-Encoding:", 501, message);

    let both = "both Content-Length and Transfer-Encoding; send one of them";
    field_refused("Transfer-Encoding: chunked\r\nContent-Length: 5", 400, both);
    field_refused("Content-Length: 0\r\nTransfer-Encoding: chunked", 400, both);
    let head = "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n";
    refused(head, 400, "Transfer-Encoding with HTTP/1.0");
    let head = "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n";
    refused(head, 400, both);
}

#[test]
fn expectations() {
    for value in ["200-ok", "100-continue, x", "100-continue;x"] {
        let message = format!("Expect: expected 100-continue, found `{value}`");
        field_refused(format!("Expect: {value}"), 417, &message);
    }
    field_refused(
        "Expect:",
        417,
        "Expect: expected 100-continue, found nothing",
    );
    let head = accepted(b"GET / HTTP/1.1\r\nEXPECT:100-CONTINUE\r\n\r\n");
    assert_eq!(head.expectation, Expectation::Continue);
    assert_eq!(
        accepted(b"GET / HTTP/1.1\r\n\r\n").expectation,
        Expectation::None
    );
}

#[test]
fn persistent_connections() {
    let [new, old] = ["HTTP/1.1", "HTTP/1.0"];
    let [keeps, closes] = [Persistence::KeepAlive, Persistence::Close];
    for (version, fields, expected) in [
        (new, "", keeps),
        (old, "", closes),
        (new, "Connection: close\r\n", closes),
        (old, "Connection: close\r\n", closes),
        (new, "Connection: keep-alive\r\n", keeps),
        (old, "Connection: Keep-Alive\r\n", keeps),
        (new, "Connection: x ,\tCLOSE\t, y\r\n", closes),
        (old, "Connection: x\r\nConnection:,keep-alive\r\n", keeps),
        (
            new,
            "Connection: close\r\nConnection: keep-alive\r\n",
            closes,
        ),
        (old, "Connection: keep-alive, close\r\n", closes),
        (new, "Connection: closed\r\nX-Connection: close\r\n", keeps),
        (
            new,
            "Connection: close;x\r\nProxy-Connection: close\r\n",
            keeps,
        ),
        (old, "Connection: upgrade\r\nUpgrade: h2c\r\n", closes),
        (new, "Connection: upgrade\r\nUpgrade: h2c\r\n", keeps),
    ] {
        assert_eq!(persistence(version, fields), expected, "{version} {fields}");
    }
}

/// Not in `accepted`: all divisions of a long head take too long.
#[track_caller]
fn is_complete(head: &str) -> bool {
    let read = read_head(head.as_bytes(), &mut 0);
    read.unwrap_or_else(|error| panic!("{error}")).is_some()
}

#[test]
fn long_request_lines() {
    assert_eq!(REQUEST_LINE_BYTES_MAX, 16 * 1024);
    let line = |bytes: usize| format!("GET /{} HTTP/1.1\r\n", "x".repeat(bytes - 16));
    assert_eq!(line(100).len(), 100);
    let message = "the request line is longer than 16384 bytes";
    for empty_lines in ["", "\r\n\r\n\r\n\r\n"] {
        let begin = |bytes: usize| format!("{empty_lines}{}", line(bytes));
        assert!(is_complete(&format!("{}\r\n", begin(16_384))));
        assert!(!is_complete(&begin(16_384)));
        refused(begin(16_385), 414, message);
        // As soon as it is known.
        assert!(!is_complete(&begin(16_500)[..empty_lines.len() + 16_384]));
        refused(&begin(16_500)[..empty_lines.len() + 16_385], 414, message);
        // What comes after it is not examined.
        refused(
            format!("{}\0", &begin(16_500)[..empty_lines.len() + 16_384]),
            414,
            message,
        );
    }
    let control = format!("{}\0", &line(16_500)[..16_383]);
    refused(control, 400, "control character 0x00 in the head");
}

#[test]
fn long_heads() {
    assert_eq!(HEAD_BYTES_MAX, 32 * 1024);
    let begin = "POST / HTTP/1.1\r\nA: ";
    let head = |bytes: usize| format!("{begin}{}\r\n\r\n", "x".repeat(bytes - begin.len() - 4));
    assert_eq!(head(100).len(), 100);
    let message = "the head is longer than 32768 bytes";
    for empty_lines in ["", "\r\n\r\n\r\n\r\n"] {
        assert!(is_complete(&format!("{empty_lines}{}", head(32_768))));
        assert!(is_complete(&format!("{empty_lines}{}\0", head(32_768))));
        refused(format!("{empty_lines}{}", head(32_769)), 431, message);
        let cut = format!("{empty_lines}{}", &head(33_000)[..32_768]);
        assert!(!is_complete(&cut));
        refused(format!("{cut}x"), 431, message);
        refused(format!("{cut}\0"), 431, message);
    }
    let control = format!("{}\0", &head(33_000)[..32_767]);
    refused(control, 400, "control character 0x00 in the head");
}

#[test]
fn many_fields() {
    assert_eq!(FIELDS_MAX, 100);
    let head = |fields: usize| format!("GET / HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(fields));
    accepted(head(100).as_bytes());
    refused(head(101), 431, "the head has more than 100 fields");
}
