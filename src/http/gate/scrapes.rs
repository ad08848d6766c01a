//! Scrapes: piece by piece, from views of which only a few are alive at a time.
//!
//! A view keeps a copy of all that is pushed to while it is read. So scrapes that wait share the
//! next one, and when all are held and others wait, slow readers have to go.

use std::collections::VecDeque;
use std::sync::{Arc, OnceLock};

use super::super::answer::Answer;
use super::super::connection::{Phase, Stream, StreamFraming, StreamState, Token};
use super::super::exchange::{Exchange, Scrape};
use super::super::head::{Persistence, Version};
use super::super::pace::Pace;
use super::super::response::{
    Delimiter, LAST_CHUNK, Piece, Response, Wants, read_response, write_chunk_head,
};
use super::super::worker::{EXCHANGE, PIECE_BYTES};
use super::Gate;
use super::requests::milliseconds;
use super::responses::Waiting;
use crate::aggregate::View;
use crate::render::Cursor;
use crate::status::CloseReason;

/// So many views are alive at once.
const VIEWS_MAX: usize = 4;

/// The pieces of all scrapes take no more than this part of the memory for requests and responses.
const READERS_SHARE: usize = 8;

/// A reader below this keeps no view that others wait for, in bytes a second.
const READER_PACE_MIN: u64 = 256 << 10;

/// How long a scrape may wait for a view, in milliseconds.
const SCRAPE_WAIT_MS: u64 = 10_000;

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
    view: Arc<OnceLock<View>>,
    readers: usize,
}

impl Scrapes {
    pub(super) fn are_waiting(&self) -> bool {
        !self.queue.is_empty()
    }

    pub(super) fn has_views(&self) -> bool {
        !self.views.is_empty()
    }
}

impl Gate {
    pub(super) fn queue_scrape(&mut self, token: Token) {
        self.set_phase(token, Phase::ScrapeQueued);
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
            let connection = self.get(token);
            if connection.is_none_or(|one| !matches!(one.phase, Phase::ScrapeQueued)) {
                continue;
            }
            readers += 1;
            let stream = Stream {
                view: number,
                framing: StreamFraming::Undecided,
                state: StreamState::Rendering,
                pace: Pace::default(),
            };
            self.set_phase(token, Phase::Streaming(Box::new(stream)));
            let answer_ms = milliseconds(self.site.deadlines.answer);
            self.set_deadline(token, answer_ms);
            let scrape = Scrape {
                view: Arc::clone(&view),
                cursor: Some(Cursor::default()),
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
        let readers: usize = self.scrapes.views.iter().map(|view| view.readers).sum();
        let readers_max = self.extent.buffered_bytes_max / READERS_SHARE / PIECE_BYTES;
        match self.scrapes.views.len() {
            VIEWS_MAX.. => 0,
            _ => readers_max.max(VIEWS_MAX).saturating_sub(readers),
        }
    }

    /// Has the next piece of a scrape rendered.
    fn queue_piece(&mut self, token: Token, scrape: Scrape) {
        let slot = self.exchanges.insert(Exchange::Scrape(scrape));
        let field = format!("{EXCHANGE}: {slot}\r\n\r\n");
        self.queues.pages.push_back(Waiting {
            token,
            request: [NEXT_PIECE, field.as_bytes()].concat(),
            slot: Some(slot),
            body_bytes: 0,
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
        let Some(piece) = response.piece else {
            // Rendering has failed: this is the refusal.
            self.exchanges.discard(scrape.view);
            if let Some(Phase::Streaming(stream)) = self.set_phase(token, Phase::Responding) {
                self.leave_view(stream.view);
            }
            return self.respond(token, response);
        };
        self.begin_stream(token, response, piece, scrape.piece.len());
        let Some(connection) = self.get(token) else {
            return self.exchanges.discard(scrape.view);
        };
        let Phase::Streaming(stream) = &mut connection.phase else {
            return self.exchanges.discard(scrape.view);
        };
        if stream.framing == StreamFraming::Chunks {
            write_chunk_head(&mut connection.output, scrape.piece.len());
            scrape.piece.extend_from_slice(b"\r\n");
            if piece == Piece::Last {
                scrape.piece.extend_from_slice(LAST_CHUNK);
            }
        }
        stream.state = StreamState::Writing { scrape, written: 0 };
        if connection.flush() {
            self.on_piece_written(token);
        } else {
            self.pace(token);
            self.render_ahead(token);
        }
    }

    /// Writes the head of a stream, when its first piece has come.
    fn begin_stream(
        &mut self,
        token: Token,
        response: &Response<'_>,
        piece: Piece,
        piece_bytes: usize,
    ) {
        let Some(connection) = self.get(token) else {
            return;
        };
        let Phase::Streaming(stream) = &mut connection.phase else {
            return;
        };
        if stream.framing != StreamFraming::Undecided {
            return;
        }
        let delimiter = match (piece, connection.client.version) {
            (Piece::Last, _) => {
                stream.framing = StreamFraming::Length;
                Delimiter::Length(piece_bytes)
            }
            (Piece::More, Version::Http11) => {
                stream.framing = StreamFraming::Chunks;
                Delimiter::Chunks
            }
            (Piece::More, Version::Http10) => {
                stream.framing = StreamFraming::Close;
                connection.client.persistence = Persistence::Close;
                Delimiter::Chunks
            }
        };
        self.begin_response(token, response, delimiter);
    }

    /// A client has taken a piece: the next one is rendered, if there is one.
    pub(super) fn on_piece_written(&mut self, token: Token) {
        let Some(connection) = self.get(token) else {
            return;
        };
        let Phase::Streaming(stream) = &mut connection.phase else {
            return;
        };
        match std::mem::replace(&mut stream.state, StreamState::Rendering) {
            // It waits for the worker.
            StreamState::Rendering => {}
            StreamState::Writing { scrape, .. } if scrape.cursor.is_some() => {
                self.queue_piece(token, scrape);
            }
            StreamState::Writing { scrape, .. } => {
                let view = stream.view;
                self.set_phase(token, Phase::Responding);
                self.leave_view(view);
                self.exchanges.discard(scrape.view);
                self.end_response(token);
            }
        }
    }

    /// A scrape has waited for a view for too long.
    pub(super) fn refuse_scrape(&mut self, token: Token) {
        let answer = Answer::refusal(503, "overloaded by slow scrapers; scrape again later");
        let bytes = answer.into_bytes();
        if let Ok(Some(response)) = read_response(&bytes, Wants::Body) {
            self.set_phase(token, Phase::Responding);
            self.respond(token, &response);
        }
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
