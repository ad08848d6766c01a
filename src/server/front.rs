//! One `tiny_http` server on a listening socket, the threads that work for it, and how to have it
//! stop accepting, for another image of the process to go on.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::AsRawFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::fstat;
use rustix::net::Shutdown;
use tiny_http::{Request, Server};

use super::Site;
use super::connections;
use super::distrusted::Distrusted;
use super::in_hand::{InHand, Numbered};
use super::pool::{Census, connect, wake_one};
use super::socket::{DESCRIPTORS, Socket, inode};
use super::worker::{Tenure, start_worker};
use super::workers::Workers;
use crate::listen::is_shared;
use crate::probe::{HEALTHY, status};

const LOOK_INTERVAL: Duration = Duration::from_millis(1);

/// No listening socket has more connections waiting.
const SHED_MAX: usize = 1 << 16;

/// How long a worker that does not stay waits for a request before it ends.
const IDLE_WORKER_DURATION_MAX: Duration = Duration::from_secs(1);

/// The thread that accepts, and the one that looks after the connections.
const OTHER_THREADS: usize = 2;

/// How much of what there is a front end may take.
#[derive(Clone, Copy, Debug)]
pub struct Extent {
    /// Workers that stay.
    pub workers: usize,
    /// Workers that may be started beside them while clients are waited for.
    pub more_workers_max: usize,
    /// Open connections.
    pub connections_max: usize,
    /// The length of all bodies that are being read.
    pub body_bytes_max: usize,
    /// The length of all long bodies that are being merged at once.
    pub merging_bytes_max: usize,
}

/// What accepts connections and answers their requests.
pub struct Front {
    http: Server,
    /// A second handle on the socket that the connections come from.
    listener: TcpListener,
    listener_inode: u64,
    /// Where `tiny_http` has its own handle on it, as long as it accepts.
    accepting: PathBuf,
    /// What this process has without any connection; unknown without `/proc`.
    idle: Option<Census>,
    site: Arc<Site>,
    connections_max: usize,
    workers: Workers,
    is_draining: AtomicBool,
    is_dismissed: AtomicBool,
    /// How many requests were taken from `tiny_http`, and how many have been answered.
    taken: Mutex<u64>,
    answered: AtomicU64,
    in_hand: InHand,
    distrusted: Distrusted,
    accept_ended: Box<dyn Fn(&io::Error) + Send + Sync>,
}

impl Front {
    /// Starts to accept connections and to answer requests. So many threads of the process's own
    /// will be started besides those that are there. `accept_ended` is told why no more connections
    /// are accepted, if it can be known: `tiny_http` does not begin again.
    ///
    /// # Errors
    /// When the system has no more handles or threads.
    pub fn open(
        listener: &TcpListener,
        extent: Extent,
        site: &Arc<Site>,
        threads_to_come: usize,
        accept_ended: impl Fn(&io::Error) + Send + Sync + 'static,
    ) -> io::Result<Arc<Front>> {
        listener.set_nonblocking(false)?;
        let own = listener.try_clone()?;
        // tiny_http has a handle that it accepts from only as long as it does: without it, so that
        // no connection is overlooked when it is gone.
        let threads = extent.workers + OTHER_THREADS + threads_to_come;
        let idle = Census::take().map(|census| census.with_threads(threads));
        let accepting = listener.try_clone()?;
        let number = accepting.as_raw_fd().to_string();
        // It panics where there is no thread to be had.
        let http = catch_unwind(AssertUnwindSafe(|| Server::from_listener(accepting, None)))
            .map_err(|_| io::Error::other("no thread can be started"))?
            .map_err(io::Error::other)?;
        let front = Arc::new(Front {
            http,
            listener_inode: fstat(&own)?.st_ino,
            listener: own,
            accepting: Path::new(DESCRIPTORS).join(number),
            idle,
            site: Arc::clone(site),
            connections_max: extent.connections_max,
            workers: Workers::new(&extent),
            is_draining: AtomicBool::new(false),
            is_dismissed: AtomicBool::new(false),
            taken: Mutex::new(0),
            answered: AtomicU64::new(0),
            in_hand: InHand::default(),
            distrusted: Distrusted::default(),
            accept_ended: Box::new(accept_ended),
        });
        for _ in 0..extent.workers {
            front.workers.hire_standing();
            start_worker(&front, Tenure::Standing)?;
        }
        let keeping = Arc::clone(&front);
        let keep = move || connections::keep(&keeping);
        let thread = thread::Builder::new().name("connections".to_owned());
        thread.spawn(keep)?;
        Ok(front)
    }

