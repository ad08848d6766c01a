//! One `tiny_http` server on a listening socket, and how to have it stop accepting, for another
//! image of the process to go on.

use std::io::{self, ErrorKind};
use std::net::TcpListener;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use rustix::net::Shutdown;
use tiny_http::Server;

use super::pool::{Census, wake_forgotten, wake_one};
use super::{Site, handle};
use crate::listen::is_shared;

/// How long nothing may happen before the front is taken to be at rest. A client that has just
/// connected is on its way to send a request, one that keeps its connection may send another.
const REST_DURATION: Duration = Duration::from_millis(250);

const LOOK_INTERVAL: Duration = Duration::from_millis(1);

/// What accepts connections and queues their requests.
pub struct Front {
    http: Server,
    /// A second handle on the socket that the connections come from.
    listener: TcpListener,
    /// What this process has without any connection; unknown without `/proc`.
    idle: Option<Census>,
    is_draining: AtomicBool,
    has_stopped_accepting: AtomicBool,
    busy_workers: AtomicUsize,
    answered: AtomicU64,
}

impl Front {
    /// Starts to accept connections; requests are queued until [`Front::serve`] takes them. So many
    /// threads of the process's own will be started besides those that are there.
    ///
    /// # Errors
    /// When the system has no more handles, or the listener's own address cannot be found out.
    pub fn open(listener: &TcpListener, threads_to_come: usize) -> io::Result<Front> {
        listener.set_nonblocking(false)?;
        let own = listener.try_clone()?;
        // tiny_http has a thread that accepts, and the handle that it accepts from only as long as
        // it does: without the handle, so that no connection is overlooked when it is gone.
        let idle = Census::take().map(|census| census.with_threads(threads_to_come + 1));
        let accepting = listener.try_clone()?;
        let http = Server::from_listener(accepting, None).map_err(io::Error::other)?;
        Ok(Front {
            http,
            listener: own,
            idle,
            is_draining: AtomicBool::new(false),
            has_stopped_accepting: AtomicBool::new(false),
            busy_workers: AtomicUsize::new(0),
            answered: AtomicU64::new(0),
        })
    }

    /// Answers requests, one after the other, until [`Front::finish`]. Many threads may do so.
    ///
    /// # Errors
    /// What ended the accepting of connections; `tiny_http` does not begin again.
    pub fn serve(&self, site: &Site) -> io::Result<()> {
        loop {
            match self.http.recv() {
                Ok(request) => {
                    self.busy_workers.fetch_add(1, SeqCst);
                    handle(self, site, request);
                    self.answered.fetch_add(1, SeqCst);
                    self.busy_workers.fetch_sub(1, SeqCst);
                }
                // The kind that tiny_http gives to `unblock()`; accept(2) has none of this kind.
                Err(error) if error.kind() == ErrorKind::Other => return Ok(()),
                Err(_) if self.is_draining() => self.has_stopped_accepting.store(true, SeqCst),
                Err(error) => return Err(error),
            }
        }
    }

    /// Wakes connections that `tiny_http` forgets, until the listener is shut down or drained.
    pub fn wake_forgotten(&self) {
        if let Some(idle) = self.idle {
            wake_forgotten(&self.listener, idle, || self.is_draining());
        }
    }

    /// True when clients are to use another connection for their next request.
    pub fn is_draining(&self) -> bool {
        self.is_draining.load(SeqCst)
    }

    /// Stops accepting, without closing the socket for those who connect, and waits until the
    /// requests of the accepted connections are answered: for each of the two, at most `patience`.
    pub fn drain(&self, patience: Duration) {
        self.stop_accepting();
        let has_stopped = || self.has_stopped_accepting.load(SeqCst);
        wait(patience, has_stopped);
        let mut answered = self.answered.load(SeqCst);
        let mut rest_since = Instant::now();
        wait(patience, || {
            let answered_now = self.answered.load(SeqCst);
            if self.busy_workers.load(SeqCst) > 0 || answered_now != answered {
                answered = answered_now;
                rest_since = Instant::now();
            }
            let connections = self
                .idle
                .and_then(|idle| Some(Census::take()?.connections(idle)));
            let is_deserted = connections == Some(0) && has_stopped();
            is_deserted || rest_since.elapsed() >= REST_DURATION
        });
    }

    /// Stops accepting, without closing the socket for those who connect.
    fn stop_accepting(&self) {
        self.is_draining.store(true, SeqCst);
        // accept(2) finds nothing to accept then and fails, at which tiny_http gives it up. The one
        // call that is under way already waits for a connection.
        let _ = self.listener.set_nonblocking(true);
        wake_one(&self.listener);
    }

    /// Closes the socket for new connections, unless it is systemd's as well, and has so many
    /// workers end once what is queued is answered.
    pub fn finish(&self, workers: usize) {
        if is_shared() {
            self.stop_accepting();
        } else {
            // tiny_http's accept(2) returns by it.
            let _ = rustix::net::shutdown(&self.listener, Shutdown::Both);
        }
        // Behind all queued requests; each worker takes one and ends.
        (0..workers).for_each(|_| self.http.unblock());
    }
}

fn wait(patience: Duration, mut is_over: impl FnMut() -> bool) {
    let deadline = Instant::now() + patience;
    while !is_over() && Instant::now() < deadline {
        thread::sleep(LOOK_INTERVAL);
    }
}
