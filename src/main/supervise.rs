//! Looks whether the front end is well, tells so, and asks for a new one when it is not.

use std::fs;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use prometheus_aggregation_gateway::server::Front;
use prometheus_aggregation_gateway::status::{FrontStatus, Recycle, Resource};

use super::bounds::resident_bytes;
use super::events::Reporter;
use super::notify::notify;
use super::{Failure, spawn_joinable};

const LOOK_INTERVAL: Duration = Duration::from_millis(250);

/// How often the gateway asks itself for an answer, and counts what it uses.
const PROBE_INTERVAL: Duration = Duration::from_secs(2);

/// How long the answer may take. It is a busy machine if it takes a second.
const PROBE_DURATION_MAX: Duration = Duration::from_secs(3);

/// So many probes in a row are without answer when the front end is taken to be deaf.
const FAILED_PROBES_MAX: u32 = 2;

/// No front end is given up sooner.
const FRONT_DURATION_MIN: Duration = Duration::from_secs(3);

/// Starts the thread that supervises a front end, as long as that accepts connections.
pub fn supervise(
    front: &Arc<Front>,
    abandoned_max: u64,
    reporter: Reporter,
) -> Result<JoinHandle<()>, Failure> {
    let front = Arc::clone(front);
    spawn_joinable("supervisor", move || {
        let started = Instant::now();
        let mut probes = Probes {
            next: started,
            failed: 0,
        };
        while !front.is_draining() {
            thread::sleep(LOOK_INTERVAL);
            let status = &front.site().status.front;
            let why = if !front.is_accepting() {
                Some(Recycle::Accept)
            } else if status.abandoned_connections() >= abandoned_max {
                Some(Recycle::Abandoned)
            } else {
                probes.run_when_due(&front)
            };
            let may_give_up = started.elapsed() >= FRONT_DURATION_MIN && !front.is_draining();
            if let (Some(why), true) = (why, may_give_up) {
                reporter.recycle(why);
                return;
            }
        }
    })
}

struct Probes {
    next: Instant,
    failed: u32,
}

impl Probes {
    fn run_when_due(&mut self, front: &Front) -> Option<Recycle> {
        if Instant::now() < self.next {
            return None;
        }
        self.next = Instant::now() + PROBE_INTERVAL;
        count_use(&front.site().status.front);
        if front.is_alive(PROBE_DURATION_MAX) {
            self.failed = 0;
            let held = front.site().gateway.size();
            notify(&format!(
                "WATCHDOG=1\nSTATUS={} families, {} series",
                held.families, held.series
            ));
        } else if !front.is_draining() {
            self.failed += 1;
        }
        (self.failed >= FAILED_PROBES_MAX).then_some(Recycle::Deaf)
    }
}

fn count_use(status: &FrontStatus) {
    let count = |folder| fs::read_dir(folder).map(Iterator::count);
    if let Ok(descriptors) = count("/proc/self/fd") {
        status.set_used(Resource::Descriptors, descriptors);
    }
    if let Ok(threads) = count("/proc/self/task") {
        status.set_used(Resource::Threads, threads);
    }
    if let Some(bytes) = resident_bytes() {
        status.set_used(Resource::MemoryBytes, bytes);
    }
}
