//! New connections, and what happens when there are too many.

use std::io;
use std::net::IpAddr;
use std::os::fd::OwnedFd;

use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::io::Errno;
use rustix::net::{SocketFlags, acceptfrom_with};

use super::super::connection::{Connection, Token};
use super::{GENERATION_MAX, Gate, LISTENER_GENERATION, NEVER};
use crate::listen::peer_address;
use crate::status::{CloseReason, ConnectionState};

/// Connections accepted per turn of the loop.
pub(super) const ACCEPTED_AT_ONCE: usize = 64;

/// The share of idle connections (1/64) that is closed when the limit is reached. The search takes
/// time that grows with their number, so it does not run for each new connection.
const CLOSED_SHARE: usize = 64;

/// The search for idle connections runs at most once per millisecond and 1,000 connections.
const LOOKED_AT_PER_MS: u64 = 1_000;

/// How long to wait when the system has no descriptor or no memory for another connection, in
/// milliseconds.
const ACCEPT_RETRY_MS: u64 = 50;

impl Gate {
    /// Accepts connections that wait at one of the listeners. Those beyond the limit are closed at
    /// once, so that nobody waits in vain.
    pub(super) fn accept(&mut self, index: usize, at_most: usize) {
        for _ in 0..at_most {
            let Some(listener) = self.listeners.get(index) else {
                return;
            };
            let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
            match acceptfrom_with(listener, flags) {
                Ok((socket, peer)) => {
                    let open = self.connections.len() - self.free.len();
                    self.admit(socket, peer_address(peer));
                    // What has just come is read before it may have to make room.
                    if open >= self.limits.connections_max {
                        return;
                    }
                }
                Err(Errno::INTR | Errno::CONNABORTED) => {}
                Err(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM) => {
                    self.close_oldest_idle();
                    // Level-triggered, the event would come again and again.
                    self.watch_listeners(EventFlags::empty());
                    self.accept_again_ms = self.now_ms + ACCEPT_RETRY_MS;
                    return self.tick_soon();
                }
                // There are none left, or one that was there has gone.
                Err(_) => return,
            }
        }
    }

    /// Waits for connections at the listening sockets.
    pub(super) fn add_listeners(&self) -> io::Result<()> {
        for (data, listener) in listener_data().zip(&self.listeners) {
            epoll::add(&self.epoll, listener, data, EventFlags::IN)?;
        }
        Ok(())
    }

    /// Sets the events of the listening sockets that are waited for.
    pub(super) fn watch_listeners(&mut self, flags: EventFlags) {
        for (data, listener) in listener_data().zip(&self.listeners) {
            // It was added at the start.
            let _ = epoll::modify(&self.epoll, listener, data, flags);
        }
    }

    fn admit(&mut self, socket: OwnedFd, peer: IpAddr) {
        let open = self.connections.len() - self.free.len();
        if open >= self.limits.connections_max && !self.close_oldest_idle() {
            return self.site.status.front.count_close(CloseReason::Crowded);
        }
        if let Some(token) = self.add(socket, peer) {
            self.set_deadline(token, self.timeouts_ms.head);
        }
    }

    /// Takes a connection; it is idle.
    pub(super) fn add(&mut self, socket: OwnedFd, peer: IpAddr) -> Option<Token> {
        self.generation = (self.generation + 1) % GENERATION_MAX;
        let generation = self.generation;
        let index = self.free.pop().unwrap_or_else(|| {
            self.connections.push(None);
            self.deadlines_ms.push(NEVER);
            self.connections.len() - 1
        });
        let token = Token { index, generation };
        let data = EventData::new_u64(token.to_u64());
        let flags = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
        if epoll::add(&self.epoll, &socket, data, flags).is_err() {
            self.free.push(index);
            return None;
        }
        let mut connection = Connection::new(socket, peer, generation);
        connection.idle_since_ms = self.now_ms;
        self.connections[index] = Some(Box::new(connection));
        self.by_state[ConnectionState::Idle as usize] += 1;
        Some(token)
    }

    /// Closes those idle connections that have been so for longest. Tells whether there were any.
    /// Where there are many connections, they are not looked at for each new one.
    fn close_oldest_idle(&mut self) -> bool {
        let has_idle = self.by_state[ConnectionState::Idle as usize] > 0;
        if !has_idle || self.now_ms < self.close_idle_again_ms {
            return false;
        }
        self.close_idle_again_ms = self.now_ms + self.connections.len() as u64 / LOOKED_AT_PER_MS;
        let mut idle = self.tokens_where(Connection::is_idle);
        let count = idle.len().div_ceil(CLOSED_SHARE);
        if count == 0 {
            return false;
        }
        idle.select_nth_unstable_by_key(count - 1, |token| {
            let connection = self.connections[token.index].as_deref();
            connection.map(|connection| connection.idle_since_ms)
        });
        for token in &idle[..count] {
            self.close(*token, CloseReason::Crowded);
        }
        true
    }
}

/// The kernel's data of events of each listener.
fn listener_data() -> impl Iterator<Item = EventData> {
    (0..).map(|index| {
        let generation = LISTENER_GENERATION;
        EventData::new_u64(Token { index, generation }.to_u64())
    })
}
