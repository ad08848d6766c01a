//! Gauges and untyped series to which senders contribute, beside ordinary pushes: any mix of both,
//! of removals, resets and type changes leaves what a plain map of the same leaves.

mod examples;
mod model;

use std::collections::{BTreeMap, HashMap};

use prometheus_aggregation_gateway::aggregate::{
    Ages, Aggregate, Contributions, HeldSeries, HeldSum, Outdated, Removal, Selection, Series, View,
};
use prometheus_aggregation_gateway::grouping_key::GroupingKey;
use prometheus_aggregation_gateway::label_limits::LabelLimits;
use prometheus_aggregation_gateway::metric::{GaugeMode, MetricType, Push, PushedBy};
use prometheus_aggregation_gateway::parse::{Format, parse, parse_snapshot};
use prometheus_aggregation_gateway::render::{
    Cursor, Encoding, NameStyle, render, render_held_pieces, render_pieces, whole_text,
};

use crate::random::Random;
use model::{Model, Number, Pushed, mode};

const SEQUENCES: u64 = 45;
const STEPS: usize = 40;
const SENDERS: usize = 5;

fn text(view: &View) -> String {
    String::from_utf8(whole_text(view)).expect("a scrape is UTF-8")
}

fn empty() -> Aggregate {
    Aggregate::new(Ages::Kept).with_contributions(Contributions::Kept)
}

