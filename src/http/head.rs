//! The head of a request: bytes in, a [`Head`] or an error out.
//!
//! `httparse` splits the head once its end has been seen. The rules here are stricter than its own,
//! since other readers of the same bytes (proxies) must find the same requests in them: whatever
//! two readers could frame differently is an error (RFC 9112 section 11.2). They are more lenient
//! than the RFC where honest clients are: `Host` may be missing, and header values may hold bytes
//! from 0x80.
//!
//! ```text
//! head  = *4CRLF request-line *( field CRLF ) CRLF          RFC 9112 section 2.1
//! request-line = method SP target SP "HTTP/1." ( "0" / "1" ) CRLF        section 3
//! field = token ":" OWS value OWS       no obs-fold, no bare CR or LF     section 5
//! ```

use std::fmt::{self, Display, Formatter};
use std::mem::MaybeUninit;

use crate::excerpt::Excerpt;
use crate::tokens::Credentials;

/// A longer head is refused with 431.
pub const HEAD_BYTES_MAX: usize = 32 << 10;

/// A longer request line is refused with 414.
pub const REQUEST_LINE_BYTES_MAX: usize = 16 << 10;

/// A head of more fields is refused with 431.
pub const FIELDS_MAX: usize = 100;

/// Clients may send an empty line before a request (RFC 9112 section 2.2); no more than these.
pub const EMPTY_LINES_MAX: usize = 4;

/// The minor version of HTTP/1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Version {
    Http10,
    Http11,
}

/// How the body is delimited (RFC 9112 section 6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// There is no body.
    None,
    /// By `Content-Length`; a number beyond 64 bits is the largest one.
    Length(u64),
    /// By `Transfer-Encoding: chunked`.
    Chunked,
}

/// Whether the connection takes another request after this one (RFC 9112 section 9.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Persistence {
    KeepAlive,
    Close,
}

/// Whether the client waits for a word before it sends the body (RFC 9110 section 10.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Expectation {
    None,
    Continue,
}

/// A request without its body. All texts are visible ASCII, but for the fields' values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head<'a> {
    /// Case-sensitive.
    pub method: &'a str,
    /// In origin form, in absolute form or `*`.
    pub target: &'a str,
    /// Of the client.
    pub version: Version,
    /// Of the body.
    pub framing: Framing,
    /// Of the connection.
    pub persistence: Persistence,
    /// Of the client.
    pub expectation: Expectation,
    /// The value of each field of [`PASSED_ON`], in that order.
    pub passed_on: [Option<&'a [u8]>; PASSED_ON.len()],
    /// The first `Accept` field.
    pub accept: Option<&'a [u8]>,
    /// Of the page that sends the request (Fetch standard, section 3.2).
    pub origin: Option<&'a [u8]>,
    /// The client's (RFC 9110 section 11.6.2). Only the gate sees them.
    pub credentials: Credentials<'a>,
    /// Length of the head with its empty lines.
    pub bytes: usize,
}

/// The fields that those who answer may see.
pub const PASSED_ON: [&str; 3] = ["Content-Type", "Content-Encoding", "Idempotency-Key"];

/// Stands for the values of a field that comes more than once: no coding, and no key.
const SEVERAL: &[u8] = b"several fields\x7f";

/// The place in [`PASSED_ON`].
const CONTENT_ENCODING: usize = 1;

impl<'a> Head<'a> {
    /// How the body is compressed, if it says so.
    #[must_use]
    pub fn content_encoding(&self) -> Option<&'a [u8]> {
        self.passed_on[CONTENT_ENCODING]
    }
}

/// Why a head is refused; where its request ends is not known.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // the messages below say it
pub enum HeadError {
    EmptyLines,
    BareReturn,
    BareFeed,
    Control(u8),
    Folded,
    RequestLine,
    Version,
    LongRequestLine,
    LongHead,
    ManyFields,
    Field,
    Target(Excerpt),
    TwoHosts,
    TwoLengths,
    LengthAndCoding,
    Length(Excerpt),
    CodingOfHttp10,
    Coding(Excerpt),
    LengthRequired,
    Expectation(Excerpt),
}

