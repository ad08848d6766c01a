//! The front end as the rest of the program sees it: started, told to end, asked whether it is
//! well.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::event::{EventfdFlags, eventfd};
use rustix::io::ioctl_fionbio;

use super::control::{Control, FrontCommand, FrontLimits};
use super::gate::{Gate, GateEnd};
use super::held::HeldConnection;
use super::{Log, Site};
use crate::listen::Listener;

/// A gate in a thread of its own.
#[derive(Debug)]
pub struct Front {
    thread: JoinHandle<io::Result<GateEnd>>,
    bell: OwnedFd,
    control: Arc<Control>,
    started: Instant,
    /// Hung up when the thread ends, for whatever reason.
    life: UnixStream,
}

impl Front {
    /// Serves the clients of listening sockets, and goes on with connections that another gate has
    /// let go of.
    ///
    /// # Errors
    /// When there is no thread, no descriptor or no folder to be had for it.
    pub fn start(
        listeners: &[Listener],
        held: Vec<HeldConnection>,
        limits: FrontLimits,
        site: &Arc<Site>,
        log: Log,
    ) -> io::Result<Front> {
        let listeners = listeners.iter().map(Listener::try_clone);
        let listeners = listeners.collect::<io::Result<Vec<_>>>()?;
        for listener in &listeners {
            ioctl_fionbio(listener, true)?;
        }
        let bell = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        let control = Arc::new(Control::default());
        let (life, far_life) = UnixStream::pair()?;
        let started = Instant::now();
        let mut gate = Gate::new(
            listeners,
            Arc::clone(site),
            limits,
            log,
            &bell,
            Arc::clone(&control),
        )?;
        let thread = thread::Builder::new().name("gate".to_owned());
        let thread = thread.spawn(move || {
            // It goes with the thread.
            let _life = far_life;
            for connection in held {
                gate.adopt(connection);
            }
            gate.run()
        })?;
        Ok(Front {
            thread,
            bell,
            control,
            started,
            life,
        })
    }

    /// Becomes readable when the gate has ended.
    #[must_use]
    pub fn life(&self) -> BorrowedFd<'_> {
        self.life.as_fd()
    }

    /// Whether the gate's loop has run, and a worker has answered a health check, within this time.
    #[must_use]
    pub fn is_well(&self, within: Duration) -> bool {
        let now_ms = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let is_recent = |at_ms: &AtomicU64| {
            let age_ms = now_ms.saturating_sub(at_ms.load(Relaxed));
            Duration::from_millis(age_ms) < within
        };
        is_recent(&self.control.turn_ms) && is_recent(&self.control.healthy_ms)
    }

    /// Has the gate end, and gives what is left of it.
    ///
    /// # Errors
    /// When it has ended before, by an error or a panic.
    pub fn end(self, command: FrontCommand) -> io::Result<GateEnd> {
        let told = self.control.command.lock();
        *told.unwrap_or_else(PoisonError::into_inner) = Some(command);
        let _ = rustix::io::write(&self.bell, &1u64.to_ne_bytes());
        let panicked = |_| io::Error::other("the gate's thread panicked");
        self.thread.join().map_err(panicked)?
    }
}

/// Connections to what the next image is given: a file's content, and the sockets in the same
/// order.
#[must_use]
pub fn pack(held: Vec<HeldConnection>) -> (Vec<u8>, Vec<OwnedFd>) {
    let (mut states, mut sockets) = (Vec::new(), Vec::new());
    for connection in held {
        states.push(connection.state);
        sockets.push(connection.socket);
    }
    (super::held::encode(&states), sockets)
}

/// What [`pack`] has packed; connections of which nothing can be read are closed.
#[must_use]
pub fn unpack(bytes: &[u8], sockets: Vec<OwnedFd>) -> Vec<HeldConnection> {
    let states = super::held::decode(bytes);
    // Nobody may get what is another one's.
    let states = states.filter(|states| states.len() == sockets.len());
    let pairs = sockets.into_iter().zip(states.unwrap_or_default());
    pairs
        .map(|(socket, state)| HeldConnection::new(socket, state))
        .collect()
}
