//! What senders and others have pushed, as plain maps. Nothing is shared with the program.

mod sending;

use std::collections::{BTreeMap, BTreeSet};

use prometheus_aggregation_gateway::aggregate::Ages;
use prometheus_aggregation_gateway::metric::GaugeMode;
use prometheus_aggregation_gateway::rules::{GaugeRule, Rules};

use crate::random::Random;

pub const COUNTER: usize = 0;
pub const GAUGE: usize = 1;
pub const HISTOGRAM: usize = 2;
pub const UNTYPED: usize = 3;
pub const FAMILIES: [&str; 4] = ["c_total", "g", "h", "u"];
pub const BOUNDS: [&str; 3] = ["1", "5", "+Inf"];

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Flags {
    pub mode: GaugeMode,
    pub drops_b: bool,
    pub ages: Ages,
    /// The label of senders.
    pub label: Option<&'static str>,
}

impl Flags {
    pub fn random(random: &mut Random) -> Flags {
        use GaugeMode::{Last, Max, Min, Sum};
        Flags {
            mode: *random.pick(&[Sum, Sum, Last, Max, Min]),
            drops_b: random.percent(40),
            ages: *random.pick(&[Ages::Kept, Ages::Kept, Ages::NotKept]),
            label: *random.pick(&[Some("s"), Some("s"), Some("s"), Some("other"), None]),
        }
    }

    pub fn rules(self) -> Rules {
        let names = "g*".parse().unwrap();
        let mode = self.mode;
        let dropped = self.drops_b.then(|| "b".parse().unwrap());
        let dropped = dropped.into_iter().collect();
        let rules = Rules::new(vec![GaugeRule { names, mode }], dropped, self.ages);
        match self.label {
            Some(label) => rules.with_sender_label(label.to_owned()),
            None => rules,
        }
    }
}

/// A stored series: family, `a`, `b`, and `s` where that is no sender; zero is none.
pub type Series = (usize, usize, usize, usize);

/// Own counts by bound, sum, count.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Observed {
    pub own: BTreeMap<usize, f64>,
    pub sum: Option<f64>,
    pub count: f64,
    /// A bucket is NaN.
    pub is_left_out: bool,
}

/// What a push says of one series of a family.
#[derive(Clone, Debug)]
pub enum Value {
    Number(f64),
    Histogram(Observed),
}

/// A push as the model sees it: its values with their family, `b` and start.
#[derive(Clone, Debug)]
pub struct Pushed {
    pub a: usize,
    pub s: usize,
    pub is_put: bool,
    /// Families that it names.
    pub named: BTreeSet<usize>,
    pub is_counter: bool,
    pub values: BTreeMap<(usize, usize), (Value, u64)>,
}

#[derive(Clone, Debug, Default)]
pub struct Sender {
    pub heard: u64,
    pub is_live: bool,
    counters: BTreeMap<(usize, usize), (f64, u64)>,
    gauges: BTreeMap<(usize, usize), f64>,
    histograms: BTreeMap<usize, (Observed, u64)>,
}

impl Sender {
    fn numbers(&self) -> usize {
        let observed = self.histograms.values();
        let observed = observed.map(|(observed, _)| observed.own.len() + 2);
        let numbers = self.counters.len() + self.gauges.len() + observed.sum::<usize>();
        if numbers == 0 { 0 } else { numbers + 1 }
    }
}

#[derive(Clone, Debug)]
pub struct Model {
    pub flags: Flags,
    /// What ordinary pushes made of it, and the second of the last push.
    numbers: BTreeMap<Series, (Option<f64>, u64)>,
    histograms: BTreeMap<Series, (Observed, u64)>,
    is_counter: bool,
    /// By `a` and `s`, in the order in which they were heard.
    pub senders: Vec<((usize, usize), Sender)>,
    pub silence_start: u64,
    pub restarted: u64,
    pub late: u64,
}

