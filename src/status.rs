//! What the gateway says of itself: counters that any thread adds to, and their page.
//!
//! Invariant: nobody waits for anybody: there are atomics, and the locks of two short lists. The
//! metrics are in a namespace of their own, but for those of the process, and are never mixed with
//! pushed ones.

mod front;
mod history;
mod overview;
mod page;
mod process;
mod refusals;

use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant, SystemTime};

use crate::metric::SkippedSamples;
use crate::process::Usage;

pub use front::{CloseReason, ConnectionState, FrontStatus, Resource};
pub use history::{Counts, History};
pub use refusals::{REFUSALS_MAX, Refusals};

/// What a request was for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handler {
    /// A push.
    Push,
    /// The deletion of series.
    Admin,
    /// A CORS preflight of a push.
    Preflight,
    /// A scrape of the sums.
    Scrape,
    /// A health check.
    Healthy,
    /// A readiness check.
    Ready,
    /// The gateway's own metrics.
    Status,
    /// The status page, for people and for programs.
    Overview,
    /// No page of ours, or a method that its page does not know.
    None,
}

impl Handler {
    const ALL: [(Handler, &str); 9] = [
        (Handler::Push, "push"),
        (Handler::Admin, "admin"),
        (Handler::Preflight, "preflight"),
        (Handler::Scrape, "scrape"),
        (Handler::Healthy, "healthy"),
        (Handler::Ready, "ready"),
        (Handler::Status, "status"),
        (Handler::Overview, "overview"),
        (Handler::None, "none"),
    ];
}

/// What became of a push.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PushResult {
    /// It was merged.
    Accepted,
    /// Its body or its path is not in the format.
    Invalid,
    /// It had been accepted before; its idempotency key is remembered.
    Repeated,
    /// It contradicts what is stored.
    Conflict,
    /// There is no room for its new series.
    TooManySeries,
    /// One of its series, or its path, has too many labels or one that is too long.
    TooManyLabels,
    /// Its idempotency key came with another push.
    KeyReused,
    /// There is no room for its idempotency key.
    TooManyKeys,
    /// There is no room for what is to be remembered of its sender.
    TooManyNumbers,
    /// It shows none of the tokens.
    Unauthorized,
    /// Its body is too long.
    TooLarge,
    /// Its body is in a format or an encoding that is not read here.
    Unsupported,
    /// Its body did not arrive whole.
    Incomplete,
    /// Its body did not arrive in time.
    TooSlow,
    /// The system gave no memory for its body.
    NoMemory,
    /// There is a bug.
    Failed,
    /// The journal does not take it, or the process is being replaced.
    NotKept,
}

impl PushResult {
    const ALL: [(PushResult, &str); 17] = [
        (PushResult::Accepted, "accepted"),
        (PushResult::Invalid, "invalid"),
        (PushResult::Repeated, "repeated"),
        (PushResult::Conflict, "conflict"),
        (PushResult::TooManySeries, "too_many_series"),
        (PushResult::TooManyLabels, "too_many_labels"),
        (PushResult::KeyReused, "idempotency_key_reused"),
        (PushResult::TooManyKeys, "too_many_idempotency_keys"),
        (PushResult::TooManyNumbers, "too_many_sender_series"),
        (PushResult::Unauthorized, "unauthorized"),
        (PushResult::TooLarge, "too_large"),
        (PushResult::Unsupported, "unsupported"),
        (PushResult::Incomplete, "incomplete"),
        (PushResult::TooSlow, "too_slow"),
        (PushResult::NoMemory, "no_memory"),
        (PushResult::Failed, "failed"),
        (PushResult::NotKept, "not_kept"),
    ];
}

/// What is done to the journal beside appending to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JournalOperation {
    /// Waiting until what was appended is on the disk.
    Sync,
    /// Rewriting it.
    Compaction,
}

impl JournalOperation {
    const ALL: [(JournalOperation, &str); 2] = [
        (JournalOperation::Sync, "sync"),
        (JournalOperation::Compaction, "compaction"),
    ];
}

/// What is stored when the page is asked for; it is kept elsewhere.
#[derive(Clone, Debug)]
pub struct Stored {
    /// Metric families.
    pub families: usize,
    /// Time series.
    pub series: usize,
    /// Histograms whose native part lacks observations.
    pub incomplete_natives: usize,
    /// Generations of idempotency keys that were forgotten early, for lack of room.
    pub early_key_swaps: u64,
    /// What is remembered of senders, if there are any.
    pub senders: Option<StoredSenders>,
    /// What the process uses.
    pub process: Usage,
    /// The journal, if there is one.
    pub journal: Option<StoredJournal>,
}

