//! Pushes from a universe of series that fill several leaves of the store, and what they and
//! removals leave, as plain maps.

use std::collections::BTreeMap;
use std::fmt::Write;

use prometheus_aggregation_gateway::aggregate::{Ages, Family, Selection, Series, Size};

use crate::random::Random;
use crate::random::model::{escape, label_text};

/// Of the families of numbers; the first have many series, the others few.
const LARGE_FAMILIES: usize = 2;
const SMALL_FAMILIES: usize = 300;
const SERIES: usize = 700;
const GROUPS: usize = 6;
const BOUNDS: [&str; 4] = ["1", "2", "5", "+Inf"];

type Labels = Vec<(String, String)>;

/// All series that may be pushed: each family has those of the first few label sets.
pub struct Universe {
    label_sets: Vec<Labels>,
}

impl Universe {
    pub fn new(random: &mut Random) -> Universe {
        let label_sets = (0..SERIES).map(|number| {
            let filling = "x".repeat(match random.below(100) {
                0 => 20_000,
                1..10 => 1000,
                _ => random.below(20),
            });
            // Some look as if they had the labels that are removed.
            let start = ["", "a", ",group=\"1\",", "zz\\", "\u{e4}"][random.below(5)];
            let group = match random.below(GROUPS) {
                0 => String::new(),
                group => group.to_string(),
            };
            let mut labels = vec![
                ("a".to_owned(), format!("{start}{filling}-{number}")),
                ("group".to_owned(), group),
            ];
            if random.percent(30) {
                labels.push(("zgroup".to_owned(), "1".to_owned()));
            }
            labels
        });
        Universe {
            label_sets: label_sets.collect(),
        }
    }

    pub fn family_name(&self, random: &mut Random) -> String {
        let (name, _) = family(random);
        name
    }

    /// The escaped labels of a removal.
    pub fn labels(&self, random: &mut Random) -> Labels {
        let group = match random.below(GROUPS) {
            0 => String::new(),
            group => group.to_string(),
        };
        let mut labels = vec![("group".to_owned(), group)];
        if random.percent(40) {
            labels.push(("zgroup".to_owned(), "1".to_owned()));
        }
        if random.percent(20) {
            let (_, value) = &random.pick(&self.label_sets)[0];
            labels.insert(0, ("a".to_owned(), escape(value)));
        }
        labels
    }
}

/// The name of a family, and how many of the universe's label sets it has.
fn family(random: &mut Random) -> (String, usize) {
    match random.below(10) {
        0..4 => (format!("large_{}", random.below(LARGE_FAMILIES)), SERIES),
        4 | 5 => ("observed".to_owned(), SERIES / 2),
        _ => (format!("small_{}", random.below(SMALL_FAMILIES)), 3),
    }
}

#[derive(Clone, Debug, PartialEq)]
enum Sum {
    Number(i64),
    /// Own counts by the number of the bound.
    Histogram(BTreeMap<usize, i64>),
}

/// One push: some series of some families.
pub struct Pushed {
    families: BTreeMap<String, PushedFamily>,
}

struct PushedFamily {
    kind: &'static str,
    help: &'static str,
    /// By the text of the label set.
    series: BTreeMap<String, (Labels, Sum)>,
}

impl Pushed {
    pub fn random(random: &mut Random, universe: &Universe) -> Pushed {
        let mut families = BTreeMap::new();
        for _ in 0..1 + random.below(40) {
            let (name, label_sets) = family(random);
            let is_histogram = name == "observed";
            let kind = match is_histogram {
                true => "histogram",
                false => *random.pick(&["counter", "untyped", "untyped"]),
            };
            let pushed = PushedFamily {
                kind,
                help: ["", "One.", "Two."][random.below(3)],
                series: BTreeMap::new(),
            };
            let pushed = families.entry(name).or_insert(pushed);
            // Many in a row, or a few here and there.
            let length = match random.below(3) {
                0 => 1 + random.below(label_sets),
                _ => 1,
            };
            let first = random.below(label_sets);
            for number in first..first + length {
                let labels = &universe.label_sets[number % label_sets];
                let sum = match is_histogram {
                    true => Sum::Histogram(counts(random)),
                    false if pushed.kind == "counter" => Sum::Number(random.between(0, 9)),
                    false => Sum::Number(random.between(-2, 9)),
                };
                let series = (labels.clone(), sum);
                pushed.series.insert(model_text(labels), series);
            }
        }
        Pushed { families }
    }

