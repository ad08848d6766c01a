//! Random connections: valid ones with the requests that are in them, and mutations of those.
//!
//! - The same seed gives the same bytes, on every machine.
//! - Valid requests are spelled in every way that the rules of reading allow.
//! - A mutation may leave a connection valid: what it means is for the two readers to agree on.

use crate::random::Random;
use crate::second_reader::Request;

/// Larger than every body of a valid connection, smaller than some of the mutated sizes.
pub const BODY_BYTES_MAX: usize = 300;

const METHODS: [&str; 9] = [
    "POST",
    "PUT",
    "GET",
    "HEAD",
    "OPTIONS",
    "DELETE",
    "post",
    "M-SEARCH",
    "!#$%&'*+-.^_`|~09Az",
];

const TARGETS: [&str; 10] = [
    "/",
    "*",
    "/metrics",
    "/metrics/job/x",
    "//metrics/job/x",
    "/metrics?x=/y",
    "http://gateway:9091/metrics",
    "HTTP://gateway",
    "/%e2%98%83/!\"#$&'()+,-.:;<=>?@[]^_`{|}~\\",
    "/metrics/job@base64/eA==",
];

/// Those mean nothing to a reader of requests.
const OTHER_FIELDS: [&str; 12] = [
    "Content-Type: text/plain",
    "User-Agent: Go-http-client/1.1",
    "Accept: */*",
    "Upgrade: h2c",
    "Connection: Upgrade, HTTP2-Settings",
    "X: tab\there and \u{e4}\u{96ea}\u{ff}",
    "Empty:",
    "!#$%&'*+-.^_`|~09: x",
    "Content-Encoding: gzip",
    "Origin: null",
    "Trailer: X",
    "X-Transfer-Encoding: chunked",
];

/// The bytes of a connection and the requests in them.
pub struct Valid {
    pub bytes: Vec<u8>,
    pub requests: Vec<Request>,
}

/// A valid connection, of which only the last request may close it.
pub fn valid(random: &mut Random) -> Valid {
    let mut valid = Valid {
        bytes: Vec::new(),
        requests: Vec::new(),
    };
    let last = random.below(4);
    for number in 0..=last {
        for _ in 0..*random.pick(&[0, 0, 0, 1, 4]) {
            valid.bytes.extend(b"\r\n");
        }
        let keeps_alive = number < last || random.percent(70);
        let mut request = request(random, keeps_alive, &mut valid.bytes);
        request.end = valid.bytes.len();
        valid.requests.push(request);
    }
    valid
}

fn request(random: &mut Random, keeps_alive: bool, to: &mut Vec<u8>) -> Request {
    let method = *random.pick(&METHODS);
    let target = *random.pick(&TARGETS);
    let minor = u8::from(random.percent(80));
    let mut request = Request {
        method: method.to_owned(),
        target: target.to_owned(),
        minor,
        body: Vec::new(),
        keeps_alive,
        awaits_continue: false,
        end: 0,
    };
    let mut fields: Vec<Vec<u8>> = Vec::new();
    for _ in 0..random.below(4) {
        fields.push(random.pick(&OTHER_FIELDS).as_bytes().to_vec());
    }
    if random.percent(80) {
        let host = *random.pick(&["gateway:9091", "", "[::1]:80"]);
        fields.push(field(random, "Host", host));
    }
    if !keeps_alive && (minor == 1 || random.percent(50)) {
        let option = *random.pick(&["close", "Close", "x, close", "keep-alive,close\t,x"]);
        fields.push(field(random, "Connection", option));
    }
    if keeps_alive && (minor == 0 || random.percent(10)) {
        let option = *random.pick(&["keep-alive", "Keep-Alive", "x, keep-alive", ",keep-alive,"]);
        fields.push(field(random, "Connection", option));
    }
    if random.percent(10) {
        fields.push(field(random, "Expect", "100-continue"));
        request.awaits_continue = minor == 1;
    }
    let body = body(random, &mut request, &mut fields);
    random.shuffle(&mut fields);
    to.extend(format!("{method} {target} HTTP/1.{minor}\r\n").bytes());
    for field in fields {
        to.extend(field);
        to.extend(b"\r\n");
    }
    to.extend(b"\r\n");
    to.extend(body);
    request
}

