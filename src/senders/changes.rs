//! A sender's push: what it adds, and what is remembered of it then.

use super::growth::{
    Counter, Observed, Outcome, Pushed, StartMillis, grown_counter, grown_histogram,
};
use super::list::{Life, Sender};
use super::table::{Entry, Place, Table};
use super::{Gauge, Replaced, Senders, Sending, is_held, withdrawn};
use crate::aggregate::Aggregate;
use crate::metric::{LeftOut, MetricType, Push, Start};
use crate::rules::Folded;
use crate::stable_hash::StableHash;

/// What a push will change in what is remembered of its sender.
#[derive(Debug, Default)]
pub struct Changes {
    /// None if the sender is not known.
    slot: Option<u32>,
    counters: Vec<(Option<Place>, Counter)>,
    gauges: Vec<PushedGauge>,
    histograms: Vec<(Option<Place>, Observed)>,
    /// The family of each histogram in the push.
    families: Vec<usize>,
    /// Gauges that are numbers of counters now: they are not withdrawn.
    gauges_counted: Vec<StableHash>,
    /// Gauges that the push replaces by nothing.
    gauges_gone: Vec<StableHash>,
    /// How many numbers are not remembered any more of those.
    removed: usize,
    /// Counters that are gauges now.
    counters_gone: Vec<StableHash>,
    /// Series that began again at zero.
    pub restarted: u64,
    /// Series that came behind a later push, and were ignored.
    pub late: u64,
    /// How many numbers more will be remembered.
    pub added: usize,
}

#[derive(Debug)]
struct PushedGauge {
    /// In the push before it was folded.
    number: usize,
    place: Option<Place>,
    series: StableHash,
    value: f64,
}

/// The start times of a push, one after the other.
struct Starts<'a>(&'a [Start]);

impl Starts<'_> {
    /// The start of a series; they are asked for in the order of their places.
    fn of(&mut self, place: usize) -> StartMillis {
        while let Some((start, rest)) = self.0.split_first() {
            if start.place > place {
                break;
            }
            self.0 = rest;
            if start.place == place {
                return start.milliseconds;
            }
        }
        0
    }
}

impl Senders {
    /// Turns the numbers and histograms of a sender's push into what they have grown by, and says
    /// what is to be noted once that is merged. Changes nothing here.
    #[must_use]
    pub fn prepare(
        &self,
        sending: &Sending,
        push: &mut Push<'_>,
        aggregate: &Aggregate,
    ) -> Changes {
        let slot = self.list.find(sending.sender);
        let known = slot.and_then(|slot| self.list.at(slot));
        let mut changes = Changes {
            slot,
            ..Changes::default()
        };
        changes.prepare_numbers(known, sending, push, aggregate);
        changes.prepare_histograms(known, sending, push);
        if let Some(known) = known {
            changes.find_gone(known, sending, push, aggregate);
        }
        changes.added = changes.count_added(known);
        changes
    }

    /// Notes what was prepared, once it is merged at this second: the push as it was merged, and
    /// where each of its numbers went when it was folded.
    pub fn note(
        &mut self,
        sending: &Sending,
        changes: Changes,
        push: &Push<'_>,
        folded: &Folded,
        aggregate: &mut Aggregate,
        second: u32,
    ) {
        let slot = match changes.slot {
            Some(slot) => slot,
            None if changes.is_empty() => return,
            None => {
                self.numbers += 1;
                self.list.insert(sending.sender)
            }
        };
        if let Some(sender) = self.list.at_mut(slot) {
            sender.heard_second = second;
            let [added, removed] = changes.note(sender, push, folded, aggregate);
            self.numbers += added;
            self.numbers -= removed;
        }
        self.list.move_to_end(slot, Life::Live);
        self.drop_empty(slot);
    }
}

impl Changes {
    fn is_empty(&self) -> bool {
        self.counters.is_empty() && self.gauges.is_empty() && self.histograms.is_empty()
    }

    fn count(&mut self, outcome: Outcome) {
        self.restarted += u64::from(outcome == Outcome::Restarted);
        self.late += u64::from(outcome == Outcome::Late);
    }

