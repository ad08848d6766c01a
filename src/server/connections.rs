//! Every open connection, looked at a few times a second: those whose client keeps us waiting for
//! longer than it may are hung up, and those that the thread pool forgets are woken.
//!
//! `tiny_http` has no deadlines and no limit on connections, and waits for each client for ever.
//! But the sockets are this process's own: one that is shut down gives the end of the connection to
//! whoever reads it, and an error to whoever writes.
//!
//! | a client | is hung up on |
//! |---|---|
//! | has sent no request, or half the head of one | after `head` |
//! | has sent half a body | after `body`: it is answered 408 |
//! | does not read its answer | after `answer` |
//! | keeps a connection without using it | after `idle` |
//! | does not use its connection while there are too many | soonest, the never used ones first |
//! | sends 64 KiB that are no request, or as much ahead of its answers | at once |
//!
//! What has ended and stays open all the same has been abandoned by `tiny_http`: it is counted, and
//! only a new image of the process is rid of it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::time::{ClockId, clock_gettime};

use super::front::Front;
use super::socket::{OwnDescriptors, Socket, SocketDescriptor, socket_descriptors};
use super::tcp_info::TcpInfo;
use super::workers::{Post, Task, Work};
use crate::status::{HangUp, Resource};

/// New connections are given this long to get their thread by themselves.
const CENSUS_DELAY: Duration = Duration::from_millis(5);

/// How often all connections are looked at.
const LOOK_INTERVAL: Duration = Duration::from_millis(250);

/// How soon after a new one came, or one has sent a lot: it may send much in a short time.
const QUICK_LOOK_INTERVAL: Duration = Duration::from_millis(20);

/// Looking takes no more than one in so many of a processor's seconds.
const LOOK_SHARE: u32 = 20;

/// What a client may send that is no request yet, or between two looks ahead of its answers.
const UNANSWERED_BYTES_MAX: u64 = 64 << 10;

/// Who sends so much between two looks is looked at sooner.
const BUSY_BYTES: u64 = 16 << 10;

/// What a chunked body may carry between two looks without a byte of the body itself.
const FRAMING_BYTES_MAX: u64 = 256 << 10;

/// A client that was told that its body is late may read that for so long.
const LATE_ANSWER_DURATION_MAX: Duration = Duration::from_secs(2);

/// When workers are scarce, a body may take no longer than this.
const SCARCE_BODY_DURATION_MAX: Duration = Duration::from_secs(2);

/// What has ended for so long, and no worker is busy with it, will not be closed any more.
const CLOSING_DURATION_MAX: Duration = Duration::from_secs(2);

/// For so long a connection is new.
const NEW_DURATION: Duration = Duration::from_secs(1);

/// For how long a client may keep the gateway waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadlines {
    /// From the connection, or the first byte of a request, to the end of its head.
    pub head: Duration,
    /// For the whole of a body.
    pub body: Duration,
    /// For the whole of an answer.
    pub answer: Duration,
    /// Between two requests.
    pub idle: Duration,
}

/// A connection as it was at the last look.
struct Known {
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
struct Look<'a> {
    info: TcpInfo,
    consumed: u64,
    /// What workers are busy with for this client.
    works: Vec<&'a (Arc<Post>, Work)>,
    now: Instant,
}

impl Look<'_> {
    /// The body that is waited for, if one is.
    fn body(&self) -> Option<&(Arc<Post>, Work)> {
        let mut works = self.works.iter().copied();
        works.find(|(_, work)| work.task != Task::Answer)
    }

    /// What workers do was seen before what came of it: a worker may have taken the request since,
    /// or answered it.
    fn still_holds(&self, socket: &Socket, front: &Front) -> bool {
        let peer = socket.peer();
        let works = front.workers().works();
        let works = works.iter().filter(|(_, work)| work.peer == peer).count();
        match self.works.len() {
            0 => {
                let now = TcpInfo::of(socket.stream());
                works == 0 && now.is_some_and(|now| now.sent == self.info.sent)
            }
            1 => true,
            _ => works > 1,
        }
    }
}

