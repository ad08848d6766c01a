//! Clients that have sent a message of which nobody knows where it ends. What they send behind it
//! on the same connection may look like requests, and is not believed to be any.
//!
//! `tiny_http` gives the address of a request's client and nothing else of its connection, and that
//! address may be another connection's next. So it is kept with the socket, as long as that is
//! open: there may still be requests that came by it.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::socket::Socket;

/// How long a client is remembered whose socket could not be found.
const BLIND_DURATION: Duration = Duration::from_secs(5);

/// The clients that are not believed.
#[derive(Default)]
pub struct Distrusted {
    clients: Mutex<HashMap<SocketAddr, Distrust>>,
    /// How many there are, for all who ask when there are none.
    count: AtomicUsize,
}

struct Distrust {
    since: Instant,
    /// The client's socket.
    inode: Option<u64>,
}

impl Distrusted {
    fn clients(&self) -> MutexGuard<'_, HashMap<SocketAddr, Distrust>> {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn are_none(&self) -> bool {
        self.count.load(SeqCst) == 0
    }

    /// Does not believe this client from here on.
    pub fn insert(&self, client: SocketAddr, connection: Option<&Socket>) {
        let distrust = Distrust {
            since: Instant::now(),
            inode: connection.and_then(Socket::inode),
        };
        let mut clients = self.clients();
        clients.insert(client, distrust);
        self.count.store(clients.len(), SeqCst);
    }

    /// True of a client that is not to be believed.
    pub fn contains(&self, client: Option<SocketAddr>) -> bool {
        !self.are_none() && client.is_some_and(|client| self.clients().contains_key(&client))
    }

    /// True of a new connection that has come from the address of a client that is not believed:
    /// its requests may have been taken for that one's.
    pub fn mistakes(&self, client: Option<SocketAddr>, inode: u64) -> bool {
        !self.are_none()
            && client.is_some_and(|client| {
                let clients = self.clients();
                let known = clients.get(&client).and_then(|distrust| distrust.inode);
                known.is_some_and(|known| known != inode)
            })
    }

    /// Forgets clients whose sockets are not open any more, given those that were at an instant.
    pub fn retain(&self, open: &HashSet<u64>, at: Instant) {
        if self.are_none() {
            return;
        }
        let mut clients = self.clients();
        clients.retain(|_, distrust| match distrust.inode {
            // It may have come later.
            Some(inode) => distrust.since >= at || open.contains(&inode),
            None => distrust.since.elapsed() < BLIND_DURATION,
        });
        self.count.store(clients.len(), SeqCst);
    }
}
