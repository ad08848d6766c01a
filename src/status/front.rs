//! What there is to say of the front end: how much of each limit is used, whom it hung up on, how
//! often it had to begin anew.

use std::fmt::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::page::{Counters, PREFIX, head, labelled};

/// What there is only so much of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resource {
    /// Time series that are stored.
    Series,
    /// The length of a pushed body.
    BodyBytes,
    /// The labels of a series.
    Labels,
    /// The length of a name or of a label's value.
    LabelBytes,
    /// Open connections.
    Connections,
    /// File descriptors of the process.
    Descriptors,
    /// Threads of the process.
    Threads,
    /// Threads that answer requests.
    Workers,
    /// Memory of the process.
    MemoryBytes,
}

impl Resource {
    const ALL: [(Resource, &str); 9] = [
        (Resource::Series, "series"),
        (Resource::BodyBytes, "body_bytes"),
        (Resource::Labels, "labels"),
        (Resource::LabelBytes, "label_bytes"),
        (Resource::Connections, "connections"),
        (Resource::Descriptors, "descriptors"),
        (Resource::Threads, "threads"),
        (Resource::Workers, "workers"),
        (Resource::MemoryBytes, "memory_bytes"),
    ];
}

/// Why a client was hung up on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HangUp {
    /// The head of its request did not arrive in time.
    Head,
    /// The body did not.
    Body,
    /// It did not read its answer in time.
    Answer,
    /// It kept its connection without using it.
    Idle,
    /// There were too many connections, and it did not use its own.
    Crowded,
    /// It sent much that was no request, or many requests ahead of their answers.
    Flood,
}

impl HangUp {
    const ALL: [(HangUp, &str); 6] = [
        (HangUp::Head, "head"),
        (HangUp::Body, "body"),
        (HangUp::Answer, "answer"),
        (HangUp::Idle, "idle"),
        (HangUp::Crowded, "crowded"),
        (HangUp::Flood, "flood"),
    ];
}

/// Why the front end is begun anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recycle {
    /// It accepts no more connections.
    Accept,
    /// It does not answer.
    Deaf,
    /// It is full of connections that cannot be closed any more.
    Abandoned,
}

impl Recycle {
    const ALL: [(Recycle, &str); 3] = [
        (Recycle::Accept, "accept"),
        (Recycle::Deaf, "deaf"),
        (Recycle::Abandoned, "abandoned"),
    ];
}

/// What is not known.
const UNKNOWN: u64 = u64::MAX;

/// The counters and gauges of the front end.
#[derive(Debug)]
pub struct FrontStatus {
    limits: [AtomicU64; Resource::ALL.len()],
    used: [AtomicU64; Resource::ALL.len()],
    abandoned_connections: AtomicU64,
    hang_ups: [AtomicU64; HangUp::ALL.len()],
    recycles: [AtomicU64; Recycle::ALL.len()],
    panics: AtomicU64,
}

impl FrontStatus {
    pub(super) fn new() -> FrontStatus {
        let unknown = || std::array::from_fn(|_| AtomicU64::new(UNKNOWN));
        FrontStatus {
            limits: unknown(),
            used: unknown(),
            abandoned_connections: AtomicU64::new(0),
            hang_ups: Default::default(),
            recycles: Default::default(),
            panics: AtomicU64::new(0),
        }
    }

    /// Says how much there may be of something.
    pub fn set_limit(&self, resource: Resource, limit: usize) {
        self.limits[resource as usize].store(limit as u64, Relaxed);
    }

    /// How much there may be of something, if it was said.
    #[must_use]
    pub fn limit(&self, resource: Resource) -> Option<u64> {
        known(&self.limits[resource as usize])
    }

    /// Says how much there is of it.
    pub fn set_used(&self, resource: Resource, used: usize) {
        self.used[resource as usize].store(used as u64, Relaxed);
    }

    /// Says how many connections have ended and cannot be closed.
    pub fn set_abandoned_connections(&self, connections: usize) {
        self.abandoned_connections
            .store(connections as u64, Relaxed);
    }

    /// How many connections have ended and cannot be closed.
    #[must_use]
    pub fn abandoned_connections(&self) -> u64 {
        self.abandoned_connections.load(Relaxed)
    }

    /// Counts that a client was hung up on.
    pub fn count_hang_up(&self, why: HangUp) {
        self.hang_ups[why as usize].fetch_add(1, Relaxed);
    }

    /// Counts that the front end is begun anew.
    pub fn count_recycle(&self, why: Recycle) {
        self.recycles[why as usize].fetch_add(1, Relaxed);
    }

    /// Counts a panic, and says how many there were before.
    pub fn count_panic(&self) -> u64 {
        self.panics.fetch_add(1, Relaxed)
    }

    pub(super) fn counters(&self) -> Vec<Counters<'_>> {
        let hang_ups = HangUp::ALL.map(|(why, word)| (word, &self.hang_ups[why as usize]));
        let recycles = Recycle::ALL.map(|(why, word)| (word, &self.recycles[why as usize]));
        let panics = vec![(String::new(), &self.panics)];
        vec![
            (
                "connections_hung_up_total",
                "Connections ended by the gateway, by why.",
                labelled("reason", hang_ups),
            ),
            (
                "recycles_total",
                "How often the front end was begun anew, by why.",
                labelled("reason", recycles),
            ),
            (
                "panics_total",
                "Panics, nearly all of them of the HTTP library at connections that were reset.",
                panics,
            ),
        ]
    }

    pub(super) fn write(&self, to: &mut String) -> fmt::Result {
        let help = "How much there may be of it.";
        write_resources(to, "limit", help, &self.limits)?;
        let help = "How much there is of it.";
        write_resources(to, "used", help, &self.used)?;
        let help = "Connections that have ended and cannot be closed but by a new front end.";
        head(to, "connections_abandoned", "gauge", help)?;
        let abandoned = self.abandoned_connections();
        writeln!(to, "{PREFIX}connections_abandoned {abandoned}")
    }
}

fn write_resources(
    to: &mut String,
    name: &str,
    help: &str,
    values: &[AtomicU64; Resource::ALL.len()],
) -> fmt::Result {
    head(to, name, "gauge", help)?;
    for (resource, word) in Resource::ALL {
        if let Some(value) = known(&values[resource as usize]) {
            writeln!(to, "{PREFIX}{name}{{resource=\"{word}\"}} {value}")?;
        }
    }
    Ok(())
}

fn known(value: &AtomicU64) -> Option<u64> {
    Some(value.load(Relaxed)).filter(|&value| value != UNKNOWN)
}
