//! What one pusher with idempotency keys has pushed and deleted, and what a scrape may show of it.
//!
//! A pusher numbers its pushes, and sends one until it is acknowledged before it goes on to the
//! next. Each adds 1 to counters and shows its number in two gauges, one with the mode `min` and
//! one with `max`. So the law is exact, whatever was forgotten at whatever instant: what is there
//! is a window of pushes without a gap, each counted once, from one of them to the last.

use std::collections::BTreeSet;

use super::mode::GaugeMode;

/// Of one pusher, or of nobody yet.
#[derive(Clone, Default)]
pub struct Account {
    /// Odd while the pusher deletes something; raised by one before and after it.
    pub epoch: u64,
    /// The number of the last push that was sent.
    pub sent: u64,
    /// The number of the last push that was acknowledged.
    pub acknowledged: u64,
    /// The number of the last push before the pusher has deleted all its series.
    deleted: u64,
    /// The same for those of the family that is deleted alone.
    deleted_of_family: u64,
    /// Bounds of the gauge whose mode is that of the life in which it is pushed.
    gauge_least: u64,
    gauge_most: u64,
    /// The first pushes of the windows that were scraped.
    windows: BTreeSet<u64>,
}

/// What a pusher deletes.
#[derive(Clone, Copy, PartialEq)]
pub enum Deletion {
    AllSeries,
    Family,
}

/// What a scrape shows of a pusher.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shown {
    /// The first and the last push.
    window: Option<(u64, u64)>,
    count: u64,
    of_family: u64,
    gauge: u64,
}

/// By how much a scrape falls short of the law, and exceeds it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Deviation {
    pub lost: u64,
    pub doubled: u64,
}

/// Whether a window may begin later than the series were deleted.
#[derive(Clone, Copy, PartialEq)]
pub enum Windows {
    One,
    Many,
}

impl Account {
    /// A push is sent for the first time; gives its number.
    pub fn send(&mut self) -> u64 {
        self.sent += 1;
        // It may be added in a life that adds gauges up.
        self.gauge_most += 1;
        self.sent
    }

    /// It is acknowledged. The mode is known if it was sent once, within one life.
    pub fn acknowledge(&mut self, mode: Option<GaugeMode>) {
        self.acknowledged = self.sent;
        match mode {
            Some(GaugeMode::Sum) => self.gauge_least += 1,
            Some(GaugeMode::Max) => {
                self.gauge_least = self.gauge_least.max(1);
                self.gauge_most = (self.gauge_most - 1).max(1);
            }
            None => self.gauge_least = self.gauge_least.max(1),
        }
    }

    /// A deletion is sent: nothing is known until it is acknowledged.
    pub fn begin_deletion(&mut self) {
        self.epoch += 1;
    }

    /// It is acknowledged.
    pub fn end_deletion(&mut self, deletion: Deletion) {
        self.epoch += 1;
        self.deleted_of_family = self.sent;
        if deletion == Deletion::AllSeries {
            self.deleted = self.sent;
            (self.gauge_least, self.gauge_most) = (0, 0);
            self.windows.clear();
        }
    }

    /// How many windows were scraped since the pusher has deleted its series.
    pub fn windows(&self) -> usize {
        self.windows.len()
    }

    /// Notes the window of a scrape.
    pub fn note(&mut self, shown: Shown) {
        self.windows.extend(shown.window.map(|(first, _)| first));
    }

    /// Compares what is scraped with the account before the scrape (this one) and after it; `None`
    /// if the pusher has deleted something meanwhile.
    pub fn check(&self, after: &Account, shown: Shown, windows: Windows) -> Option<Deviation> {
        if self.epoch != after.epoch || !self.epoch.is_multiple_of(2) {
            return None;
        }
        let mut deviation = Deviation::default();
        let mut expect = |found: u64, least: u64, most: u64| {
            deviation.lost = deviation.lost.max(least.saturating_sub(found));
            deviation.doubled = deviation.doubled.max(found.saturating_sub(most));
        };
        let Some((first, last)) = shown.window else {
            let least = match windows {
                Windows::One => self.acknowledged - self.deleted,
                Windows::Many => 0,
            };
            expect(shown.count, least, 0);
            expect(shown.of_family, 0, 0);
            expect(shown.gauge, 0, 0);
            return Some(deviation);
        };
        let earliest = self.deleted + 1;
        let latest = match windows {
            Windows::One => earliest,
            Windows::Many => after.sent,
        };
        // A window that begins late lacks a push; one that begins early has one too many.
        expect(latest, first, u64::MAX);
        expect(earliest, 0, first);
        expect(last, self.acknowledged, after.sent);
        let count = (last + 1).saturating_sub(first);
        expect(shown.count, count, count);
        let of_family = last.saturating_sub(self.deleted_of_family.max(first - 1));
        expect(shown.of_family, of_family, of_family);
        let bounds = match windows {
            Windows::One => (self.gauge_least, after.gauge_most.max(self.gauge_most)),
            Windows::Many => (count, count),
        };
        expect(shown.gauge, bounds.0, bounds.1);
        Some(deviation)
    }
}

/// The body of a push, with so many bytes of comments.
pub fn body(pusher: usize, number: u64, comment_bytes: usize) -> String {
    const COMMENT: &str = "# nothing that counts\n";
    let comments = COMMENT.repeat(comment_bytes / COMMENT.len());
    format!(
        "# HELP crash_keyed_total A text that is cut where labels may have no more than 50 bytes.\n\
         # TYPE crash_keyed_total counter\n\
         crash_keyed_total{{pusher=\"{pusher}\",x=\"{}\"}} 1\n\
         {comments}\
         # TYPE crash_first gauge\n\
         crash_first{{pusher=\"{pusher}\"}} {number}\n\
         # TYPE crash_last gauge\n\
         crash_last{{pusher=\"{pusher}\"}} {number}\n\
         # TYPE crash_gauge gauge\n\
         crash_gauge{{pusher=\"{pusher}\"}} 1\n\
         # TYPE crash_family_{pusher} counter\n\
         crash_family_{pusher}{{pusher=\"{pusher}\"}} 1\n",
        number % 3
    )
}

/// What a page shows of a pusher.
pub fn shown(page: &str, pusher: usize) -> Shown {
    let label = format!("pusher=\"{pusher}\"");
    let values = |name: &str| {
        let of_name = page.lines().filter_map(|line| {
            let (labels, value) = line
                .strip_prefix(name)?
                .strip_prefix('{')?
                .split_once("} ")?;
            let value = labels.contains(&label).then_some(value)?;
            Some(
                value
                    .parse::<u64>()
                    .expect("whole numbers are shown as such"),
            )
        });
        of_name.collect::<Vec<u64>>()
    };
    let sum = |name: &str| values(name).iter().sum();
    let first = values("crash_first").first().copied();
    Shown {
        window: first.zip(values("crash_last").first().copied()),
        count: sum("crash_keyed_total"),
        of_family: sum(&format!("crash_family_{pusher}")),
        gauge: sum("crash_gauge"),
    }
}
