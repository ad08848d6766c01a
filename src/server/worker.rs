//! A thread that takes requests and answers them, one after the other.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tiny_http::Request;

use super::front::Front;
use super::socket::{Peer, Socket};
use super::workers::{Client, Post, Task};
use super::{Site, handle, surviving};
use crate::status::HangUp;

/// How long a worker is to stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tenure {
    /// As long as the front end.
    Standing,
    /// Until there has been nothing to do for a while.
    WhileNeeded,
}

/// When no worker is idle, requests that were sent ahead of an answer wait for it no longer.
const AHEAD_DURATION_MAX: Duration = Duration::from_secs(2);

/// A worker, as those see it who handle its request.
pub struct Worker {
    front: Arc<Front>,
    post: Arc<Post>,
    peer: Option<SocketAddr>,
}

/// Nobody is left to answer others while this client is waited for.
pub struct Busy;

/// Starts a worker that was hired.
pub fn start_worker(front: &Arc<Front>, tenure: Tenure) -> io::Result<()> {
    let its_front = Arc::clone(front);
    let thread = thread::Builder::new().name("worker".to_owned());
    let started = thread.spawn(move || work(its_front, tenure)).map(drop);
    if started.is_err() {
        front.workers().dismiss();
    }
    started
}

fn work(front: Arc<Front>, tenure: Tenure) {
    let post = front.workers().enter();
    let mut worker = Worker {
        front,
        post,
        peer: None,
    };
    while let Some(request) = worker.front.next_request(tenure) {
        worker.peer = request.remote_addr().copied();
        worker.post.begin(worker.peer);
        // A request that panics is answered 500 when tiny_http drops it.
        let _ = surviving(|| handle(&worker, request));
        worker.front.count_answered();
        worker.front.workers().forget_body(&worker.post);
        worker.post.end();
    }
    worker.front.workers().leave(&worker.post);
}

impl Worker {
    /// What it serves.
    pub fn site(&self) -> &Site {
        self.front.site()
    }

    /// True when clients are to use another connection for their next request.
    pub fn is_draining(&self) -> bool {
        self.front.is_draining()
    }

    /// Lets it be known that the client will be waited for, and has others answered meanwhile.
    pub fn wait_for(&self, client: Client) -> Result<(), Busy> {
        let workers = self.front.workers();
        if workers.has_idle() {
            return Ok(());
        }
        // Where there are many slow clients, there are more to come.
        let wanted = 1 + workers.beyond_standing() / 8;
        let started = (0..wanted).take_while(|_| {
            workers.hire_for(client) && start_worker(&self.front, Tenure::WhileNeeded).is_ok()
        });
        if started.count() == 0 {
            return Err(Busy);
        }
        Ok(())
    }

    /// Before a request waits for those before it on its connection: has others answered meanwhile.
    /// True if these take too long, or there would be nobody left: then the client is hung up on.
    pub fn ends_flood(&self, request: &Request) -> bool {
        if self.front.workers().has_idle() {
            return false;
        }
        let works = self.front.workers().works();
        let others = works
            .iter()
            .filter(|(post, work)| work.peer == self.peer && !Arc::ptr_eq(post, &self.post));
        let Some(first) = others.map(|(_, work)| work.since).min() else {
            return false;
        };
        let is_slow = first.elapsed() > AHEAD_DURATION_MAX;
        if !is_slow && self.wait_for(Client::Sender).is_ok() {
            return false;
        }
        if let Peer::Connected(socket) = Peer::of(request) {
            self.distrust_client(Some(&socket));
            socket.reset_when_closed();
            socket.hang_up();
        }
        self.site().status.front.count_hang_up(HangUp::Flood);
        true
    }

    /// Goes on to another task of the same request.
    pub fn go_on(&self, task: Task) {
        self.post.go_on(task);
    }

    /// The connection of the client, if it was waited for in vain: its deadline has passed.
    pub fn late(&self) -> Option<Arc<Socket>> {
        self.post.work()?.late
    }

    /// Nothing is waited for any more but that the answer goes out.
    pub fn is_done(&self) {
        self.post.end();
    }

    /// Counts more of the body, which is kept until the request is answered.
    pub fn keep_body(&self, more: usize) -> Result<(), Busy> {
        let is_kept = self.front.workers().keep_body(&self.post, more);
        is_kept.then_some(()).ok_or(Busy)
    }

    /// Merges a body when there is memory for it.
    pub fn merge_in_turn<T>(&self, body_bytes: usize, merge: impl FnOnce() -> T) -> T {
        let merged = self.front.workers().merge_in_turn(body_bytes, merge);
        // The client is not to blame for the time that it took.
        self.go_on(Task::Answer);
        merged
    }

    /// No more requests of this client are believed to be what they look like.
    pub fn distrust_client(&self, connection: Option<&Socket>) {
        if let Some(peer) = self.peer {
            self.front.distrusted().insert(peer, connection);
        }
    }

    /// True if an earlier request of this client had no clear end.
    pub fn distrusts_client(&self) -> bool {
        self.front.distrusted().contains(self.peer)
    }
}