impl HeadError {
    /// The status code of the refusal.
    #[must_use]
    pub fn code(&self) -> u16 {
        match self {
            HeadError::LengthRequired => 411,
            HeadError::LongRequestLine => 414,
            HeadError::Expectation(_) => 417,
            HeadError::LongHead | HeadError::ManyFields => 431,
            HeadError::Coding(_) => 501,
            HeadError::Version => 505,
            _ => 400,
        }
    }
}

impl std::error::Error for HeadError {}

impl Display for HeadError {
    fn fmt(&self, to: &mut Formatter<'_>) -> fmt::Result {
        match self {
            HeadError::EmptyLines => write!(
                to,
                "more than {EMPTY_LINES_MAX} empty lines before the request line"
            ),
            HeadError::BareReturn => to.write_str("a CR without LF in the head"),
            HeadError::BareFeed => to.write_str("a line of the head ends in LF instead of CRLF"),
            HeadError::Control(0x16) => {
                to.write_str("control character 0x16 in the head; if this is TLS, use http://")
            }
            HeadError::Control(byte) => write!(to, "control character 0x{byte:02x} in the head"),
            HeadError::Folded => {
                to.write_str("a line of the head begins with white space (obsolete line folding)")
            }
            HeadError::RequestLine => to.write_str(
                "expected a request line such as `POST /metrics/job/x HTTP/1.1`, found another",
            ),
            HeadError::Version => to.write_str("expected HTTP/1.1 or HTTP/1.0"),
            HeadError::LongRequestLine => write!(
                to,
                "the request line is longer than {REQUEST_LINE_BYTES_MAX} bytes"
            ),
            HeadError::LongHead => write!(to, "the head is longer than {HEAD_BYTES_MAX} bytes"),
            HeadError::ManyFields => write!(to, "the head has more than {FIELDS_MAX} fields"),
            HeadError::Field => to.write_str(
                "expected a field such as `Name: value`, found an invalid name, or white space \
                 before the colon",
            ),
            HeadError::Target(found) => write!(
                to,
                "expected a target such as /metrics/job/x in visible ASCII, all else \
                 percent-encoded, found {found}"
            ),
            HeadError::TwoHosts => to.write_str("two Host fields"),
            HeadError::TwoLengths => to.write_str("two Content-Length fields"),
            HeadError::LengthAndCoding => {
                to.write_str("both Content-Length and Transfer-Encoding; send one of them")
            }
            HeadError::Length(found) => {
                write!(to, "Content-Length: expected digits, found {found}")
            }
            HeadError::CodingOfHttp10 => to.write_str("Transfer-Encoding with HTTP/1.0"),
            HeadError::Coding(found) => {
                write!(to, "Transfer-Encoding: expected chunked, found {found}")
            }
            HeadError::LengthRequired => to.write_str("a push of HTTP/1.0 needs a Content-Length"),
            HeadError::Expectation(found) => {
                write!(to, "Expect: expected 100-continue, found {found}")
            }
        }
    }
}

/// Reads the head at the begin of `input`; `None` if its end has not come. `scanned` is 0 for the
/// first call, and then keeps how much has been looked at: a head that comes byte by byte is looked
/// at once.
///
/// # Errors
/// As soon as what has come cannot become a head.
pub fn read_head<'a>(input: &'a [u8], scanned: &mut usize) -> Result<Option<Head<'a>>, HeadError> {
    let start = empty_lines_bytes(input)?;
    let Some(end) = find_end(input, start, scanned)? else {
        return Ok(None);
    };
    let mut fields = [MaybeUninit::uninit(); FIELDS_MAX];
    let mut request = httparse::Request::new(&mut []);
    let parsed = request.parse_with_uninit_headers(&input[start..end], &mut fields);
    match parsed.map_err(of_httparse)? {
        httparse::Status::Complete(bytes) if bytes == end - start => {}
        _ => return Err(HeadError::RequestLine),
    }
    let (Some(method), Some(target), Some(minor)) = (request.method, request.path, request.version)
    else {
        return Err(HeadError::RequestLine);
    };
    if !is_target(target) {
        return Err(HeadError::Target(Excerpt::of(target)));
    }
    let version = match minor {
        0 => Version::Http10,
        _ => Version::Http11,
    };
    let mut fields = Fields::default();
    for field in &*request.headers {
        fields.read(field.name, field.value)?;
    }
    fields.head(method, target, version, end).map(Some)
}

