//! Cumulative senders: what each has pushed last, and so what its next push adds.
//!
//! ```text
//! Push as sent --prepare--> Changes, Push of increments --check, log, merge--> note
//! ```
//!
//! - Of a counter, histogram or kept summary, a push adds what it has grown by since the baseline
//!   of that sender and series (`growth`).
//! - The gauges of a sender are contributions to the series that its push went to: the last value
//!   of each live sender counts. They are withdrawn when the sender is silent, leaves, or pushes
//!   its state without them.
//!
//! Invariant: a gauge entry is a contribution that stands in the aggregate. One whose series was
//! deleted, or has become a counter, does nothing that a counter of this value would not do: a
//! snapshot does not tell them apart. A sender that is remembered has at least one number.
//!
//! Knows no clock, lock or format: times are arguments.

mod changes;
mod growth;
mod list;
mod memory;
mod table;

use crate::aggregate::{Aggregate, HeldSeries};
use crate::metric::{MetricType, Push};
use crate::stable_hash::{HashKey, StableHash};

pub use changes::Changes;
pub use growth::{Counter, Observed, StartMillis};
pub use list::{Life, ListView, Sender};
pub use memory::TooManyNumbers;
pub use table::Table;

use list::List;

/// The last value of a gauge, or of an untyped number.
#[derive(Clone, Debug)]
pub struct Gauge {
    /// Of its series.
    pub series: StableHash,
    /// As last pushed.
    pub value: f64,
    /// Where it stands.
    pub at: HeldSeries,
}

impl Gauge {
    /// What a number of a counter is compared with that takes its place.
    #[must_use]
    pub fn as_counter(&self) -> Counter {
        Counter {
            series: self.series,
            value: self.value,
            start: 0,
        }
    }
}

impl table::Entry for Gauge {
    const PIECE_ENTRIES: usize = 128;

    fn series(&self) -> StableHash {
        self.series
    }
}

/// How much of a sender's state a push replaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replaced {
    /// The families that it names (`POST`).
    Families,
    /// All of it (`PUT`).
    Everything,
}

/// A push of a sender: who it is, and what its series are called.
#[derive(Debug)]
pub struct Sending {
    /// Of the labels of the path.
    pub sender: StableHash,
    replaced: Replaced,
    /// Of each number of the push, as sent.
    numbers: Vec<StableHash>,
    /// Of each histogram.
    histograms: Vec<StableHash>,
}

impl Sending {
    /// Names the series of a push that has its modes, but still all its labels.
    #[must_use]
    pub fn of(key: HashKey, sender: StableHash, push: &Push<'_>, replaced: Replaced) -> Sending {
        let hash = |kind: &[u8], family: usize, labels: &str| {
            let name = &push.families[family].name;
            key.hash(&[kind, name.as_bytes(), labels.as_bytes()])
        };
        let numbers = push.numbers.iter();
        let histograms = push.histograms.iter();
        Sending {
            sender,
            replaced,
            numbers: numbers
                .map(|number| hash(b"n", number.family, number.labels.as_str()))
                .collect(),
            histograms: histograms
                .map(|histogram| {
                    let kind = match push.families[histogram.family].metric_type {
                        MetricType::Summary => b"s",
                        _ => b"h",
                    };
                    hash(kind, histogram.family, histogram.labels.as_str())
                })
                .collect(),
        }
    }
}

/// What is remembered of the senders.
#[derive(Debug, Default)]
pub struct Senders {
    list: List,
    numbers: usize,
    /// No silence counts before this second.
    silence_start: u32,
}

/// What is remembered at one instant.
#[derive(Clone, Debug)]
pub struct SendersView {
    /// The senders, the longest silent first.
    pub list: ListView,
    /// No silence counts before this second.
    pub silence_start: u32,
}

/// How many there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SenderSizes {
    /// Senders that were heard within the timeout.
    pub live: usize,
    /// Those that were not, and are still remembered.
    pub withdrawn: usize,
    /// Remembered numbers of all of them; a sender counts as one itself.
    pub numbers: usize,
}

impl Senders {
    /// How many there are.
    #[must_use]
    pub fn sizes(&self) -> SenderSizes {
        SenderSizes {
            live: self.list.len(Life::Live),
            withdrawn: self.list.len(Life::Withdrawn),
            numbers: self.numbers,
        }
    }