impl Model {
    pub fn new(flags: Flags) -> Model {
        Model {
            flags,
            numbers: BTreeMap::new(),
            histograms: BTreeMap::new(),
            is_counter: false,
            senders: Vec::new(),
            silence_start: 0,
            restarted: 0,
            late: 0,
        }
    }

    fn mode(&self, family: usize) -> GaugeMode {
        match family {
            GAUGE => self.flags.mode,
            _ => GaugeMode::Sum,
        }
    }

    fn target(&self, family: usize, a: usize, b: usize) -> Series {
        (family, a, if self.flags.drops_b { 0 } else { b }, 0)
    }

    fn contributions(&self, series: Series) -> Vec<f64> {
        let mut found = Vec::new();
        for ((a, _), sender) in &self.senders {
            let gauges = sender.gauges.iter();
            let here = gauges.filter(|((family, b), _)| self.target(*family, *a, *b) == series);
            found.extend(here.map(|(_, value)| *value));
        }
        found
    }

    fn exposed(&self, series: Series) -> Option<f64> {
        let (ordinary, _) = self.numbers.get(&series)?;
        let contributions = self.contributions(series);
        match self.mode(series.0) {
            GaugeMode::Sum if ordinary.is_none() && contributions.is_empty() => None,
            GaugeMode::Sum => Some(ordinary.unwrap_or(0.0) + contributions.iter().sum::<f64>()),
            _ => *ordinary,
        }
    }

    fn tidy(&mut self) {
        let all: Vec<Series> = self.numbers.keys().copied().collect();
        for series in all {
            if self.exposed(series).is_none() {
                self.numbers.remove(&series);
            }
        }
        let has_untyped = self.numbers.keys().any(|series| series.0 == UNTYPED);
        self.is_counter &= has_untyped;
    }

    fn has_untyped(&self) -> bool {
        self.numbers.keys().any(|series| series.0 == UNTYPED)
    }

    /// Untyped becomes a counter: what was contributed stays, and is the baseline.
    fn declare_counter(&mut self) {
        if self.is_counter {
            return;
        }
        let all: Vec<Series> = self.numbers.keys().copied().collect();
        for series in all.into_iter().filter(|series| series.0 == UNTYPED) {
            let exposed = self.exposed(series);
            self.numbers.get_mut(&series).unwrap().0 = exposed;
        }
        self.count_gauges(|_, (family, _)| family == UNTYPED);
        self.is_counter = true;
    }

    /// Contributions that do not stand any more are what the next push may be compared with.
    fn count_gauges(&mut self, which: impl Fn(usize, (usize, usize)) -> bool) {
        for ((a, _), sender) in &mut self.senders {
            for (key, value) in std::mem::take(&mut sender.gauges) {
                if which(*a, key) {
                    sender.counters.insert(key, (value, 0));
                } else {
                    sender.gauges.insert(key, value);
                }
            }
        }
    }

    /// Merges an ordinary push, or what is left of one by a sender; by the fold first.
    fn merge(&mut self, folded: BTreeMap<Series, f64>, second: u64) {
        for (series, value) in folded {
            let exposed = self.exposed(series);
            let (ordinary, last) = self.numbers.entry(series).or_insert((None, 0));
            *last = second.max(*last);
            let mode = match series.0 {
                GAUGE => self.flags.mode,
                _ => GaugeMode::Sum,
            };
            *ordinary = Some(match (mode, exposed) {
                (GaugeMode::Sum, _) => ordinary.unwrap_or(0.0) + value,
                (_, None) | (GaugeMode::Last, _) => value,
                (GaugeMode::Max, Some(stored)) => stored.max(value),
                (GaugeMode::Min, Some(stored)) => stored.min(value),
            });
        }
    }

    fn fold(&self, folded: &mut BTreeMap<Series, f64>, series: Series, value: f64) {
        let mode = self.mode(series.0);
        folded
            .entry(series)
            .and_modify(|stored| {
                *stored = match mode {
                    GaugeMode::Sum => *stored + value,
                    GaugeMode::Last => value,
                    GaugeMode::Max => stored.max(value),
                    GaugeMode::Min => stored.min(value),
                }
            })
            .or_insert(value);
    }