    fn prepare_numbers(
        &mut self,
        known: Option<&Sender>,
        sending: &Sending,
        push: &mut Push<'_>,
        aggregate: &Aggregate,
    ) {
        let mut starts = Starts(&push.number_starts);
        // Neighbours mostly are of one family.
        let mut last = None;
        for (number, &series) in sending.numbers.iter().enumerate() {
            let pushed = &mut push.numbers[number];
            let merged_as = match last {
                Some((family, merged_as)) if family == pushed.family => merged_as,
                _ => aggregate.merged_as(&push.families[pushed.family]).0,
            };
            last = Some((pushed.family, merged_as));
            if merged_as != MetricType::Counter {
                let value = pushed.value;
                self.prepare_gauge(known, number, series, value);
                continue;
            }
            let start = starts.of(number);
            let now = Counter {
                series,
                value: pushed.value,
                start,
            };
            let place = known.and_then(|known| known.counters.find(series));
            let before = match place {
                Some(place) => known.and_then(|known| known.counters.at(place)).copied(),
                None => known.and_then(|known| self.gauge_of_counter(known, series)),
            };
            let (increment, kept, outcome) = grown_counter(before, now);
            // One below zero is refused, whatever it was before.
            if pushed.value >= 0.0 {
                pushed.value = increment;
            }
            self.counters.push((place, kept));
            self.count(outcome);
        }
    }

    /// What a sender has pushed of an untyped series that is one of a counter now, or becomes one
    /// by this push. What it has contributed stays, unless it was deleted.
    fn gauge_of_counter(&mut self, known: &Sender, series: StableHash) -> Option<Counter> {
        let gauge = known.gauges.at(known.gauges.find(series)?)?;
        self.gauges_counted.push(series);
        Some(gauge.as_counter())
    }

    fn prepare_gauge(
        &mut self,
        known: Option<&Sender>,
        number: usize,
        series: StableHash,
        value: f64,
    ) {
        let place = known.and_then(|known| known.gauges.find(series));
        if place.is_none() && known.is_some_and(|known| known.counters.find(series).is_some()) {
            self.counters_gone.push(series);
        }
        self.gauges.push(PushedGauge {
            number,
            place,
            series,
            value,
        });
    }

    fn prepare_histograms(
        &mut self,
        known: Option<&Sender>,
        sending: &Sending,
        push: &mut Push<'_>,
    ) {
        let mut starts = Starts(&push.histogram_starts);
        for (place, &series) in sending.histograms.iter().enumerate() {
            let pushed = &mut push.histograms[place];
            let buckets = &mut push.buckets[pushed.buckets.clone()];
            let start = starts.of(place);
            if pushed.left_out == LeftOut::Counts {
                (pushed.sum, pushed.count) = (0.0, 0.0);
                for bucket in buckets {
                    bucket.count = 0.0;
                }
                pushed.native = None;
                continue;
            }
            let mut now = Pushed {
                series,
                start,
                sum: (pushed.left_out == LeftOut::Nothing).then_some(pushed.sum),
                count: pushed.count,
                buckets,
                native: &mut pushed.native,
            };
            let has_native = now.native.is_some();
            let place = known.and_then(|known| known.histograms.find(series));
            let before = known.and_then(|known| known.histograms.at(place?));
            let like = self.histograms.last().map(|(_, observed)| observed);
            let ([sum, count], kept, outcome) = grown_histogram(before, &mut now, like);
            (pushed.sum, pushed.count) = (sum, count);
            if has_native && pushed.native.is_none() && outcome == Outcome::Grown {
                push.samples -= 1;
                push.skipped.native_histogram += 1;
            }
            self.histograms.push((place, kept));
            self.families.push(pushed.family);
            self.count(outcome);
        }
    }

    /// Finds the gauges that the push replaces by nothing.
    fn find_gone(
        &mut self,
        known: &Sender,
        sending: &Sending,
        push: &Push<'_>,
        aggregate: &Aggregate,
    ) {
        let seen = self.gauges.iter().filter(|gauge| gauge.place.is_some());
        let seen = seen.count() + self.gauges_counted.len();
        if seen == known.gauges.len() {
            return;
        }
        let seen = self.gauges.iter().map(|gauge| gauge.series);
        let seen = seen.chain(self.gauges_counted.iter().copied());
        let mut seen: Vec<StableHash> = seen.collect();
        seen.sort_unstable();
        let families = push.families.iter();
        let mut types: Vec<(&str, MetricType)> = families
            .map(|family| (&*family.name, family.metric_type))
            .collect();
        types.sort_unstable_by_key(|(name, _)| *name);
        let pushed_type = |gauge: &Gauge| {
            let found = types.binary_search_by_key(&gauge.at.family(), |(name, _)| name);
            found.ok().map(|place| types[place].1)
        };
        let unseen = |gauge: &&Gauge| seen.binary_search(&gauge.series).is_err();
        for gauge in known.gauges.iter().filter(unseen) {
            let pushed_type = pushed_type(gauge);
            if sending.replaced == Replaced::Families && pushed_type.is_none() {
                continue;
            }
            self.gauges_gone.push(gauge.series);
            let becomes_counter = pushed_type == Some(MetricType::Counter);
            let stays_counted = !is_held(gauge, aggregate) || becomes_counter;
            self.removed += usize::from(!stays_counted);
        }
    }

