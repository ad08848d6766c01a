//! A thread that never outlives its owner.

use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::{Failure, system};

/// Dropping it stops the thread and waits for its end.
pub struct OwnedThread {
    /// Dropped first: that is what the thread sees.
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// How a sleep has ended.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Sleep {
    /// By itself.
    Elapsed,
    /// Early, since the thread is to end.
    Stopped,
}

impl OwnedThread {
    /// Starts a thread. `body` must return soon after its receiver has lost its sender.
    pub fn start(
        name: &str,
        body: impl FnOnce(Receiver<()>) + Send + 'static,
    ) -> Result<OwnedThread, Failure> {
        let (stop, stopped) = mpsc::channel();
        let builder = thread::Builder::new().name(name.to_owned());
        let thread = builder.spawn(move || body(stopped));
        let thread =
            thread.map_err(|error| system(format!("cannot start the thread {name}: {error}")))?;
        Ok(OwnedThread {
            stop: Some(stop),
            thread: Some(thread),
        })
    }
}

impl Drop for OwnedThread {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic has been reported by its hook.
            let _ = thread.join();
        }
    }
}

/// Sleeps in a thread for `duration`, or less if the thread is to end.
pub fn sleep(stopped: &Receiver<()>, duration: Duration) -> Sleep {
    match stopped.recv_timeout(duration) {
        Err(RecvTimeoutError::Timeout) => Sleep::Elapsed,
        Ok(()) | Err(RecvTimeoutError::Disconnected) => Sleep::Stopped,
    }
}