/// What there is to say of senders.
#[derive(Clone, Copy, Debug)]
pub struct StoredSenders {
    /// Those that were heard within the timeout.
    pub live: usize,
    /// Those that were not, and are remembered.
    pub withdrawn: usize,
    /// Remembered numbers of all of them.
    pub numbers: usize,
    /// Those that were forgotten since they were silent.
    pub forgotten: u64,
    /// Series that began again at zero.
    pub restarted_series: u64,
    /// Series that came behind a later push, and were ignored.
    pub late_series: u64,
}

/// What there is to say of a journal.
#[derive(Clone, Debug)]
pub struct StoredJournal {
    /// Its length.
    pub bytes: u64,
    /// How much of it is its snapshot.
    pub snapshot_bytes: u64,
    /// Why nothing can be kept at present.
    pub trouble: Option<String>,
}

/// Of counters that are kept elsewhere, and begin at zero in each image: what the images of this
/// process before this one have counted.
#[derive(Debug, Default)]
struct CountedBefore {
    early_key_swaps: u64,
    forgotten_senders: u64,
    restarted_series: u64,
    late_series: u64,
}

const CODES: usize = 600;

/// The counters of one process.
#[derive(Debug)]
pub struct Status {
    /// Of the front end.
    pub front: FrontStatus,
    /// The last requests that were refused.
    pub refusals: Refusals,
    started: Instant,
    /// Of the images of this process before this one.
    uptime_before: Duration,
    counted_before: CountedBefore,
    start_time_seconds: f64,
    pushes: [AtomicU64; PushResult::ALL.len()],
    history: Mutex<History>,
    samples: AtomicU64,
    skipped_not_a_number: AtomicU64,
    skipped_infinite: AtomicU64,
    skipped_summary: AtomicU64,
    cut_help_texts: AtomicU64,
    left_out_push_times: AtomicU64,
    expired_series: AtomicU64,
    omitted_families: AtomicU64,
    omitted_series: AtomicU64,
    skipped_native_histogram: AtomicU64,
    skipped_gauge_histogram: AtomicU64,
    skipped_created: AtomicU64,
    resets: AtomicU64,
    last_reset_timestamp_seconds: AtomicI64,
    next_reset_timestamp_seconds: AtomicI64,
    hand_overs: AtomicU64,
    dropped_log_lines: AtomicU64,
    journal_operations: [AtomicU64; JournalOperation::ALL.len()],
    journal_errors: [AtomicU64; JournalOperation::ALL.len()],
    requests: Box<[[AtomicU64; CODES]]>,
    push_bytes: AtomicHistogram<7>,
    push_duration_nanoseconds: AtomicHistogram<8>,
}

/// No instant: before 1970 nothing was reset.
const NEVER: i64 = i64::MIN;

impl Status {
    /// All counters at zero, the uptime counted from now.
    #[must_use]
    pub fn new() -> Status {
        let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let no_requests = || std::array::from_fn(|_| AtomicU64::new(0));
        Status {
            front: FrontStatus::new(),
            refusals: Refusals::default(),
            dropped_log_lines: AtomicU64::new(0),
            started: Instant::now(),
            uptime_before: Duration::ZERO,
            counted_before: CountedBefore::default(),
            start_time_seconds: since_1970.unwrap_or_default().as_secs_f64(),
            pushes: Default::default(),
            history: Mutex::default(),
            samples: AtomicU64::new(0),
            skipped_not_a_number: AtomicU64::new(0),
            skipped_infinite: AtomicU64::new(0),
            skipped_summary: AtomicU64::new(0),
            cut_help_texts: AtomicU64::new(0),
            left_out_push_times: AtomicU64::new(0),
            expired_series: AtomicU64::new(0),
            omitted_families: AtomicU64::new(0),
            omitted_series: AtomicU64::new(0),
            skipped_native_histogram: AtomicU64::new(0),
            skipped_gauge_histogram: AtomicU64::new(0),
            skipped_created: AtomicU64::new(0),
            resets: AtomicU64::new(0),
            last_reset_timestamp_seconds: AtomicI64::new(NEVER),
            next_reset_timestamp_seconds: AtomicI64::new(NEVER),
            hand_overs: AtomicU64::new(0),
            journal_operations: Default::default(),
            journal_errors: Default::default(),
            requests: Handler::ALL.iter().map(|_| no_requests()).collect(),
            push_bytes: AtomicHistogram::new([
                100,
                1_000,
                10_000,
                100_000,
                1_000_000,
                10_000_000,
                100_000_000,
            ]),
            push_duration_nanoseconds: AtomicHistogram::new([
                10_000,
                100_000,
                1_000_000,
                10_000_000,
                100_000_000,
                1_000_000_000,
                10_000_000_000,
                100_000_000_000,
            ]),
        }
    }

