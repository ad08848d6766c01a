//! What pushes, senders and removals leave of gauges and untyped series, as plain maps of whole
//! numbers: an ordinary part of each series, and beside it what each contribution is.

use std::collections::BTreeMap;
use std::fmt::Write;

use prometheus_aggregation_gateway::aggregate::{Selection, Size};

use crate::random::Random;

const LARGE: [&str; 4] = ["u_large", "c_large", "last_large", "n_large"];
const SERIES: usize = 300;
const SMALL: [&str; 6] = ["u", "c", "g", "last", "max", "min"];

/// Which contribution: it never comes again.
pub type Number = u64;

/// One push: by name, the type and the values by label set.
pub struct Pushed {
    pub families: BTreeMap<String, (&'static str, BTreeMap<String, i64>)>,
}

impl Pushed {
    pub fn random(random: &mut Random) -> Pushed {
        let mut families = BTreeMap::new();
        for _ in 0..1 + random.below(12) {
            let (name, series) = match random.below(3) {
                0 => ((*random.pick(&LARGE)).to_owned(), SERIES),
                _ => (format!("{}_{}", random.pick(&SMALL), random.below(20)), 3),
            };
            let kinds: &[&str] = match name.split('_').next() {
                Some("n") => &["counter"],
                Some("c") => &["untyped", "untyped", "untyped", "counter"],
                Some("g") => &["untyped", "gauge", "counter"],
                _ => &["untyped", "gauge"],
            };
            let kind = *random.pick(kinds);
            let (_, values) = families.entry(name).or_insert((kind, BTreeMap::new()));
            let length = match random.below(3) {
                0 => 1 + random.below(series),
                _ => 1,
            };
            let first = random.below(series);
            for number in first..first + length {
                let least = if kind == "untyped" && random.percent(20) {
                    -5
                } else {
                    0
                };
                let labels = format!("a=\"{}\",b=\"{}\"", number % series, number % 4);
                values.insert(labels, random.between(least, 9));
            }
        }
        // What came for a family that was there already may be negative.
        for (kind, values) in families.values_mut() {
            if *kind == "counter" {
                values.values_mut().for_each(|value| *value = value.abs());
            }
        }
        Pushed { families }
    }

    pub fn text(&self) -> String {
        let mut text = String::new();
        for (name, (kind, values)) in &self.families {
            writeln!(text, "# TYPE {name} {kind}").unwrap();
            for (labels, value) in values {
                writeln!(text, "{name}{{{labels}}} {value}").unwrap();
            }
        }
        text
    }
}

/// The mode of the gauges of a name.
pub fn mode(name: &str) -> &str {
    match name.split('_').next() {
        Some(mode @ ("last" | "max" | "min")) => mode,
        _ => "sum",
    }
}

#[derive(Default)]
pub struct Model {
    ages_start: u32,
    families: BTreeMap<String, Family>,
}

struct Family {
    kind: &'static str,
    series: BTreeMap<String, Series>,
}

#[derive(Clone, Default)]
struct Series {
    ordinary: Option<i64>,
    held: BTreeMap<Number, i64>,
    second: u32,
}

impl Family {
    fn mode<'a>(&self, name: &'a str) -> &'a str {
        if self.kind == "gauge" {
            mode(name)
        } else {
            "sum"
        }
    }

    fn value(&self, name: &str, series: &Series) -> i64 {
        let ordinary = series.ordinary.unwrap_or(0);
        match self.mode(name) {
            "sum" => ordinary + series.held.values().sum::<i64>(),
            _ => ordinary,
        }
    }
}