    pub fn text(&self) -> String {
        let mut text = String::new();
        for (name, family) in &self.families {
            writeln!(text, "# HELP {name} {}", family.help).unwrap();
            if family.kind != "untyped" {
                writeln!(text, "# TYPE {name} {}", family.kind).unwrap();
            }
            for (labels, (_, sum)) in &family.series {
                write_sum(&mut text, name, labels, sum);
            }
        }
        text
    }
}

/// A random selection of the bounds, `+Inf` always.
fn counts(random: &mut Random) -> BTreeMap<usize, i64> {
    let last = BOUNDS.len() - 1;
    let bounds = (0..=last).filter(|&bound| bound == last || random.percent(80));
    let bounds: Vec<usize> = bounds.collect();
    let counts = bounds.into_iter();
    counts.map(|bound| (bound, random.between(0, 3))).collect()
}

/// Without labels of empty value.
fn model_text(labels: &Labels) -> String {
    let labels = labels.iter().filter(|(_, value)| !value.is_empty());
    let labels: Vec<_> = labels
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    label_text(&labels)
}

fn write_sum(text: &mut String, name: &str, labels: &str, sum: &Sum) {
    match sum {
        Sum::Number(value) => writeln!(text, "{name}{{{labels}}} {value}").unwrap(),
        Sum::Histogram(counts) => {
            let mut cumulative = 0;
            for (&bound, count) in counts {
                cumulative += count;
                let le = BOUNDS[bound];
                writeln!(text, "{name}_bucket{{{labels},le=\"{le}\"}} {cumulative}").unwrap();
            }
            writeln!(text, "{name}_sum{{{labels}}} {}", 2 * cumulative).unwrap();
            writeln!(text, "{name}_count{{{labels}}} {cumulative}").unwrap();
        }
    }
}

/// What is stored.
pub struct Model {
    ages: Ages,
    ages_start: u32,
    families: BTreeMap<String, StoredFamily>,
}

struct StoredFamily {
    kind: &'static str,
    help: &'static str,
    series: BTreeMap<String, Stored>,
}

struct Stored {
    labels: Labels,
    sum: Sum,
    second: u32,
}

impl Model {
    pub fn new(ages: Ages) -> Model {
        Model {
            ages,
            ages_start: 0,
            families: BTreeMap::new(),
        }
    }

    pub fn restart_ages(&mut self, second: u32) {
        self.ages_start = self.ages_start.max(second);
    }

    pub fn reset(&mut self) {
        self.families.clear();
    }

    /// From its own snapshot.
    pub fn read_back(&mut self) {
        for family in self.families.values_mut() {
            for series in family.series.values_mut() {
                series.second = series.second.max(self.ages_start);
            }
        }
        self.ages_start = 0;
    }

    /// True if it was accepted.
    pub fn push(&mut self, pushed: &Pushed, second: u32) -> bool {
        let is_negative = |sum: &Sum| matches!(sum, Sum::Number(..0));
        let conflicts = |(name, pushed): (&String, &PushedFamily)| {
            self.families.get(name).is_some_and(|stored| {
                let mut stored_sums = stored.series.values().map(|stored| &stored.sum);
                let mut pushed_sums = pushed.series.values().map(|(_, sum)| sum);
                match (pushed.kind, stored.kind) {
                    ("counter", "untyped") => stored_sums.any(is_negative),
                    ("untyped", "counter") => pushed_sums.any(is_negative),
                    _ => false,
                }
            })
        };
        if pushed.families.iter().any(conflicts) {
            return false;
        }
        for (name, pushed) in &pushed.families {
            let empty = StoredFamily {
                kind: "untyped",
                help: "",
                series: BTreeMap::new(),
            };
            let stored = self.families.entry(name.clone()).or_insert(empty);
            if stored.kind == "untyped" {
                stored.kind = pushed.kind;
            }
            if stored.help.is_empty() {
                stored.help = pushed.help;
            }
            for (text, (labels, sum)) in &pushed.series {
                stored.add(text, labels, sum, second);
            }
        }
        true
    }

