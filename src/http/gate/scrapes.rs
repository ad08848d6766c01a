//! Scrapes: piece by piece, from views of which only a few are alive at a time.
//!
//! A view keeps a copy of all that is pushed to while it is read. So scrapes that wait share the
//! next one, and when all are held and others wait, slow readers have to go.

use std::collections::VecDeque;
use std::sync::{Arc, OnceLock};

use super::super::answer::Answer;
use super::super::connection::{Connection, Phase, Stream, StreamFraming, Token};
use super::super::exchange::{
    CHUNK_HEAD_BYTES, Exchange, LONG_PIECE_BYTES, PIECE_BYTES, Scrape, ScrapedView,
};
use super::super::exposition::Exposition;
use super::super::head::{Persistence, Version};
use super::super::pace::Pace;
use super::super::response::{Delimiter, LAST_CHUNK, Response};
use super::Gate;
use super::responses::Waiting;
use crate::render::Cursor;
use crate::status::CloseReason;

/// Views that may exist at once.
const VIEWS_MAX: usize = 4;

/// Pieces of the least length take at most an eighth of the memory for requests and responses in
/// all. Longer ones are only asked for as long as these few readers take no more than that; with
/// those that came later, it may be a fifth.
const READERS_DIVISOR: usize = 8;

/// A reader below this keeps no view that others wait for, in bytes a second.
const READER_PACE_MIN: u64 = 256 << 10;

/// How long a scrape may wait for a view, in milliseconds.
const SCRAPE_WAIT_MS: u64 = 10_000;

/// Asks a worker for the next piece of a scrape. The channel adds the rest of the head.
const NEXT_PIECE: &[u8] = b"GET /metrics HTTP/1.1\r\n";

/// Views, and those who wait for one.
#[derive(Debug, Default)]
pub struct Scrapes {
    queue: VecDeque<Token>,
    /// In the order in which they were taken.
    views: Vec<SharedView>,
    taken: u64,
}

#[derive(Debug)]
struct SharedView {
    number: u64,
    view: Arc<OnceLock<ScrapedView>>,
    readers: usize,
}

impl Scrapes {
    pub(super) fn are_waiting(&self) -> bool {
        !self.queue.is_empty()
    }

    pub(super) fn has_views(&self) -> bool {
        !self.views.is_empty()
    }

    fn readers(&self) -> usize {
        self.views.iter().map(|view| view.readers).sum()
    }
}

impl Gate {
    pub(super) fn queue_scrape(&mut self, token: Token, exposition: Exposition) {
        self.set_phase(token, Phase::ScrapeQueued { exposition });
        self.set_deadline(token, SCRAPE_WAIT_MS);
        self.scrapes.queue.push_back(token);
        self.tick_soon();
    }

    /// Gives all scrapes that wait the next view, if there may be one more: they all were asked for
    /// before it is taken.
    pub(super) fn admit_scrapes(&mut self) {
        let readers_left = self.readers_left();
        if self.scrapes.queue.is_empty() || readers_left == 0 {
            return;
        }
        self.scrapes.taken += 1;
        let number = self.scrapes.taken;
        let view = Arc::new(OnceLock::new());
        let mut readers = 0;
        for token in std::mem::take(&mut self.scrapes.queue) {
            if readers == readers_left {
                self.scrapes.queue.push_back(token);
                continue;
            }
            let phase = self.get(token).map(|connection| &connection.phase);
            let Some(&Phase::ScrapeQueued { exposition }) = phase else {
                // It was refused, or has gone.
                continue;
            };
            readers += 1;
            let stream = Stream {
                view: number,
                framing: StreamFraming::Undecided,
                scrape: None,
                piece_bytes: PIECE_BYTES,
                pace: Pace::default(),
            };
            self.set_phase(token, Phase::Streaming(Box::new(stream)));
            self.set_deadline(token, self.timeouts_ms.answer);
            let scrape = Scrape {
                view: Arc::clone(&view),
                exposition,
                cursor: Some(Cursor::default()),
                piece_bytes: PIECE_BYTES,
                piece: Vec::new(),
            };
            self.queue_piece(token, scrape);
        }
        if readers > 0 {
            self.scrapes.views.push(SharedView {
                number,
                view,
                readers,
            });
        }
    }

    /// How many more scrapes may be under way; none if there may be no other view.
    fn readers_left(&self) -> usize {
        let readers = self.scrapes.readers();
        let readers_max = self.limits.buffered_bytes_max / READERS_DIVISOR / PIECE_BYTES;
        match self.scrapes.views.len() {
            VIEWS_MAX.. => 0,
            _ => readers_max.max(VIEWS_MAX).saturating_sub(readers),
        }
    }

    /// How long the next piece of a scrape may be: all of them share their part of the memory.
    fn next_piece_bytes(&self) -> usize {
        let bytes_max = self.limits.buffered_bytes_max / READERS_DIVISOR;
        let share = bytes_max / self.scrapes.readers().max(1);
        share.clamp(PIECE_BYTES, LONG_PIECE_BYTES)
    }

    /// Has the next piece of a scrape rendered.
    fn queue_piece(&mut self, token: Token, scrape: Scrape) {
        self.queues.pieces.push_back(Waiting {
            token,
            request: NEXT_PIECE.to_vec(),
            exchange: Some(Exchange::Scrape(scrape)),
            since_ms: self.now_ms,
        });
        self.count_memory(token);
    }

