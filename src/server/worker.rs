//! A thread that takes requests and answers them, one after the other.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;

use tiny_http::Request;

use super::front::Front;
use super::in_hand::{Numbered, Taken};
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

/// So many requests that were sent ahead of an answer are a flood.
const AHEAD_MAX: usize = 256;

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
    loop {
        while let Some(request) = worker.front.in_hand().next() {
            worker.handle(request);
        }
        let Some(request) = worker.front.next_request(tenure) else {
            break;
        };
        worker.take(request);
    }
    worker.front.workers().leave(&worker.post);
}

impl Worker {
    /// Handles a request, unless one of the same client is to be handled before.
    fn take(&mut self, request: Numbered) {
        let Some(&client) = request.request.remote_addr() else {
            return self.handle(request.request);
        };
        match self.front.in_hand().take(client, request) {
            Taken::Mine(request) => self.handle(request),
            Taken::Waits(AHEAD_MAX) => self.end_flood(client),
            Taken::Waits(_) => {}
        }
    }

    fn handle(&mut self, request: Request) {
        self.peer = request.remote_addr().copied();
        self.post.begin(self.peer);
        // A request that panics is answered 500 when tiny_http drops it.
        let _ = surviving(|| handle(self, request));
        self.front.count_answered();
        self.front.workers().forget_body(&self.post);
        self.post.end();
        if let Some(client) = self.peer {
            self.front.in_hand().end(client);
        }
    }

    /// Hangs up on a client that has sent too many requests ahead of their answers.
    fn end_flood(&self, client: SocketAddr) {
        if let Peer::Connected(socket) = Peer::of(Some(&client)) {
            self.front.distrusted().insert(client, Some(&socket));
            socket.reset_when_closed();
            socket.hang_up();
            self.site().status.front.count_hang_up(HangUp::Flood);
        }
    }
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

    /// Lets it be known that the client will be waited for, and has others answered meanwhile: an
    /// idle worker takes what comes, and only a new one what waits in hand.
    pub fn wait_for(&self, client: Client) -> Result<(), Busy> {
        let workers = self.front.workers();
        if workers.has_idle() && !self.front.in_hand().has_next() {
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

    /// Goes on to another task of the same request.
    pub fn go_on(&self, task: Task) {
        self.post.go_on(task);
    }

    /// All earlier requests of the client have been answered.
    pub fn begin_turn(&self) {
        if let Some(client) = self.peer {
            self.front.in_hand().begin_turn(client);
        }
    }

    /// The connection of the client, if it was waited for in vain: its deadline has passed.
    pub fn late(&self) -> Option<Arc<Socket>> {
        self.post.work()?.late
    }

    /// Counts more of the body, which is kept until the request is answered.
    pub fn keep_body(&self, more: usize) -> Result<(), Busy> {
        let is_kept = self.front.workers().keep_body(&self.post, more);
        is_kept.then_some(()).ok_or(Busy)
    }

    /// Merges a body when there is memory for it.
    pub fn merge_in_turn<T>(&self, body_bytes: usize, merge: impl FnOnce() -> T) -> T {
        // The client is not to blame for the time that it takes.
        self.go_on(Task::Merge);
        let merged = self.front.workers().merge_in_turn(body_bytes, merge);
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
