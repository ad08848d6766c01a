//! The end of a gate: for the next image of the process, which gets the connections as they are, or
//! for good.

use std::time::Duration;

use rustix::event::epoll::{self, EventFlags};
use rustix::net::{Shutdown, shutdown};

use super::super::connection::{Connection, Phase, Rest};
use super::super::head::Persistence;
use super::super::held::{HeldConnection, HeldState, Stage, Then};
use super::{Gate, GateEnd, Mode, NEVER, milliseconds};
use crate::listen::{BACKLOG_CONNECTIONS, is_shared};
use crate::status::{CloseReason, ConnectionState};

/// How long requests that are under way may take before a hand-over, in milliseconds.
const HOLD_MS: u64 = 2_000;

/// How long streams are rendered ahead of their readers meanwhile, in milliseconds.
const STREAM_MS: u64 = 1_000;

impl Gate {
    /// Reads no more, and finishes what is under way.
    pub(super) fn hold(&mut self) {
        self.mode = Mode::Holding {
            until_ms: self.now_ms + HOLD_MS,
        };
        self.watch_listeners(EventFlags::empty());
        self.tick_soon();
        for token in self.tokens_where(|one| matches!(one.phase, Phase::Streaming(_))) {
            self.on_piece_written(token);
        }
    }

    /// Takes no more connections, and ends those that are not within a request.
    pub(super) fn finish_all(&mut self, patience: Duration) {
        self.mode = Mode::Finishing {
            until_ms: self.now_ms + milliseconds(patience),
        };
        // Those who have connected are served; those who come later are to go elsewhere, or to the
        // next process where systemd has the socket as well.
        for index in 0..self.listeners.len() {
            self.accept(index, BACKLOG_CONNECTIONS);
        }
        self.accept_again_ms = NEVER;
        for listener in &self.listeners {
            // What is not watched may be shut down.
            let _ = epoll::delete(&self.epoll, listener);
            if !is_shared() {
                let _ = shutdown(listener, Shutdown::Both);
            }
        }
        for token in self.tokens_where(|_| true) {
            self.read(token);
        }
        for token in self.tokens_where(|one| one.is_idle() && !one.is_readable) {
            self.close(token, CloseReason::Done);
        }
        self.tick_soon();
    }

    /// Before a hand-over, scrapes are rendered without waiting for their readers, for some time
    /// and as far as there is memory.
    pub(super) fn may_render_ahead(&self) -> bool {
        match self.mode {
            Mode::Holding { until_ms } => {
                let has_time = self.now_ms + HOLD_MS < until_ms + STREAM_MS;
                has_time && self.memory.bytes() < self.limits.buffered_bytes_max
            }
            _ => false,
        }
    }

    /// Whether the gate has come to its end.
    pub(super) fn is_done(&self) -> bool {
        let count = |state: ConnectionState| self.by_state[state as usize];
        match self.mode {
            Mode::Serving => false,
            Mode::Holding { until_ms } => {
                let is_streaming =
                    self.scrapes.has_views() && self.now_ms + HOLD_MS < until_ms + STREAM_MS;
                let under_way = count(ConnectionState::Queued) + count(ConnectionState::InFlight);
                self.now_ms >= until_ms || under_way == 0 && !is_streaming
            }
            Mode::Finishing { until_ms } => {
                let open = self.connections.len() - self.free.len();
                self.now_ms >= until_ms || open == 0
            }
        }
    }

    /// What is left.
    pub(super) fn end(mut self) -> GateEnd {
        let is_held = matches!(self.mode, Mode::Holding { .. });
        let mut end = GateEnd {
            held: Vec::new(),
            cut_off: 0,
        };
        self.requests_log.end();
        let now_ms = self.now_ms;
        for (connection, deadline_ms) in self.connections.drain(..).zip(&self.deadlines_ms) {
            let Some(connection) = connection else {
                continue;
            };
            let is_idle = matches!(connection.phase, Phase::Idle | Phase::Lingering { .. });
            let left_ms = deadline_ms.saturating_sub(now_ms);
            match is_held.then(|| held(*connection, left_ms)).flatten() {
                Some(held) => end.held.push(held),
                None if is_idle => {}
                None => end.cut_off += 1,
            }
        }
        for worker in self.backend.stop() {
            // One that waits for a disk that does not answer is not waited for.
            if self.by_state[ConnectionState::InFlight as usize] == 0 {
                // It has said why, should it have panicked.
                let _ = worker.join();
            }
        }
        end
    }

    /// Goes on with a connection of the image before this one.
    pub fn adopt(&mut self, held: HeldConnection) {
        let HeldConnection {
            socket,
            peer,
            state,
        } = held;
        let Some(token) = self.add(socket, peer) else {
            return;
        };
        let Some(connection) = self.get(token) else {
            return;
        };
        if state.then == Then::Close {
            connection.client.persistence = Persistence::Close;
        } else {
            connection.client.persistence = Persistence::KeepAlive;
        }
        connection.is_readable = true;
        connection.input = state.input;
        connection.output = state.output;
        let has_output = !connection.output.is_empty() || state.then == Then::Close;
        if has_output {
            self.set_phase(token, Phase::Responding);
            self.set_deadline(token, state.deadline_ms);
            self.go_on_writing(token);
        } else {
            self.read(token);
            // Reading has begun a deadline, as if the request had begun just now.
            if let Some(connection) = self.get(token)
                && (state.stage == Stage::WithinRequest || matches!(connection.phase, Phase::Idle))
                && matches!(connection.phase, Phase::Idle | Phase::Head | Phase::Body(_))
            {
                self.set_deadline(token, state.deadline_ms);
            }
        }
        self.count_memory(token);
    }
}

/// A connection for the next image; `None` if it is at something that cannot be handed over.
fn held(connection: Connection, left_ms: u64) -> Option<HeldConnection> {
    let mut input = Vec::new();
    let then = match connection.client.persistence {
        Persistence::Close => Then::Close,
        Persistence::KeepAlive => Then::NextRequest,
    };
    let (then, stage) = match connection.phase {
        Phase::Idle => (Then::NextRequest, Stage::BetweenRequests),
        Phase::Head => (Then::NextRequest, Stage::WithinRequest),
        Phase::Body(upload) => {
            input = upload.head;
            // Without memory for a second copy, it is cut off.
            input.try_reserve(upload.body.len()).ok()?;
            match upload.rest {
                Rest::Length(_) => input.extend_from_slice(&upload.body),
                Rest::Chunked(chunked) => input.extend(chunked.encoded(&upload.body)),
            }
            (Then::NextRequest, Stage::WithinRequest)
        }
        Phase::Responding => (then, Stage::BetweenRequests),
        // Nobody waits for more of it, or a worker is at it.
        Phase::Lingering { .. }
        | Phase::Queued { .. }
        | Phase::ScrapeQueued { .. }
        | Phase::InFlight { .. }
        | Phase::Streaming(_) => return None,
    };
    input.extend_from_slice(&connection.input);
    let output = connection.output.get(connection.written..);
    Some(HeldConnection {
        socket: connection.socket,
        peer: connection.peer,
        state: HeldState {
            input,
            output: output.unwrap_or_default().to_vec(),
            then,
            stage,
            deadline_ms: left_ms,
        },
    })
}