/// A field with its name and the white space around its value in a random spelling.
fn field(random: &mut Random, name: &str, value: &str) -> Vec<u8> {
    let name = match random.below(4) {
        0 => name.to_ascii_lowercase(),
        1 => name.to_ascii_uppercase(),
        _ => name.to_owned(),
    };
    let mut blanks = || *random.pick(&[" ", " ", " ", "", "\t", " \t "]);
    let (before, after) = (blanks(), blanks());
    let after = if after == " " { "" } else { after };
    format!("{name}:{before}{value}{after}").into_bytes()
}

/// The body as it is sent; its data goes to the request.
fn body(random: &mut Random, request: &mut Request, fields: &mut Vec<Vec<u8>>) -> Vec<u8> {
    let needs_length = request.minor == 0 && ["POST", "PUT"].contains(&request.method.as_str());
    match random.below(10) {
        0..3 if !needs_length => Vec::new(),
        3..6 if request.minor == 1 => {
            fields.push(field(random, "Transfer-Encoding", "chunked"));
            let (data, coded) = chunks(random);
            request.body = data;
            coded
        }
        _ => {
            let length = random.below(40);
            request.body = data(random, length);
            let zeros = *random.pick(&["", "", "0", "000000000000000000000000"]);
            let length = format!("{zeros}{length}");
            fields.push(field(random, "Content-Length", &length));
            request.body.clone()
        }
    }
}

/// Some of it looks like a request or a chunk.
fn data(random: &mut Random, length: usize) -> Vec<u8> {
    let pieces: [&[u8]; 5] = [
        b"x 1\n",
        b"\r\n\r\n",
        b"0\r\n\r\n",
        b"GET / HTTP/1.1\r\n",
        b"\0\xff",
    ];
    let mut data = Vec::new();
    while data.len() < length {
        data.extend(*random.pick(&pieces));
    }
    data.truncate(length);
    data
}

/// Data, and its chunked coding.
pub fn chunks(random: &mut Random) -> (Vec<u8>, Vec<u8>) {
    let (mut all, mut coded) = (Vec::new(), Vec::new());
    for _ in 0..random.below(4) {
        let length = 1 + random.below(30);
        let data = data(random, length);
        coded.extend(size_line(random, length));
        coded.extend(&data);
        coded.extend(b"\r\n");
        all.extend(data);
    }
    coded.extend(size_line(random, 0));
    for _ in 0..*random.pick(&[0, 0, 1, 3]) {
        let trailers: [&[u8]; 4] = [b"X: y", b"\tfolded \xff", b":", b"no colon"];
        coded.extend(*random.pick(&trailers));
        coded.extend(b"\r\n");
    }
    coded.extend(b"\r\n");
    (all, coded)
}

fn size_line(random: &mut Random, size: usize) -> Vec<u8> {
    let width = *random.pick(&[1, 1, 1, 2, 8]);
    let size = match random.percent(50) {
        true => format!("{size:0width$x}"),
        false => format!("{size:0width$X}"),
    };
    let extensions = ["", "", "", ";", ";x=\"y;z\"", " \t;\tx = y", ";;\u{e4}"];
    let extension = *random.pick(&extensions);
    format!("{size}{extension}\r\n").into_bytes()
}

