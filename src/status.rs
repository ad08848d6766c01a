//! What the gateway says of itself: counters that any thread adds to, and their page.
//!
//! Invariant: atomics only; nobody waits for anybody here. The metrics are in a namespace of their
//! own and are never mixed with pushed ones.

use std::fmt::{self, Write};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant, SystemTime};

use crate::metric::SkippedSamples;

/// What a request was for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handler {
    /// A push.
    Push,
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
    /// No page of ours, or a method that its page does not know.
    None,
}

impl Handler {
    const ALL: [(Handler, &str); 7] = [
        (Handler::Push, "push"),
        (Handler::Preflight, "preflight"),
        (Handler::Scrape, "scrape"),
        (Handler::Healthy, "healthy"),
        (Handler::Ready, "ready"),
        (Handler::Status, "status"),
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
    /// It contradicts what is stored.
    Conflict,
    /// Its body is too long.
    TooLarge,
    /// Its body is in a format or an encoding that is not read here.
    Unsupported,
    /// Its body did not arrive whole.
    Incomplete,
}

impl PushResult {
    const ALL: [(PushResult, &str); 6] = [
        (PushResult::Accepted, "accepted"),
        (PushResult::Invalid, "invalid"),
        (PushResult::Conflict, "conflict"),
        (PushResult::TooLarge, "too_large"),
        (PushResult::Unsupported, "unsupported"),
        (PushResult::Incomplete, "incomplete"),
    ];
}

/// What is stored when the page is asked for; it is kept elsewhere.
#[derive(Clone, Copy, Debug)]
pub struct Stored {
    /// Metric families.
    pub families: usize,
    /// Time series.
    pub series: usize,
}

const CODES: usize = 600;

/// The counters of one process.
#[derive(Debug)]
pub struct Status {
    started: Instant,
    started_at: SystemTime,
    pushes: [AtomicU64; PushResult::ALL.len()],
    samples: AtomicU64,
    skipped_not_a_number: AtomicU64,
    skipped_infinite: AtomicU64,
    skipped_summary: AtomicU64,
    resets: AtomicU64,
    last_reset_timestamp_seconds: AtomicI64,
    next_reset_timestamp_seconds: AtomicI64,
    requests: Box<[[AtomicU64; CODES]]>,
    push_bytes: Histogram<7>,
    push_duration_nanoseconds: Histogram<8>,
}

/// No instant: before 1970 nothing was reset.
const NEVER: i64 = i64::MIN;

impl Status {
    /// All counters at zero, the uptime counted from now.
    #[must_use]
    pub fn new() -> Status {
        let no_requests = || std::array::from_fn(|_| AtomicU64::new(0));
        Status {
            started: Instant::now(),
            started_at: SystemTime::now(),
            pushes: Default::default(),
            samples: AtomicU64::new(0),
            skipped_not_a_number: AtomicU64::new(0),
            skipped_infinite: AtomicU64::new(0),
            skipped_summary: AtomicU64::new(0),
            resets: AtomicU64::new(0),
            last_reset_timestamp_seconds: AtomicI64::new(NEVER),
            next_reset_timestamp_seconds: AtomicI64::new(NEVER),
            requests: Handler::ALL.iter().map(|_| no_requests()).collect(),
            push_bytes: Histogram::new([
                100,
                1_000,
                10_000,
                100_000,
                1_000_000,
                10_000_000,
                100_000_000,
            ]),
            push_duration_nanoseconds: Histogram::new([
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
        self.skipped_not_a_number
            .fetch_add(skipped.not_a_number, Relaxed);
        self.skipped_infinite.fetch_add(skipped.infinite, Relaxed);
        self.skipped_summary.fetch_add(skipped.summary, Relaxed);
        self.push_bytes.observe(body_bytes as u64);
        let nanoseconds = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        self.push_duration_nanoseconds.observe(nanoseconds);
    }

    /// Counts a reset, made at this unix time in seconds.
    pub fn count_reset(&self, at_timestamp_seconds: i64) {
        self.resets.fetch_add(1, Relaxed);
        self.last_reset_timestamp_seconds
            .store(at_timestamp_seconds, Relaxed);
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

    /// The page: exposition text of the gateway's own metrics.
    #[must_use]
    pub fn page(&self, stored: Stored) -> String {
        let mut page = String::new();
        // A String takes whatever is written.
        let _ = self.write(stored, &mut page);
        page
    }

    fn write(&self, stored: Stored, to: &mut String) -> fmt::Result {
        self.write_process(to)?;
        head(
            to,
            "pushes_total",
            "counter",
            "Pushes, by what became of them.",
        )?;
        for (result, word) in PushResult::ALL {
            let pushes = self.pushes[result as usize].load(Relaxed);
            writeln!(to, "{PREFIX}pushes_total{{result=\"{word}\"}} {pushes}")?;
        }
        let samples = self.samples.load(Relaxed);
        sample(
            to,
            "samples_merged_total",
            "counter",
            "Sample lines added up.",
            samples,
        )?;
        head(
            to,
            "samples_skipped_total",
            "counter",
            "Sample lines of accepted pushes left out.",
        )?;
        for (reason, counter) in [
            ("nan", &self.skipped_not_a_number),
            ("infinite", &self.skipped_infinite),
            ("summary", &self.skipped_summary),
        ] {
            let skipped = counter.load(Relaxed);
            writeln!(
                to,
                "{PREFIX}samples_skipped_total{{reason=\"{reason}\"}} {skipped}"
            )?;
        }
        sample(
            to,
            "families",
            "gauge",
            "Metric families stored.",
            stored.families,
        )?;
        sample(to, "series", "gauge", "Time series stored.", stored.series)?;
        self.write_resets(to)?;
        self.write_requests(to)?;
        self.push_bytes
            .write(to, "push_size_bytes", "Length of accepted pushes.", 1.0)?;
        let help = "Time to read and merge an accepted push, its transfer left out.";
        self.push_duration_nanoseconds
            .write(to, "push_duration_seconds", help, 1e9)
    }

    fn write_process(&self, to: &mut String) -> fmt::Result {
        head(to, "build_info", "gauge", "1, with the version as a label.")?;
        writeln!(
            to,
            "{PREFIX}build_info{{version=\"{}\"}} 1",
            env!("CARGO_PKG_VERSION")
        )?;
        let since_1970 = self.started_at.duration_since(SystemTime::UNIX_EPOCH);
        let start = since_1970.unwrap_or_default().as_secs_f64();
        sample(
            to,
            "start_time_seconds",
            "gauge",
            "When the process started, unix time.",
            start,
        )?;
        let uptime = self.started.elapsed().as_secs_f64();
        sample(
            to,
            "uptime_seconds",
            "gauge",
            "How long the process has been running.",
            uptime,
        )
    }

    fn write_resets(&self, to: &mut String) -> fmt::Result {
        let resets = self.resets.load(Relaxed);
        sample(
            to,
            "resets_total",
            "counter",
            "How often the aggregate was cleared.",
            resets,
        )?;
        let last = self.last_reset_timestamp_seconds.load(Relaxed);
        if last != NEVER {
            let help = "When the aggregate was last cleared, unix time.";
            sample(to, "last_reset_timestamp_seconds", "gauge", help, last)?;
        }
        if let Some(next) = self.next_reset() {
            let help = "When the aggregate will be cleared next, unix time.";
            sample(to, "next_reset_timestamp_seconds", "gauge", help, next)?;
        }
        Ok(())
    }

    fn write_requests(&self, to: &mut String) -> fmt::Result {
        head(
            to,
            "http_requests_total",
            "counter",
            "HTTP requests answered.",
        )?;
        for (handler, word) in Handler::ALL {
            for (code, requests) in self.requests[handler as usize].iter().enumerate() {
                let requests = requests.load(Relaxed);
                if requests > 0 {
                    writeln!(
                        to,
                        "{PREFIX}http_requests_total{{handler=\"{word}\",code=\"{code}\"}} \
                         {requests}"
                    )?;
                }
            }
        }
        Ok(())
    }
}

impl Default for Status {
    fn default() -> Status {
        Status::new()
    }
}

/// The namespace of the gateway's own metrics.
const PREFIX: &str = "aggregation_gateway_";

fn head(to: &mut String, name: &str, metric_type: &str, help: &str) -> fmt::Result {
    writeln!(
        to,
        "# HELP {PREFIX}{name} {help}\n# TYPE {PREFIX}{name} {metric_type}"
    )
}

fn sample(
    to: &mut String,
    name: &str,
    metric_type: &str,
    help: &str,
    value: impl fmt::Display,
) -> fmt::Result {
    head(to, name, metric_type, help)?;
    writeln!(to, "{PREFIX}{name} {value}")
}

/// A histogram of whole numbers that many threads add to.
#[derive(Debug)]
struct Histogram<const BUCKETS: usize> {
    upper_bounds: [u64; BUCKETS],
    counts: [AtomicU64; BUCKETS],
    count_above: AtomicU64,
    sum: AtomicU64,
}

impl<const BUCKETS: usize> Histogram<BUCKETS> {
    fn new(upper_bounds: [u64; BUCKETS]) -> Self {
        let counts = std::array::from_fn(|_| AtomicU64::new(0));
        Histogram {
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

    /// Writes it in a unit of which one is `per_unit` of the observed ones.
    #[allow(clippy::cast_precision_loss)] // the page shows floats
    fn write(&self, to: &mut String, name: &str, help: &str, per_unit: f64) -> fmt::Result {
        head(to, name, "histogram", help)?;
        let mut cumulative_count = 0;
        for (bound, count) in self.upper_bounds.iter().zip(&self.counts) {
            cumulative_count += count.load(Relaxed);
            let bound = *bound as f64 / per_unit;
            writeln!(
                to,
                "{PREFIX}{name}_bucket{{le=\"{bound}\"}} {cumulative_count}"
            )?;
        }
        cumulative_count += self.count_above.load(Relaxed);
        let sum = self.sum.load(Relaxed) as f64 / per_unit;
        writeln!(
            to,
            "{PREFIX}{name}_bucket{{le=\"+Inf\"}} {cumulative_count}"
        )?;
        writeln!(to, "{PREFIX}{name}_sum {sum}")?;
        writeln!(to, "{PREFIX}{name}_count {cumulative_count}")
    }
}
