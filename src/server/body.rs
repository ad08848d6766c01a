//! The body of a request, read whole before anything is decided.

use std::io::{self, Read};

use tiny_http::{HTTPVersion, Request};

use super::socket::Peer;
use super::worker::{Busy, Worker};
use super::workers::{Client, Task};
use super::{header, headers};
use crate::status::PushResult;

/// A body that is too long, but no longer than this, is read and thrown away, so that its sender
/// sees the answer; longer ones are let go of.
const DISCARDED_BODY_BYTES_MAX: usize = 64 << 20;

/// A body that is declared no longer than this has come before its request is taken, if `tiny_http`
/// has not been told to ask for it or to hand over the connection.
pub const READ_AHEAD_BODY_BYTES_MAX: usize = 1024;

/// So much is read before it is counted.
const PIECE_BYTES: usize = 64 << 10;

/// The same of a chunked body, of which a byte may take six of the connection's.
const CHUNKED_PIECE_BYTES: usize = 8 << 10;

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

/// What is still to come of a request whose body is refused.
pub enum Unread {
    /// Nothing.
    Nothing,
    /// No more than this, for which `tiny_http` would take memory at once to throw it away.
    Rest(usize),
    /// The rest of a chunked body.
    Chunks,
    /// Nobody knows where it ends.
    Unframed,
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
pub fn read_body(request: &mut Request, worker: &Worker) -> Result<Vec<u8>, BodyError> {
    let framing = framing(request).map_err(|line| incomplete(line, Unread::Unframed))?;
    let body_bytes_max = worker.site().body_bytes_max;
    match framing {
        Framing::None => Ok(Vec::new()),
        Framing::Length(length) if length > body_bytes_max && !is_sent_anyway(request, length) => {
            Err(too_large(body_bytes_max, Unread::Rest(length)))
        }
        Framing::Length(length) if has_come(request, length) => {
            read_length(request, length, worker)
        }
        Framing::Length(length) => {
            wait_for_sender(length, Task::Body, worker)?;
            let body = read_length(request, length, worker);
            worker.go_on(Task::Answer);
            body
        }
        Framing::Chunked => {
            wait_for_sender(0, Task::Chunks, worker)?;
            let body = read_chunked(request, body_bytes_max, worker);
            worker.go_on(Task::Answer);
            body
        }
    }
}

/// True if `tiny_http` has read the whole body already.
fn has_come(request: &Request, length: usize) -> bool {
    let is_lent = header(request, "Connection").is_some_and(asks_for_upgrade);
    let is_asked_for = header(request, "Expect").is_some();
    length <= READ_AHEAD_BODY_BYTES_MAX && !is_lent && !is_asked_for
}

/// True if the client sends a body that is too long without asking, and soon has.
fn is_sent_anyway(request: &Request, length: usize) -> bool {
    length <= DISCARDED_BODY_BYTES_MAX && header(request, "Expect").is_none()
}

fn asks_for_upgrade(connection: &str) -> bool {
    connection.to_ascii_lowercase().contains("upgrade")
}

fn wait_for_sender(length: usize, task: Task, worker: &Worker) -> Result<(), BodyError> {
    worker
        .wait_for(Client::Sender)
        .map_err(|Busy| busy("too many others are waited for", Unread::Rest(length)))?;
    worker.go_on(task);
    Ok(())
}

/// `tiny_http` takes the first of several lengths, none for one that it cannot read, and the coding
/// over the length: a client that meant something else would see its body taken for requests.
fn framing(request: &Request) -> Result<Framing, &'static str> {
    if request.url().contains(|byte: char| byte.is_ascii_control()) {
        return Err("the request line contains a control character");
    }
    if *request.http_version() < HTTPVersion(1, 0) {
        return Err("HTTP/0.9 is not spoken here");
    }
    for header in request.headers() {
        let is_token =
            |byte: u8| byte.is_ascii_graphic() && !b"\"(),/:;<=>?@[\\]{}".contains(&byte);
        if !header.field.as_str().as_str().bytes().all(is_token) {
            return Err("the name of a header is not a token");
        }
        let is_control = |byte: u8| byte.is_ascii_control() && byte != b'\t';
        if header.value.as_str().bytes().any(is_control) {
            return Err("a header contains a control character, such as a bare line feed");
        }
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
    let connection = header(request, "Connection");
    if matches!(framing, Framing::Chunked) && connection.is_some_and(asks_for_upgrade) {
        // tiny_http then gives the bare connection, undecoded.
        return Err("a chunked body with Connection: upgrade is not read; send Content-Length");
    }
    if matches!(framing, Framing::Chunked) && *request.http_version() < HTTPVersion(1, 1) {
        // RFC 9112 section 6.1: its framing is faulty.
        return Err("HTTP/1.0 has no Transfer-Encoding; send Content-Length");
    }
    Ok(framing)
}

fn read_length(
    request: &mut Request,
    length: usize,
    worker: &Worker,
) -> Result<Vec<u8>, BodyError> {
    let body_bytes_max = worker.site().body_bytes_max;
    if length > body_bytes_max {
        let unread = match length - throw_away(request, length) {
            0 => Unread::Nothing,
            left => Unread::Rest(left),
        };
        return Err(too_large(body_bytes_max, unread));
    }
    let mut body = Vec::new();
    if body
        .try_reserve_exact(length.min(RESERVED_BODY_BYTES_MAX))
        .is_err()
    {
        return Err(busy(NO_MEMORY, Unread::Rest(length)));
    }
    // With Connection: upgrade the reader is the bare connection: not a byte too many.
    match read_pieces(request, &mut body, length, PIECE_BYTES, worker) {
        Ok(()) if body.len() == length => return Ok(body),
        Ok(()) => {}
        Err(ReadError::Busy) => return Err(busy(NO_MEMORY, Unread::Rest(length - body.len()))),
        Err(ReadError::System(error)) => {
            return Err(incomplete(
                not_read(&error),
                Unread::Rest(length - body.len()),
            ));
        }
    }
    let rest = Unread::Rest(length - body.len());
    if worker.late().is_some() {
        return Err(too_slow(worker, rest));
    }
    let line = format!("the body ended after {} of {length} bytes", body.len());
    Err(incomplete(line, rest))
}

/// Reads a body without keeping it, and tells how much of it came.
fn throw_away(request: &mut Request, length: usize) -> usize {
    let mut body = request.as_reader().take(length as u64);
    // Whatever ends it early, the rest is what counts.
    let _ = io::copy(&mut body, &mut io::sink());
    usize::try_from(body.limit()).map_or(0, |left| length - left)
}

fn read_chunked(
    request: &mut Request,
    body_bytes_max: usize,
    worker: &Worker,
) -> Result<Vec<u8>, BodyError> {
    let limit = body_bytes_max.saturating_add(1);
    let mut body = Vec::new();
    match read_pieces(request, &mut body, limit, CHUNKED_PIECE_BYTES, worker) {
        Ok(()) if body.len() > body_bytes_max => Err(too_large(body_bytes_max, Unread::Chunks)),
        _ if worker.late().is_some() => Err(too_slow(worker, Unread::Unframed)),
        Ok(()) => match Peer::of(request.remote_addr()) {
            // tiny_http's decoder takes the end of the connection for the end of the body. Who has
            // ended it may have been cut off, so the body is not believed to be whole.
            Peer::Connected(socket) if !socket.is_at_end() => Ok(body),
            Peer::Unknown => Ok(body),
            Peer::Connected(_) | Peer::Gone => {
                let line = "the connection ended with the chunked body; it may have been cut off";
                Err(incomplete(line, Unread::Unframed))
            }
        },
        Err(ReadError::System(error)) => Err(incomplete(not_read(&error), Unread::Unframed)),
        Err(ReadError::Busy) => Err(busy(NO_MEMORY, Unread::Unframed)),
    }
}

/// Why a body is not read to its end.
enum ReadError {
    System(io::Error),
    Busy,
}

impl From<io::Error> for ReadError {
    fn from(error: io::Error) -> ReadError {
        ReadError::System(error)
    }
}

impl From<Busy> for ReadError {
    fn from(Busy: Busy) -> ReadError {
        ReadError::Busy
    }
}

/// Reads a body to its end, but no more than so many bytes of it.
fn read_pieces(
    request: &mut Request,
    body: &mut Vec<u8>,
    bytes_max: usize,
    piece_bytes: usize,
    worker: &Worker,
) -> Result<(), ReadError> {
    let reader = request.as_reader();
    loop {
        let wanted = piece_bytes.min(bytes_max - body.len());
        let mut piece = (&mut *reader as &mut dyn Read).take(wanted as u64);
        let read = piece.read_to_end(body)?;
        worker.keep_body(read)?;
        if read < wanted || body.len() == bytes_max {
            return Ok(());
        }
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

const NO_MEMORY: &str = "there is no memory for it";

fn busy(why: &str, unread: Unread) -> BodyError {
    BodyError {
        code: 503,
        line: format!("{why}; push it again later"),
        result: PushResult::Busy,
        unread,
    }
}

fn too_slow(worker: &Worker, unread: Unread) -> BodyError {
    let deadline = worker.site().deadlines.body;
    BodyError {
        code: 408,
        line: format!(
            "the body did not come within {deadline:?} (-body-timeout), or 2 s while many are \
             waited for; push it again"
        ),
        result: PushResult::TooSlow,
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
