//! What the main thread waits for: signals, and the end of accepting.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};

use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use prometheus_aggregation_gateway::status::Recycle;
use rustix::event::{PollFd, PollFlags, poll};

/// What happened.
pub enum Event {
    /// The process is to end.
    Terminate(&'static str),
    /// It is to go on as a fresh image of its program.
    HandOver,
    /// The front end is not well.
    Recycle(Recycle),
}

/// The signals of this process, and what its threads report.
///
/// The signals stay blocked, in all threads: a blocked signal waits, even while this image is
/// replaced, and is then found by the next one.
pub struct Events {
    signals: SignalFd,
    bell: UnixStream,
    reports: Receiver<Recycle>,
    reporter: Reporter,
}

/// Reports that the front end is not well.
#[derive(Clone)]
pub struct Reporter {
    bell: Arc<UnixStream>,
    reports: Sender<Recycle>,
}

impl Reporter {
    pub fn recycle(&self, why: Recycle) {
        // Nobody listens when the process is ending already.
        let _ = self.reports.send(why);
        let _ = (&*self.bell).write(b"!");
    }
}

impl Events {
    /// To be called before other threads are started: they inherit what is blocked.
    pub fn new() -> io::Result<Events> {
        let signals = SigSet::from_iter([Signal::SIGHUP, Signal::SIGTERM, Signal::SIGINT]);
        signals.thread_block()?;
        let (bell, far_bell) = UnixStream::pair()?;
        let (sender, reports) = mpsc::channel();
        let reporter = Reporter {
            bell: Arc::new(far_bell),
            reports: sender,
        };
        Ok(Events {
            signals: SignalFd::with_flags(&signals, SfdFlags::SFD_CLOEXEC)?,
            bell,
            reports,
            reporter,
        })
    }

    pub fn reporter(&self) -> Reporter {
        self.reporter.clone()
    }

    /// Forgets what was reported of a front end that is gone.
    pub fn forget_reports(&self) {
        self.reports.try_iter().for_each(drop);
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
            let [has_signal, has_report] = polled.map(|polled| !polled.revents().is_empty());
            if has_signal && let Some(signal) = self.signals.read_signal()? {
                match Signal::try_from(signal.ssi_signo.cast_signed())? {
                    Signal::SIGHUP => return Ok(Event::HandOver),
                    Signal::SIGTERM => return Ok(Event::Terminate("SIGTERM")),
                    _ => return Ok(Event::Terminate("SIGINT")),
                }
            }
            if has_report {
                let _ = self.bell.read(&mut [0])?;
                if let Ok(why) = self.reports.try_recv() {
                    return Ok(Event::Recycle(why));
                }
            }
        }
    }
}
