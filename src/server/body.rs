//! The body of a request, read whole before anything is decided.

use std::io::{self, Read};

use tiny_http::Request;

use super::header;
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
    /// Too much, or nobody knows where it ends: see [`let_go`](super::answer::let_go).
    Endless,
}

/// Reads a body of a declared length, or a chunked one. A request without either has none.
///
/// # Errors
/// A body that is too long, or that did not arrive whole.
pub fn read_body(request: &mut Request, body_bytes_max: usize) -> Result<Vec<u8>, BodyError> {
    let is_chunked = header(request, "Transfer-Encoding").is_some();
    let is_upgrade = header(request, "Connection")
        .is_some_and(|value| value.to_ascii_lowercase().contains("upgrade"));
    let declared = match request.body_length() {
        Some(declared) if declared > body_bytes_max => {
            let unread = match declared {
                ..=DISCARDED_BODY_BYTES_MAX => Unread::Bounded,
                _ => Unread::Endless,
            };
            return Err(too_large(body_bytes_max, unread));
        }
        None if is_chunked && is_upgrade => {
            // tiny_http then gives the bare connection, undecoded.
            let line = "a chunked body with Connection: upgrade is not read; send Content-Length";
            return Err(incomplete(line.to_owned(), Unread::Endless));
        }
        None if !is_chunked => return Ok(Vec::new()),
        declared => declared,
    };
    let mut body = Vec::with_capacity(declared.unwrap_or(0).min(RESERVED_BODY_BYTES_MAX));
    // With Connection: upgrade the reader is the bare connection: not a byte too many.
    let limit = declared.unwrap_or(body_bytes_max.saturating_add(1));
    let length = request
        .as_reader()
        .take(limit as u64)
        .read_to_end(&mut body);
    match (length, declared) {
        (Ok(length), Some(declared)) if length < declared => {
            let line = format!("the body ended after {length} of {declared} bytes");
            Err(incomplete(line, Unread::Bounded))
        }
        (Ok(length), None) if length > body_bytes_max => {
            Err(too_large(body_bytes_max, Unread::Endless))
        }
        (Ok(_), _) => Ok(body),
        (Err(error), Some(_)) => Err(incomplete(not_read(&error), Unread::Bounded)),
        (Err(error), None) => Err(incomplete(not_read(&error), Unread::Endless)),
    }
}

fn not_read(error: &io::Error) -> String {
    format!("the body could not be read: {error}")
}

fn too_large(body_bytes_max: usize, unread: Unread) -> BodyError {
    let line = format!("the body is longer than {body_bytes_max} bytes (-max-body-bytes)");
    BodyError {
        code: 413,
        line,
        result: PushResult::TooLarge,
        unread,
    }
}

fn incomplete(line: String, unread: Unread) -> BodyError {
    BodyError {
        code: 400,
        line,
        result: PushResult::Incomplete,
        unread,
    }
}
