//! One connection: what was seen of it, and why its client is to be hung up on, if it is.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::super::front::Front;
use super::super::socket::Socket;
use super::super::tcp_info::TcpInfo;
use super::super::workers::{Post, Task, Work};
use super::Deadlines;
use crate::status::HangUp;

/// What a client may send that is no request yet.
const UNANSWERED_BYTES_MAX: u64 = 64 << 10;

/// What a chunked body may carry between two looks without a byte of the body itself.
const FRAMING_BYTES_MAX: u64 = 256 << 10;

/// A client that was told that its body is late may read that for so long.
const LATE_ANSWER_DURATION_MAX: Duration = Duration::from_secs(2);

/// What has ended for so long, and no worker is busy with it, will not be closed any more.
const CLOSING_DURATION_MAX: Duration = Duration::from_secs(2);

/// Who sends so much between two looks is looked at sooner.
const BUSY_BYTES: u64 = 16 << 10;

/// For so long a connection is new.
const NEW_DURATION: Duration = Duration::from_secs(1);

/// A connection as it was at the last look.
pub struct Known {
    info: TcpInfo,
    /// What of it `tiny_http` had read.
    consumed: u64,
    /// The same when the last answer was seen to go out.
    consumed_at_answer: u64,
    /// The body in chunks that a worker waited for, if it did: since when, what it had of it, and
    /// what was consumed.
    chunks: Option<(Instant, usize, u64)>,
    /// The last time that anything was answered.
    quiet_since: Instant,
    /// Since when there is no request, or half of one.
    unanswered_since: Option<Instant>,
    /// Since when nothing more of the answer is taken.
    unread_since: Option<Instant>,
    ended_since: Option<Instant>,
    has_late_body: bool,
}

/// One connection at one look.
pub struct Look<'a> {
    pub info: TcpInfo,
    /// What of it `tiny_http` has read.
    pub consumed: u64,
    /// What a worker is busy with for this client.
    pub work: Option<&'a (Arc<Post>, Work)>,
    /// That, or its next request waits for a worker.
    pub is_in_hand: bool,
    pub now: Instant,
}

impl Look<'_> {
    /// What workers do was seen before what came of it: a worker may have taken the request since,
    /// or answered it.
    pub fn still_holds(&self, socket: &Socket, front: &Front) -> bool {
        let is_taken = front.in_hand().contains(socket.peer());
        let now = TcpInfo::of(socket.stream());
        self.work.is_some() || !is_taken && now.is_some_and(|now| now.sent == self.info.sent)
    }
}

impl Known {
    pub fn new(look: &Look<'_>) -> Known {
        let has_answer = look.info.sent > 0;
        Known {
            info: look.info,
            consumed: 0,
            consumed_at_answer: if has_answer { look.consumed } else { 0 },
            chunks: None,
            quiet_since: look.now,
            unanswered_since: None,
            unread_since: None,
            ended_since: None,
            has_late_body: false,
        }
    }

    /// Notes what is new, and tells why the client is to be hung up on, if it is.
    pub fn update(&mut self, look: &Look<'_>, limits: &Limits) -> Option<HangUp> {
        let &Look { info, now, .. } = look;
        let has_moved = (info.sent, info.acknowledged) != (self.info.sent, self.info.acknowledged);
        let is_served = look.work.is_some() || look.is_in_hand;
        if has_moved || is_served {
            self.quiet_since = now;
            self.consumed_at_answer = look.consumed;
        }
        // What a client sends is either answered or not a request yet.
        let is_unanswered =
            info.sent == 0 || info.last_received_milliseconds < info.last_sent_milliseconds;
        let waits = !has_moved && !is_served;
        let since = |is_so: &bool, since: Option<Instant>| is_so.then(|| since.unwrap_or(now));
        let (is_unread, has_ended) = (info.has_unacknowledged, !info.is_established);
        self.unanswered_since = since(&(waits && is_unanswered), self.unanswered_since);
        self.unread_since = since(&(waits && is_unread), self.unread_since);
        self.ended_since = since(&(!is_served && has_ended), self.ended_since);
        let why = if info.is_established {
            self.verdict(look, limits)
        } else {
            None
        };
        self.info = info;
        self.consumed = look.consumed;
        why
    }

