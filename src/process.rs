//! What the system says of this process: how much it uses, and how much it may.
//!
//! Knows nothing of the gateway. What the system does not say, such as where `/proc` is hidden, is
//! unknown and not zero.

use std::fs;
use std::time::Duration;

use rustix::process::{Resource, getrlimit};
use rustix::time::{ClockId, clock_gettime};

/// What a process uses. Unknown is `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// CPU time of all threads, in user and system mode.
    pub cpu_duration: Option<Duration>,
    /// Open file descriptors.
    pub descriptors: Option<u64>,
    /// The limit of descriptors, which may be changed while the process runs.
    pub descriptors_max: Option<u64>,
    /// Address space.
    pub virtual_memory_bytes: Option<u64>,
    /// Memory in RAM.
    pub resident_memory_bytes: Option<u64>,
    /// Threads.
    pub threads: Option<u64>,
}

impl Usage {
    /// Of this process, now. Takes some 20 us, and 0.3 us for each descriptor.
    #[must_use]
    pub fn now() -> Usage {
        let cpu = clock_gettime(ClockId::ProcessCPUTime);
        let entries = fs::read_dir("/proc/self/fd").map(Iterator::count);
        let status = fs::read_to_string("/proc/self/status");
        Usage {
            cpu_duration: cpu.try_into().ok(),
            // One of them was for looking.
            descriptors: entries.ok().map(|count| count.saturating_sub(1) as u64),
            descriptors_max: getrlimit(Resource::Nofile).current,
            ..Usage::of_status(&status.unwrap_or_default())
        }
    }

    /// What stands in `/proc/self/status` (proc(5)).
    #[must_use]
    pub fn of_status(text: &str) -> Usage {
        Usage {
            virtual_memory_bytes: kilobytes(text, "VmSize:"),
            resident_memory_bytes: kilobytes(text, "VmRSS:"),
            threads: value(text, "Threads:").and_then(|number| number.parse().ok()),
            ..Usage::default()
        }
    }
}

/// A size in a file of proc(5), where it stands in kilobytes behind its name; in bytes.
#[must_use]
pub fn kilobytes(text: &str, name: &str) -> Option<u64> {
    let number = value(text, name)?.strip_suffix(" kB")?;
    number.parse::<u64>().ok()?.checked_mul(1024)
}

fn value<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let value = text.lines().find_map(|line| line.strip_prefix(name))?;
    Some(value.trim())
}
