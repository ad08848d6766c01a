//! A scrape that is too long for one piece: rendered and written piece by piece, so that it takes
//! the memory of one, however much is stored. What is rendered is a view, which nobody waits for.

use std::convert::Infallible;
use std::io::{self, Write};

use tiny_http::{HTTPVersion, Header, Method, Response, StatusCode};

use super::answer::Turn;
use crate::aggregate::View;
use crate::render::{Cursor, render};

/// So much is rendered before it is written.
const PIECE_BYTES: usize = 128 << 10;

/// What stands before a chunk: its size, and a line end (RFC 9112 section 7.1).
const CHUNK_HEAD_BYTES: usize = "0000000000020000\r\n".len();

/// What `tiny_http` is told of the headers of a request: one of them (TE) would choose the coding.
pub const NO_REQUEST_HEADERS: &[Header] = &[];

/// Answers a request with the exposition of a view.
pub fn respond_exposition(
    turn: Turn,
    code: u16,
    headers: Vec<Header>,
    view: &View,
) -> io::Result<()> {
    match (&turn.method, &turn.version) {
        (Method::Head, _) => respond_counted(turn, code, headers, view),
        (_, version) if *version < HTTPVersion(1, 1) => respond_counted(turn, code, headers, view),
        _ => respond_in_chunks(turn, code, headers, view),
    }
}

/// A client that knows no chunks, or wants no more than the head, is told the length: the view is
/// rendered for that first.
fn respond_counted(mut turn: Turn, code: u16, headers: Vec<Header>, view: &View) -> io::Result<()> {
    let mut length = 0;
    let Ok(()) = each_piece(view, |piece| {
        length += piece.len();
        Ok::<(), Infallible>(())
    });
    let head = head(&turn.version, code, headers, Some(length))?;
    turn.writer.write_all(&head)?;
    if turn.method != Method::Head {
        each_piece(view, |piece| turn.writer.write_all(piece))?;
    }
    turn.writer.flush()
}

fn each_piece<E>(view: &View, mut give: impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
    let mut text = Vec::with_capacity(2 * PIECE_BYTES);
    let mut from = Some(Cursor::default());
    while let Some(cursor) = from {
        text.clear();
        from = render(view, cursor, &mut text, PIECE_BYTES);
        give(&text)?;
    }
    Ok(())
}

/// Chunks for a long exposition, one piece for a short one.
fn respond_in_chunks(
    mut turn: Turn,
    code: u16,
    headers: Vec<Header>,
    view: &View,
) -> io::Result<()> {
    let mut text = Vec::with_capacity(2 * PIECE_BYTES);
    text.resize(CHUNK_HEAD_BYTES, 0);
    let mut from = render(view, Cursor::default(), &mut text, PIECE_BYTES);
    if from.is_none() {
        return turn.respond_text(code, headers, text.split_off(CHUNK_HEAD_BYTES));
    }
    turn.writer
        .write_all(&head(&turn.version, code, headers, None)?)?;
    while let Some(cursor) = from {
        write_chunk(&mut turn.writer, &mut text)?;
        from = render(view, cursor, &mut text, PIECE_BYTES);
    }
    if text.len() > CHUNK_HEAD_BYTES {
        write_chunk(&mut turn.writer, &mut text)?;
    }
    turn.writer.write_all(b"0\r\n\r\n")?;
    turn.writer.flush()
}

/// Writes what stands behind the place of a chunk's head as a chunk, and leaves that place.
fn write_chunk(writer: &mut impl Write, text: &mut Vec<u8>) -> io::Result<()> {
    let head = format!("{:016x}\r\n", text.len() - CHUNK_HEAD_BYTES);
    text[..CHUNK_HEAD_BYTES].copy_from_slice(head.as_bytes());
    text.extend_from_slice(b"\r\n");
    writer.write_all(text)?;
    text.truncate(CHUNK_HEAD_BYTES);
    Ok(())
}

/// The head of the answer as `tiny_http` writes it; chunked without a length.
fn head(
    version: &HTTPVersion,
    code: u16,
    headers: Vec<Header>,
    length: Option<usize>,
) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    Response::new(StatusCode(code), headers, io::empty(), length, None)
        .with_chunked_threshold(usize::MAX)
        .raw_print(&mut head, version.clone(), NO_REQUEST_HEADERS, true, None)?;
    Ok(head)
}
