//! What there is to say of the front end: its connections, how much of each limit is used, why
//! connections were closed.

use std::collections::HashMap;
use std::fmt::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::AtomicHistogram;
use super::page::{Counters, PREFIX, head, labelled};
use crate::overview::Limit;

/// A limited resource.
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
    /// Remembered idempotency keys, of both generations.
    IdempotencyKeys,
    /// Remembered numbers of senders.
    SenderSeries,
    /// Open connections.
    Connections,
    /// File descriptors of the process.
    Descriptors,
    /// Threads of the process.
    Threads,
    /// Threads that answer requests.
    Workers,
    /// What clients have sent and have not read.
    BufferedBytes,
    /// Memory of the process.
    MemoryBytes,
}

impl Resource {
    const ALL: [(Resource, &str); 12] = [
        (Resource::Series, "series"),
        (Resource::BodyBytes, "body_bytes"),
        (Resource::Labels, "labels"),
        (Resource::LabelBytes, "label_bytes"),
        (Resource::IdempotencyKeys, "idempotency_keys"),
        (Resource::SenderSeries, "sender_series"),
        (Resource::Connections, "connections"),
        (Resource::Descriptors, "descriptors"),
        (Resource::Threads, "threads"),
        (Resource::Workers, "workers"),
        (Resource::BufferedBytes, "buffered_bytes"),
        (Resource::MemoryBytes, "memory_bytes"),
    ];
}

/// What a connection is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum ConnectionState {
    Idle,
    Head,
    Body,
    /// A whole request waits for a worker.
    Queued,
    /// A worker has it.
    InFlight,
    Responding,
    /// It has been refused, and is given time to see that.
    Lingering,
}

impl ConnectionState {
    /// How many there are.
    pub const COUNT: usize = ConnectionState::ALL.len();

    const ALL: [(ConnectionState, &str); 7] = [
        (ConnectionState::Idle, "idle"),
        (ConnectionState::Head, "head"),
        (ConnectionState::Body, "body"),
        (ConnectionState::Queued, "queued"),
        (ConnectionState::InFlight, "in_flight"),
        (ConnectionState::Responding, "responding"),
        (ConnectionState::Lingering, "lingering"),
    ];
}

/// Why a connection was closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseReason {
    /// The client has closed it.
    Client,
    /// All was said: the client, or a refusal, had asked for that.
    Done,
    /// The head of a request did not arrive in time.
    Head,
    /// The body did not.
    Body,
    /// The client did not read a response in time.
    Answer,
    /// It was not used for too long.
    Idle,
    /// There were too many connections.
    Crowded,
    /// What came is no request.
    Malformed,
    /// The client sent slowly while memory was short.
    SlowSender,
    /// The client read slowly while others waited.
    SlowReader,
    /// A worker's response broke off.
    Backend,
    /// The system gave no memory for a body.
    NoMemory,
    /// A request with a body showed none of the tokens.
    Unauthorized,
}

impl CloseReason {
    const ALL: [(CloseReason, &str); 13] = [
        (CloseReason::Client, "client"),
        (CloseReason::Done, "done"),
        (CloseReason::Head, "head"),
        (CloseReason::Body, "body"),
        (CloseReason::Answer, "answer"),
        (CloseReason::Idle, "idle"),
        (CloseReason::Crowded, "crowded"),
        (CloseReason::Malformed, "malformed"),
        (CloseReason::SlowSender, "slow_sender"),
        (CloseReason::SlowReader, "slow_reader"),
        (CloseReason::Backend, "backend"),
        (CloseReason::NoMemory, "no_memory"),
        (CloseReason::Unauthorized, "unauthorized"),
    ];
}

/// What is not known.
const UNKNOWN: u64 = u64::MAX;

const QUEUE_DURATION: &str = "queue_duration_seconds";
const MILLISECONDS: f64 = 1e3;

/// The counters and gauges of the front end.
#[derive(Debug)]
pub struct FrontStatus {
    limits: [AtomicU64; Resource::ALL.len()],
    used: [AtomicU64; Resource::ALL.len()],
    connections: [AtomicU64; ConnectionState::COUNT],
    closes: [AtomicU64; CloseReason::ALL.len()],
    queue_duration_milliseconds: AtomicHistogram<6>,
    backend_failures: AtomicU64,
    panics: AtomicU64,
}