/// Gauges get the modes of their names, as the rules do it.
fn with_modes(mut push: Push<'_>, by: PushedBy) -> Push<'_> {
    for family in &mut push.families {
        if family.metric_type == MetricType::Gauge {
            family.mode = GaugeMode::from_word(mode(&family.name)).expect("it is one");
        }
    }
    push.pushed_by = by;
    push
}

/// Checks and merges; gives the number of new series that the check foretold, unless it refused.
fn merge(aggregate: &mut Aggregate, push: &Push<'_>, second: u32) -> Option<usize> {
    let checked = aggregate.check(push).ok()?;
    let new_series = aggregate.new_series(&checked);
    aggregate.merge(&checked, second);
    Some(new_series)
}

#[track_caller]
fn pushed<'a>(body: &'a str, key: &'a GroupingKey, by: PushedBy) -> Push<'a> {
    let push = parse(Format::Text, body.as_bytes(), key, LabelLimits::NONE);
    with_modes(push.unwrap_or_else(|error| panic!("{error}\n{body}")), by)
}

type Key = (usize, String, String);

/// An aggregate, what its senders contribute, the model of both, and what was seen of them.
struct Pair {
    aggregate: Aggregate,
    model: Model,
    contributions: BTreeMap<Key, (HeldSeries, Number, i64)>,
    next_number: Number,
    second: u32,
    /// Of pushes, those that are no sender's.
    ordinary_percent: usize,
    views: Vec<(View, String)>,
}

impl Pair {
    fn new(random: &mut Random) -> Pair {
        Pair {
            aggregate: empty(),
            model: Model::default(),
            contributions: BTreeMap::new(),
            next_number: 0,
            second: 1000,
            ordinary_percent: *random.pick(&[1, 10, 50]),
            views: Vec::new(),
        }
    }

    #[track_caller]
    fn check(&self, seed: u64) {
        let view = self.aggregate.view();
        let (scrape, expected) = (text(&view), self.model.scrape());
        let mut lines = scrape.lines().zip(expected.lines());
        let difference = lines.find(|(one, other)| one != other);
        assert!(scrape == expected, "seed {seed}: {difference:?}");
        assert_eq!(self.aggregate.size(), self.model.size(), "seed {seed}");
        let held = self.aggregate.held_series();
        assert_eq!(held, self.model.held_series(), "seed {seed}");
        let mut silences = Vec::new();
        for (name, family) in view.families() {
            if let Series::Gauges(gauges) = &family.series {
                let entries = gauges.sums().iter_with_seconds();
                for (labels, _, second) in entries.filter(|(_, sum, _)| sum.value().is_some()) {
                    let second = view.silent_since(second).expect("ages are kept");
                    silences.push((name.to_owned(), labels.to_owned(), second));
                }
            }
        }
        let mut expected = self.model.silences();
        // What is read back as a counter is of the other kind.
        expected.retain(|entry| {
            silences.contains(entry) || self.model.kind(&entry.0) != Some("counter")
        });
        assert!(silences == expected, "seed {seed}: other seconds");
        for ((_, name, labels), (at, number, _)) in &self.contributions {
            let holds = self.model.holds(name, labels, *number);
            let kind = self.aggregate.type_of(at).map(MetricType::as_str);
            let is_counter = kind == Some("counter");
            assert_eq!(kind.is_some() && !is_counter, holds, "seed {seed}: {name}");
            assert!(!holds || kind == self.model.kind(name), "seed {seed}");
        }
    }

    fn step(&mut self, random: &mut Random) {
        self.second += random.below(20) as u32;
        match random.below(20) {
            0 => {
                let second = self.second - random.below(30) as u32;
                self.aggregate.restart_ages(second);
                self.model.restart_ages(second);
            }
            1 => {
                let view = self.aggregate.view();
                let text = text(&view);
                self.views.push((view, text));
            }
            2..6 => self.withdraw(random),
            _ if random.percent(self.ordinary_percent) => self.push(random, None),
            _ => {
                let sender = random.below(SENDERS);
                self.push(random, Some(sender));
            }
        }
    }

    fn push(&mut self, random: &mut Random, sender: Option<usize>) {
        let sent = Pushed::random(random);
        let (body, key) = (sent.text(), GroupingKey::default());
        let by = if sender.is_some() {
            PushedBy::Sender
        } else {
            PushedBy::Anyone
        };
        let push = pushed(&body, &key, by);
        let before = self.aggregate.size().series;
        for family in &push.families {
            let (merged_as, mode_as) = self.aggregate.merged_as(family);
            if let Some(expected) = self.model.merged_as(&family.name, &sent) {
                assert_eq!(merged_as.as_str(), expected);
                let is_gauge = merged_as == MetricType::Gauge;
                let expected = if is_gauge { mode(&family.name) } else { "sum" };
                assert_eq!(mode_as.as_str(), expected);
            }
        }
        let new_series = merge(&mut self.aggregate, &push, self.second);
        assert_eq!(
            new_series.is_some(),
            self.model.is_accepted(&sent),
            "{body}"
        );
        let Some(new_series) = new_series else { return };
        self.model.push(&sent, self.second, sender.is_some());
        if let Some(sender) = sender {
            self.contribute(&push, sender);
        }
        assert_eq!(self.aggregate.size().series, before + new_series);
    }

    fn contribute(&mut self, push: &Push<'_>, sender: usize) {
        for number in &push.numbers {
            let family = &push.families[number.family];
            let (name, labels) = (&*family.name, number.labels.as_str());
            let key = (sender, name.to_owned(), labels.to_owned());
            let value = number.value as i64;
            if self.model.kind(name) == Some("counter") {
                self.contributions.remove(&key);
                assert!(
                    self.aggregate
                        .contribute(name, &number.labels, 1.0)
                        .is_none()
                );
                continue;
            }
            if let Some((at, of, old)) = self.contributions.get_mut(&key) {
                assert!(at.may_be(name, &number.labels));
                let is_there = self
                    .aggregate
                    .change_contribution(at, *old as f64, number.value);
                assert_eq!(is_there, self.model.change(name, labels, *of, value));
                *old = value;
                if is_there {
                    continue;
                }
            }
            let at = self
                .aggregate
                .contribute(name, &number.labels, number.value);
            let at = at.expect("the series was made");
            self.model.contribute(name, labels, self.next_number, value);
            self.contributions
                .insert(key, (at, self.next_number, value));
            self.next_number += 1;
        }
    }

    /// Some of what one sender holds, or all of it, or all of everyone.
    fn withdraw(&mut self, random: &mut Random) {
        let sender = random.below(SENDERS);
        let chance = *random.pick(&[5, 50, 100]);
        let is_everyone = random.percent(5);
        let (aggregate, model) = (&mut self.aggregate, &mut self.model);
        self.contributions
            .retain(|(of, name, labels), (at, number, value)| {
                if !(is_everyone || *of == sender) || !random.percent(chance) {
                    return true;
                }
                aggregate.withdraw(at, *value as f64);
                model.withdraw(name, labels, *number);
                false
            });
    }

    fn selection(&self, random: &mut Random) -> Selection {
        match random.below(10) {
            0 => Selection::Family(random.pick(&["u_large", "last_large", "u_1"]).to_string()),
            1 => Selection::Labels(vec![("b".to_owned(), random.below(4).to_string())]),
            2..5 => Selection::PushedBefore(self.second + 5 - random.below(80) as u32),
            5 | 6 => Selection::Vacant,
            _ => Selection::NotHeld,
        }
    }

    /// A removal with all else while it is prepared, and views of all that.
    fn remove(&mut self, random: &mut Random, seed: u64) {
        let selection = self.selection(random);
        let mut removal = Removal::prepare(self.aggregate.view(), selection.clone());
        for _ in 0..random.below(4) {
            for _ in 0..random.below(4) {
                self.step(random);
            }
            let caught_up = removal.catch_up(&self.aggregate.view());
            caught_up.expect("nothing was removed");
        }
        for _ in 0..random.below(3) {
            self.step(random);
        }
        let view = self.aggregate.view();
        let before = text(&view);
        let removed = self.aggregate.remove(&mut removal);
        let expected = self.model.remove(&selection);
        assert_eq!(removed, Ok(expected), "seed {seed}: {selection:?}");
        if !removal.is_empty() {
            assert_eq!(self.aggregate.remove(&mut removal), Err(Outdated));
        }
        drop(removal);
        assert!(text(&view) == before, "seed {seed}: a view changed");
    }

    /// Into another aggregate, as the next process does it.
    fn read_back(&mut self) {
        let (view, mut read) = (self.aggregate.view(), empty());
        let rendered: Result<(), ()> = render_pieces(&view, 1000, |piece, _| {
            restore(&mut read, piece, PushedBy::Anyone, &[]);
            Ok(())
        });
        assert!(rendered.is_ok());
        let mut restored = HashMap::new();
        let rendered: Result<(), ()> = render_held_pieces(&view, 1000, |piece, sums| {
            let held = restore(&mut read, piece, PushedBy::Sender, sums);
            restored.extend(sums.iter().map(|sum| sum.id).zip(held));
            Ok(())
        });
        assert!(rendered.is_ok());
        self.contributions
            .retain(|_, (at, _, _)| match restored.get(&at.id()) {
                None => false,
                Some(held) => {
                    *at = held.clone();
                    assert!(read.link(at));
                    true
                }
            });
        self.aggregate = read;
        self.model.read_back();
    }
}

fn restore(
    aggregate: &mut Aggregate,
    piece: &[u8],
    by: PushedBy,
    sums: &[HeldSum],
) -> Vec<HeldSeries> {
    let key = GroupingKey::default();
    let push = with_modes(
        parse_snapshot(piece, &key).expect("a snapshot is valid"),
        by,
    );
    let checked = aggregate.check(&push).expect("a snapshot fits");
    if by == PushedBy::Anyone {
        aggregate.merge(&checked, u32::MAX);
        return Vec::new();
    }
    assert_eq!(push.numbers.len(), sums.len());
    let held = aggregate.restore_held(&checked, u32::MAX, sums);
    held.into_iter()
        .map(|held| held.expect("it was made"))
        .collect()
}

#[test]
fn any_mix_equals_a_map() {
    for seed in 0..SEQUENCES {
        let mut random = Random::new(seed);
        let mut pair = Pair::new(&mut random);
        for _ in 0..STEPS {
            match random.below(8) {
                0 | 1 => pair.remove(&mut random, seed),
                2 if random.percent(50) => {
                    let selection = pair.selection(&mut random);
                    let removed = pair.aggregate.remove_now(selection.clone());
                    assert_eq!(removed, pair.model.remove(&selection), "seed {seed}");
                }
                2 if random.percent(40) => pair.read_back(),
                _ => pair.step(&mut random),
            }
            pair.check(seed);
        }
        for (view, expected) in &pair.views {
            assert!(text(view) == *expected, "seed {seed}: a view changed");
        }
        // With all of it withdrawn, and what ordinary pushes added removed, nothing is left.
        for (at, _, value) in std::mem::take(&mut pair.contributions).into_values() {
            pair.aggregate.withdraw(&at, value as f64);
        }
        assert_eq!(pair.aggregate.held_series(), 0, "seed {seed}");
        pair.aggregate.remove_now(Selection::NotHeld);
        assert_eq!(text(&pair.aggregate.view()), "", "seed {seed}");
    }
}

/// A scrape in pieces of any length is the scrape, with vacant series and absent families between.
#[test]
fn pieces_of_a_scrape() {
    let mut random = Random::new(3);
    let mut pair = Pair::new(&mut random);
    for _ in 0..60 {
        pair.step(&mut random);
        let view = pair.aggregate.view();
        let (mut whole, mut from) = (Vec::new(), Some(Cursor::default()));
        let piece_bytes = 1 + random.below(300);
        while let Some(cursor) = from {
            let mut piece = Vec::new();
            from = render(
                &view,
                Encoding::Text,
                NameStyle::Quoted,
                cursor,
                &mut piece,
                piece_bytes,
            );
            whole.extend(piece);
        }
        assert!(whole == whole_text(&view));
    }
}
