//! What the system says of this process: how much it uses, and how much it may.
//!
//! Knows nothing of the gateway. What the system does not say, such as where `/proc` is hidden, is
//! unknown and not zero.

use std::fs;
use std::time::Duration;

use rustix::process::{Resource, getrlimit};

/// Of the system's clock that CPU time is shown in: `USER_HZ`, the same on all architectures here.
const TICKS_PER_SECOND: u64 = 100;

/// What a process uses. Unknown is `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// CPU time of all threads, in user and system mode. The system shows hundredths of a second.
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
        let entries = fs::read_dir("/proc/self/fd").map(Iterator::count);
        let [stat, status] = ["stat", "status"].map(|file| {
            let text = fs::read_to_string(format!("/proc/self/{file}"));
            text.unwrap_or_default()
        });
        Usage {
            // One of them was for looking.
            descriptors: entries.ok().map(|count| count.saturating_sub(1) as u64),
            descriptors_max: getrlimit(Resource::Nofile).current,
            ..Usage::read(&stat, &status)
        }
    }

    /// What stands in the files `stat` and `status` of a process (proc(5)).
    #[must_use]
    pub fn read(stat: &str, status: &str) -> Usage {
        Usage {
            cpu_duration: cpu_duration(stat),
            virtual_memory_bytes: kilobytes(status, "VmSize:"),
            resident_memory_bytes: kilobytes(status, "VmRSS:"),
            threads: value(status, "Threads:").and_then(|number| number.parse().ok()),
            ..Usage::default()
        }
    }
}

/// Fields 14 and 15; the second one is a name in parentheses, which may hold anything.
fn cpu_duration(stat: &str) -> Option<Duration> {
    let (_, behind_name) = stat.rsplit_once(") ")?;
    let mut fields = behind_name.split(' ').skip(11);
    let mut ticks = || fields.next()?.parse::<u64>().ok();
    let ticks = ticks()?.checked_add(ticks()?)?;
    let millis = ticks.checked_mul(1_000 / TICKS_PER_SECOND)?;
    Some(Duration::from_millis(millis))
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
