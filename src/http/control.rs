//! What the gate is told, and what it shows of itself.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Limits of the front end.
#[derive(Clone, Copy, Debug)]
pub struct FrontLimits {
    /// Threads that answer requests.
    pub workers: usize,
    /// Open connections.
    pub connections_max: usize,
    /// Memory for what clients have sent and not read.
    pub buffered_bytes_max: usize,
}

/// What the gate is told.
#[derive(Clone, Copy, Debug)]
pub enum FrontCommand {
    /// To let go of the connections, for the next image of the process.
    Hold,
    /// To take no more requests, and to end when those that have begun are answered or after this
    /// time.
    Finish(Duration),
}

/// What the gate and the thread that has started it tell each other. The times are in milliseconds
/// of the gate's clock, and say when it last showed that it lives.
#[derive(Debug, Default)]
pub struct Control {
    /// What the gate has not obeyed yet. A bell rings after it was set.
    pub command: Mutex<Option<FrontCommand>>,
    /// The last turn of its loop.
    pub turn_ms: AtomicU64,
    /// The last health check that a worker has answered with 200.
    pub healthy_ms: AtomicU64,
}

impl Control {
    /// Notes how its own health check was answered.
    pub fn set_healthy(&self, now_ms: u64, code: u16) {
        if code == 200 {
            self.healthy_ms.store(now_ms, Relaxed);
        }
    }
}