    /// True if a sender is remembered.
    #[must_use]
    pub fn knows(&self, sender: StableHash) -> bool {
        self.list.find(sender).is_some()
    }

    /// Shares what is remembered now; it goes on changing here.
    #[must_use]
    pub fn view(&self) -> SendersView {
        SendersView {
            list: self.list.view(),
            silence_start: self.silence_start,
        }
    }

    /// From here on no sender is silent since a second before this one.
    pub fn restart_ages(&mut self, second: u32) {
        self.silence_start = self.silence_start.max(second);
    }

    /// Puts back a sender of a snapshot, or more of one, behind those that were put back before.
    pub fn restore(&mut self, known: Remembered) {
        let slot = self.list.find(known.sender).unwrap_or_else(|| {
            self.numbers += 1;
            self.list.insert(known.sender)
        });
        self.list.move_to_end(slot, known.life);
        if let Some(sender) = self.list.at_mut(slot) {
            sender.heard_second = known.heard_second;
            let observed = known.histograms.iter().map(Observed::numbers);
            self.numbers += known.counters.len() + known.gauges.len() + observed.sum::<usize>();
            sender.counters.insert_all(known.counters);
            sender.gauges.insert_all(known.gauges);
            sender.histograms.insert_all(known.histograms);
        }
    }

    /// Withdraws the gauges of a sender. It stays remembered, unless that was all of it.
    pub fn withdraw(&mut self, sender: StableHash, aggregate: &mut Aggregate) {
        let Some(slot) = self.list.find(sender) else {
            return;
        };
        if let Some(sender) = self.list.at_mut(slot) {
            let gauges = std::mem::take(&mut sender.gauges);
            self.numbers -= gauges.len();
            let counters = gauges
                .iter()
                .filter_map(|gauge| withdrawn(gauge, aggregate));
            let counters: Vec<Counter> = counters.collect();
            self.numbers += counters.len();
            sender.counters.insert_all(counters);
        }
        self.list.move_to_end(slot, Life::Withdrawn);
        self.drop_empty(slot);
    }

    /// The same of all live senders.
    pub fn withdraw_all(&mut self, aggregate: &mut Aggregate) {
        let live = self.list.iter(Life::Live).map(|sender| sender.hash);
        for sender in live.collect::<Vec<StableHash>>() {
            self.withdraw(sender, aggregate);
        }
    }

    /// Withdraws the gauges of a sender and forgets it.
    pub fn forget(&mut self, sender: StableHash, aggregate: &mut Aggregate) {
        self.withdraw(sender, aggregate);
        if let Some(slot) = self.list.find(sender) {
            self.drop_sender(slot);
        }
    }

    fn drop_empty(&mut self, slot: u32) {
        if self.list.at(slot).is_some_and(Sender::is_empty) {
            self.drop_sender(slot);
        }
    }

    fn drop_sender(&mut self, slot: u32) {
        self.numbers -= self.list.at(slot).map_or(0, Sender::numbers);
        self.list.remove(slot);
    }
}

/// A sender of a snapshot, or a part of one.
#[derive(Debug)]
pub struct Remembered {
    /// Of the labels of its path.
    pub sender: StableHash,
    /// When it was last heard, in unix seconds.
    pub heard_second: u32,
    /// Whether its gauges stand.
    pub life: Life,
    /// Each series once, in all parts of a sender.
    pub counters: Vec<Counter>,
    /// The same.
    pub gauges: Vec<Gauge>,
    /// The same.
    pub histograms: Vec<Observed>,
}

/// Takes a contribution out of the aggregate. In a family that has become a counter it stays. There
/// and where its series was deleted, it is what a number of a counter is compared with.
fn withdrawn(gauge: &Gauge, aggregate: &mut Aggregate) -> Option<Counter> {
    if !is_held(gauge, aggregate) {
        return Some(gauge.as_counter());
    }
    aggregate.withdraw(&gauge.at, gauge.value);
    None
}

/// True if a contribution stands in a series that it holds.
fn is_held(gauge: &Gauge, aggregate: &Aggregate) -> bool {
    let stands_in = aggregate.type_of(&gauge.at);
    stands_in.is_some_and(|metric_type| metric_type != MetricType::Counter)
}