    /// What it serves.
    pub fn site(&self) -> &Site {
        &self.site
    }

    /// Those who answer.
    pub(super) fn workers(&self) -> &Workers {
        &self.workers
    }

    pub(super) fn listener(&self) -> &TcpListener {
        &self.listener
    }

    pub(super) fn listener_inode(&self) -> u64 {
        self.listener_inode
    }

    /// How many connections may be open.
    pub(super) fn connections_max(&self) -> usize {
        self.connections_max
    }

    /// True of a connection that came from the listener; one that was reset has no address left.
    pub(super) fn has_accepted(&self, socket: &Socket) -> bool {
        let port = |address: io::Result<SocketAddr>| address.map(|address| address.port());
        let own = port(self.listener.local_addr()).unwrap_or(0);
        port(socket.stream().local_addr()).is_ok_and(|port| port == own || port == 0)
    }

    /// The next request for a worker; none when it is to end.
    pub(super) fn next_request(&self, tenure: Tenure) -> Option<Numbered> {
        loop {
            // First by this, since it is numbered more surely.
            if let Some(request) = self.queued_request() {
                return Some(request);
            }
            let idle = self.workers.idle();
            let received = match tenure {
                Tenure::Standing => self.http.recv().map(Some),
                Tenure::WhileNeeded => self.http.recv_timeout(IDLE_WORKER_DURATION_MAX),
            };
            // Nothing may come between.
            let received =
                received.map(|request| request.map(|request| numbered(request, self.taken())));
            drop(idle);
            match received {
                Ok(Some(request)) => return Some(request),
                // Someone may wait for a client because this one was there for the next.
                Ok(None) if !self.is_dismissed() && !self.workers.has_idle() => {}
                // It may have been woken for a request, and given up in the same moment.
                Ok(None) => return self.queued_request(),
                Err(error) if error.kind() == io::ErrorKind::Other => return None,
                Err(error) => self.report(&error),
            }
        }
    }

    /// A request that no worker has taken yet, if there is one.
    fn queued_request(&self) -> Option<Numbered> {
        let taken = self.taken();
        match self.http.try_recv() {
            Ok(request) => request.map(|request| numbered(request, taken)),
            Err(error) => {
                drop(taken);
                self.report(&error);
                None
            }
        }
    }

