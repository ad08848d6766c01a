//! The requests that workers have in hand, by their clients. Of those of one client, one after the
//! other is decided on, in their order: so it is known of each where the one before it ended. Those
//! that come while one has its turn wait here, at the cost of no worker, and take turns with those
//! of other clients.
//!
//! All workers take requests from one queue of `tiny_http`, and two of them that take two requests
//! of one client may come here in the other order. So as long as none has its turn, all that come
//! are handled: `tiny_http` has a worker wait for its turn until the requests before it have been
//! answered. Those that wait here are in the order of their numbers, which is mostly right.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tiny_http::Request;

/// A request, and its number among all requests.
pub struct Numbered {
    /// Those of one client have the order in which it has sent them, mostly.
    pub number: u64,
    /// The request.
    pub request: Request,
}

/// What became of a request that was taken in hand.
pub enum Taken {
    /// It is to be handled.
    Mine(Request),
    /// It waits behind one of the same client, as one of so many.
    Waits(usize),
}

/// Clients that have a request in hand, and what they have sent ahead of its answer.
#[derive(Default)]
pub struct InHand(Mutex<Clients>);

#[derive(Default)]
struct Clients {
    all: HashMap<SocketAddr, Client>,
    /// Those of whom one that waits is to be handled, unless one has its turn.
    ready: VecDeque<SocketAddr>,
}

/// Takes no memory of its own while nothing waits.
#[derive(Default)]
struct Client {
    /// In the order of their numbers.
    waiting: VecDeque<Numbered>,
    /// How many are being handled.
    handled: usize,
    /// One of these has its turn: all before it have been answered.
    has_turn: bool,
    is_among_ready: bool,
}

impl Clients {
    fn make_ready(&mut self, address: SocketAddr) {
        if let Some(client) = self.all.get_mut(&address)
            && !client.is_among_ready
        {
            client.is_among_ready = true;
            self.ready.push_back(address);
        }
    }
}

impl InHand {
    fn lock(&self) -> MutexGuard<'_, Clients> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a request of a client in hand.
    pub fn take(&self, address: SocketAddr, request: Numbered) -> Taken {
        let mut clients = self.lock();
        let client = clients.all.entry(address).or_default();
        let first = client.waiting.front();
        let is_first = first.is_none_or(|first| request.number < first.number);
        if is_first && !client.has_turn {
            client.handled += 1;
            return Taken::Mine(request.request);
        }
        let is_before = |waiting: &Numbered| waiting.number < request.number;
        let place = client.waiting.partition_point(is_before);
        client.waiting.insert(place, request);
        Taken::Waits(client.waiting.len())
    }

    /// A request of this client that is being handled has its turn.
    pub fn begin_turn(&self, address: SocketAddr) {
        if let Some(client) = self.lock().all.get_mut(&address) {
            client.has_turn = true;
        }
    }

    /// A request of this client has been handled.
    pub fn end(&self, address: SocketAddr) {
        let mut clients = self.lock();
        let Some(client) = clients.all.get_mut(&address) else {
            return;
        };
        client.handled -= 1;
        client.has_turn = false;
        if !client.waiting.is_empty() {
            clients.make_ready(address);
        } else if client.handled == 0 {
            clients.all.remove(&address);
        }
    }

    /// The next request that has waited here, to be handled.
    pub fn next(&self) -> Option<Request> {
        let mut clients = self.lock();
        while let Some(address) = clients.ready.pop_front() {
            let Some(client) = clients.all.get_mut(&address) else {
                continue;
            };
            client.is_among_ready = false;
            if client.has_turn {
                continue;
            }
            if let Some(first) = client.waiting.pop_front() {
                client.handled += 1;
                // As long as this one does not have its turn.
                clients.make_ready(address);
                return Some(first.request);
            }
        }
        None
    }

    /// True if [`InHand::next`] may be something.
    pub fn has_next(&self) -> bool {
        !self.lock().ready.is_empty()
    }

    /// True of a client some request of whom is handled, or waits for that.
    pub fn contains(&self, address: Option<SocketAddr>) -> bool {
        address.is_some_and(|address| self.lock().all.contains_key(&address))
    }
}