    /// One reader less of a view.
    pub(super) fn leave_view(&mut self, number: u64) {
        let mut views = self.scrapes.views.iter_mut();
        let Some(view) = views.find(|view| view.number == number) else {
            return;
        };
        view.readers -= 1;
        if view.readers == 0 {
            self.scrapes.views.retain(|view| {
                if view.number == number {
                    self.exchanges.discard(Arc::clone(&view.view));
                }
                view.number != number
            });
        }
    }

    /// A piece has been rendered.
    pub(super) fn on_piece(&mut self, token: Token, response: &Response<'_>, mut scrape: Scrape) {
        let mut piece = std::mem::take(&mut scrape.piece);
        let data_bytes = piece.len() - CHUNK_HEAD_BYTES;
        let is_last = scrape.cursor.is_none();
        let framing = self.begin_stream(token, response, is_last.then_some(data_bytes));
        let Some(connection) = self.get(token) else {
            return self.exchanges.discard(scrape.view);
        };
        let Phase::Streaming(stream) = &mut connection.phase else {
            return self.exchanges.discard(scrape.view);
        };
        stream.scrape = Some(scrape);
        let mut start = CHUNK_HEAD_BYTES;
        if framing == StreamFraming::Chunks {
            start = 0;
            let head = format!("{data_bytes:08x}\r\n");
            piece[..CHUNK_HEAD_BYTES].copy_from_slice(head.as_bytes());
            piece.extend_from_slice(b"\r\n");
            if is_last {
                piece.extend_from_slice(LAST_CHUNK);
            }
        }
        if connection.output.is_empty() {
            (connection.output, connection.written) = (piece, start);
        } else {
            connection.output.extend_from_slice(&piece[start..]);
        }
        let is_ahead = self.may_render_ahead();
        if self.get(token).is_some_and(Connection::flush) || is_ahead {
            self.on_piece_written(token);
        } else {
            self.pace(token);
        }
    }

    /// Writes the head of a stream, when its first piece has come; `whole_bytes` is how long the
    /// body is, if that piece is all of it.
    fn begin_stream(
        &mut self,
        token: Token,
        response: &Response<'_>,
        whole_bytes: Option<usize>,
    ) -> StreamFraming {
        let Some(connection) = self.get(token) else {
            return StreamFraming::Undecided;
        };
        let is_new = connection.client.version == Version::Http11;
        let Phase::Streaming(stream) = &mut connection.phase else {
            return StreamFraming::Undecided;
        };
        if stream.framing != StreamFraming::Undecided {
            return stream.framing;
        }
        let (framing, delimiter) = match whole_bytes {
            Some(bytes) => (StreamFraming::Plain, Delimiter::Length(bytes)),
            None if is_new => (StreamFraming::Chunks, Delimiter::Chunks),
            None => (StreamFraming::Plain, Delimiter::Chunks),
        };
        stream.framing = framing;
        if whole_bytes.is_none() && !is_new {
            connection.client.persistence = Persistence::Close;
        }
        self.begin_response(token, response, delimiter);
        framing
    }

    /// A client has taken a piece: the next one is rendered, if there is one.
    pub(super) fn on_piece_written(&mut self, token: Token) {
        let piece_bytes = self.next_piece_bytes();
        let Some(connection) = self.get(token) else {
            return;
        };
        let Phase::Streaming(stream) = &mut connection.phase else {
            return;
        };
        let view = stream.view;
        let is_written = connection.output.is_empty();
        match stream.scrape.take() {
            // It waits for the worker.
            None => {}
            Some(mut scrape) if scrape.cursor.is_some() => {
                stream.piece_bytes = piece_bytes;
                scrape.piece_bytes = piece_bytes;
                self.queue_piece(token, scrape);
            }
            Some(scrape) => {
                self.set_phase(token, Phase::Responding);
                self.leave_view(view);
                self.exchanges.discard(scrape.view);
                if is_written {
                    self.on_written(token);
                }
            }
        }
    }

    /// A scrape has waited for a view for too long.
    pub(super) fn refuse_scrape(&mut self, token: Token) {
        self.set_phase(token, Phase::Responding);
        self.remember_head(token, b"GET /metrics");
        let line = "overloaded by slow scrapers; scrape again later";
        self.respond_with(token, Answer::refusal(503, line));
    }

    /// When others wait and cannot be admitted, closes the readers of the oldest view of which all
    /// readers are slow, or else all slow readers.
    pub(super) fn relieve_views(&mut self) {
        if self.scrapes.queue.is_empty() || self.readers_left() > 0 {
            return;
        }
        let mut all_slow = Vec::new();
        for view in &self.scrapes.views {
            let slow = self.slow_readers(view.number);
            if slow.len() == view.readers {
                all_slow = slow;
                break;
            }
            all_slow.extend(slow);
        }
        for token in all_slow {
            self.close(token, CloseReason::SlowReader);
        }
    }

    fn slow_readers(&self, number: u64) -> Vec<Token> {
        self.tokens_where(|connection| match &connection.phase {
            Phase::Streaming(stream) => {
                stream.view == number && stream.pace.is_below(READER_PACE_MIN)
            }
            _ => false,
        })
    }
}