fn of_httparse(error: httparse::Error) -> HeadError {
    match error {
        httparse::Error::HeaderName | httparse::Error::HeaderValue => HeadError::Field,
        httparse::Error::TooManyHeaders => HeadError::ManyFields,
        httparse::Error::Version => HeadError::Version,
        _ => HeadError::RequestLine,
    }
}

/// How long the empty lines are with which the input begins.
fn empty_lines_bytes(input: &[u8]) -> Result<usize, HeadError> {
    let lines = input.chunks_exact(2).take_while(|line| line == b"\r\n");
    match lines.take(EMPTY_LINES_MAX + 1).count() {
        lines if lines > EMPTY_LINES_MAX => Err(HeadError::EmptyLines),
        lines => Ok(2 * lines),
    }
}

/// Where the head ends that begins at `start`, if it has.
fn find_end(input: &[u8], start: usize, scanned: &mut usize) -> Result<Option<usize>, HeadError> {
    let (window, too_long) = window(input, start);
    let mut at = start.max(*scanned);
    while let Some(&byte) = window.get(at) {
        let before = &window[start..at];
        match byte {
            b'\n' if before.ends_with(b"\r\n\r") => return Ok(Some(at + 1)),
            b'\n' if !before.ends_with(b"\r") => return Err(HeadError::BareFeed),
            _ if before.ends_with(b"\r") && byte != b'\n' => return Err(HeadError::BareReturn),
            b' ' | b'\t' if before.ends_with(b"\n") => return Err(HeadError::Folded),
            b'\n' | b'\r' | b'\t' => {}
            0..b' ' | 0x7f => return Err(HeadError::Control(byte)),
            _ => {
                // Most of a head is this.
                let plain = window[at..]
                    .iter()
                    .take_while(|byte| IS_PLAIN[usize::from(**byte)]);
                at += plain.count();
                continue;
            }
        }
        at += 1;
    }
    *scanned = at;
    if window.len() < input.len() {
        return Err(too_long);
    }
    Ok(None)
}

/// The input up to where a head that begins at `start` has to end, and what is wrong if it does
/// not. Nothing after it is examined: which error is found must not depend on how much was read at
/// once.
fn window(input: &[u8], start: usize) -> (&[u8], HeadError) {
    let line_end_max = start + REQUEST_LINE_BYTES_MAX;
    match input.get(..line_end_max) {
        Some(window) if !window[start..].contains(&b'\n') => (window, HeadError::LongRequestLine),
        _ => {
            let end = input.len().min(start + HEAD_BYTES_MAX);
            (&input[..end], HeadError::LongHead)
        }
    }
}

/// No control character.
const IS_PLAIN: [bool; 256] = {
    let mut table = [true; 256];
    let mut byte = 0;
    while byte < b' ' as usize {
        table[byte] = false;
        byte += 1;
    }
    table[0x7f] = false;
    table
};

/// Origin form, absolute form or asterisk form (RFC 9112 section 3.2).
fn is_target(target: &str) -> bool {
    let is_absolute = |target: &str| {
        let scheme = target.get(..7).unwrap_or_default();
        scheme.eq_ignore_ascii_case("http://")
    };
    target.bytes().all(|byte| byte.is_ascii_graphic())
        && (target.starts_with('/') || target == "*" || is_absolute(target))
}

