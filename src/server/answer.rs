//! An answer, and the two ways to be rid of a request with it.

use std::fmt::Display;
use std::io::{self, Cursor, Read, Write};
use std::mem::forget;
use std::sync::{Mutex, PoisonError};

use tiny_http::{HTTPVersion, Header, Method, ReadWrite, Request, Response, StatusCode};

use super::body::Unread;
use super::exposition::{NO_REQUEST_HEADERS, respond_exposition};
use super::socket::Peer;
use super::worker::Worker;
use crate::aggregate::View;

/// There is memory for so much of a body that did not come.
const REST_BYTES_MAX: usize = 64 << 20;

/// So much of a chunked body is read and thrown away for the client to see the answer.
const DISCARDED_BODY_BYTES_MAX: u64 = 64 << 20;

/// The length of the buffer through which `tiny_http` 0.12 reads a connection.
const TINY_HTTP_BUFFER_BYTES: usize = 1024;

/// The content type of refusals.
const TEXT: &str = "text/plain; charset=utf-8";

/// An answer before it is written.
pub struct Answer {
    /// The status code.
    pub code: u16,
    /// Without those that depend on the body's length or on the connection.
    pub headers: Vec<(&'static str, String)>,
    /// What comes behind them.
    pub body: Body,
}

/// The body of an answer.
pub enum Body {
    /// There in full.
    Text(Vec<u8>),
    /// Rendered while it is written.
    Exposition(View),
}

impl Answer {
    /// An answer with a body.
    pub fn new(code: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Answer {
        let headers = vec![("Content-Type", content_type.to_owned())];
        Answer {
            code,
            headers,
            body: Body::Text(body.into()),
        }
    }

    /// An answer whose body is an exposition.
    pub fn exposition(content_type: &str, view: View) -> Answer {
        Answer {
            body: Body::Exposition(view),
            ..Answer::new(200, content_type, Vec::new())
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

    /// Tells the client to use another connection for its next request. `tiny_http` leaves out a
    /// header of this name, so it is put behind the value of another one.
    pub fn ending_connection(mut self) -> Answer {
        if let Some((_, value)) = self.headers.last_mut() {
            value.push_str("\r\nConnection: close");
        }
        self
    }

    /// The headers as `tiny_http` wants them.
    pub fn tiny_http_headers(&self) -> Vec<Header> {
        let header = |(name, value): &(&str, String)| Header::from_bytes(*name, value.as_str());
        // All names are ours, all values ours or checked to be ASCII: none is left out.
        let headers = self.headers.iter().map(header);
        headers.filter_map(Result::ok).collect()
    }
}

/// The right to answer a request: it has come when all earlier requests of the same connection have
/// been answered, and it is known of each where it ended. So the requests of one connection are
/// handled one after the other.
pub struct Turn {
    /// What it is answered through.
    pub writer: Box<dyn Write + Send>,
    /// The version of the request.
    pub version: HTTPVersion,
    /// Its method.
    pub method: Method,
}

impl Turn {
    /// Waits until it is the turn of a request whose body has been read; `None` if an earlier one
    /// of its connection was refused because nobody knows where it ended: then this may be a part
    /// of that.
    pub fn take(request: Request, worker: &Worker) -> Option<Turn> {
        let version = request.http_version().clone();
        let method = request.method().clone();
        let mut writer = request.into_writer();
        // It waits for the requests before this one, and has nothing to write.
        let _ = writer.flush();
        worker.begin_turn();
        (!worker.distrusts_client()).then_some(Turn {
            writer,
            version,
            method,
        })
    }

    /// Answers.
    pub fn respond(self, answer: Answer) {
        let headers = answer.tiny_http_headers();
        // The client has gone, or does not read: there is nobody to tell.
        let _ = match answer.body {
            Body::Text(text) => self.respond_text(answer.code, headers, text),
            Body::Exposition(view) => respond_exposition(self, answer.code, headers, &view),
        };
    }

    /// Answers with what is there in full.
    pub fn respond_text(
        mut self,
        code: u16,
        headers: Vec<Header>,
        text: Vec<u8>,
    ) -> io::Result<()> {
        let (code, length) = (StatusCode(code), text.len());
        let response = Response::new(code, headers, Cursor::new(text), Some(length), None)
            // Chunks would cost a system call and a few bytes for each 8 KiB.
            .with_chunked_threshold(usize::MAX);
        let is_head = self.method == Method::Head;
        let (upgrade, version) = (None, self.version.clone());
        response.raw_print(
            &mut self.writer,
            version,
            NO_REQUEST_HEADERS,
            is_head,
            upgrade,
        )?;
        self.writer.flush()
    }
}

/// Answers a request whose body is not framed rightly or too long to be read, and ends its
/// connection.
///
/// `tiny_http` would read the rest when the request is dropped, into a buffer of the declared
/// length (which ends the process when there is not so much memory), and the rest of a chunked body
/// it would take for the next request. The one way to answer and not to drop is to take the
/// connection over as a protocol upgrade does. The `Upgrade` header that comes with it is a hint in
/// any answer but 101 (RFC 9110 section 7.8), and the length of the answer is put behind it, since
/// `tiny_http` counts no upgrade's body. A long body that did not come is leaked with its thread,
/// and counted as abandoned.
pub fn let_go(request: Request, answer: &Answer, unread: Unread, worker: &Worker) {
    let is_endless = matches!(unread, Unread::Rest(length) if length > REST_BYTES_MAX);
    if !is_endless {
        // Before the next request of this connection can have its turn.
        worker.distrust_client(None);
    }
    let peer = worker.late().map(Peer::Connected);
    let peer = peer.unwrap_or_else(|| Peer::of(request.remote_addr()));
    if let (false, Peer::Connected(socket)) = (is_endless, &peer) {
        worker.distrust_client(Some(socket));
    }
    let code = StatusCode(answer.code);
    let response = Response::new(code, answer.tiny_http_headers(), io::empty(), None, None);
    let text = match &answer.body {
        Body::Text(text) => text.as_slice(),
        // No refusal has one.
        Body::Exposition(_) => b"",
    };
    let upgrade = format!("HTTP/1.1\r\nContent-Length: {}", text.len());
    let mut connection = request.upgrade(&upgrade, response);
    // A client that has gone, or does not read, is not told.
    let _ = connection.write_all(text).and_then(|()| connection.flush());
    if let Unread::Chunks = unread {
        // Its sender sees the answer only when it may send on.
        let mut body = (&mut connection as &mut dyn Read).take(DISCARDED_BODY_BYTES_MAX);
        let _ = io::copy(&mut body, &mut io::sink());
    }
    if let Peer::Connected(socket) = &peer {
        socket.hang_up();
    }
    match (unread, peer) {
        (Unread::Rest(_), _) if is_endless => forget(connection),
        (Unread::Rest(TINY_HTTP_BUFFER_BYTES..), Peer::Unknown) => forget(connection),
        (Unread::Rest(_), _) => {
            // Many at once would take a lot of memory.
            static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
            let one = ONE_AT_A_TIME.lock();
            let _one = one.unwrap_or_else(PoisonError::into_inner);
            drop(connection);
        }
        (_, Peer::Connected(socket)) => discard(connection, || socket.has_more()),
        // Reading it does not wait. Where that is not known, what may wait is the lesser evil:
        // a connection that is forgotten stops the workers that answer what came behind it.
        (_, Peer::Gone | Peer::Unknown) => discard(connection, || false),
    }
}

/// Reads what is left in a connection that has been ended, so that it can be dropped.
fn discard(mut connection: Box<dyn ReadWrite + Send>, has_more: impl Fn() -> bool) {
    let mut buffer = [0; 8192];
    // The decoder fails at what is no chunk, and each time it has taken a byte at least: when
    // nothing is left in the socket, as many reads as tiny_http buffers bytes leave nothing there.
    let mut reads_left = 1 + TINY_HTTP_BUFFER_BYTES;
    while reads_left > 0 && !matches!(connection.read(&mut buffer), Ok(0)) {
        if !has_more() {
            reads_left -= 1;
        }
    }
}