    fn observe(&mut self, series: Series, grown: &Observed, second: u64) {
        let (stored, last) = self.histograms.entry(series).or_default();
        for (bound, count) in &grown.own {
            *stored.own.entry(*bound).or_default() += count;
        }
        stored.sum = Some(stored.sum.unwrap_or(0.0) + grown.sum.unwrap_or(0.0));
        stored.count += grown.count;
        *last = second.max(*last);
    }

    pub fn push_ordinary(&mut self, pushed: &Pushed, second: u64) {
        if pushed.is_counter && self.has_untyped() {
            self.declare_counter();
        }
        let mut folded = BTreeMap::new();
        for (&(family, b), (value, _)) in &pushed.values {
            let (_, a, b, _) = self.target(family, pushed.a, b);
            let series = (family, a, b, pushed.s);
            match value {
                Value::Number(value) => self.fold(&mut folded, series, *value),
                Value::Histogram(observed) => self.observe(series, observed, second),
            }
        }
        self.merge(folded, second);
        self.is_counter |= pushed.is_counter && self.has_untyped();
    }

    pub fn sender(&self, name: (usize, usize)) -> Option<&Sender> {
        let found = self.senders.iter().find(|(found, _)| *found == name);
        found.map(|(_, sender)| sender)
    }

    fn withdraw_gauges(&mut self, name: (usize, usize), gone: &BTreeMap<(usize, usize), f64>) {
        for key in gone.keys() {
            for (found, sender) in &mut self.senders {
                if *found == name {
                    sender.gauges.remove(key);
                }
            }
            let series = self.target(key.0, name.0, key.1);
            if self.mode(key.0) != GaugeMode::Sum && self.contributions(series).is_empty() {
                self.numbers.remove(&series);
            }
        }
        self.tidy();
    }

    fn drop_empty(&mut self) {
        self.senders.retain(|(_, sender)| sender.numbers() > 0);
    }

    pub fn withdraw(&mut self, name: (usize, usize)) {
        let gone = self.sender(name).map(|sender| sender.gauges.clone());
        self.withdraw_gauges(name, &gone.unwrap_or_default());
        for (found, sender) in &mut self.senders {
            sender.is_live &= *found != name;
        }
        self.drop_empty();
    }

    pub fn forget(&mut self, name: (usize, usize)) {
        self.withdraw(name);
        self.senders.retain(|(found, _)| *found != name);
    }

    pub fn silent(&self, second: u64, seconds: u64) -> Vec<(usize, usize)> {
        let senders = self.senders.iter();
        let is_silent = |sender: &Sender| second - sender.heard.max(self.silence_start) >= seconds;
        senders
            .filter(|(_, sender)| is_silent(sender))
            .map(|(name, _)| *name)
            .collect()
    }

    pub fn pass_time(&mut self, second: u64, timeout: u64, memory: u64) {
        for name in self.silent(second, timeout) {
            self.withdraw(name);
        }
        for name in self.silent(second, memory) {
            self.forget(name);
        }
    }

    /// All numbers that are remembered.
    pub fn remembered(&self) -> usize {
        self.senders
            .iter()
            .map(|(_, sender)| sender.numbers())
            .sum()
    }

    pub fn reset(&mut self) {
        self.histograms.clear();
        let is_counter = self.is_counter;
        let all: Vec<Series> = self.numbers.keys().copied().collect();
        for series in all {
            let is_gauge = series.0 == GAUGE || series.0 == UNTYPED && !is_counter;
            if !is_gauge || self.contributions(series).is_empty() {
                self.numbers.remove(&series);
            } else if self.mode(series.0) == GaugeMode::Sum {
                self.numbers.get_mut(&series).unwrap().0 = None;
            }
        }
        self.tidy();
    }

    pub fn delete(&mut self, which: impl Fn(Series) -> bool) {
        let flags = self.flags;
        let target = |family, a, b| (family, a, if flags.drops_b { 0 } else { b }, 0);
        self.count_gauges(|a, (family, b)| which(target(family, a, b)));
        self.numbers.retain(|series, _| !which(*series));
        self.histograms.retain(|series, _| !which(*series));
        self.tidy();
    }

