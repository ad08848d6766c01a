//! What the system allows this process, and what the front end may take of it.

use std::fs;
use std::io;
use std::os::fd::RawFd;
use std::path::Path;

use prometheus_aggregation_gateway::cli::Config;
use prometheus_aggregation_gateway::http::{FrontLimits, WORKERS_MIN};
use prometheus_aggregation_gateway::process::{Usage, kilobytes};
use prometheus_aggregation_gateway::status::{FrontStatus, Resource};
use rustix::io::fcntl_dupfd_cloexec;
use rustix::process::{Resource as SystemResource, Rlimit, getrlimit, setrlimit};

use super::{Failure, usage};

/// No more descriptors than that are asked for, or counted on.
const DESCRIPTORS_MAX: u64 = 1 << 20;

/// Room for this number of descriptors is made at the start: 32 KiB.
const DESCRIPTORS_AT_ONCE: u64 = 4096;

/// What the process needs for itself, a compaction of the journal included.
const OWN_DESCRIPTORS: usize = 64;

/// Nobody needs more, and looking after them costs time.
const CONNECTIONS_MAX: usize = 65_536;

/// By default, memory for what clients have sent and not read is a quarter of all, and no more than
/// this.
const BUFFERED_BYTES_MAX: usize = 512 << 20;

/// What the system allows.
#[derive(Clone, Copy, Debug)]
pub struct SystemLimits {
    pub descriptors: usize,
    pub memory_bytes: usize,
}

impl SystemLimits {
    /// Takes as many descriptors as may be had, and finds out about the rest.
    pub fn of_this_process() -> SystemLimits {
        let hard = getrlimit(SystemResource::Nofile).maximum;
        let descriptors = hard.unwrap_or(DESCRIPTORS_MAX).min(DESCRIPTORS_MAX);
        let limit = Rlimit {
            current: Some(descriptors),
            maximum: hard,
        };
        // Else it stays as it is.
        let _ = setrlimit(SystemResource::Nofile, limit);
        let now = getrlimit(SystemResource::Nofile)
            .current
            .unwrap_or(descriptors);
        make_room_for_descriptors(now);
        let memory = [control_group_memory_bytes(), machine_memory_bytes()];
        SystemLimits {
            descriptors: size(now),
            memory_bytes: size(least(&memory)),
        }
    }

    /// What the front end may take.
    pub fn front_limits(&self, config: &Config) -> Result<FrontLimits, Failure> {
        let by_descriptors = self.descriptors.saturating_sub(OWN_DESCRIPTORS);
        let connections_max = config.connections_max.unwrap_or(CONNECTIONS_MAX);
        let body_bytes_max = config.body_bytes_max;
        // A small machine gives more of what it has.
        let least = body_bytes_max.saturating_mul(2).min(self.memory_bytes / 2);
        let by_default = (self.memory_bytes / 4).min(BUFFERED_BYTES_MAX).max(least);
        let buffered_bytes_max = config.buffered_bytes_max.unwrap_or(by_default);
        if buffered_bytes_max / 2 < body_bytes_max {
            return Err(usage(format!(
                "flag -max-buffered-bytes: {buffered_bytes_max} is less than twice \
                 -max-body-bytes, which is {body_bytes_max}"
            )));
        }
        Ok(FrontLimits {
            workers: config.workers.get().max(WORKERS_MIN),
            connections_max: connections_max.min(by_descriptors).max(1),
            buffered_bytes_max,
        })
    }
}

/// The table of descriptors grows by doubling, and where there are threads, a growing table makes
/// the one that opens something wait for tens of milliseconds each time. So it grows now.
fn make_room_for_descriptors(limit: u64) {
    let last = limit.clamp(1, DESCRIPTORS_AT_ONCE) - 1;
    let last = RawFd::try_from(last).unwrap_or(0);
    // It need not succeed.
    drop(fcntl_dupfd_cloexec(io::stderr(), last));
}

/// Counts what the process uses, for the page of its own metrics.
pub fn count_use(status: &FrontStatus) {
    let usage = Usage::now();
    for (resource, used) in [
        (Resource::Descriptors, usage.descriptors),
        (Resource::Threads, usage.threads),
        (Resource::MemoryBytes, usage.resident_memory_bytes),
    ] {
        if let Some(used) = used {
            status.set_used(resource, size(used));
        }
    }
}

fn size(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

fn least(limits: &[Option<u64>]) -> u64 {
    limits.iter().flatten().copied().min().unwrap_or(u64::MAX)
}

fn number(path: &Path) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// The memory limit of the control group of this process, or of a group around it (cgroups(7)):
/// version 2, and version 1, where the line of its controller names the group.
fn control_group_memory_bytes() -> Option<u64> {
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    let limit = |controllers: &str, folder: &str, file: &str| {
        let named = format!(":{controllers}:/");
        let path = groups
            .lines()
            .find_map(|line| Some(line.split_once(&named)?.1))?;
        let group = Path::new(folder).join(path);
        let around = group
            .ancestors()
            .take_while(|group| group.starts_with(folder));
        around.filter_map(|group| number(&group.join(file))).min()
    };
    let version_2 = limit("", "/sys/fs/cgroup", "memory.max");
    let version_1 = limit("memory", "/sys/fs/cgroup/memory", "memory.limit_in_bytes");
    version_2.into_iter().chain(version_1).min()
}

fn machine_memory_bytes() -> Option<u64> {
    kilobytes(&fs::read_to_string("/proc/meminfo").ok()?, "MemTotal:")
}