/// Lines that a reader must not take for something else than another reader does.
const LINES: [&[u8]; 40] = [
    b"Content-Length: 5",
    b"Content-Length: 5, 5",
    b"Content-Length: +5",
    b"Content-Length: 5 5",
    b"Content-Length: 0x5",
    b"Content-Length:",
    b"Content-Length: -0",
    b"Content-Length: 301",
    b"Content-Length: 18446744073709551616",
    b"Content-Length : 5",
    b"Content-Length\t: 5",
    b"Content_Length: 5",
    b"Transfer-Encoding: chunked",
    b"Transfer-Encoding: chunked, chunked",
    b"Transfer-Encoding: gzip, chunked",
    b"Transfer-Encoding: identity",
    b"Transfer-Encoding: \x0bchunked",
    b"Transfer-Encoding: chunked;q=1",
    b"Transfer-Encoding: \"chunked\"",
    b"Transfer-Encoding:",
    b"Transfer-Encoding : chunked",
    b" Transfer-Encoding: chunked",
    b"\tfolded",
    b"Host: other",
    b"Host:",
    b"Connection: close",
    b"Connection: keep-alive",
    b"Connection: \xa0close",
    b"Connection: close;x",
    b"Expect: 100-continue",
    b"Expect: 200-ok",
    b"Expect:",
    b": x",
    b"no colon",
    b"n\xe4me: x",
    b"a b: x",
    b"a: \x7f",
    b"",
    b"GET / HTTP/1.1",
    b"POST / HTTP/1.0",
];

/// Pieces that are put anywhere.
const PIECES: [&[u8]; 32] = [
    b"\r",
    b"\n",
    b"\r\n",
    b"\r\n\r\n",
    b"\n\n",
    b"\r\r\n",
    b" ",
    b"\t",
    b"\x0b",
    b"\x0c",
    b"\0",
    b"\x7f",
    b"\x80",
    b"\xc3\xa4",
    b":",
    b",",
    b";",
    b"0",
    b"1",
    b"f",
    b"g",
    b"-",
    b"+",
    b"0x",
    b"12d",
    b"fffffff",
    b"000000000",
    b" ;x",
    b"\r\n ",
    b"HTTP/1.1",
    b"HTTP/2.0",
    b"0\r\n\r\n",
];

/// A connection that may be refused.
pub fn mutated(random: &mut Random) -> Vec<u8> {
    let mut bytes = valid(random).bytes;
    for _ in 0..1 + random.below(3) {
        bytes = mutate(random, bytes);
    }
    bytes
}

/// Makes one change.
pub fn mutate(random: &mut Random, mut bytes: Vec<u8>) -> Vec<u8> {
    let at = random.below(bytes.len() + 1);
    let kind = random.below(10);
    let (line, next) = line_at(&bytes, at);
    match kind {
        0 if at < bytes.len() => bytes[at] ^= 1 << random.below(8),
        1 if at < bytes.len() => drop(bytes.remove(at)),
        2 => put(&mut bytes, at, random.pick::<&[u8]>(&PIECES)),
        3 => {
            let twice = bytes[line..next].to_vec();
            put(&mut bytes, line, &twice);
        }
        4 => drop(bytes.drain(line..next)),
        5..8 => {
            let mut text = random.pick(&LINES).to_vec();
            text.extend(*random.pick(&[&b"\r\n"[..], b"\r\n", b"\r\n", b"\n", b"\r", b""]));
            put(&mut bytes, line, &text);
        }
        8 => bytes.truncate(at),
        // A CR or LF is dropped.
        _ => {
            let ends: Vec<usize> = (0..bytes.len())
                .filter(|at| b"\r\n".contains(&bytes[*at]))
                .collect();
            if !ends.is_empty() {
                bytes.remove(*random.pick(&ends));
            }
        }
    }
    bytes
}

fn put(bytes: &mut Vec<u8>, at: usize, piece: &[u8]) {
    bytes.splice(at..at, piece.iter().copied());
}

/// Where the line around `at` begins, and where the next one does.
fn line_at(bytes: &[u8], at: usize) -> (usize, usize) {
    let is_feed = |byte: &u8| *byte == b'\n';
    let begin = bytes[..at].iter().rposition(is_feed).map_or(0, |at| at + 1);
    let end = bytes[begin..].iter().position(is_feed);
    (begin, end.map_or(bytes.len(), |end| begin + end + 1))
}

/// Lengths of reads, of which the last is repeated.
pub fn read_bytes(random: &mut Random) -> Vec<usize> {
    let longest = *random.pick(&[3, 20, 100]);
    (0..1 + random.below(20))
        .map(|_| 1 + random.below(longest))
        .collect()
}