    pub fn remove(&mut self, selection: &Selection) -> Size {
        let before = self.size();
        let (ages, ages_start) = (self.ages, self.ages_start);
        self.families.retain(|name, family| {
            family.series.retain(|_, series| {
                let is_selected = match selection {
                    Selection::PushedBefore(limit) => {
                        ages == Ages::Kept && series.second.max(ages_start) < *limit
                    }
                    Selection::Family(removed) => removed == name,
                    Selection::NotHeld => true,
                    Selection::Vacant => false,
                    Selection::Labels(wanted) => wanted.iter().all(|(name, value)| {
                        let of_name = series.labels.iter().find(|(of, _)| of == name);
                        of_name.map_or(String::new(), |(_, value)| escape(value)) == *value
                    }),
                };
                !is_selected
            });
            !family.series.is_empty()
        });
        let after = self.size();
        Size {
            families: before.families - after.families,
            series: before.series - after.series,
        }
    }

    pub fn size(&self) -> Size {
        let sums = self.sums();
        let series = sums.map(|(_, _, stored)| match &stored.sum {
            Sum::Number(_) => 1,
            Sum::Histogram(counts) => counts.len() + 2,
        });
        Size {
            families: self.families.len(),
            series: series.sum(),
        }
    }

    fn sums(&self) -> impl Iterator<Item = (&String, &String, &Stored)> {
        let families = self.families.iter();
        families.flat_map(|(name, family)| {
            let series = family.series.iter();
            series.map(move |(labels, stored)| (name, labels, stored))
        })
    }

    /// Since when each series is silent.
    pub fn silences(&self) -> Vec<(String, String, Option<u32>)> {
        let silences = self.sums().map(|(name, labels, stored)| {
            let second = stored.second.max(self.ages_start);
            let second = (self.ages == Ages::Kept).then_some(second);
            (name.clone(), labels.clone(), second)
        });
        silences.collect()
    }

    pub fn scrape(&self) -> String {
        let mut text = String::new();
        for (name, family) in &self.families {
            if !family.help.is_empty() {
                writeln!(text, "# HELP {name} {}", family.help).unwrap();
            }
            writeln!(text, "# TYPE {name} {}", family.kind).unwrap();
            for (labels, stored) in &family.series {
                write_sum(&mut text, name, labels, &stored.sum);
            }
        }
        text
    }
}

impl StoredFamily {
    fn add(&mut self, text: &str, labels: &Labels, sum: &Sum, second: u32) {
        let Some(stored) = self.series.get_mut(text) else {
            let stored = Stored {
                labels: labels.clone(),
                sum: sum.clone(),
                second,
            };
            self.series.insert(text.to_owned(), stored);
            return;
        };
        stored.second = stored.second.max(second);
        match (&mut stored.sum, sum) {
            (Sum::Number(stored), Sum::Number(value)) => *stored += value,
            (Sum::Histogram(stored), Sum::Histogram(counts)) => {
                for (bound, count) in counts {
                    *stored.entry(*bound).or_default() += count;
                }
            }
            _ => panic!("a family is of one kind"),
        }
    }
}

/// The label sets of a stored family, and when each was last pushed.
pub fn seconds(family: &Family) -> Vec<(String, Option<u32>)> {
    match &family.series {
        Series::Numbers(sums) => {
            let entries = sums.iter_with_seconds();
            entries
                .map(|(labels, _, second)| (labels.to_owned(), second))
                .collect()
        }
        Series::Gauges(_) => Vec::new(),
        Series::Histograms(sums) => {
            let entries = sums.iter_with_seconds();
            entries
                .map(|(labels, _, second)| (labels.to_owned(), second))
                .collect()
        }
    }
}
