//! What the pushers sent and what they were answered, and whether a scrape agrees with it.
//!
//! The law, for every pusher and at every instant: acknowledged <= scraped <= sent - refused, the
//! first taken before the scrape and the last after it. There is no tolerance.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::client::{Answer, NoAnswer};

/// So many broken laws are written down in full.
const FAULTS_MAX: usize = 10;

/// Less than there is between two hand-overs.
const BREAK_DURATION_MAX: Duration = Duration::from_millis(100);

/// The page of the gateway's own metrics, as far as it is of interest.
#[derive(Clone, Copy, Default)]
pub struct OwnMetrics {
    pub hand_overs: u64,
    pub compactions: u64,
    pub journal_bytes: u64,
}

#[derive(Default)]
pub struct Pusher {
    /// Counted before the first byte of a push is written.
    pub sent: AtomicU64,
    /// A whole answer with 200 was read.
    pub acknowledged: AtomicU64,
    /// A whole answer with 503 was read: nothing of the push may show.
    pub refused: AtomicU64,
}

#[derive(Default)]
pub struct Ledger {
    pub pushers: Vec<Pusher>,
    /// How many processes were killed, which is the number of the one that runs.
    pub kills: AtomicU64,
    pub refused_connections: AtomicU64,
    pub broken_connections: AtomicU64,
    /// When the last of them broke, and how many times any did: some at once are one time.
    last_break: Mutex<Option<Instant>>,
    pub breaks: AtomicU64,
    /// Pushes that had been added when they came before.
    pub repeats: AtomicU64,
    /// Deletions, wipes and resets.
    pub removals: AtomicU64,
    pub scrapes: AtomicU64,
    pub lost: AtomicU64,
    pub doubled: AtomicU64,
    pub slowest_milliseconds: AtomicU64,
    /// What was not answered with 200, by kind.
    pub troubles: Mutex<BTreeMap<String, u64>>,
    faults: Mutex<Vec<String>>,
    /// What each process said of itself at last; what came after that is lost with it.
    own_metrics: Mutex<BTreeMap<u64, OwnMetrics>>,
}

impl Ledger {
    pub fn new(pushers: usize) -> Ledger {
        Ledger {
            pushers: (0..pushers).map(|_| Pusher::default()).collect(),
            ..Ledger::default()
        }
    }

    /// Writes a broken law down.
    pub fn fault(&self, line: impl Into<String>) {
        lock(&self.faults).push(line.into());
    }

    pub fn faults(&self) -> Vec<String> {
        let faults = lock(&self.faults);
        let mut lines: Vec<String> = faults.iter().take(FAULTS_MAX).cloned().collect();
        if faults.len() > FAULTS_MAX {
            lines.push(format!("and {} more", faults.len() - FAULTS_MAX));
        }
        lines
    }

    pub fn trouble(&self, kind: String) {
        *lock(&self.troubles).entry(kind).or_insert(0) += 1;
    }

    /// All of them in one line.
    pub fn troubles(&self) -> String {
        let mut line = String::new();
        for (kind, count) in &*lock(&self.troubles) {
            let separator = if line.is_empty() { "" } else { "; " };
            // A String takes whatever is written.
            let _ = write!(line, "{separator}{count} x {kind}");
        }
        line
    }

    pub fn took(&self, duration: Duration) {
        let milliseconds = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        self.slowest_milliseconds.fetch_max(milliseconds, SeqCst);
    }

    /// Counts a request of this client that was not answered.
    pub fn unanswered(&self, who: &str, why: NoAnswer) {
        match why {
            NoAnswer::Refused => {
                self.refused_connections.fetch_add(1, SeqCst);
            }
            NoAnswer::Broken(when) => {
                self.broke();
                self.trouble(format!("{who}: broken {when}"));
            }
            NoAnswer::NoPort => self.trouble(format!("{who}: no port left")),
            NoAnswer::NotConnected(error) => {
                self.broke();
                self.trouble(format!("{who}: not connected: {error}"));
            }
            NoAnswer::Hung => self.fault(format!("{who}: a request is not answered, ever")),
            NoAnswer::NotThere(code) => self.fault(format!("{who}: answered with {code}")),
        }
    }

    fn broke(&self) {
        self.broken_connections.fetch_add(1, SeqCst);
        let last = lock(&self.last_break).replace(Instant::now());
        if last.is_none_or(|last| last.elapsed() > BREAK_DURATION_MAX) {
            self.breaks.fetch_add(1, SeqCst);
        }
    }

    /// Counts the answer to a push.
    pub fn answered(&self, who: &str, pusher: &Pusher, answer: &Answer) {
        let line = answer.body.trim_end();
        match answer.code {
            200 => {
                pusher.acknowledged.fetch_add(1, SeqCst);
                self.repeats
                    .fetch_add(u64::from(answer.is_repeated), SeqCst);
            }
            503 => {
                pusher.refused.fetch_add(1, SeqCst);
                self.trouble(format!("{who}: 503: {line}"));
            }
            code => self.fault(format!("{who}: a push was answered with {code}: {line}")),
        }
    }