    fn verdict(&mut self, look: &Look<'_>, limits: &Limits) -> Option<HangUp> {
        let Deadlines {
            head, answer, idle, ..
        } = limits.deadlines;
        let is_over =
            |since: Option<Instant>, max| since.is_some_and(|since| look.now - since > max);
        match look.work {
            Some((_, work)) if work.task == Task::Merge => None,
            Some((_, work)) if work.task == Task::Answer => {
                is_over(Some(work.since), answer).then_some(HangUp::Answer)
            }
            Some(body) => self.late_body(body, look, limits),
            None if look.is_in_hand => None,
            None => {
                let unanswered = look.consumed.saturating_sub(self.consumed_at_answer);
                if unanswered > UNANSWERED_BYTES_MAX {
                    Some(HangUp::Flood)
                } else if is_over(self.unanswered_since, head) {
                    Some(HangUp::Head)
                } else if is_over(self.unread_since, answer) {
                    Some(HangUp::Answer)
                } else {
                    is_over(Some(self.quiet_since), idle).then_some(HangUp::Idle)
                }
            }
        }
    }

    fn late_body(
        &mut self,
        (post, work): &(Arc<Post>, Work),
        look: &Look<'_>,
        limits: &Limits,
    ) -> Option<HangUp> {
        let seen = (work.since, post.body_bytes(), look.consumed);
        let before = self.chunks.replace(seen);
        let is_framing_only = before.is_some_and(|(since, body_bytes, consumed)| {
            (since, body_bytes) == (seen.0, seen.1)
                && look.consumed.saturating_sub(consumed) > FRAMING_BYTES_MAX
        });
        if work.task == Task::Chunks && is_framing_only {
            return Some(HangUp::Flood);
        }
        let elapsed = look.now - work.since;
        (elapsed > limits.body_duration_max).then_some(HangUp::Body)
    }

    /// True if more has been consumed since the last look than one request mostly has.
    pub fn sends_much(&self, look: &Look<'_>) -> bool {
        look.consumed.saturating_sub(self.consumed) > BUSY_BYTES
    }

    /// Of several that nobody is busy with, the least is the first that can be done without: those
    /// that never made a request, but for the new ones, which are about to, and the oldest of each.
    pub fn worth(&self, look: &Look<'_>) -> (bool, Instant) {
        let is_used = look.info.sent > 0 || look.now - self.quiet_since < NEW_DURATION;
        (is_used, self.quiet_since)
    }

    /// A connection that has ended and stays open.
    pub fn is_abandoned(&self, now: Instant) -> bool {
        self.ended_since
            .is_some_and(|since| now - since > CLOSING_DURATION_MAX)
    }
}

/// What all clients are held to at one look.
pub struct Limits {
    pub deadlines: Deadlines,
    /// Shorter than the deadline when workers are scarce.
    pub body_duration_max: Duration,
}

impl Known {
    pub fn hang_up(&mut self, why: HangUp, socket: &Arc<Socket>, look: &Look<'_>, front: &Front) {
        let is_counted = !self.has_late_body;
        match (why, look.work) {
            (HangUp::Body, Some((_, work))) if self.has_late_body => {
                let limit = front.site().deadlines.body + LATE_ANSWER_DURATION_MAX;
                if look.now - work.since > limit {
                    socket.hang_up();
                }
            }
            (HangUp::Body, Some((post, work))) => {
                // Whoever reads it answers 408 then.
                post.mark_late(work, socket);
                self.has_late_body = true;
                socket.end_reading();
            }
            _ => {
                if let (HangUp::Flood, Some(peer)) = (why, socket.peer()) {
                    front.distrusted().insert(peer, Some(socket));
                    socket.reset_when_closed();
                }
                socket.hang_up();
            }
        }
        if is_counted {
            front.site().status.front.count_hang_up(why);
        }
    }
}