impl Model {
    /// The type that a push of this family is merged by; `None` if that is refused.
    pub fn merged_as(&self, name: &str, pushed: &Pushed) -> Option<&'static str> {
        let (kind, values) = &pushed.families[name];
        let Some(stored) = self.families.get(name) else {
            return Some(kind);
        };
        let mut stored_series = stored.series.values();
        match (*kind, stored.kind) {
            ("untyped", "counter") => values
                .values()
                .all(|&value| value >= 0)
                .then_some("counter"),
            ("counter", "untyped") => stored_series
                .all(|series| stored.value(name, series) >= 0)
                .then_some("counter"),
            ("untyped", stored) => Some(stored),
            (pushed, "untyped") => Some(pushed),
            (pushed, stored) => (pushed == stored).then_some(pushed),
        }
    }

    pub fn is_accepted(&self, pushed: &Pushed) -> bool {
        let mut names = pushed.families.keys();
        names.all(|name| self.merged_as(name, pushed).is_some())
    }

    /// The numbers that a sender contributes are made, not added.
    pub fn push(&mut self, pushed: &Pushed, second: u32, is_sender: bool) {
        for (name, (_, values)) in &pushed.families {
            let kind = self.merged_as(name, pushed).expect("it is accepted");
            let family = self.families.entry(name.clone()).or_insert(Family {
                kind,
                series: BTreeMap::new(),
            });
            if family.kind != kind {
                family.change_kind(name, kind);
            }
            let mode = family.mode(name);
            for (labels, &value) in values {
                let series = family.series.entry(labels.clone()).or_default();
                series.second = series.second.max(second);
                let stored = series.ordinary;
                series.ordinary = match mode {
                    "sum" if is_sender && kind != "counter" => stored,
                    "sum" => Some(stored.unwrap_or(0) + value),
                    "max" => Some(stored.unwrap_or(value).max(value)),
                    "min" => Some(stored.unwrap_or(value).min(value)),
                    _ => Some(value),
                };
            }
        }
    }

    pub fn contribute(&mut self, name: &str, labels: &str, number: Number, value: i64) {
        let family = self.families.get_mut(name).expect("it was pushed");
        let series = family.series.get_mut(labels).expect("it was pushed");
        series.held.insert(number, value);
    }

    fn series(&mut self, name: &str, labels: &str) -> Option<&mut Series> {
        self.families.get_mut(name)?.series.get_mut(labels)
    }

    /// True if the contribution stands somewhere.
    pub fn change(&mut self, name: &str, labels: &str, number: Number, value: i64) -> bool {
        let held = self.series(name, labels).map(|series| &mut series.held);
        let held = held.and_then(|held| held.get_mut(&number));
        held.map(|held| *held = value).is_some()
    }

    pub fn withdraw(&mut self, name: &str, labels: &str, number: Number) {
        let Some(series) = self.series(name, labels) else {
            return;
        };
        let was_held = series.held.remove(&number).is_some();
        let is_vacant = series.held.is_empty() && series.ordinary.is_none();
        let is_let_go = was_held && series.held.is_empty();
        let family = self.families.get_mut(name).expect("it is there");
        if is_vacant || (is_let_go && family.mode(name) != "sum") {
            family.series.remove(labels);
        }
        if family.series.is_empty() {
            self.families.remove(name);
        }
    }

    pub fn kind(&self, name: &str) -> Option<&'static str> {
        Some(self.families.get(name)?.kind)
    }

    /// True if a contribution stands in a series.
    pub fn holds(&self, name: &str, labels: &str, number: Number) -> bool {
        let family = self.families.get(name);
        let series = family.and_then(|family| family.series.get(labels));
        series.is_some_and(|series| series.held.contains_key(&number))
    }

    pub fn held_series(&self) -> usize {
        let families = self.families.values();
        let series = families.flat_map(|family| family.series.values());
        series.filter(|series| !series.held.is_empty()).count()
    }

    pub fn restart_ages(&mut self, second: u32) {
        self.ages_start = self.ages_start.max(second);
    }

    pub fn remove(&mut self, selection: &Selection) -> Size {
        let before = self.size();
        let start = self.ages_start;
        self.families.retain(|name, family| {
            let is_added_up = family.mode(name) == "sum";
            family.series.retain(|labels, series| {
                let is_held = !series.held.is_empty();
                match selection {
                    Selection::PushedBefore(limit) => is_held || series.second.max(start) >= *limit,
                    Selection::Labels(wanted) => {
                        let has = |(name, value): &(String, String)| {
                            labels.contains(&format!("{name}=\"{value}\""))
                        };
                        !wanted.iter().all(has)
                    }
                    Selection::Family(removed) => removed != name,
                    Selection::NotHeld => {
                        if is_added_up {
                            series.ordinary = None;
                        }
                        is_held
                    }
                    Selection::Vacant => true,
                }
            });
            !family.series.is_empty()
        });
        let after = self.size();
        Size {
            families: before.families - after.families,
            series: before.series - after.series,
        }
    }

    /// From its own snapshot.
    pub fn read_back(&mut self) {
        let families = self.families.values_mut();
        for series in families.flat_map(|family| family.series.values_mut()) {
            series.second = series.second.max(self.ages_start);
        }
        self.ages_start = 0;
    }

    pub fn size(&self) -> Size {
        Size {
            families: self.families.len(),
            series: self
                .families
                .values()
                .map(|family| family.series.len())
                .sum(),
        }
    }

    pub fn scrape(&self) -> String {
        let mut text = String::new();
        for (name, family) in &self.families {
            writeln!(text, "# TYPE {name} {}", family.kind).unwrap();
            for (labels, series) in &family.series {
                let value = family.value(name, series);
                writeln!(text, "{name}{{{labels}}} {value}").unwrap();
            }
        }
        text
    }

    /// Since when each series of a kind that may be held is silent.
    pub fn silences(&self) -> Vec<(String, String, u32)> {
        let families = self
            .families
            .iter()
            .filter(|(name, _)| !name.starts_with("n_"));
        let silences = families.flat_map(|(name, family)| {
            let series = family.series.iter();
            series.map(|(labels, series)| {
                let second = series.second.max(self.ages_start);
                (name.clone(), labels.clone(), second)
            })
        });
        silences.collect()
    }
}

impl Family {
    /// What is exposed is what the new kind goes on from.
    fn change_kind(&mut self, name: &str, kind: &'static str) {
        let values: Vec<i64> = self.series.values().map(|s| self.value(name, s)).collect();
        self.kind = kind;
        for (series, value) in self.series.values_mut().zip(values) {
            if kind == "counter" {
                series.held.clear();
            }
            if kind == "counter" || mode(name) != "sum" {
                series.ordinary = Some(value);
            }
        }
    }
}