    fn taken(&self) -> MutexGuard<'_, u64> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn report(&self, accept_ended: &io::Error) {
        if !self.is_draining() {
            (self.accept_ended)(accept_ended);
        }
    }

    fn is_dismissed(&self) -> bool {
        self.is_dismissed.load(SeqCst)
    }

    pub(super) fn count_answered(&self) {
        self.answered.fetch_add(1, SeqCst);
    }

    /// How many requests have been answered.
    pub(super) fn answered(&self) -> u64 {
        self.answered.load(SeqCst)
    }

    /// Wakes connections that `tiny_http` forgets, and tells how many there are in all.
    pub(super) fn wake_forgotten(&self) -> usize {
        let (Some(idle), Some(now)) = (self.idle, Census::take()) else {
            return 0;
        };
        let idle = idle.with_threads(self.workers.beyond_standing());
        now.wake_forgotten(idle, &self.listener);
        now.connections(idle)
    }

    /// What the workers have in hand.
    pub(super) fn in_hand(&self) -> &InHand {
        &self.in_hand
    }

    /// Clients that are not believed.
    pub(super) fn distrusted(&self) -> &Distrusted {
        &self.distrusted
    }

    /// True when clients are to use another connection for their next request.
    pub fn is_draining(&self) -> bool {
        self.is_draining.load(SeqCst)
    }

    /// False when `tiny_http` accepts no more connections, for whatever reason.
    #[must_use]
    pub fn is_accepting(&self) -> bool {
        // Without /proc that is not known.
        self.idle.is_none() || inode(&self.accepting) == Some(self.listener_inode)
    }

    /// True if it answers its own question, which comes the way that all others come.
    #[must_use]
    pub fn is_alive(&self, patience: Duration) -> bool {
        let ask = |connection| status(connection, HEALTHY, patience).ok();
        connect(&self.listener, patience).and_then(ask) == Some(200)
    }

    /// Stops accepting, without closing the socket for those who connect, and waits until the
    /// requests of the accepted connections are answered: for each of the two, at most `patience`.
    /// They are taken to be when nothing has happened for as long as `rest`: a client that has just
    /// connected is on its way to send a request, one that keeps its connection may send another.
    /// That time is counted in looks, not by the clock: on a machine that stands still or is short
    /// of processors the clients are late by as much.
    pub fn drain(&self, patience: Duration, rest: Duration) {
        self.stop_accepting();
        wait(patience, || !self.is_accepting());
        let mut answered = self.answered();
        let mut rested = Duration::ZERO;
        wait(patience, || {
            let answered_now = self.answered();
            rested += LOOK_INTERVAL;
            if self.workers.busy() > 0 || answered_now != answered {
                answered = answered_now;
                rested = Duration::ZERO;
            }
            let connections = self
                .idle
                .and_then(|idle| Some(Census::take()?.connections(idle)));
            let is_deserted = connections == Some(0) && !self.is_accepting();
            is_deserted || rested >= rest
        });
    }

    /// Ends the connections that nobody has accepted yet, after [`Front::drain`].
    pub fn shed(&self) {
        let accept = || self.listener.accept().ok();
        std::iter::from_fn(accept).take(SHED_MAX).for_each(drop);
    }

    /// Stops accepting, without closing the socket for those who connect.
    fn stop_accepting(&self) {
        self.is_draining.store(true, SeqCst);
        // accept(2) finds nothing to accept then and fails, at which tiny_http gives it up. The one
        // call that is under way already waits for a connection.
        let _ = self.listener.set_nonblocking(true);
        wake_one(&self.listener);
    }

    /// Closes the socket for new connections, unless it is systemd's as well, and has the workers
    /// end once what is queued is answered. False if that takes longer than `patience`.
    pub fn finish(&self, patience: Duration) -> bool {
        if is_shared() {
            self.stop_accepting();
        } else {
            self.is_draining.store(true, SeqCst);
            // tiny_http's accept(2) returns by it.
            let _ = rustix::net::shutdown(&self.listener, Shutdown::Both);
        }
        self.dismiss(patience)
    }

    /// Has the workers end once what is queued is answered. False if that takes longer than
    /// `patience`.
    pub fn dismiss(&self, patience: Duration) -> bool {
        self.is_dismissed.store(true, SeqCst);
        // Behind all queued requests; each worker takes one and ends, unless it takes it between
        // two requests: then one more is needed. One that is started later ends by itself.
        (0..self.workers.count()).for_each(|_| self.http.unblock());
        wait(patience, || {
            self.http.unblock();
            self.workers.count() == 0
        })
    }
}

fn numbered(request: Request, mut taken: MutexGuard<'_, u64>) -> Numbered {
    *taken += 1;
    Numbered {
        number: *taken,
        request,
    }
}

/// Waits until something is so, and tells whether it is.
fn wait(patience: Duration, mut is_so: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + patience;
    while !is_so() {
        if Instant::now() >= deadline {
            return false;
        }
        thread::sleep(LOOK_INTERVAL);
    }
    true
}
