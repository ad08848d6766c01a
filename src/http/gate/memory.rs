//! The one budget of memory for what clients have sent and have not read, and what happens when it
//! is short.
//!
//! A quarter of it is kept for short requests, which therefore never wait for long ones; and room
//! for one body, so that one of the long ones can always go on: the one that misses least. The
//! others wait, which does not count as their time. Nothing is refused as long as there is room;
//! when there is none, clients that are slow have to go, the largest first. Only what is being read
//! at that moment may go beyond the budget: by one body at most.

use std::cmp::Reverse;

use super::super::answer::Answer;
use super::super::connection::{Connection, Phase, StreamState, Token};
use super::{Gate, Mode, TICK_MS};
use crate::status::{CloseReason, PushResult};

/// What takes, or still misses, more than this is long.
const SHORT_BYTES_MAX: usize = 64 << 10;

/// A client below this has to go when memory is short, in bytes a second.
const PACE_MIN: u64 = 64 << 10;

/// A head that has not come whole in this time is slower than that, in milliseconds.
const SLOW_HEAD_MS: u64 = 1_000;

/// See the module.
#[derive(Debug)]
pub struct Memory {
    /// Of connections that take more than [`SHORT_BYTES_MAX`], and of the others.
    long_bytes: usize,
    short_bytes: usize,
    /// From here on, only one of the long ones goes on.
    long_bytes_max: usize,
    short_bytes_max: usize,
    /// Room for the one that goes on.
    body_bytes_max: usize,
    /// Whether somebody may be waiting for there to be more.
    was_short: bool,
    /// The one that misses least.
    nearest: Option<Token>,
}

impl Memory {
    /// A budget of so many bytes, at least twice as much as a body may have.
    pub(super) fn new(bytes_max: usize, body_bytes_max: usize) -> Memory {
        let short_bytes_max = bytes_max / 4;
        let long_bytes_max = bytes_max.saturating_sub(short_bytes_max + body_bytes_max);
        Memory {
            long_bytes: 0,
            short_bytes: 0,
            long_bytes_max,
            short_bytes_max,
            body_bytes_max,
            was_short: false,
            nearest: None,
        }
    }

    pub(super) fn bytes(&self) -> usize {
        self.long_bytes + self.short_bytes
    }

    /// Counts that somebody takes more or less than before.
    pub(super) fn change(&mut self, before: usize, now: usize) {
        *self.of_class(before) -= before;
        *self.of_class(now) += now;
    }

    fn of_class(&mut self, bytes: usize) -> &mut usize {
        match bytes {
            ..=SHORT_BYTES_MAX => &mut self.short_bytes,
            _ => &mut self.long_bytes,
        }
    }

    /// Whether long requests have to wait.
    pub(super) fn is_short(&self) -> bool {
        self.long_bytes >= self.long_bytes_max
    }

    /// Whether short ones have to wait, too.
    pub(super) fn is_exhausted(&self) -> bool {
        self.short_bytes >= self.short_bytes_max
    }

    /// Whether the room for the one that goes on is taken as well.
    fn is_overdrawn(&self) -> bool {
        self.long_bytes >= self.long_bytes_max + self.body_bytes_max
    }
}

impl Gate {
    /// Whether more may be read of a connection now.
    pub(super) fn may_read(&mut self, token: Token) -> bool {
        if matches!(self.mode, Mode::Holding { .. }) {
            return false;
        }
        let body_bytes_max = self.site.body_bytes_max;
        let Some(connection) = self.get(token) else {
            return false;
        };
        let missing_bytes = connection.missing_bytes(body_bytes_max);
        let is_long = connection.counted_bytes.max(missing_bytes) > SHORT_BYTES_MAX;
        let has_to_wait = if is_long {
            self.memory.is_short()
        } else {
            self.memory.is_exhausted()
        };
        if !has_to_wait {
            return true;
        }
        self.memory.was_short = true;
        self.tick_soon();
        self.is_nearest(token)
    }

    /// Whether this is the request that misses least, or becomes it since there is none. Those that
    /// do not go on are left out, as long as there is room for another one.
    fn is_nearest(&mut self, token: Token) -> bool {
        let is_overdrawn = self.memory.is_overdrawn();
        let goes_on = |gate: &Gate, token: Token| {
            let connection = gate.connections.get(token.index)?.as_deref()?;
            let is_upload = connection.generation == token.generation
                && matches!(connection.phase, Phase::Body(_))
                && (connection.is_readable || is_overdrawn);
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
                // One that is not read although it has sent something is kept waiting.
                Phase::Body(upload)
                    if !is_short || nearest == Some(token) || !connection.is_readable =>
                {
                    upload.pace.step();
                }
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
        if !self.memory.was_short {
            return;
        }
        self.delay_deadlines();
        if self.memory.is_short() {
            self.close_slow();
        }
        if self.memory.is_exhausted() {
            self.close_slow_heads();
        }
        self.memory.nearest = None;
        self.memory.was_short = self.memory.is_short() || self.memory.is_exhausted();
        self.read_on();
    }

    /// The time that clients are kept waiting does not count.
    fn delay_deadlines(&mut self) {
        for (connection, deadline_ms) in self.connections.iter().zip(&mut self.deadlines_ms) {
            if let Some(connection) = connection
                && connection.is_readable
                && matches!(connection.phase, Phase::Head | Phase::Body(_))
            {
                *deadline_ms += TICK_MS;
            }
        }
    }

    fn close_slow_heads(&mut self) {
        let begun_ms = self.now_ms + self.head_ms().saturating_sub(SLOW_HEAD_MS);
        for token in self.tokens_where(|one| matches!(one.phase, Phase::Head)) {
            if self.deadlines_ms[token.index] <= begun_ms && self.memory.is_exhausted() {
                self.refuse_slow(token);
            }
        }
    }

    fn refuse_slow(&mut self, token: Token) {
        let line = "too slow while the gateway is short of memory; retry later";
        let (answer, reason) = (Answer::refusal(408, line), CloseReason::SlowSender);
        self.refuse(token, answer, PushResult::TooSlow, reason);
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
                self.refuse_slow(token);
            } else {
                self.close(token, CloseReason::SlowReader);
            }
        }
    }

    /// Lets those be read that were kept waiting.
    fn read_on(&mut self) {
        self.again.extend(self.tokens_where(|one| {
            let is_read = matches!(
                one.phase,
                Phase::Idle | Phase::Head | Phase::Body(_) | Phase::Lingering
            );
            one.is_readable && is_read
        }));
    }
}