impl Known {
    fn new(look: &Look<'_>) -> Known {
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
    fn update(&mut self, look: &Look<'_>, limits: &Limits) -> Option<HangUp> {
        let &Look { info, now, .. } = look;
        let has_moved = (info.sent, info.acknowledged) != (self.info.sent, self.info.acknowledged);
        let is_served = !look.works.is_empty();
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
        let more = look.consumed.saturating_sub(self.consumed);
        if let Some(body) = look.body() {
            return self.late_body(body, look, limits);
        }
        match look.works.as_slice() {
            [] => {
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
            [_, _, ..] if more > UNANSWERED_BYTES_MAX => Some(HangUp::Flood),
            works => {
                let first = works.iter().map(|(_, work)| work.since).min();
                is_over(first, answer).then_some(HangUp::Answer)
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

    /// A connection that has ended and stays open.
    fn is_abandoned(&self, now: Instant) -> bool {
        self.ended_since
            .is_some_and(|since| now - since > CLOSING_DURATION_MAX)
    }
}

/// What all clients are held to at one look.
struct Limits {
    deadlines: Deadlines,
    /// Shorter than the deadline when workers are scarce.
    body_duration_max: Duration,
}

/// All connections of a front end.
struct Connections {
    own: OwnDescriptors,
    known: HashMap<u64, Known>,
}

/// What was seen at one look.
#[derive(Default)]
struct Seen {
    sockets: HashSet<u64>,
    established: usize,
    /// Nobody is busy with these: whether they ever were answered, and since when they are unused.
    unused: Vec<((bool, Instant), SocketDescriptor)>,
    abandoned: usize,
    has_busy_sender: bool,
}

/// Looks after the connections of a front end as long as it accepts any.
pub fn keep(front: &Front) {
    let mut connections = OwnDescriptors::open().map(|own| Connections {
        own,
        known: HashMap::new(),
    });
    let mut looks = Looks::new();
    let mut delay = CENSUS_DELAY;
    while !front.is_draining() {
        let mut polled = [PollFd::new(front.listener(), PollFlags::IN)];
        let interval = looks.next.saturating_duration_since(Instant::now());
        let interval = Timespec::try_from(interval).ok();
        let _ = poll(&mut polled, interval.as_ref());
        if polled[0].revents().contains(PollFlags::HUP) {
            return;
        }
        thread::sleep(delay);
        let begun = processor_time();
        let is_crowded = front.wake_forgotten() > front.connections_max();
        delay = CENSUS_DELAY.max(processor_time().saturating_sub(begun) * (LOOK_SHARE / 4));
        if polled[0].revents().contains(PollFlags::IN) {
            looks.hasten(QUICK_LOOK_INTERVAL);
        }
        let Some(connections) = &mut connections else {
            continue;
        };
        if is_crowded || Instant::now() >= looks.next {
            looks.begin();
            let pace = connections.look(front);
            looks.end();
            if let Pace::Quick = pace {
                looks.hasten(QUICK_LOOK_INTERVAL);
            }
        }
    }
}

/// When to look at all connections.
struct Looks {
    last: Instant,
    /// What this thread had used of a processor then.
    begun: Duration,
    /// What looking took of it.
    cost: Duration,
    next: Instant,
}

impl Looks {
    fn new() -> Looks {
        let now = Instant::now();
        Looks {
            last: now,
            begun: Duration::ZERO,
            cost: Duration::ZERO,
            next: now,
        }
    }

    fn begin(&mut self) {
        self.last = Instant::now();
        self.begun = processor_time();
    }

    fn end(&mut self) {
        self.cost = processor_time().saturating_sub(self.begun);
        self.next = self.last + LOOK_INTERVAL.max(self.cost * LOOK_SHARE);
    }

    /// The next one comes sooner, if that does not take too much of the time.
    fn hasten(&mut self, interval: Duration) {
        let soon = self.last + interval.max(self.cost * LOOK_SHARE);
        self.next = self.next.min(soon);
    }
}

/// What this thread has used of a processor: on a busy machine, less than the time that passed.
fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::try_from(time).unwrap_or_default()
}

/// How soon to look again.
enum Pace {
    Usual,
    Quick,
}

impl Connections {
    fn look(&mut self, front: &Front) -> Pace {
        let Some(descriptors) = socket_descriptors() else {
            return Pace::Usual;
        };
        let deadlines = front.site().deadlines;
        let limits = Limits {
            deadlines,
            body_duration_max: if front.workers().are_scarce() {
                SCARCE_BODY_DURATION_MAX.min(deadlines.body)
            } else {
                deadlines.body
            },
        };
        let started = Instant::now();
        let works = front.workers().works();
        let mut seen = Seen::default();
        for descriptor in descriptors {
            if descriptor.inode != front.listener_inode() && seen.sockets.insert(descriptor.inode) {
                self.look_at(descriptor, front, &works, &limits, &mut seen);
            }
        }
        self.known.retain(|inode, _| seen.sockets.contains(inode));
        front.forget_distrusted(&seen.sockets, started);
        self.thin_out(front, &mut seen);
        let status = &front.site().status.front;
        status.set_used(Resource::Connections, seen.established);
        status.set_used(Resource::Workers, front.workers().busy());
        status.set_abandoned_connections(seen.abandoned);
        if seen.has_busy_sender {
            Pace::Quick
        } else {
            Pace::Usual
        }
    }

    fn look_at(
        &mut self,
        descriptor: SocketDescriptor,
        front: &Front,
        works: &[(Arc<Post>, Work)],
        limits: &Limits,
        seen: &mut Seen,
    ) {
        let Some(socket) = self.own.socket(descriptor).map(Arc::new) else {
            return;
        };
        let Some(info) = TcpInfo::of(socket.stream()).filter(|_| front.has_accepted(&socket))
        else {
            return;
        };
        let peer = socket.peer();
        if front.mistakes(peer, descriptor.inode) {
            socket.hang_up();
            return;
        }
        let is_of_peer = |(_, work): &&(Arc<Post>, Work)| peer.is_some() && work.peer == peer;
        let look = Look {
            info,
            consumed: info.received.saturating_sub(socket.unread_bytes()),
            works: works.iter().filter(is_of_peer).collect(),
            now: Instant::now(),
        };
        let known = self.known.entry(descriptor.inode);
        let known = known.or_insert_with(|| Known::new(&look));
        seen.has_busy_sender |= look.consumed.saturating_sub(known.consumed) > BUSY_BYTES;
        let why = known.update(&look, limits);
        let why = why.filter(|_| look.still_holds(&socket, front));
        if let Some(why) = why {
            known.hang_up(why, &socket, &look, front);
        } else if info.is_established && look.works.is_empty() {
            // One that is new is about to be used.
            let is_used = info.sent > 0 || look.now - known.quiet_since < NEW_DURATION;
            let order = (is_used, known.quiet_since);
            seen.unused.push((order, descriptor));
        }
        seen.established += usize::from(info.is_established);
        seen.abandoned += usize::from(known.is_abandoned(look.now));
    }

    /// Of too many connections, ends those that nobody uses: first those that never were.
    fn thin_out(&self, front: &Front, seen: &mut Seen) {
        let excess = seen.established.saturating_sub(front.connections_max());
        seen.unused.sort_by_key(|(order, _)| *order);
        for (_, descriptor) in seen.unused.iter().take(excess) {
            if let Some(socket) = self.own.socket(*descriptor) {
                socket.hang_up();
                front.site().status.front.count_hang_up(HangUp::Crowded);
            }
        }
    }
}

impl Known {
    fn hang_up(&mut self, why: HangUp, socket: &Arc<Socket>, look: &Look<'_>, front: &Front) {
        let is_counted = !self.has_late_body;
        match (why, look.body()) {
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
                    front.distrust(peer, Some(socket));
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
