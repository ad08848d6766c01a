//! What the system allows this process, and what the front end may take of it.

use std::fs;
use std::io;
use std::os::fd::RawFd;
use std::path::{Path, PathBuf};

use prometheus_aggregation_gateway::cli::Config;
use prometheus_aggregation_gateway::server::Extent;
use rustix::io::fcntl_dupfd_cloexec;
use rustix::process::{Resource, Rlimit, getrlimit, getuid, setrlimit};

/// No more descriptors than that are asked for, or counted on.
const DESCRIPTORS_MAX: u64 = 1 << 20;

/// There is room for so many from the start: 32 KiB.
const DESCRIPTORS_AT_ONCE: u64 = 4096;

/// So many descriptors are left out of the limit while nothing is wrong, for a new image of the
/// process to be started when all others are taken.
const SPARE_DESCRIPTORS: u64 = 16;

/// What the process needs for itself, the journal being written anew included.
const OWN_DESCRIPTORS: usize = 32;

/// The same of threads, without workers.
const OWN_THREADS: usize = 16;

/// Nobody needs more, and looking after them costs time.
const CONNECTIONS_MAX: usize = 16_384;

/// The length of all bodies that are being read, unless that is less than two.
const BODIES_BYTES_MAX: usize = 512 << 20;

/// The length of all long bodies that are merged at once, unless that is less than one.
const MERGING_BYTES_MAX: usize = 32 << 20;

/// Workers that wait for slow clients.
const MORE_WORKERS_MAX: usize = 512;

/// What the system allows.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    pub descriptors: usize,
    pub threads: usize,
    pub memory_bytes: usize,
}

impl Bounds {
    /// Takes as many descriptors as may be had, and finds out about the rest.
    pub fn of_this_process() -> Bounds {
        let hard = getrlimit(Resource::Nofile).maximum;
        let descriptors = hard.unwrap_or(DESCRIPTORS_MAX).min(DESCRIPTORS_MAX);
        let descriptors = descriptors.saturating_sub(SPARE_DESCRIPTORS);
        let limit = Rlimit {
            current: Some(descriptors),
            maximum: hard,
        };
        // Else it stays as it is.
        let _ = setrlimit(Resource::Nofile, limit);
        let now = getrlimit(Resource::Nofile).current.unwrap_or(descriptors);
        make_room_for_descriptors(now);
        // Root may start as many as it likes.
        let processes = getrlimit(Resource::Nproc).current;
        let processes = processes.filter(|_| !getuid().is_root());
        let threads = [
            processes,
            of_control_group("pids.max"),
            number(Path::new("/proc/sys/kernel/threads-max")),
        ];
        let memory = [of_control_group("memory.max"), machine_memory_bytes()];
        Bounds {
            descriptors: size(now),
            threads: size(least(&threads)),
            memory_bytes: size(least(&memory)),
        }
    }

    /// What the front end may take.
    pub fn extent(&self, config: &Config) -> Extent {
        let (workers, body_bytes_max) = (config.workers.get(), config.body_bytes_max);
        let by_descriptors = self.descriptors.saturating_sub(OWN_DESCRIPTORS) / 2;
        let by_threads = self.threads.saturating_sub(OWN_THREADS + workers) / 4 * 3;
        let connections_max = config
            .connections_max
            .unwrap_or(CONNECTIONS_MAX)
            .min(by_descriptors)
            .min(by_threads)
            .max(1);
        Extent {
            workers,
            more_workers_max: MORE_WORKERS_MAX.min(self.threads / 8).min(connections_max),
            connections_max,
            body_bytes_max: BODIES_BYTES_MAX
                .max(2 * body_bytes_max)
                .min(self.memory_bytes / 4),
            merging_bytes_max: MERGING_BYTES_MAX,
        }
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

/// So many abandoned connections make a front end that is not worth to be kept.
pub fn abandoned_max(extent: &Extent) -> u64 {
    (extent.connections_max as u64 / 4).clamp(4, 256)
}

/// Lets the process have the spare descriptors as well.
pub fn take_spare_descriptors() {
    let maximum = getrlimit(Resource::Nofile).maximum;
    let limit = Rlimit {
        current: maximum,
        maximum,
    };
    // Without them it may still succeed.
    let _ = setrlimit(Resource::Nofile, limit);
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

/// A limit of the control group of this process, or of a group around it (cgroups(7), version 2).
fn of_control_group(file: &str) -> Option<u64> {
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    let path = groups.lines().find_map(|line| line.strip_prefix("0::/"))?;
    let group = PathBuf::from("/sys/fs/cgroup").join(path);
    let around = group
        .ancestors()
        .take_while(|group| group.starts_with("/sys/fs/cgroup"));
    around.filter_map(|group| number(&group.join(file))).min()
}

fn machine_memory_bytes() -> Option<u64> {
    memory_bytes("/proc/meminfo", "MemTotal:")
}

/// How much memory this process has.
pub fn resident_bytes() -> Option<usize> {
    memory_bytes("/proc/self/status", "VmRSS:").map(size)
}

/// A size in a file of proc(5), where it stands in kilobytes behind its name.
fn memory_bytes(path: &str, name: &str) -> Option<u64> {
    let text = fs::read_to_string(path).ok()?;
    let size = text.lines().find_map(|line| line.strip_prefix(name))?;
    let kilobytes: u64 = size.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kilobytes * 1024)
}