    /// Leaves out the histograms and summaries of families that are not merged.
    pub fn leave_out(&mut self, is_left_out: impl Fn(usize) -> bool) {
        let mut families = self.families.iter();
        self.histograms.retain(|_| {
            let family = families.next();
            !family.is_some_and(|family| is_left_out(*family))
        });
    }

    fn count_added(&self, known: Option<&Sender>) -> usize {
        let is_new = |place: Option<Place>| usize::from(place.is_none());
        let counters = self.counters.iter().map(|(place, _)| is_new(*place));
        let gauges = self.gauges.iter().map(|gauge| is_new(gauge.place));
        let mut added = counters.sum::<usize>() + gauges.sum::<usize>();
        let mut removed = self.removed + self.gauges_counted.len() + self.counters_gone.len();
        for (place, observed) in &self.histograms {
            let before = place.and_then(|place| known?.histograms.at(place));
            added += observed.numbers();
            removed += before.map_or(0, Observed::numbers);
        }
        if known.is_none() && !self.is_empty() {
            added += 1;
        }
        added.saturating_sub(removed)
    }

    /// Gives how many numbers are remembered more, and how many are not any more.
    fn note(
        self,
        sender: &mut Sender,
        push: &Push<'_>,
        folded: &Folded,
        aggregate: &mut Aggregate,
    ) -> [usize; 2] {
        let new_gauges = note_gauges(sender, self.gauges, push, folded, aggregate);
        let mut added = new_gauges.len();
        sender.gauges.insert_all(new_gauges);
        let noted = note_all(&mut sender.counters, self.counters, |_| 1);
        added += noted[0];
        let mut removed = noted[1];
        let noted = note_all(&mut sender.histograms, self.histograms, Observed::numbers);
        added += noted[0];
        removed += noted[1];
        removed += sender.counters.remove_all(self.counters_gone).len();
        removed += sender.gauges.remove_all(self.gauges_counted).len();
        let gone = sender.gauges.remove_all(self.gauges_gone);
        removed += gone.len();
        let counters = gone.iter().filter_map(|gauge| withdrawn(gauge, aggregate));
        let counters: Vec<Counter> = counters.collect();
        added += counters.len();
        sender.counters.insert_all(counters);
        [added, removed]
    }
}

/// Puts the values of gauges where they stand, and gives the entries of those that are new.
fn note_gauges(
    sender: &mut Sender,
    gauges: Vec<PushedGauge>,
    push: &Push<'_>,
    folded: &Folded,
    aggregate: &mut Aggregate,
) -> Vec<Gauge> {
    let mut new = Vec::new();
    for gauge in gauges {
        let mut known = gauge.place.and_then(|place| sender.gauges.at_mut(place));
        if let Some(known) = &mut known {
            let old = std::mem::replace(&mut known.value, gauge.value);
            if aggregate.change_contribution(&known.at, old, gauge.value) {
                continue;
            }
        }
        let number = &push.numbers[folded.number(gauge.number)];
        let family = &push.families[number.family].name;
        // The series is there: it was merged.
        let Some(at) = aggregate.contribute(family, &number.labels, gauge.value) else {
            continue;
        };
        match known {
            Some(known) => known.at = at,
            None => new.push(Gauge {
                series: gauge.series,
                value: gauge.value,
                at,
            }),
        }
    }
    new
}

/// Puts entries at their places, then those that are new. Gives how many numbers are remembered
/// more, and how many are not any more.
fn note_all<E: Entry>(
    table: &mut Table<E>,
    entries: Vec<(Option<Place>, E)>,
    numbers: impl Fn(&E) -> usize,
) -> [usize; 2] {
    let (mut added, mut removed) = (0, 0);
    let mut new = Vec::new();
    for (place, entry) in entries {
        added += numbers(&entry);
        match place.and_then(|place| table.at_mut(place)) {
            Some(known) => {
                removed += numbers(known);
                *known = entry;
            }
            None => new.push(entry),
        }
    }
    table.insert_all(new);
    [added, removed]
}
