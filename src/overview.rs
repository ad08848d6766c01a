//! The status page: the state of the gateway as one page of HTML5, and the same as JSON.
//!
//! Data in, bytes out. Invariants: no text of a client becomes markup, since markup is written
//! from constants only ([`html`]), and each text is escaped and cut where it is written. A page is
//! not longer than [`PAGE_BYTES_MAX`], whatever is stored. It costs one pass over the families, two
//! at most, and memory for what it shows. Knows nothing of HTTP or the clock: the time is a part of
//! the data.
//!
//! ```text
//! Overview, View, Query --list, open--> Listing, Opened --html, json--> bytes
//! ```
//!
//! | module | one job |
//! |---|---|
//! | [`query`] | the parameters of a page, from text and back |
//! | [`listing`] | the families that match, in order, one page of them |
//! | [`opened`] | one family with its series |
//! | [`distribution`] | the buckets of a histogram as bars |
//! | `labels` | a stored label set to names and values |
//! | [`visible`] | a text to what may be shown of it |
//! | [`rounded`] | numbers for people |
//! | [`html`], [`json`] | all of it to bytes |

pub mod distribution;
pub mod html;
pub mod json;
mod labels;
pub mod listing;
pub mod opened;
pub mod query;
pub mod rounded;
pub mod visible;

/// No page is longer: the texts that it shows are cut, and there is a limit of how many they are.
pub const PAGE_BYTES_MAX: usize = 1 << 20;

/// Minutes of history, the present one included.
pub const HISTORY_MINUTES: usize = 60;

/// What is shown beside the families.
#[derive(Clone, Debug, Default)]
pub struct Overview {
    /// Of the program.
    pub version: &'static str,
    /// The commit of its sources, if it is known.
    pub commit: &'static str,
    /// The time, in unix milliseconds.
    pub now_millis: u64,
    /// How long the process has been running.
    pub uptime_seconds: u64,
    /// When the sums will be cleared, in unix seconds, if they will.
    pub next_reset: Option<i64>,
    /// When they were last cleared, in unix seconds.
    pub last_reset: Option<i64>,
    /// Metric families stored.
    pub families: usize,
    /// Time series stored.
    pub series: usize,
    /// Pushes since the start, and of the last hour.
    pub pushes: Pushes,
    /// The journal, if there is one.
    pub journal: Option<JournalSummary>,
    /// What is limited.
    pub limits: Vec<Limit>,
    /// Senders, where they are told apart.
    pub senders: Option<Senders>,
    /// The last requests that were refused, the newest first.
    pub refusals: Vec<RefusedRequest>,
}

/// Pushes by result.
#[derive(Clone, Debug, Default)]
pub struct Pushes {
    /// In a second, over the last minute.
    pub per_second: f64,
    /// By result. The first one is of those that were merged.
    pub results: Vec<PushResultCount>,
}

/// Pushes of one result.
#[derive(Clone, Debug)]
pub struct PushResultCount {
    /// The word for it, as in the gateway's own metrics.
    pub result: &'static str,
    /// Whether it is a refusal.
    pub outcome: Outcome,
    /// Since the start.
    pub total: u64,
    /// Of each minute of the last hour, the oldest first; the last one is not over.
    pub minutes: [u64; HISTORY_MINUTES],
}

/// Whether a push was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Outcome {
    Accepted,
    Refused,
}

impl PushResultCount {
    /// Of the last hour.
    #[must_use]
    pub fn last_hour(&self) -> u64 {
        self.minutes.iter().sum()
    }
}

/// The journal.
#[derive(Clone, Debug)]
pub struct JournalSummary {
    /// Its length.
    pub bytes: u64,
    /// How much of it is its snapshot.
    pub snapshot_bytes: u64,
    /// Why nothing can be kept at present.
    pub trouble: Option<String>,
}

/// A limited resource.
#[derive(Clone, Debug)]
pub struct Limit {
    /// The word for it, as in the gateway's own metrics.
    pub resource: &'static str,
    /// How much of it is used, if that is known.
    pub used: Option<u64>,
    /// How much there may be, if that is known.
    pub limit: Option<u64>,
}

/// Senders whose pushes are their state.
#[derive(Clone, Copy, Debug)]
pub struct Senders {
    /// Those that have pushed lately.
    pub live: u64,
    /// Those that are remembered, live ones included.
    pub remembered: u64,
}

/// A request that was refused. Its texts may be anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedRequest {
    /// When, in unix milliseconds.
    pub time_millis: u64,
    /// The address of who has sent it.
    pub sender: String,
    /// Empty if the request could not be read.
    pub method: String,
    /// Without the query; empty if the request could not be read.
    pub path: String,
    /// The status code of the response.
    pub code: u16,
    /// The first line of the response.
    pub reason: String,
}

impl Overview {
    /// The time, in unix seconds.
    #[must_use]
    pub fn now_seconds(&self) -> u64 {
        self.now_millis / 1000
    }
}
