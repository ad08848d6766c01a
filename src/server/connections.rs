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
//! | sends 64 KiB that are no request, or no body | at once |
//!
//! What has ended and stays open all the same has been abandoned by `tiny_http`: it is counted, and
//! only a new image of the process is rid of it.

mod known;
mod looks;

use std::collections::{HashMap, HashSet};
use std::mem;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use self::known::{Known, Limits, Look};
use self::looks::{Looks, Pace, processor_time_of};
use super::front::Front;
use super::socket::{OwnDescriptors, SocketDescriptor, socket_descriptors};
use super::tcp_info::TcpInfo;
use super::worker::{Tenure, start_worker};
use super::workers::{Client, Post, Work};
use crate::status::{HangUp, Resource};

/// New connections are given this long to get their thread by themselves.
const CENSUS_DELAY: Duration = Duration::from_millis(5);

/// Counting them takes no more than one in so many of a processor's seconds.
const CENSUS_SHARE: u32 = 5;

/// When workers are scarce, a body may take no longer than this.
const SCARCE_BODY_DURATION_MAX: Duration = Duration::from_secs(2);

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
    /// Nobody is busy with these; and what each is worth.
    unused: Vec<((bool, Instant), SocketDescriptor)>,
    abandoned: usize,
    has_busy_sender: bool,
}

/// Looks after the connections of a front end as long as it accepts any.
pub fn keep(front: &Arc<Front>) {
    let mut connections = OwnDescriptors::open().map(|own| Connections {
        own,
        known: HashMap::new(),
    });
    let mut looks = Looks::new();
    let mut delay = CENSUS_DELAY;
    let mut answered = front.answered();
    while !front.is_draining() {
        let mut polled = [PollFd::new(front.listener(), PollFlags::IN)];
        let interval = Timespec::try_from(looks.time_left()).ok();
        let _ = poll(&mut polled, interval.as_ref());
        if polled[0].revents().contains(PollFlags::HUP) {
            return;
        }
        thread::sleep(delay);
        let (cost, count) = processor_time_of(|| front.wake_forgotten());
        delay = CENSUS_DELAY.max(cost * CENSUS_SHARE);
        if polled[0].revents().contains(PollFlags::IN) {
            looks.hasten();
        }
        let is_due = count > front.connections_max() || looks.time_left().is_zero();
        if is_due {
            let answered_before = mem::replace(&mut answered, front.answered());
            relieve(front, answered - answered_before);
        }
        if let (true, Some(connections)) = (is_due, &mut connections) {
            looks.run(|| connections.look(front));
        }
    }
}

/// Where all workers are held up, by clients that do not read what is short, starts some more.
fn relieve(front: &Arc<Front>, answered_since: u64) {
    let workers = front.workers();
    let is_held_up = !workers.has_idle() || front.in_hand().has_next();
    if !is_held_up || workers.has_newcomer() || answered_since >= workers.count() as u64 {
        return;
    }
    for _ in 0..=workers.count() / 2 {
        // There may be no more.
        if !workers.hire_for(Client::Reader) || start_worker(front, Tenure::WhileNeeded).is_err() {
            return;
        }
    }
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
        front.distrusted().retain(&seen.sockets, started);
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
        if front.distrusted().mistakes(peer, descriptor.inode) {
            socket.hang_up();
            return;
        }
        let is_of_peer = |(_, work): &&(Arc<Post>, Work)| peer.is_some() && work.peer == peer;
        let look = Look {
            info,
            consumed: info.received.saturating_sub(socket.unread_bytes()),
            work: works.iter().find(is_of_peer),
            is_in_hand: front.in_hand().contains(peer),
            now: Instant::now(),
        };
        let known = self.known.entry(descriptor.inode);
        let known = known.or_insert_with(|| Known::new(&look));
        seen.has_busy_sender |= known.sends_much(&look);
        let why = known.update(&look, limits);
        let why = why.filter(|_| look.still_holds(&socket, front));
        if let Some(why) = why {
            known.hang_up(why, &socket, &look, front);
        } else if info.is_established && !look.is_in_hand {
            seen.unused.push((known.worth(&look), descriptor));
        }
        seen.established += usize::from(info.is_established);
        seen.abandoned += usize::from(known.is_abandoned(look.now));
    }

    /// Of too many connections, ends those that nobody uses: first those that never were.
    fn thin_out(&self, front: &Front, seen: &mut Seen) {
        let excess = seen.established.saturating_sub(front.connections_max());
        seen.unused.sort_by_key(|(worth, _)| *worth);
        for (_, descriptor) in seen.unused.iter().take(excess) {
            if let Some(socket) = self.own.socket(*descriptor) {
                socket.hang_up();
                front.site().status.front.count_hang_up(HangUp::Crowded);
            }
        }
    }
}
