//! What the status page shows of the gateway's own counters.

use std::sync::PoisonError;
use std::sync::atomic::Ordering::Relaxed;

use super::history::Counts;
use super::{NEVER, PushResult, Status, Stored};
use crate::build;
use crate::overview::{
    HISTORY_MINUTES, JournalSummary, Outcome, Overview, PushResultCount, Pushes, Senders,
};

impl Status {
    /// Looks how many pushes there were since the last look, at a time in unix milliseconds, for
    /// the history of the last hour. Called every few seconds.
    pub fn look_at_pushes(&self, now_millis: u64) {
        let totals = self.push_totals();
        self.history().look(now_millis, totals);
    }

    /// All but the families, at a time in unix milliseconds.
    #[must_use]
    pub fn overview(&self, stored: &Stored, now_millis: u64) -> Overview {
        self.look_at_pushes(now_millis);
        let last_reset = self.last_reset_timestamp_seconds.load(Relaxed);
        let journal = stored.journal.as_ref();
        Overview {
            version: build::VERSION,
            commit: build::COMMIT,
            now_millis,
            uptime_seconds: (self.uptime_before + self.started.elapsed()).as_secs(),
            next_reset: self.next_reset(),
            last_reset: Some(last_reset).filter(|&seconds| seconds != NEVER),
            families: stored.families,
            series: stored.series,
            pushes: self.pushes(now_millis),
            journal: journal.map(|journal| JournalSummary {
                bytes: journal.bytes,
                snapshot_bytes: journal.snapshot_bytes,
                trouble: journal.trouble.clone(),
            }),
            limits: self.front.limits(),
            senders: stored.senders.map(|senders| Senders {
                live: senders.live as u64,
                remembered: (senders.live + senders.withdrawn) as u64,
            }),
            refusals: self.refusals.latest(),
        }
    }

    fn pushes(&self, now_millis: u64) -> Pushes {
        let history = self.history().clone();
        let result = |(at, (result, word)): (usize, &(PushResult, &'static str))| {
            let mut minutes = [0; HISTORY_MINUTES];
            for (minute, counts) in minutes.iter_mut().zip(history.minutes()) {
                *minute = counts[at];
            }
            PushResultCount {
                result: word,
                outcome: match result {
                    PushResult::Accepted | PushResult::Repeated => Outcome::Accepted,
                    _ => Outcome::Refused,
                },
                total: self.pushes[at].load(Relaxed),
                minutes,
            }
        };
        Pushes {
            per_second: history.per_second(now_millis),
            results: PushResult::ALL.iter().enumerate().map(result).collect(),
        }
    }

    /// Lines for the next image of the process, which [`Status::restored`] finds behind the page of
    /// the gateway's own metrics.
    #[must_use]
    pub fn history_lines(&self) -> String {
        self.history().lines()
    }

    pub(super) fn restore_history(&self, text: &str) {
        let totals = self.push_totals();
        self.history().restore(text, totals);
    }

    fn push_totals(&self) -> Counts {
        std::array::from_fn(|at| self.pushes[at].load(Relaxed))
    }

    // Nothing panics under this lock.
    fn history(&self) -> std::sync::MutexGuard<'_, super::history::History> {
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
