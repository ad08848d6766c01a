//! The body of a request, read whole before anything is decided.

use std::io::{self, Read};

use tiny_http::Request;

use super::socket::Peer;
use super::{header, headers};
use crate::status::PushResult;

/// Of a refused body that is no longer than this, what is left is read and thrown away, so that
/// the client sees the answer; longer ones are let go of.
const DISCARDED_BODY_BYTES_MAX: usize = 64 << 20;

/// Memory for this much of a declared length is taken at once, for more of it when it has come.
const RESERVED_BODY_BYTES_MAX: usize = 16 << 20;

/// Why there is no body.
pub struct BodyError {
    /// The status code of the refusal.
    pub code: u16,
    /// Its text.
    pub line: String,
    /// How a push is counted that ends so.
    pub result: PushResult,
    /// What is still to come.
    pub unread: Unread,
}

/// What is still to come of a body that was not read to its end.
pub enum Unread {
    /// So little that it may be read and thrown away; `tiny_http` does so by itself.
    Bounded,
    /// The rest of a chunked body.
    Chunks,
    /// Nobody knows where it ends.
    Unframed,
    /// More than there may be memory for, which `tiny_http` would take at once to throw it away.
    Endless,
}

/// How a body is framed (RFC 9112 section 6).
enum Framing {
    None,
    Length(usize),
    Chunked,
}

/// Reads a body of a declared length, or a chunked one. A request without either has none.
///
/// # Errors
/// A body that is framed in more than one way, that is too long, or that did not arrive whole.
pub fn read_body(request: &mut Request, body_bytes_max: usize) -> Result<Vec<u8>, BodyError> {
    let framing = framing(request).map_err(|line| incomplete(line, Unread::Unframed))?;
    match framing {
        Framing::None => Ok(Vec::new()),
        Framing::Length(length) if length <= body_bytes_max => read_length(request, length),
        Framing::Length(length) => Err(too_large(
            body_bytes_max,
            match length {
                ..=DISCARDED_BODY_BYTES_MAX => Unread::Bounded,
                _ => Unread::Endless,
            },
        )),
        Framing::Chunked => read_chunked(request, body_bytes_max),
    }
}

/// `tiny_http` takes the first of several lengths, none for one that it cannot read, and the coding
/// over the length: a client that meant something else would see its body taken for requests.
fn framing(request: &Request) -> Result<Framing, &'static str> {
    if request
        .headers()
        .iter()
        .any(|header| header.value.as_str().contains(['\n', '\r']))
    {
        return Err("a header contains a bare line feed or carriage return");
    }
    let mut lengths = headers(request, "Content-Length");
    let mut codings = headers(request, "Transfer-Encoding");
    let framing = match (lengths.next(), codings.next()) {
        (None, None) => Framing::None,
        (Some(length), None) => {
            let is_number = !length.is_empty() && length.bytes().all(|byte| byte.is_ascii_digit());
            let length = length.parse().ok().filter(|_| is_number);
            Framing::Length(length.ok_or("Content-Length is not a number of bytes")?)
        }
        (None, Some(coding)) if coding.eq_ignore_ascii_case("chunked") => Framing::Chunked,
        (None, Some(_)) => return Err("Transfer-Encoding is not chunked"),
        (Some(_), Some(_)) => return Err("there are both Content-Length and Transfer-Encoding"),
    };
    if lengths.next().is_some() || codings.next().is_some() {
        return Err("Content-Length or Transfer-Encoding is there twice");
    }
    let connection = header(request, "Connection")
        .unwrap_or_default()
        .to_ascii_lowercase();
    if matches!(framing, Framing::Chunked) && connection.contains("upgrade") {
        // tiny_http then gives the bare connection, undecoded.
        return Err("a chunked body with Connection: upgrade is not read; send Content-Length");
    }
    Ok(framing)
}

fn read_length(request: &mut Request, length: usize) -> Result<Vec<u8>, BodyError> {
    let mut body = Vec::with_capacity(length.min(RESERVED_BODY_BYTES_MAX));
    // With Connection: upgrade the reader is the bare connection: not a byte too many.
    let read = request
        .as_reader()
        .take(length as u64)
        .read_to_end(&mut body);
    match read {
        Ok(read) if read == length => Ok(body),
        Ok(read) => {
            let line = format!("the body ended after {read} of {length} bytes");
            Err(incomplete(line, Unread::Bounded))
        }
        Err(error) => Err(incomplete(not_read(&error), Unread::Bounded)),
    }
}

fn read_chunked(request: &mut Request, body_bytes_max: usize) -> Result<Vec<u8>, BodyError> {
    let mut body = Vec::new();
    let limit = body_bytes_max.saturating_add(1);
    let read = request
        .as_reader()
        .take(limit as u64)
        .read_to_end(&mut body);
    match read {
        Ok(read) if read > body_bytes_max => Err(too_large(body_bytes_max, Unread::Chunks)),
        Ok(_) => match Peer::of(request) {
            // tiny_http's decoder takes the end of the connection for the end of the body. Who has
            // ended it may have been cut off, so the body is not believed to be whole.
            Peer::Connected(socket) if !socket.is_at_end() => Ok(body),
            Peer::Unknown => Ok(body),
            Peer::Connected(_) | Peer::Gone => {
                let line = "the connection ended with the chunked body; it may have been cut off";
                Err(incomplete(line, Unread::Unframed))
            }
        },
        Err(error) => Err(incomplete(not_read(&error), Unread::Unframed)),
    }
}

fn not_read(error: &io::Error) -> String {
    format!("the body could not be read: {error}")
}

fn too_large(body_bytes_max: usize, unread: Unread) -> BodyError {
    let line = format!("the body is longer than {body_bytes_max} bytes (-max-body-bytes)");
    let result = PushResult::TooLarge;
    BodyError {
        code: 413,
        line,
        result,
        unread,
    }
}

fn incomplete(line: impl Into<String>, unread: Unread) -> BodyError {
    let result = PushResult::Incomplete;
    BodyError {
        code: 400,
        line: line.into(),
        result,
        unread,
    }
}