    pub fn expire(&mut self, before: u64) {
        if self.flags.ages == Ages::NotKept || self.silence_start >= before {
            return;
        }
        let old = self.numbers.iter().filter(|(_, (_, last))| *last < before);
        let old: Vec<Series> = old.map(|(series, _)| *series).collect();
        for series in old {
            if self.contributions(series).is_empty() {
                self.numbers.remove(&series);
            }
        }
        self.histograms.retain(|_, (_, last)| *last >= before);
        self.tidy();
    }

    /// Flags are others from here on.
    pub fn change_flags(&mut self, flags: Flags, second: u64) {
        let names: Vec<(usize, usize)> = self.senders.iter().map(|(name, _)| *name).collect();
        names.into_iter().for_each(|name| self.withdraw(name));
        let old = self.clone();
        let had_ages = old.flags.ages == Ages::Kept;
        if flags.label != old.flags.label {
            self.senders.clear();
        }
        self.flags = flags;
        let (numbers, histograms) = (&mut self.numbers, &mut self.histograms);
        let (numbers, histograms) = (std::mem::take(numbers), std::mem::take(histograms));
        let since = |last: u64| match had_ages {
            true => last.max(old.silence_start),
            false => second,
        };
        // The last one is that of the last label set.
        let mut numbers: Vec<_> = numbers.into_iter().collect();
        numbers.sort_by_key(|(series, _)| labels(*series));
        for ((family, a, b, s), (value, last)) in numbers {
            let series = (family, a, if flags.drops_b { 0 } else { b }, s);
            self.merge([(series, value.unwrap())].into(), since(last));
        }
        for ((family, a, b, s), (observed, last)) in histograms {
            let series = (family, a, if flags.drops_b { 0 } else { b }, s);
            self.observe(series, &observed, since(last));
        }
    }

    pub fn scrape(&self) -> String {
        let mut families: BTreeMap<usize, BTreeMap<String, String>> = BTreeMap::new();
        for series in self.numbers.keys() {
            let value = self.exposed(*series).unwrap();
            let labels = labels(*series);
            let line = match labels.as_str() {
                "" => format!("{} {value}\n", FAMILIES[series.0]),
                labels => format!("{}{{{labels}}} {value}\n", FAMILIES[series.0]),
            };
            families.entry(series.0).or_default().insert(labels, line);
        }
        for (series, (observed, _)) in &self.histograms {
            let (labels, mut lines, mut count) = (labels(*series), String::new(), 0.0);
            let comma = if labels.is_empty() { "" } else { "," };
            for (bound, own) in &observed.own {
                count += own;
                let bound = BOUNDS[*bound];
                lines += &format!("h_bucket{{{labels}{comma}le=\"{bound}\"}} {count}\n");
            }
            let braces = match labels.as_str() {
                "" => String::new(),
                labels => format!("{{{labels}}}"),
            };
            let (sum, count) = (observed.sum.unwrap(), observed.count);
            lines += &format!("h_sum{braces} {sum}\nh_count{braces} {count}\n");
            families.entry(HISTOGRAM).or_default().insert(labels, lines);
        }
        let mut text = String::new();
        for (family, lines) in families {
            let kind = match family {
                COUNTER => "counter",
                GAUGE => "gauge",
                HISTOGRAM => "histogram",
                _ if self.is_counter => "counter",
                _ => "untyped",
            };
            let lines: Vec<String> = lines.into_values().collect();
            text += &format!("# TYPE {} {kind}\n{}", FAMILIES[family], lines.concat());
        }
        text
    }
}

fn labels((_, a, b, s): Series) -> String {
    let labels = [("a", a), ("b", b), ("s", s)].into_iter();
    let labels = labels.filter(|(_, value)| *value > 0);
    let labels: Vec<String> = labels
        .map(|(name, value)| format!("{name}=\"{value}\""))
        .collect();
    labels.join(",")
}
