//! What the main thread waits for: signals, and the end of the front end.

use std::io;
use std::os::fd::BorrowedFd;
use std::time::Duration;

use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// What happened.
pub enum Event {
    /// The process is to end.
    Terminate(&'static str),
    /// It is to go on as a fresh image of its program.
    HandOver,
    /// The front end has ended by itself.
    FrontEnded,
    /// Nothing, for as long as was waited.
    Nothing,
}

/// The signals of this process.
///
/// The signals stay blocked, in all threads: a blocked signal waits, even while this image is
/// replaced, and is then found by the next one.
pub struct Events {
    signals: SignalFd,
}

impl Events {
    /// To be called before other threads are started: they inherit what is blocked.
    pub fn new() -> io::Result<Events> {
        let signals = SigSet::from_iter([Signal::SIGHUP, Signal::SIGTERM, Signal::SIGINT]);
        signals.thread_block()?;
        Ok(Events {
            signals: SignalFd::with_flags(&signals, SfdFlags::SFD_CLOEXEC)?,
        })
    }

    /// Waits for a signal, or for something to be read from `life`, for as long as `patience`.
    pub fn wait(&mut self, life: BorrowedFd<'_>, patience: Duration) -> io::Result<Event> {
        let timeout = Timespec::try_from(patience).map_err(io::Error::other)?;
        loop {
            let mut polled = [
                PollFd::new(&self.signals, PollFlags::IN),
                PollFd::new(&life, PollFlags::IN),
            ];
            match poll(&mut polled, Some(&timeout)) {
                Err(rustix::io::Errno::INTR) => continue,
                outcome => outcome?,
            };
            let [has_signal, has_ended] = polled.map(|polled| !polled.revents().is_empty());
            if has_signal && let Some(signal) = self.signals.read_signal()? {
                return Ok(match Signal::try_from(signal.ssi_signo.cast_signed())? {
                    Signal::SIGHUP => Event::HandOver,
                    Signal::SIGTERM => Event::Terminate("SIGTERM"),
                    _ => Event::Terminate("SIGINT"),
                });
            }
            return Ok(if has_ended {
                Event::FrontEnded
            } else {
                Event::Nothing
            });
        }
    }
}
