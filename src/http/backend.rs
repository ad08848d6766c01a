//! The `tiny_http` servers behind the gate, their workers, and the channels to them.
//!
//! There are two servers. One has a single channel and a single worker, for short pushes: many are
//! pipelined down the channel at once, so that waking the worker is shared among them. The other
//! one has the rest of the workers and a channel for each, on which one request at a time is under
//! way; one of these channels is for health checks alone, so that there is always a worker for
//! them.
//!
//! `tiny_http` is connected to by Unix sockets. Nobody else can connect: their path is in a folder
//! that only this user may enter, and is removed as soon as all channels are there.

use std::collections::VecDeque;
use std::env;
use std::fs::{self, DirBuilder};
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Error, ErrorKind, Read, Write};
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::net::{Shutdown, shutdown};
use tiny_http::Server;

use super::connection::Token;
use super::exchange::Exchanges;
use super::worker::work;
use super::{AdminApi, Site};

/// One worker for short pushes, one for health checks, and one for all else.
pub const WORKERS_MIN: usize = 3;

/// Short requests that are under way on their channel at once. More of them wait in the gate.
const PIPELINED_MAX: usize = 32;

/// How long `tiny_http` may take to answer on a new channel.
const CONNECT_DURATION_MAX: Duration = Duration::from_secs(10);

/// Which channels a request may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// Of short pushes.
    Short,
    /// Of health checks.
    Health,
    /// Of deletions, which are made one by one. Only with the admin API.
    Removal,
    /// Of all else.
    Other,
}

/// Who waits for a response on a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waiter {
    /// A client, whose request has an exchange perhaps.
    Client {
        /// Its connection, which may have been closed meanwhile.
        token: Token,
        /// The slot of the exchange.
        slot: Option<usize>,
        /// Length of the body.
        body_bytes: usize,
    },
    /// The gate itself, which wants to know whether workers answer.
    SelfCheck,
}

/// A connection to a server.
#[derive(Debug)]
pub struct Channel {
    /// Never blocks.
    pub socket: UnixStream,
    /// Who may use it.
    pub lane: Lane,
    /// What is to be written to it.
    pub output: Vec<u8>,
    /// A response that is not whole yet.
    pub input: Vec<u8>,
    /// Those whose responses are to come, in that order.
    pub waiters: VecDeque<Waiter>,
}

impl Channel {
    /// Whether it takes another request.
    #[must_use]
    pub fn has_room(&self) -> bool {
        match self.lane {
            Lane::Short => self.waiters.len() < PIPELINED_MAX,
            Lane::Health | Lane::Removal | Lane::Other => self.waiters.is_empty(),
        }
    }

