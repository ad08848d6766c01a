//! Responses: from what `tiny_http` writes to what a client gets.
//!
//! What comes from a worker is one head and one body of the length that it says. What goes to the
//! client has the framing that fits the client's request: `Connection` is the gate's alone, and so
//! are the lengths (RFC 9112 section 6, RFC 9110 sections 8.6 and 9.3.2).

use std::io::Write;

use super::head::{Head, Persistence, Version};

/// A worker's answer is no longer than this: whatever is, waits in the exchange.
pub const RESPONSE_BYTES_MAX: usize = 1 << 20;

/// The field in which a worker tells the gate how much was deleted: families and series.
pub const REMOVED: &str = "Removed";

const HEAD_BYTES_MAX: usize = 16 << 10;

/// What a worker has answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Response<'a> {
    /// The status code.
    pub code: u16,
    /// The lines of the fields, each with its end.
    pub fields: &'a str,
    /// How long the body is, or would be for another method than `HEAD`.
    pub length: usize,
    /// What stands behind the head.
    pub body: &'a [u8],
    /// Length of all of it.
    pub bytes: usize,
}

impl<'a> Response<'a> {
    /// The first value of a field.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&'a str> {
        let mut lines = self.fields.lines();
        lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }
}

/// What came is no response of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

/// What the client's request means for the response to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Client {
    /// Of its request.
    pub version: Version,
    /// Whether it asked for the head alone.
    pub wants: Wants,
    /// Whether it takes more than this one response.
    pub persistence: Persistence,
}

/// What a client wants of a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Wants {
    Body,
    HeadAlone,
}

impl Client {
    /// One whose request could not be read.
    pub const UNKNOWN: Client = Client {
        version: Version::Http11,
        wants: Wants::Body,
        persistence: Persistence::Close,
    };

    /// The sender of a request.
    #[must_use]
    pub fn of(head: &Head<'_>) -> Client {
        Client {
            version: head.version,
            wants: if head.method == "HEAD" {
                Wants::HeadAlone
            } else {
                Wants::Body
            },
            persistence: head.persistence,
        }
    }
}

/// How the body of a response is delimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delimiter {
    /// By its length in bytes.
    Length(usize),
    /// By chunks, or by the end of the connection for a client that knows no chunks.
    Chunks,
    /// It is not there, and how long it would be is not said.
    Nothing,
}

/// Reads the response at the begin of `input` to a request of `wants`; `None` if it is not whole.
///
/// # Errors
/// When `tiny_http` has broken off, or has said something of its own.
pub fn read_response(input: &[u8], wants: Wants) -> Result<Option<Response<'_>>, Malformed> {
    let Some(head_bytes) = head_bytes(input) else {
        return match input.len() {
            HEAD_BYTES_MAX.. => Err(Malformed),
            _ => Ok(None),
        };
    };
    let head = str::from_utf8(&input[..head_bytes]).map_err(|_| Malformed)?;
    // Searching for one character is much faster than for two.
    let (status, fields) = head.split_once('\n').ok_or(Malformed)?;
    let status = status.strip_suffix('\r').ok_or(Malformed)?;
    let code = status.strip_prefix("HTTP/1.1 ").and_then(|s| s.get(..3));
    let code = code.and_then(|code| code.parse().ok()).ok_or(Malformed)?;
    let fields = fields.strip_suffix("\r\n").ok_or(Malformed)?;
    let mut length = 0;
    for line in fields.split_terminator('\n') {
        let (name, value) = line.split_once(':').ok_or(Malformed)?;
        let value = value
            .strip_prefix(' ')
            .and_then(|value| value.strip_suffix('\r'));
        let value = value.ok_or(Malformed)?;
        match name {
            "Content-Length" => length = value.parse().map_err(|_| Malformed)?,
            "Transfer-Encoding" => return Err(Malformed),
            _ => {}
        }
    }
    if length > RESPONSE_BYTES_MAX || code < 200 {
        return Err(Malformed);
    }
    let bytes = match wants {
        Wants::Body if code != 204 => head_bytes + length,
        Wants::Body | Wants::HeadAlone => head_bytes,
    };
    Ok(input.get(head_bytes..bytes).map(|body| Response {
        code,
        fields,
        length,
        body,
        bytes,
    }))
}

