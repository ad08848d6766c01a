//! The one budget of memory for what clients have sent and have not read, and what happens when it
//! is short.
//!
//! Nothing is refused for it. Above three quarters, of the requests that still miss much only the
//! one that misses least is read; short ones go on, for which the last quarter is kept. Those that
//! wait by this are not held to their deadlines. Those that are slow meanwhile have to go, the
//! largest first.

use std::cmp::Reverse;

use super::super::answer::Answer;
use super::super::connection::{Connection, Phase, StreamState, Token};
use super::{Gate, Mode, NEVER, TICK_MS};
use crate::status::{CloseReason, PushResult};

/// What still misses no more than this goes on when memory is short.
const SHORT_BYTES_MAX: usize = 64 << 10;

/// A client below this has to go when memory is short, in bytes a second.
const PACE_MIN: u64 = 64 << 10;

/// See the module.
#[derive(Debug)]
pub struct Memory {
    bytes: usize,
    bytes_max: usize,
    /// Whether somebody may be waiting for there to be more.
    was_short: bool,
    /// The one that misses least.
    nearest: Option<Token>,
}

impl Memory {
    /// A budget of so many bytes.
    pub(super) fn new(bytes_max: usize) -> Memory {
        Memory {
            bytes: 0,
            bytes_max,
            was_short: false,
            nearest: None,
        }
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Counts that somebody takes more or less than before.
    pub(super) fn change(&mut self, before: usize, now: usize) {
        self.bytes = (self.bytes + now).saturating_sub(before);
    }

    /// Whether long requests have to wait.
    pub(super) fn is_short(&self) -> bool {
        self.bytes >= self.bytes_max / 4 * 3
    }

    /// Whether short ones have to wait, too.
    pub(super) fn is_exhausted(&self) -> bool {
        self.bytes >= self.bytes_max
    }
}

impl Gate {
    /// Whether more may be read of a connection now.
    pub(super) fn may_read(&mut self, token: Token) -> bool {
        if matches!(self.mode, Mode::Holding { .. }) {
            return false;
        }
        if !self.memory.is_short() {
            return true;
        }
        self.memory.was_short = true;
        self.tick_soon();
        let body_bytes_max = self.site.body_bytes_max;
        let Some(connection) = self.get(token) else {
            return false;
        };
        let is_short = connection.missing_bytes(body_bytes_max) <= SHORT_BYTES_MAX;
        is_short && !self.memory.is_exhausted() || self.is_nearest(token)
    }

    /// Whether this is the request that misses least, or becomes it since there is none. As long as
    /// memory is not exhausted, those that do not go on are left out.
    fn is_nearest(&mut self, token: Token) -> bool {
        let is_exhausted = self.memory.is_exhausted();
        let goes_on = |gate: &Gate, token: Token| {
            let connection = gate.connections.get(token.index)?.as_deref()?;
            let is_upload = connection.generation == token.generation
                && matches!(connection.phase, Phase::Body(_))
                && (connection.is_readable || is_exhausted);
            is_upload.then(|| connection.missing_bytes(gate.site.body_bytes_max))
        };
        let known = self.memory.nearest;
        let nearest = known.filter(|&known| goes_on(self, known).is_some());
        let uploads = || self.paced.iter().copied();
        let least = || {
            let missing = uploads().filter_map(|token| Some((goes_on(self, token)?, token)));
            let least = missing.min_by_key(|(missing_bytes, _)| *missing_bytes);
            least.map(|(_, token)| token)
        };
        self.memory.nearest = nearest.or_else(least);
        self.memory.nearest == Some(token)
    }

    /// Counts another step of the pace of all those that could have sent or read something.
    pub(super) fn step_paces(&mut self) {
        let mut paced = std::mem::take(&mut self.paced);
        let is_short = self.memory.is_short();
        let nearest = self.memory.nearest;
        paced.retain(|&token| {
            let Some(connection) = self.get(token) else {
                return false;
            };
            match &mut connection.phase {
                Phase::Body(upload) if !is_short || nearest == Some(token) => upload.pace.step(),
                Phase::Streaming(stream) if matches!(stream.state, StreamState::Writing { .. }) => {
                    stream.pace.step();
                }
                Phase::Body(_) | Phase::Streaming(_) => {}
                _ => {
                    connection.is_paced = false;
                    return false;
                }
            }
            true
        });
        self.paced.extend(paced);
    }

    /// Has slow clients go while memory is short, and others go on when it is not any more.
    pub(super) fn relieve_memory(&mut self) {
        if self.memory.is_short() {
            self.delay_deadlines();
            self.close_slow();
            self.memory.nearest = None;
        }
        if self.memory.was_short {
            self.memory.was_short = self.memory.is_short();
            self.read_on();
        }
    }

    /// The time that clients are kept waiting does not count.
    fn delay_deadlines(&mut self) {
        let is_exhausted = self.memory.is_exhausted();
        for (connection, deadline_ms) in self.connections.iter().zip(&mut self.deadlines_ms) {
            let Some(connection) = connection else {
                continue;
            };
            let waits = match connection.phase {
                Phase::Body(_) => true,
                Phase::Head => is_exhausted,
                _ => false,
            };
            if waits && *deadline_ms != NEVER {
                *deadline_ms += TICK_MS;
            }
        }
    }

    fn close_slow(&mut self) {
        let slow = |token: &Token| {
            let connection = self.connections[token.index].as_deref()?;
            let is_slow = match &connection.phase {
                Phase::Body(upload) => upload.pace.is_below(PACE_MIN),
                Phase::Streaming(stream) => stream.pace.is_below(PACE_MIN),
                _ => false,
            };
            is_slow.then_some((Reverse(connection.counted_bytes), *token))
        };
        let mut slow: Vec<(Reverse<usize>, Token)> = self.paced.iter().filter_map(slow).collect();
        slow.sort_unstable_by_key(|(bytes, _)| *bytes);
        for (_, token) in slow {
            if !self.memory.is_short() {
                return;
            }
            let is_upload =
                |connection: &mut Connection| matches!(connection.phase, Phase::Body(_));
            if self.get(token).is_some_and(is_upload) {
                let line = "too slow while the gateway is short of memory; retry later";
                let answer = Answer::refusal(408, line);
                self.refuse(token, answer, PushResult::TooSlow, CloseReason::SlowSender);
            } else {
                self.close(token, CloseReason::SlowReader);
            }
        }
    }

    /// Lets those be read that were kept waiting.
    fn read_on(&mut self) {
        for (index, connection) in self.connections.iter().enumerate() {
            if let Some(connection) = connection
                && connection.is_readable
                && matches!(
                    connection.phase,
                    Phase::Idle | Phase::Head | Phase::Body(_) | Phase::Lingering
                )
            {
                let generation = connection.generation;
                self.again.push_back(Token { index, generation });
            }
        }
    }
}
