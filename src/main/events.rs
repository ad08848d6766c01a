//! What the main thread waits for: signals, and the end of accepting.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};

use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use rustix::event::{PollFd, PollFlags, poll};

/// What happened.
pub enum Event {
    /// The process is to end.
    Terminate(&'static str),
    /// It is to go on as a fresh image of its program.
    HandOver,
    /// No more connections are accepted.
    AcceptEnded(io::Error),
}

/// The signals of this process, and what its threads report.
///
/// The signals stay blocked, in all threads: a blocked signal waits, even while this image is
/// replaced, and is then found by the next one.
pub struct Events {
    signals: SignalFd,
    bell: UnixStream,
    errors: Receiver<io::Error>,
    reporter: Reporter,
}

/// Reports the end of accepting.
#[derive(Clone)]
pub struct Reporter {
    bell: Arc<UnixStream>,
    errors: Sender<io::Error>,
}

impl Reporter {
    pub fn accept_ended(&self, error: io::Error) {
        // Nobody listens when the process is ending already.
        let _ = self.errors.send(error);
        let _ = (&*self.bell).write(b"!");
    }
}

impl Events {
    /// To be called before other threads are started: they inherit what is blocked.
    pub fn new() -> io::Result<Events> {
        let signals = SigSet::from_iter([Signal::SIGHUP, Signal::SIGTERM, Signal::SIGINT]);
        signals.thread_block()?;
        let (bell, far_bell) = UnixStream::pair()?;
        let (sender, errors) = mpsc::channel();
        let reporter = Reporter {
            bell: Arc::new(far_bell),
            errors: sender,
        };
        Ok(Events {
            signals: SignalFd::with_flags(&signals, SfdFlags::SFD_CLOEXEC)?,
            bell,
            errors,
            reporter,
        })
    }

    pub fn reporter(&self) -> Reporter {
        self.reporter.clone()
    }

    pub fn wait(&mut self) -> io::Result<Event> {
        loop {
            let mut polled = [
                PollFd::new(&self.signals, PollFlags::IN),
                PollFd::new(&self.bell, PollFlags::IN),
            ];
            match poll(&mut polled, None) {
                Err(rustix::io::Errno::INTR) => continue,
                outcome => outcome?,
            };
            let [has_signal, has_error] = polled.map(|polled| !polled.revents().is_empty());
            if has_signal && let Some(signal) = self.signals.read_signal()? {
                match Signal::try_from(signal.ssi_signo.cast_signed())? {
                    Signal::SIGHUP => return Ok(Event::HandOver),
                    Signal::SIGTERM => return Ok(Event::Terminate("SIGTERM")),
                    _ => return Ok(Event::Terminate("SIGINT")),
                }
            }
            if has_error {
                let _ = self.bell.read(&mut [0])?;
                if let Ok(error) = self.errors.try_recv() {
                    return Ok(Event::AcceptEnded(error));
                }
            }
        }
    }
}
