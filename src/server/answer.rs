//! An answer, and the two ways to be rid of a request with it.

use std::fmt::Display;
use std::io::{self, Cursor, Write};

use tiny_http::{Header, Request, Response, StatusCode};

/// The content type of refusals.
const TEXT: &str = "text/plain; charset=utf-8";

/// An answer before it is written.
pub struct Answer {
    /// The status code.
    pub code: u16,
    /// Without those that depend on the body's length or on the connection.
    pub headers: Vec<(&'static str, String)>,
    /// Whole.
    pub body: Vec<u8>,
}

impl Answer {
    /// An answer with a body.
    pub fn new(code: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Answer {
        let headers = vec![("Content-Type", content_type.to_owned())];
        Answer {
            code,
            headers,
            body: body.into(),
        }
    }

    /// One line of text that says what was wrong.
    pub fn refusal(code: u16, line: impl Display) -> Answer {
        Answer::new(code, TEXT, format!("{line}\n"))
    }

    /// Adds a header; name and value must be ASCII.
    pub fn with_header(mut self, name: &'static str, value: impl Into<String>) -> Answer {
        self.headers.push((name, value.into()));
        self
    }
}

/// Answers a request; what little is left of its body is read and thrown away behind the answer.
pub fn respond(request: Request, answer: Answer) {
    let length = answer.body.len();
    let body = Cursor::new(answer.body);
    let headers = headers(&answer.headers);
    let response = Response::new(StatusCode(answer.code), headers, body, Some(length), None)
        // Chunks would cost a system call and a few bytes for each 8 KiB.
        .with_chunked_threshold(usize::MAX);
    // The client has gone, or does not read: there is nobody to tell.
    let _ = request.respond(response);
}

/// Answers a request without reading the rest of its body, ever.
///
/// `tiny_http` reads that rest when the request is dropped, into a buffer of the declared length
/// (which ends the process when there is not so much memory), and a chunked body's rest it would
/// take for the next request. The one way to answer and not to drop is to take the connection over
/// as a protocol upgrade does; it is then leaked with its thread until the client hangs up for
/// good. The `Upgrade` header that comes with it is a hint in any answer but 101 (RFC 9110 section
/// 7.8), and the length of the answer is put behind it, since `tiny_http` counts no upgrade's body.
pub fn let_go(request: Request, answer: &Answer) {
    let code = StatusCode(answer.code);
    let response = Response::new(code, headers(&answer.headers), io::empty(), None, None);
    let upgrade = format!("HTTP/1.1\r\nContent-Length: {}", answer.body.len());
    let mut connection = request.upgrade(&upgrade, response);
    let _ = connection
        .write_all(&answer.body)
        .and_then(|()| connection.flush());
    std::mem::forget(connection);
}

fn headers(headers: &[(&'static str, String)]) -> Vec<Header> {
    let header = |(name, value): &(&str, String)| Header::from_bytes(*name, value.as_str());
    // All names are ours, all values ours or checked to be ASCII: none is left out.
    headers
        .iter()
        .filter_map(|pair| header(pair).ok())
        .collect()
}
