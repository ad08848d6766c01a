//! What the main thread waits for: signals, and the end of the front end. And what ends the process
//! while the main thread cannot wait for signals yet, since it is starting.

use std::io;
use std::os::fd::BorrowedFd;
use std::os::unix::net::UnixStream;
use std::process;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::logger;

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

/// Ends the process with status 0 when SIGTERM or SIGINT comes while it starts, which may take
/// long: a long journal is read, a slow disk or name server is waited for. Nothing is acknowledged
/// before the start is over, and a journal survives an end at any instant, so that the thread need
/// not ask the main one. Dropped when the start is over.
pub struct StartWatch {
    /// Hung up when the start is over.
    start: Option<UnixStream>,
    thread: Option<JoinHandle<()>>,
}

impl StartWatch {
    /// To be called when the signals are blocked. They are left to [`Events`] if the start is over
    /// within `grace` after the first of them.
    pub fn begin(grace: Duration) -> io::Result<StartWatch> {
        let signals = SigSet::from_iter([Signal::SIGTERM, Signal::SIGINT]);
        let signals = SignalFd::with_flags(&signals, SfdFlags::SFD_CLOEXEC)?;
        let grace = Timespec::try_from(grace).map_err(io::Error::other)?;
        let (start, far_start) = UnixStream::pair()?;
        let builder = thread::Builder::new().name("start".to_owned());
        let thread = builder.spawn(move || {
            if waits_for_signal(&signals, &far_start, grace) {
                logger::info("ended by a signal before the start was over");
                logger::flush();
                process::exit(0);
            }
        })?;
        Ok(StartWatch {
            start: Some(start),
            thread: Some(thread),
        })
    }
}

impl Drop for StartWatch {
    fn drop(&mut self) {
        drop(self.start.take());
        if let Some(thread) = self.thread.take() {
            // It has nothing to panic about.
            let _ = thread.join();
        }
    }
}

/// Returns when the start is over, with false, or when it is not over some time after a signal.
fn waits_for_signal(signals: &SignalFd, start: &UnixStream, grace: Timespec) -> bool {
    let mut timeout = None;
    loop {
        let mut polled = [
            PollFd::new(start, PollFlags::IN),
            PollFd::new(signals, PollFlags::IN),
        ];
        // The signal stays readable.
        let watched = if timeout.is_none() { 2 } else { 1 };
        match poll(&mut polled[..watched], timeout.as_ref()) {
            Err(rustix::io::Errno::INTR) => {}
            Err(_) => return false,
            Ok(0) => return true,
            Ok(_) if !polled[0].revents().is_empty() => return false,
            Ok(_) => timeout = Some(grace),
        }
    }
}
