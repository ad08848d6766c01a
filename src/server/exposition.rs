//! A scrape that is too long for one piece: rendered and written piece by piece, so that it takes
//! the memory of one, however much is stored. What is rendered is a view, which nobody waits for.

use std::convert::Infallible;
use std::io::{self, Write};

use tiny_http::{HTTPVersion, Header, Method, Request, Response, StatusCode};

use super::answer::respond_text;
use crate::aggregate::View;
use crate::render::render;

/// So much is rendered before it is written.
const PIECE_BYTES: usize = 128 << 10;

/// What stands before a chunk: its size, and a line end (RFC 9112 section 7.1).
const CHUNK_HEAD_BYTES: usize = "0000000000020000\r\n".len();

/// What `tiny_http` is told of the headers of a request: one of them (TE) would choose the coding.
pub const NO_REQUEST_HEADERS: &[Header] = &[];

/// Answers a request with the exposition of a view.
pub fn respond_exposition(request: Request, code: u16, headers: Vec<Header>, view: &View) {
    // Whoever has gone, or does not read, is not told.
    let _ = match (request.method(), request.http_version()) {
        (Method::Head, _) => respond_counted(request, code, headers, view),
        (_, version) if *version < HTTPVersion(1, 1) => {
            respond_counted(request, code, headers, view)
        }
        _ => respond_in_chunks(request, code, headers, view),
    };
}

/// A client that knows no chunks, or wants no more than the head, is told the length: the view is
/// rendered for that first.
fn respond_counted(
    request: Request,
    code: u16,
    headers: Vec<Header>,
    view: &View,
) -> io::Result<()> {
    let mut length = 0;
    let mut text = Vec::with_capacity(2 * PIECE_BYTES);
    let Ok(()) = render(view, &mut text, PIECE_BYTES, |text| {
        length += text.len();
        text.clear();
        Ok::<(), Infallible>(())
    });
    length += text.len();
    text.clear();
    let is_head = *request.method() == Method::Head;
    let head = head(&request, code, headers, Some(length))?;
    let mut writer = request.into_writer();
    writer.write_all(&head)?;
    if !is_head {
        render(view, &mut text, PIECE_BYTES, |text| {
            writer.write_all(text)?;
            text.clear();
            Ok::<(), io::Error>(())
        })?;
        writer.write_all(&text)?;
    }
    writer.flush()
}

/// Chunks for a long exposition, one piece for a short one.
fn respond_in_chunks(
    request: Request,
    code: u16,
    headers: Vec<Header>,
    view: &View,
) -> io::Result<()> {
    let head = head(&request, code, headers.clone(), None)?;
    let mut request = Some(request);
    let mut writer = None;
    let mut text = Vec::with_capacity(2 * PIECE_BYTES);
    text.resize(CHUNK_HEAD_BYTES, 0);
    render(view, &mut text, PIECE_BYTES, |text| {
        if let Some(request) = request.take() {
            writer.insert(request.into_writer()).write_all(&head)?;
        }
        let mut writers = writer.iter_mut();
        writers.try_for_each(|writer| write_chunk(writer, text))
    })?;
    if let Some(request) = request {
        respond_text(request, code, headers, text.split_off(CHUNK_HEAD_BYTES));
    } else if let Some(mut writer) = writer {
        if text.len() > CHUNK_HEAD_BYTES {
            write_chunk(&mut writer, &mut text)?;
        }
        writer.write_all(b"0\r\n\r\n")?;
        writer.flush()?;
    }
    Ok(())
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
    request: &Request,
    code: u16,
    headers: Vec<Header>,
    length: Option<usize>,
) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    Response::new(StatusCode(code), headers, io::empty(), length, None)
        .with_chunked_threshold(usize::MAX)
        .raw_print(
            &mut head,
            request.http_version().clone(),
            NO_REQUEST_HEADERS,
            true,
            None,
        )?;
    Ok(head)
}