    /// Writes as much as is taken; the rest is written in the next turn of the loop.
    ///
    /// # Errors
    /// When the other end has gone.
    pub fn flush(&mut self) -> io::Result<()> {
        while !self.output.is_empty() {
            match (&self.socket).write(&self.output) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(bytes) if bytes == self.output.len() => self.output.clear(),
                Ok(bytes) => drop(self.output.drain(..bytes)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// Servers, workers and channels.
#[derive(Debug)]
pub struct Backend {
    /// All of them; the first one is that of short pushes, the second one that of health checks.
    pub channels: Vec<Channel>,
    servers: Vec<RunningServer>,
}

/// A server with its workers.
struct RunningServer {
    server: Arc<Server>,
    is_stopped: Arc<AtomicBool>,
    workers: Vec<JoinHandle<()>>,
}

impl std::fmt::Debug for RunningServer {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(to, "a server with {} workers", self.workers.len())
    }
}

impl Backend {
    /// Starts the servers, with this number of workers in all, and one more for deletions if they
    /// are on.
    ///
    /// # Errors
    /// When there is no folder for the sockets, or no thread to be had: one line.
    pub fn start(
        site: &Arc<Site>,
        exchanges: &Arc<Exchanges>,
        workers: usize,
    ) -> io::Result<Backend> {
        let folder = SocketFolder::new()?;
        let others = workers.max(WORKERS_MIN) - 2;
        // A deletion takes long, and others wait for it: they would keep all workers from scrapes.
        let removal = (site.admin_api == AdminApi::On).then_some(Lane::Removal);
        let lanes: Vec<Lane> = [Lane::Health]
            .into_iter()
            .chain(removal)
            .chain(std::iter::repeat_n(Lane::Other, others))
            .collect();
        let mut backend = Backend {
            channels: Vec::new(),
            servers: Vec::new(),
        };
        for lanes in [&[Lane::Short][..], &lanes] {
            backend.start_server(&folder, lanes, site, exchanges)?;
        }
        Ok(backend)
    }

    /// Starts a server with a worker and a channel for each of these lanes.
    fn start_server(
        &mut self,
        folder: &SocketFolder,
        lanes: &[Lane],
        site: &Arc<Site>,
        exchanges: &Arc<Exchanges>,
    ) -> io::Result<()> {
        let path = folder.path.join(self.servers.len().to_string());
        let listener = UnixListener::bind(&path)?;
        let own_listener = listener.try_clone()?;
        let server = Server::from_listener(listener, None).map_err(Error::other)?;
        let mut running = RunningServer {
            server: Arc::new(server),
            is_stopped: Arc::default(),
            workers: Vec::new(),
        };
        for _ in lanes {
            let (server, is_stopped) =
                (Arc::clone(&running.server), Arc::clone(&running.is_stopped));
            let (site, exchanges) = (Arc::clone(site), Arc::clone(exchanges));
            let worker = thread::Builder::new().name("worker".to_owned());
            let worker = worker.spawn(move || work(&server, &site, &exchanges, &is_stopped))?;
            running.workers.push(worker);
        }
        self.servers.push(running);
        for &lane in lanes {
            let socket = connect(&path)?;
            self.channels.push(Channel {
                socket,
                lane,
                output: Vec::new(),
                input: Vec::new(),
                waiters: VecDeque::new(),
            });
        }
        // It needs no more connections, and its thread ends.
        shutdown(&own_listener, Shutdown::Both)?;
        Ok(())
    }

    /// Closes the channels and has the workers end once they have answered what they are at. Those
    /// who want to wait for that join what comes back.
    #[must_use]
    pub fn stop(self) -> Vec<JoinHandle<()>> {
        drop(self.channels);
        let mut workers = Vec::new();
        for running in self.servers {
            running.is_stopped.store(true, SeqCst);
            running
                .workers
                .iter()
                .for_each(|_| running.server.unblock());
            workers.extend(running.workers);
        }
        workers
    }
}

/// Connects, and waits until the connection has a thread: the pool of `tiny_http` 0.12 forgets some
/// of several connections that come at once.
fn connect(path: &Path) -> io::Result<UnixStream> {
    let mut socket = UnixStream::connect(path)?;
    socket.set_read_timeout(Some(CONNECT_DURATION_MAX))?;
    socket.write_all(b"GET /-/healthy HTTP/1.1\r\n\r\n")?;
    let mut response = Vec::new();
    while !response.ends_with(b"}") {
        let mut bytes = [0; 1024];
        match socket.read(&mut bytes)? {
            0 => return Err(ErrorKind::UnexpectedEof.into()),
            length => response.extend_from_slice(&bytes[..length]),
        }
    }
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// Tells whether there is a folder for the sockets.
///
/// # Errors
/// One line that says where it was looked for.
pub fn check_folder() -> io::Result<()> {
    SocketFolder::new().map(drop)
}

/// A folder that only this user may enter, and that goes with its value.
struct SocketFolder {
    path: PathBuf,
}

impl SocketFolder {
    fn new() -> io::Result<SocketFolder> {
        let from_environment = ["RUNTIME_DIRECTORY", "TMPDIR"].map(env::var_os);
        let places = from_environment.into_iter().flatten().map(PathBuf::from);
        let places = places.chain(["/tmp", "/dev/shm"].map(PathBuf::from));
        let mut tried = Vec::new();
        for place in places {
            // A name that nobody could have taken before.
            let random = RandomState::new().hash_one(());
            let path = place.join(format!("aggregation-gateway-{random:016x}"));
            match DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => {
                    let folder = SocketFolder { path };
                    // Its name may be too long for a socket's.
                    match UnixListener::bind(folder.path.join("trial")) {
                        Ok(_) => return Ok(folder),
                        Err(error) => tried.push(format!("{}: {error}", place.display())),
                    }
                }
                Err(error) => tried.push(format!("{}: {error}", place.display())),
            }
        }
        let tried = tried.join("; ");
        let line = format!(
            "no folder for the sockets between the gateway's threads; set TMPDIR to a folder that \
             can be written to ({tried})"
        );
        Err(Error::other(line))
    }
}

impl Drop for SocketFolder {
    fn drop(&mut self) {
        // What is left is an empty folder, in the worst case.
        let _ = fs::remove_dir_all(&self.path);
    }
}