/// What the fields of a head say.
#[derive(Default)]
#[allow(clippy::struct_excessive_bools)] // as many as there are fields to be had or not
struct Fields<'a> {
    has_host: bool,
    length: Option<u64>,
    is_chunked: bool,
    closes: bool,
    keeps_alive: bool,
    expects_continue: bool,
    passed_on: [Option<&'a [u8]>; PASSED_ON.len()],
    accept: Option<&'a [u8]>,
    origin: Option<&'a [u8]>,
    credentials: Credentials<'a>,
}

impl<'a> Fields<'a> {
    fn read(&mut self, name: &str, value: &'a [u8]) -> Result<(), HeadError> {
        let is = |known: &str| name.eq_ignore_ascii_case(known);
        // The length rules out nearly all others.
        match name.len() {
            4 if is("Host") => {
                if self.has_host {
                    return Err(HeadError::TwoHosts);
                }
                self.has_host = true;
            }
            6 if is("Accept") => self.accept = self.accept.or(Some(value)),
            6 if is("Origin") => self.origin = Some(value),
            6 if is("Expect") => {
                if !value.eq_ignore_ascii_case(b"100-continue") {
                    return Err(HeadError::Expectation(Excerpt::of(value)));
                }
                self.expects_continue = true;
            }
            10 if is("Connection") => {
                for option in value.split(|byte| *byte == b',') {
                    let option = option.trim_ascii();
                    self.closes |= option.eq_ignore_ascii_case(b"close");
                    self.keeps_alive |= option.eq_ignore_ascii_case(b"keep-alive");
                }
            }
            13 if is("Authorization") => {
                self.credentials = match self.credentials {
                    Credentials::None => Credentials::Field(value),
                    Credentials::Field(_) | Credentials::Several => Credentials::Several,
                };
            }
            14 if is("Content-Length") => {
                if self.length.is_some() {
                    return Err(HeadError::TwoLengths);
                }
                self.length = Some(length(value)?);
            }
            17 if is("Transfer-Encoding") => {
                if self.is_chunked || !value.eq_ignore_ascii_case(b"chunked") {
                    return Err(HeadError::Coding(Excerpt::of(value)));
                }
                self.is_chunked = true;
            }
            _ => {
                if let Some(place) = PASSED_ON.iter().position(|known| is(known)) {
                    let is_first = self.passed_on[place].is_none();
                    // Of several types the first counts.
                    if is_first || place >= CONTENT_ENCODING {
                        self.passed_on[place] = Some(if is_first { value } else { SEVERAL });
                    }
                }
            }
        }
        Ok(())
    }

    fn head(
        self,
        method: &'a str,
        target: &'a str,
        version: Version,
        bytes: usize,
    ) -> Result<Head<'a>, HeadError> {
        let is_old = version == Version::Http10;
        let framing = match (self.length, self.is_chunked) {
            (Some(_), true) => return Err(HeadError::LengthAndCoding),
            (None, true) if is_old => return Err(HeadError::CodingOfHttp10),
            (None, true) => Framing::Chunked,
            (Some(0), false) => Framing::None,
            (Some(length), false) => Framing::Length(length),
            // Its body would end where the connection does, if at all.
            (None, false) if is_old && matches!(method, "POST" | "PUT") => {
                return Err(HeadError::LengthRequired);
            }
            (None, false) => Framing::None,
        };
        let persistence = if self.closes || (is_old && !self.keeps_alive) {
            Persistence::Close
        } else {
            Persistence::KeepAlive
        };
        let expectation = if self.expects_continue && !is_old {
            Expectation::Continue
        } else {
            Expectation::None
        };
        Ok(Head {
            method,
            target,
            version,
            framing,
            persistence,
            expectation,
            passed_on: self.passed_on,
            accept: self.accept,
            origin: self.origin,
            credentials: self.credentials,
            bytes,
        })
    }
}

/// Digits alone: no list, no sign (RFC 9110 section 8.6).
fn length(value: &[u8]) -> Result<u64, HeadError> {
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return Err(HeadError::Length(Excerpt::of(value)));
    }
    let digits = value.iter().map(|digit| u64::from(digit - b'0'));
    Ok(digits.fold(0, |length: u64, digit| {
        length.saturating_mul(10).saturating_add(digit)
    }))
}