fn head_bytes(input: &[u8]) -> Option<usize> {
    let looked_at = &input[..input.len().min(HEAD_BYTES_MAX)];
    let mut lines = looked_at.iter().enumerate();
    lines.find_map(|(at, byte)| {
        let is_end = *byte == b'\n' && looked_at[..at].ends_with(b"\r\n\r");
        is_end.then_some(at + 1)
    })
}

/// Appends the head of a response to `to`: the status, the worker's fields but for those of its own
/// framing, further fields, and the framing that fits the client. A body without a type is JSON.
pub fn write_head(
    to: &mut Vec<u8>,
    response: &Response<'_>,
    more_fields: &str,
    delimiter: Delimiter,
    client: Client,
) {
    let is_internal = |line: &str| {
        ["Content-Length:", "Server:", REMOVED]
            .iter()
            .any(|name| line.starts_with(name))
    };
    let version = match client.version {
        Version::Http10 => "HTTP/1.0 ",
        Version::Http11 => "HTTP/1.1 ",
    };
    let lines = response.fields.split_inclusive('\n');
    let lines = lines.filter(|line| !is_internal(line));
    append(to, &[version]);
    append_number(to, usize::from(response.code));
    append(to, &[" ", reason(response.code), "\r\n"]);
    let mut has_type = response.length == 0;
    for line in lines {
        has_type |= line.starts_with("Content-Type:");
        append(to, &[line]);
    }
    if !has_type {
        append(to, &["Content-Type: application/json\r\n"]);
    }
    append(to, &[more_fields]);
    match delimiter {
        // RFC 9110 section 8.6.
        Delimiter::Length(_) if response.code == 204 => {}
        Delimiter::Length(length) => {
            append(to, &["Content-Length: "]);
            append_number(to, length);
            append(to, &["\r\n"]);
        }
        Delimiter::Chunks if client.version == Version::Http11 => {
            append(to, &["Transfer-Encoding: chunked\r\n"]);
        }
        Delimiter::Chunks | Delimiter::Nothing => {}
    }
    match (client.persistence, client.version) {
        (Persistence::Close, _) => append(to, &["Connection: close\r\n"]),
        (Persistence::KeepAlive, Version::Http10) => append(to, &["Connection: keep-alive\r\n"]),
        (Persistence::KeepAlive, Version::Http11) => {}
    }
    append(to, &["\r\n"]);
}

fn append(to: &mut Vec<u8>, parts: &[&str]) {
    for part in parts {
        to.extend_from_slice(part.as_bytes());
    }
}

fn append_number(to: &mut Vec<u8>, number: usize) {
    // A vector takes whatever is written.
    let _ = write!(to, "{number}");
}

/// RFC 9110 section 15. An unknown code may have an empty one.
pub(super) fn reason(code: u16) -> &'static str {
    match code {
        200 => "OK",
        202 => "Accepted",
        204 => "No Content",
        400 => "Bad Request",
        401 => "Unauthorized",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        411 => "Length Required",
        413 => "Content Too Large",
        414 => "URI Too Long",
        415 => "Unsupported Media Type",
        417 => "Expectation Failed",
        422 => "Unprocessable Content",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        503 => "Service Unavailable",
        505 => "HTTP Version Not Supported",
        _ => "",
    }
}

/// The fields that let pages of other origins see a response (Fetch standard, CORS protocol).
/// `allowed` is what `-cors` lists: nothing, `*`, or origins, of which the request's own is echoed
/// if it is among them.
#[must_use]
pub fn cross_origin_fields(allowed: &[String], origin: Option<&[u8]>) -> String {
    match allowed {
        [] => String::new(),
        [any] if any == "*" => "Access-Control-Allow-Origin: *\r\n".to_owned(),
        listed => {
            let found = listed.iter().find(|one| Some(one.as_bytes()) == origin);
            match found {
                Some(origin) => {
                    format!("Access-Control-Allow-Origin: {origin}\r\nVary: Origin\r\n")
                }
                None => "Vary: Origin\r\n".to_owned(),
            }
        }
    }
}

/// The end of a chunked body.
pub const LAST_CHUNK: &[u8] = b"0\r\n\r\n";