impl FrontStatus {
    pub(super) fn new() -> FrontStatus {
        let unknown = || std::array::from_fn(|_| AtomicU64::new(UNKNOWN));
        FrontStatus {
            limits: unknown(),
            used: unknown(),
            connections: Default::default(),
            closes: Default::default(),
            queue_duration_milliseconds: AtomicHistogram::new([1, 10, 100, 1_000, 10_000, 100_000]),
            backend_failures: AtomicU64::new(0),
            panics: AtomicU64::new(0),
        }
    }

    /// Sets the limit of a resource.
    pub fn set_limit(&self, resource: Resource, limit: usize) {
        self.limits[resource as usize].store(limit as u64, Relaxed);
    }

    /// The limit of a resource, if it was set.
    #[must_use]
    pub fn limit(&self, resource: Resource) -> Option<u64> {
        known(&self.limits[resource as usize])
    }

    /// Sets how much of a resource is used.
    pub fn set_used(&self, resource: Resource, used: usize) {
        self.used[resource as usize].store(used as u64, Relaxed);
    }

    /// The limits and how much of each is used.
    pub(super) fn limits(&self) -> Vec<Limit> {
        let limit = |(resource, word)| Limit {
            resource: word,
            used: known(&self.used[resource as usize]),
            limit: self.limit(resource),
        };
        Resource::ALL.map(limit).into()
    }

    /// Sets how many connections are in each state.
    pub fn set_connections(&self, by_state: &[usize; ConnectionState::COUNT]) {
        for (connections, &now) in self.connections.iter().zip(by_state) {
            connections.store(now as u64, Relaxed);
        }
    }

    /// Counts a connection that was closed. One that lingers after a refusal is counted twice: for
    /// that, and when it is done.
    pub fn count_close(&self, reason: CloseReason) {
        self.closes[reason as usize].fetch_add(1, Relaxed);
    }

    /// Counts a request that has waited for a worker.
    pub fn observe_queue_wait(&self, milliseconds: u64) {
        self.queue_duration_milliseconds.observe(milliseconds);
    }

    /// Counts that the workers were replaced since a response of theirs broke off.
    pub fn count_backend_failure(&self) {
        self.backend_failures.fetch_add(1, Relaxed);
    }

    /// Counts a panic, and says how many there were before.
    pub fn count_panic(&self) -> u64 {
        self.panics.fetch_add(1, Relaxed)
    }

    pub(super) fn counters(&self) -> Vec<Counters<'_>> {
        let closes = CloseReason::ALL.map(|(reason, word)| (word, &self.closes[reason as usize]));
        let alone = |counter| vec![(String::new(), counter)];
        vec![
            (
                "connections_closed_total",
                "Connections closed by the gateway or the client, by reason.",
                labelled("reason", closes),
            ),
            (
                "backend_failures_total",
                "Times that all worker threads were replaced because a response was incomplete.",
                alone(&self.backend_failures),
            ),
            (
                "panics_total",
                "Panics in any thread of the gateway.",
                alone(&self.panics),
            ),
        ]
    }

    pub(super) fn restore(&self, values: &HashMap<&str, &str>) {
        self.queue_duration_milliseconds
            .restore(values, QUEUE_DURATION, MILLISECONDS);
    }

    pub(super) fn write(&self, to: &mut String) -> fmt::Result {
        let help = "Configured or detected limit, by resource.";
        write_resources(to, "limit", help, &self.limits)?;
        let help = "Current use of a limited resource, by resource.";
        write_resources(to, "used", help, &self.used)?;
        let help = "Open client connections, by state.";
        head(to, "connections", "gauge", help)?;
        for (state, word) in ConnectionState::ALL {
            let connections = self.connections[state as usize].load(Relaxed);
            writeln!(to, "{PREFIX}connections{{state=\"{word}\"}} {connections}")?;
        }
        let help = "Time that complete requests waited for a worker thread, in seconds.";
        self.queue_duration_milliseconds
            .write(to, QUEUE_DURATION, help, MILLISECONDS)
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