    pub fn acknowledged(&self) -> Vec<u64> {
        let pushers = self.pushers.iter();
        pushers
            .map(|pusher| pusher.acknowledged.load(SeqCst))
            .collect()
    }

    /// The sum of one of the counts of all pushers.
    pub fn total(&self, count: impl Fn(&Pusher) -> &AtomicU64) -> u64 {
        let pushers = self.pushers.iter();
        pushers.map(|pusher| count(pusher).load(SeqCst)).sum()
    }

    /// Compares what is scraped with what had been acknowledged before, and was sent until now.
    pub fn check(&self, acknowledged: &[u64], scrape: &str) {
        let (mut lost, mut doubled) = (0, 0);
        for (number, (pusher, acknowledged)) in self.pushers.iter().zip(acknowledged).enumerate() {
            // In this order: who is refused was counted as sent before.
            let refused = pusher.refused.load(SeqCst);
            let most = pusher.sent.load(SeqCst) - refused;
            let sums = series_of(number).map(|series| value(scrape, &series));
            let scraped = sums[0];
            if sums.iter().any(|&sum| sum != scraped) {
                self.fault(format!(
                    "pusher {number}: of some pushes only a part: {sums:?}"
                ));
            }
            if !(*acknowledged..=most).contains(&scraped) {
                self.fault(format!(
                    "pusher {number}: acknowledged {acknowledged}, scraped {scraped}, at most \
                     {most} in all"
                ));
            }
            lost += acknowledged.saturating_sub(scraped);
            doubled += scraped.saturating_sub(most);
        }
        self.note_scrape(lost, doubled);
    }

    /// Counts a scrape that was looked at.
    pub fn note_scrape(&self, lost: u64, doubled: u64) {
        self.lost.fetch_max(lost, SeqCst);
        self.doubled.fetch_max(doubled, SeqCst);
        self.scrapes.fetch_add(1, SeqCst);
    }

    /// Notes what the process of this number says of itself.
    pub fn note_own_metrics(&self, process: u64, page: &str) {
        const COMPACTIONS: &str =
            "aggregation_gateway_journal_upkeep_total{operation=\"compaction\"}";
        let now = OwnMetrics {
            hand_overs: value(page, "aggregation_gateway_hand_overs_total"),
            compactions: value(page, COMPACTIONS),
            journal_bytes: value(page, "aggregation_gateway_journal_size_bytes"),
        };
        let mut all = lock(&self.own_metrics);
        let before = all.entry(process).or_default();
        if now.hand_overs < before.hand_overs || now.compactions < before.compactions {
            self.fault("the gateway's own counters went back within one process");
        }
        *before = OwnMetrics {
            journal_bytes: before.journal_bytes.max(now.journal_bytes),
            ..now
        };
    }

    /// The sums over all processes, and the longest journal.
    pub fn own_metrics(&self) -> OwnMetrics {
        let all = lock(&self.own_metrics);
        all.values()
            .fold(OwnMetrics::default(), |sum, one| OwnMetrics {
                hand_overs: sum.hand_overs + one.hand_overs,
                compactions: sum.compactions + one.compactions,
                journal_bytes: sum.journal_bytes.max(one.journal_bytes),
            })
    }
}

/// What a pusher pushes, with so many bytes of comments between the counter and the histogram.
pub fn body(pusher: usize, value: u64, comment_bytes: usize) -> String {
    const COMMENT: &str = "# nothing that counts, but the journal keeps it until it is rewritten\n";
    let comments = COMMENT.repeat(comment_bytes / COMMENT.len());
    format!(
        "# TYPE crash_pushes_total counter\n\
         crash_pushes_total{{pusher=\"{pusher}\"}} {value}\n\
         {comments}\
         # TYPE crash_seconds histogram\n\
         crash_seconds_bucket{{pusher=\"{pusher}\",le=\"0.5\"}} 0\n\
         crash_seconds_bucket{{pusher=\"{pusher}\",le=\"1\"}} {value}\n\
         crash_seconds_bucket{{pusher=\"{pusher}\",le=\"+Inf\"}} {value}\n\
         crash_seconds_sum{{pusher=\"{pusher}\"}} {value}\n\
         crash_seconds_count{{pusher=\"{pusher}\"}} {value}\n\
         # TYPE crash_gauge gauge\n\
         crash_gauge{{pusher=\"{pusher}\"}} {value}\n"
    )
}

/// The series that each push adds the same to, as a scrape shows them.
fn series_of(pusher: usize) -> [String; 6] {
    let labels = format!("job=\"crash\",pusher=\"{pusher}\"");
    [
        format!("crash_pushes_total{{{labels}}}"),
        format!("crash_seconds_bucket{{{labels},le=\"1\"}}"),
        format!("crash_seconds_bucket{{{labels},le=\"+Inf\"}}"),
        format!("crash_seconds_sum{{{labels}}}"),
        format!("crash_seconds_count{{{labels}}}"),
        format!("crash_gauge{{{labels}}}"),
    ]
}

/// The value of a series; 0 when it is not there yet.
fn value(page: &str, series: &str) -> u64 {
    let line = page
        .lines()
        .find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.map_or(0, |value| {
        value.parse().expect("whole numbers are shown as such")
    })
}

/// A count is right whatever panicked beside it.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