    /// Counts an answered request by what it was for and its status code.
    pub fn count_request(&self, handler: Handler, code: u16) {
        let code = usize::from(code).min(CODES - 1);
        self.requests[handler as usize][code].fetch_add(1, Relaxed);
    }

    /// Counts a push.
    pub fn count_push(&self, result: PushResult) {
        self.pushes[result as usize].fetch_add(1, Relaxed);
    }

    /// Counts the sample lines of an accepted push, its bytes, and the time it took to read and
    /// merge them once they were there.
    pub fn count_merged(
        &self,
        samples: u64,
        skipped: SkippedSamples,
        body_bytes: usize,
        duration: Duration,
    ) {
        self.samples.fetch_add(samples, Relaxed);
        for (counter, lines) in [
            (&self.skipped_not_a_number, skipped.not_a_number),
            (&self.skipped_infinite, skipped.infinite),
            (&self.skipped_summary, skipped.summary),
            (&self.skipped_native_histogram, skipped.native_histogram),
            (&self.skipped_gauge_histogram, skipped.gauge_histogram),
            (&self.skipped_created, skipped.created),
        ] {
            if lines > 0 {
                counter.fetch_add(lines, Relaxed);
            }
        }
        self.push_bytes.observe(body_bytes as u64);
        let nanoseconds = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        self.push_duration_nanoseconds.observe(nanoseconds);
    }

    /// Counts HELP texts of an accepted push that were cut.
    pub fn count_cut_help_texts(&self, help_texts: u64) {
        self.cut_help_texts.fetch_add(help_texts, Relaxed);
    }

    /// Counts push times that were not set for lack of room.
    pub fn count_left_out_push_times(&self, push_times: u64) {
        self.left_out_push_times.fetch_add(push_times, Relaxed);
    }

    /// Counts series that were forgotten since they were silent.
    pub fn count_expired(&self, series: usize) {
        self.expired_series.fetch_add(series as u64, Relaxed);
    }

    /// Takes what a scrape left out whose names beyond the alphabet have underscores: families, and
    /// series with those of these families.
    pub fn set_scrape_omissions(&self, families: usize, series: usize) {
        self.omitted_families.store(families as u64, Relaxed);
        self.omitted_series.store(series as u64, Relaxed);
    }

    /// Counts a reset, made at this unix time in seconds.
    pub fn count_reset(&self, at_timestamp_seconds: i64) {
        self.resets.fetch_add(1, Relaxed);
        self.last_reset_timestamp_seconds
            .store(at_timestamp_seconds, Relaxed);
    }

    /// Counts that this image of the process has taken over from the one before.
    pub fn count_hand_over(&self) {
        self.hand_overs.fetch_add(1, Relaxed);
    }

    /// Counts lines of the log that were dropped.
    pub fn count_dropped_log_lines(&self, lines: u64) {
        self.dropped_log_lines.fetch_add(lines, Relaxed);
    }

    /// Counts what was done to the journal.
    pub fn count_journal_operation(&self, operation: JournalOperation) {
        self.journal_operations[operation as usize].fetch_add(1, Relaxed);
    }

    /// Counts what could not be done to the journal.
    pub fn count_journal_error(&self, operation: JournalOperation) {
        self.journal_errors[operation as usize].fetch_add(1, Relaxed);
    }

    /// Announces the next reset, in unix seconds; `None`: there will be none.
    pub fn set_next_reset(&self, timestamp_seconds: Option<i64>) {
        self.next_reset_timestamp_seconds
            .store(timestamp_seconds.unwrap_or(NEVER), Relaxed);
    }

    /// The next reset, in unix seconds.
    #[must_use]
    pub fn next_reset(&self) -> Option<i64> {
        Some(self.next_reset_timestamp_seconds.load(Relaxed)).filter(|&seconds| seconds != NEVER)
    }
}

impl Default for Status {
    fn default() -> Status {
        Status::new()
    }
}

/// A histogram of whole numbers that many threads add to.
#[derive(Debug)]
struct AtomicHistogram<const BUCKETS: usize> {
    upper_bounds: [u64; BUCKETS],
    counts: [AtomicU64; BUCKETS],
    count_above: AtomicU64,
    sum: AtomicU64,
}

impl<const BUCKETS: usize> AtomicHistogram<BUCKETS> {
    fn new(upper_bounds: [u64; BUCKETS]) -> Self {
        let counts = std::array::from_fn(|_| AtomicU64::new(0));
        AtomicHistogram {
            upper_bounds,
            counts,
            count_above: AtomicU64::new(0),
            sum: AtomicU64::new(0),
        }
    }

    fn observe(&self, value: u64) {
        let bucket = self.upper_bounds.iter().position(|&bound| value <= bound);
        bucket
            .map_or(&self.count_above, |at| &self.counts[at])
            .fetch_add(1, Relaxed);
        self.sum.fetch_add(value, Relaxed);
    }
}
