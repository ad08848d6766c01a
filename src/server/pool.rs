//! Connections that the thread pool of `tiny_http` 0.12 forgets, and how they are remembered.
//!
//! That pool hands a new connection to an idle thread by a queue, without looking whether the queue
//! has as many connections as there are idle threads. Of a burst of new connections, some are then
//! queued for nobody: they wait, unanswered, until another connection ends, which may be never.
//! (`TaskPool::spawn`; a burst of 6 to a fresh process hung in 29 of 40 tries.)
//!
//! Every connection should have a thread, so those without one can be counted: a connection is one
//! socket, with two file descriptors or more. One more connection, closed at once, wakes one of
//! them: there is no idle thread then, so the pool starts a new one, which looks into the queue.

use std::collections::HashSet;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use super::socket::socket_descriptors;

/// How many are woken at one look. It is more than enough, and bounds the damage of a miscount.
const WOKEN_MAX: usize = 64;

const WAKE_DURATION_MAX: Duration = Duration::from_secs(1);

/// How many sockets and threads this process has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Census {
    sockets: usize,
    threads: usize,
}

impl Census {
    /// Counts them; `None` where there is no `/proc`.
    #[must_use]
    pub fn take() -> Option<Census> {
        let sockets: HashSet<u64> = socket_descriptors()?.map(|socket| socket.inode).collect();
        Some(Census {
            sockets: sockets.len(),
            threads: fs::read_dir("/proc/self/task").ok()?.count(),
        })
    }

    /// How many connections there are, given what there is without any.
    #[must_use]
    pub fn connections(self, idle: Census) -> usize {
        self.sockets.saturating_sub(idle.sockets)
    }

    /// How many of them have no thread.
    fn forgotten(self, idle: Census) -> usize {
        let threads = self.threads.saturating_sub(idle.threads);
        self.connections(idle).saturating_sub(threads)
    }

    /// The same with so many more threads.
    #[must_use]
    pub fn with_threads(self, more: usize) -> Census {
        Census {
            threads: self.threads + more,
            ..self
        }
    }

    /// Wakes the connections that have no thread, given what there is without any.
    pub fn wake_forgotten(self, idle: Census, listener: &TcpListener) {
        for _ in 0..self.forgotten(idle).min(WOKEN_MAX) {
            wake_one(listener);
        }
    }
}

/// Connects to the listener, and closes the connection at once.
pub fn wake_one(listener: &TcpListener) {
    drop(connect(listener, WAKE_DURATION_MAX));
}

/// Connects to the listener from within its own machine.
pub fn connect(listener: &TcpListener, patience: Duration) -> Option<TcpStream> {
    let address = listener.local_addr().ok()?;
    let at = |ip: IpAddr| SocketAddr::new(ip, address.port());
    let addresses: &[SocketAddr] = match address {
        _ if !address.ip().is_unspecified() => &[address],
        SocketAddr::V4(_) => &[at(Ipv4Addr::LOCALHOST.into())],
        // A machine may know IPv6 and have no address of it.
        SocketAddr::V6(_) => &[
            at(Ipv6Addr::LOCALHOST.into()),
            at(Ipv4Addr::LOCALHOST.into()),
        ],
    };
    let connect = |address| TcpStream::connect_timeout(address, patience).ok();
    addresses.iter().find_map(connect)
}
