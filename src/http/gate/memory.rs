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
use super::super::connection::{Class, Connection, Phase, Token};
use super::{Gate, Mode, TICK_MS, Timeouts};
use crate::status::{CloseReason, PushResult};

/// A client below this has to go when memory is short, in bytes a second.
const PACE_MIN: u64 = 64 << 10;

/// What takes little and has not come to an end in this time is slower than that, in milliseconds.
const SLOW_SHORT_MS: u64 = 1_000;

/// See the module.
#[derive(Debug)]
pub struct Memory {
    /// By class.
    long_bytes: usize,
    short_bytes: usize,
    /// From here on, only one of the long ones goes on.
    long_bytes_max: usize,
    short_bytes_max: usize,
    /// Room for the one that goes on.
    body_bytes_max: usize,
    /// Whether somebody may be waiting for there to be more.
    was_short: bool,
    nearest: Nearest,
}

/// The request that misses least.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Nearest {
    /// It is to be looked for.
    Unknown,
    /// No request goes on.
    None,
    One(Token),
}

impl Memory {
    /// A budget in bytes, at least twice the longest body.
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
            nearest: Nearest::Unknown,
        }
    }

    pub(super) fn bytes(&self) -> usize {
        self.long_bytes + self.short_bytes
    }

    /// Counts what somebody takes.
    pub(super) fn add(&mut self, class: Class, bytes: usize) {
        *self.of_class(class) += bytes;
    }

    /// Counts that somebody does not take it any more.
    pub(super) fn take_away(&mut self, class: Class, bytes: usize) {
        let taken = self.of_class(class);
        *taken = taken.saturating_sub(bytes);
    }

    fn of_class(&mut self, class: Class) -> &mut usize {
        match class {
            Class::Short => &mut self.short_bytes,
            Class::Long => &mut self.long_bytes,
        }
    }

    /// Whether those of a class have to wait.
    pub(super) fn is_short_for(&self, class: Class) -> bool {
        match class {
            Class::Short => self.short_bytes >= self.short_bytes_max,
            Class::Long => self.long_bytes >= self.long_bytes_max,
        }
    }

    /// Whether any of them have to wait.
    pub(super) fn is_short(&self) -> bool {
        self.is_short_for(Class::Short) || self.is_short_for(Class::Long)
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
        let Some(class) = self.get(token).map(|connection| connection.class) else {
            return false;
        };
        if !self.memory.is_short_for(class) {
            return true;
        }
        self.memory.was_short = true;
        self.tick_soon();
        self.is_nearest(token)
    }

    /// Whether this is the request that misses least. Those that do not go on are left out, as long
    /// as there is room for another one. It is looked for once in a tick, or when it has ended.
    fn is_nearest(&mut self, token: Token) -> bool {
        let is_overdrawn = self.memory.is_overdrawn();
        let missing_bytes = |token: Token| {
            let connection = self.connections.get(token.index)?.as_deref()?;
            let goes_on = connection.generation == token.generation
                && matches!(connection.phase, Phase::Body(_))
                && (connection.is_readable || is_overdrawn);
            goes_on.then(|| connection.missing_bytes())
        };
        self.memory.nearest = match self.memory.nearest {
            Nearest::None => Nearest::None,
            Nearest::One(known) if missing_bytes(known).is_some() => Nearest::One(known),
            Nearest::One(_) | Nearest::Unknown => {
                let uploads = self.paced.iter();
                let missing = uploads.filter_map(|&one| Some((missing_bytes(one)?, one)));
                let least = missing.min_by_key(|(missing_bytes, _)| *missing_bytes);
                least.map_or(Nearest::None, |(_, token)| Nearest::One(token))
            }
        };
        self.memory.nearest == Nearest::One(token)
    }

    /// Counts another step of the pace of all those that could have sent or read something.
    pub(super) fn step_paces(&mut self) {
        let mut paced = std::mem::take(&mut self.paced);
        let nearest = self.memory.nearest;
        let is_short_for = [Class::Short, Class::Long].map(|one| self.memory.is_short_for(one));
        paced.retain(|&token| {
            let Some(connection) = self.get(token) else {
                return false;
            };
            let has_to_wait = is_short_for[connection.class as usize];
            let is_readable = connection.is_readable;
            match &mut connection.phase {
                // One that is not read although it has sent something is kept waiting.
                Phase::Body(_) if has_to_wait && is_readable && nearest != Nearest::One(token) => {}
                Phase::Body(upload) => upload.pace.step(),
                // A worker is at it.
                Phase::Streaming(stream) if stream.scrape.is_none() => {}
                Phase::Streaming(stream) => stream.pace.step(),
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
        self.close_slow_long();
        self.close_slow_short();
        self.memory.nearest = Nearest::Unknown;
        self.memory.was_short = self.memory.is_short();
        self.read_on();
    }

    /// The time that clients are kept waiting does not count.
    fn delay_deadlines(&mut self) {
        for (connection, deadline_ms) in self.connections.iter().zip(&mut self.deadlines_ms) {
            if let Some(connection) = connection
                && connection.is_readable
                && matches!(connection.phase, Phase::Idle | Phase::Head | Phase::Body(_))
            {
                *deadline_ms = deadline_ms.saturating_add(TICK_MS);
            }
        }
    }

    /// Of those that take little, all are slow that have not come to an end in a second. Half of
    /// what is kept for them is cleared: many may be waiting for it.
    fn close_slow_short(&mut self) {
        if !self.memory.is_short_for(Class::Short) {
            return;
        }
        let Timeouts {
            head, body, answer, ..
        } = self.timeouts_ms;
        for token in self.tokens_where(|one| one.class == Class::Short) {
            let Some(connection) = self.get(token) else {
                continue;
            };
            let (timeout_ms, is_request) = match connection.phase {
                Phase::Head => (head, true),
                Phase::Body(_) => (body, true),
                Phase::Responding => (answer, false),
                _ => continue,
            };
            let left_ms = self.deadlines_ms[token.index].saturating_sub(self.now_ms);
            let is_slow = timeout_ms.saturating_sub(left_ms) >= SLOW_SHORT_MS;
            if self.memory.short_bytes < self.memory.short_bytes_max / 2 {
                return;
            }
            if is_slow && is_request {
                self.refuse_slow(token);
            } else if is_slow {
                self.close(token, CloseReason::SlowReader);
            }
        }
    }

    fn refuse_slow(&mut self, token: Token) {
        let line = "too slow while the gateway is short of memory; retry later";
        let (answer, reason) = (Answer::refusal(408, line), CloseReason::SlowSender);
        self.refuse(token, answer, PushResult::TooSlow, reason);
    }

    fn close_slow_long(&mut self) {
        let slow = |token: &Token| {
            let connection = self.connections[token.index].as_deref()?;
            let is_slow = match &connection.phase {
                Phase::Body(upload) => upload.pace.is_below(PACE_MIN),
                Phase::Streaming(stream) => stream.pace.is_below(PACE_MIN),
                _ => false,
            };
            let is_slow = is_slow && connection.class == Class::Long;
            is_slow.then_some((Reverse(connection.counted_bytes), *token))
        };
        let mut slow: Vec<(Reverse<usize>, Token)> = self.paced.iter().filter_map(slow).collect();
        slow.sort_unstable_by_key(|(bytes, _)| *bytes);
        for (_, token) in slow {
            if !self.memory.is_short_for(Class::Long) {
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
        let waiting = self.tokens_where(|one| {
            let is_read = matches!(
                one.phase,
                Phase::Idle | Phase::Head | Phase::Body(_) | Phase::Lingering { .. }
            );
            is_read && (one.is_readable || !one.input.is_empty())
        });
        for token in waiting {
            self.read_in_turn(token);
        }
    }
}
