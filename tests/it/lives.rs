//! Any sequence of pushes, resets, expiries, deletions, compactions, hand-overs, kills and changes
//! of flags between lives: the sums are those of a model made of plain maps.

use std::collections::BTreeMap;
use std::sync::Arc;

use prometheus_aggregation_gateway::aggregate::Ages;
use prometheus_aggregation_gateway::gateway::{Accepted, Gateway, PushRequest};
use prometheus_aggregation_gateway::metric::GaugeMode;
use prometheus_aggregation_gateway::parse::Format;
use prometheus_aggregation_gateway::rules::{
    GaugeRule, PUSH_TIME_NAME, PushTimes, Rules, Summaries,
};
use prometheus_aggregation_gateway::senders::Replaced;

use crate::journal::{START, scrape};
use crate::memory_disk::MemoryDisk;
use crate::random::Random;

/// Gauges `g0` and `g1`, counters `c0` and `c1`, the summary `s0`, labels `a` and `b` of a few
/// values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Flags {
    mode: GaugeMode,
    drops_b: bool,
    summaries: Summaries,
    push_times: PushTimes,
    pub ages: Ages,
}

impl Flags {
    pub fn rules(self) -> Rules {
        let names = "g*".parse().unwrap();
        let gauges = vec![GaugeRule {
            names,
            mode: self.mode,
        }];
        let dropped = self.drops_b.then(|| "b".parse().unwrap());
        Rules::new(gauges, dropped.into_iter().collect(), self.ages)
            .with_summaries(self.summaries)
            .with_push_times(self.push_times)
    }

    pub fn random(random: &mut Random) -> Flags {
        let modes = [
            GaugeMode::Sum,
            GaugeMode::Last,
            GaugeMode::Max,
            GaugeMode::Min,
        ];
        let mode = *random.pick(&modes);
        let dice = random.below(100);
        Flags {
            mode,
            drops_b: dice < 40,
            summaries: match dice % 3 {
                0 => Summaries::Discarded,
                _ => Summaries::Kept,
            },
            push_times: match dice % 5 {
                0 | 1 => PushTimes::NotSet,
                _ => PushTimes::Set,
            },
            ages: *random.pick(&[Ages::Kept, Ages::Kept, Ages::NotKept]),
        }
    }
}

/// A series by family, and the values of `a` and `b`; zero is none.
pub type Key = (&'static str, usize, usize);

/// A number, or the sum and the count of a summary.
type Value = [f64; 2];

#[derive(Clone, Debug)]
pub struct Model {
    pub flags: Flags,
    /// Value, and second of the last push.
    pub series: BTreeMap<Key, (Value, u64)>,
    pub ages_start: u64,
}

pub const FAMILIES: [&str; 6] = ["c0", "c1", "g0", "g1", PUSH_TIME_NAME, "s0"];

const HELP: &str = "# HELP push_time_seconds When this was last pushed, unix time in seconds.\n";

impl Model {
    pub fn new(flags: Flags) -> Model {
        Model {
            flags,
            series: BTreeMap::new(),
            ages_start: 0,
        }
    }

    /// Merges a push of this time: what is dropped is folded before.
    pub fn push(&mut self, push: &RandomPush, time_millis: u64) {
        let second = time_millis / 1000;
        let mut folded = Model::new(self.flags);
        for (key, value) in &push.samples {
            folded.add(*key, *value, second);
        }
        for (key, (value, _)) in folded.series {
            self.add(key, value, second);
        }
        if self.flags.push_times == PushTimes::Set {
            let key = (PUSH_TIME_NAME, push.a, 0);
            self.add(key, [time_millis as f64 / 1000.0, 0.0], second);
        }
    }

    fn add(&mut self, (family, a, b): Key, value: Value, second: u64) {
        if family == "s0" && self.flags.summaries == Summaries::Discarded {
            return;
        }
        let key = (family, a, if self.flags.drops_b { 0 } else { b });
        let mode = match family {
            "g0" | "g1" => self.flags.mode,
            PUSH_TIME_NAME => GaugeMode::Last,
            _ => GaugeMode::Sum,
        };
        let merged = |[stored, count]: Value| {
            let [value, counted] = value;
            let number = match mode {
                GaugeMode::Sum => stored + value,
                GaugeMode::Last => value,
                GaugeMode::Max => stored.max(value),
                GaugeMode::Min => stored.min(value),
            };
            [number, count + counted]
        };
        let entry = self.series.entry(key);
        let stored = entry.and_modify(|(stored, _)| *stored = merged(*stored));
        let (_, last) = stored.or_insert((value, second));
        *last = second.max(*last);
    }

    pub fn change_flags(&mut self, flags: Flags, second: u64) {
        if self.flags.push_times != flags.push_times {
            self.series
                .retain(|(family, ..), _| *family != PUSH_TIME_NAME);
        }
        let had_ages = self.flags.ages == Ages::Kept;
        self.flags = flags;
        for (key, (value, last)) in std::mem::take(&mut self.series) {
            let last = last.max(self.ages_start);
            self.add(key, value, if had_ages { last } else { second });
        }
        self.ages_start = 0;
    }

    pub fn expire(&mut self, before: u64) {
        if self.flags.ages == Ages::Kept && self.ages_start < before {
            self.series.retain(|_, (_, last)| *last >= before);
        }
    }

    pub fn scrape(&self) -> String {
        let mut text = String::new();
        for family in FAMILIES {
            // In the order of their label sets.
            let mut lines = BTreeMap::new();
            for ((_, a, b), (value, _)) in self.series.iter().filter(|(key, _)| key.0 == family) {
                let labels = [("a", a), ("b", b)].into_iter();
                let labels: Vec<String> = labels
                    .filter(|(_, value)| **value > 0)
                    .map(|(name, value)| format!("{name}=\"{value}\""))
                    .collect();
                let labels = labels.join(",");
                let braces = match labels.as_str() {
                    "" => String::new(),
                    labels => format!("{{{labels}}}"),
                };
                let [value, count] = value;
                let line = match family {
                    "s0" => format!("s0_sum{braces} {value}\ns0_count{braces} {count}\n"),
                    _ => format!("{family}{braces} {value}\n"),
                };
                lines.insert(labels, line);
            }
            let lines: Vec<String> = lines.into_values().collect();
            if !lines.is_empty() {
                if family == PUSH_TIME_NAME {
                    text += HELP;
                }
                let kind = kind(family);
                text += &format!("# TYPE {family} {kind}\n{}", lines.concat());
            }
        }
        text
    }
}

fn kind(family: &str) -> &'static str {
    match family.as_bytes()[0] {
        b'c' => "counter",
        b'g' | b'p' => "gauge",
        _ => "summary",
    }
}

/// A push of some of the families.
#[derive(Clone, Debug)]
pub struct RandomPush {
    pub labels: &'static str,
    pub body: String,
    a: usize,
    samples: Vec<(Key, Value)>,
}

impl RandomPush {
    pub fn new(random: &mut Random) -> RandomPush {
        let mut body = String::new();
        let mut samples = Vec::new();
        let a = random.below(3);
        for family in FAMILIES {
            if family == PUSH_TIME_NAME {
                continue;
            }
            body += &format!("# TYPE {family} {}\n", kind(family));
            for b in 0..3 {
                let labels = format!("b=\"{}\"", label_value(b));
                if family == "s0" {
                    // What came before is random enough.
                    let length = body.len();
                    let (sum, count) = ((length % 10) as f64, (length % 7) as f64);
                    if length % 3 == b {
                        body += &format!(
                            "s0{{{labels},quantile=\"0.5\"}} NaN\ns0_sum{{{labels}}} {sum}\n\
                             s0_count{{{labels}}} {count}\n"
                        );
                        samples.push(((family, a, b), [sum, count]));
                    }
                    continue;
                }
                if random.percent(70) {
                    continue;
                }
                let value = random.below(10) as f64;
                body += &format!("{family}{{{labels}}} {value}\n");
                samples.push(((family, a, b), [value, 0.0]));
            }
        }
        RandomPush {
            labels: ["", "a/1", "a/2"][a],
            a,
            body,
            samples,
        }
    }
}

/// A gateway with its disk, if it has one, and the model of it.
struct World {
    random: Random,
    disk: Option<MemoryDisk>,
    gateway: Gateway,
    model: Model,
    now_millis: u64,
}

impl World {
    fn new(seed: u64) -> World {
        let mut random = Random::new(seed);
        let disk = random.percent(80).then(|| MemoryDisk::with(b""));
        let flags = Flags::random(&mut random);
        World {
            random,
            gateway: begin(disk.as_ref(), flags.rules()),
            disk,
            model: Model::new(flags),
            now_millis: 1_000_000,
        }
    }

    fn second(&self) -> u64 {
        self.now_millis / 1000
    }

    fn push(&mut self) {
        let push = RandomPush::new(&mut self.random);
        let outcome = self.gateway.push(&PushRequest {
            replaced: Replaced::Families,
            labels: push.labels,
            key: None,
            format: Format::Text,
            body: push.body.as_bytes(),
            time_millis: self.now_millis,
        });
        assert!(matches!(outcome, Ok(Accepted::Merged(_))), "{outcome:?}");
        self.model.push(&push, self.now_millis);
    }

    fn remove(&mut self) {
        let now = self.now_millis;
        match self.random.below(4) {
            0 => {
                let silent = *self.random.pick(&[10, 100, 1000]);
                self.gateway.expire(now, silent).unwrap();
                self.model.expire(self.second() - u64::from(silent));
            }
            1 => {
                let a = 1 + self.random.below(2);
                self.gateway.delete_labels(now, &format!("a/{a}")).unwrap();
                self.model.series.retain(|(_, found, _), _| *found != a);
            }
            2 => {
                let (a, b) = (1 + self.random.below(2), 1 + self.random.below(2));
                let labels = format!("b/{b}/a/{a}");
                self.gateway.delete_labels(now, &labels).unwrap();
                self.model
                    .series
                    .retain(|(_, of_a, of_b), _| (*of_a, *of_b) != (a, b));
            }
            _ => {
                let family = *self.random.pick(&FAMILIES);
                self.gateway.delete_family(now, family).unwrap();
                self.model.series.retain(|(found, ..), _| *found != family);
            }
        }
    }

    /// Another process goes on: after a kill, or with what was handed over.
    fn restart(&mut self) {
        let is_hand_over = self.random.percent(50) || self.disk.is_none();
        let flags = match self.random.percent(50) {
            true => Flags::random(&mut self.random),
            false => self.model.flags,
        };
        self.gateway = match &self.disk {
            Some(disk) if !is_hand_over => open(disk, flags.rules()),
            disk => handed_over(&self.gateway, disk.as_ref(), flags.rules()),
        };
        // Without a record since, that is the time of the journal.
        let second = self.gateway.time_millis() / 1000;
        if flags != self.model.flags {
            self.model.change_flags(flags, second);
        }
        if !is_hand_over {
            self.gateway.restart_ages(self.now_millis);
            if flags.ages == Ages::Kept {
                self.model.ages_start = self.second();
            }
        }
    }

    fn step(&mut self) {
        self.now_millis += *self.random.pick(&[0, 100, 5000, 60_000]) as u64;
        match self.random.below(20) {
            0 => {
                self.gateway.reset(self.now_millis, 0).unwrap();
                self.model.series.clear();
            }
            1 => drop(self.gateway.compact_journal().unwrap()),
            2 | 3 => self.restart(),
            4..8 => self.remove(),
            _ => self.push(),
        }
    }
}

fn label_value(value: usize) -> String {
    match value {
        0 => String::new(),
        value => value.to_string(),
    }
}

/// Without a disk, the sums are in memory.
pub fn begin(disk: Option<&MemoryDisk>, rules: Rules) -> Gateway {
    match disk {
        Some(disk) => open(disk, rules),
        None => Gateway::in_memory(rules, START),
    }
}

pub fn open(disk: &MemoryDisk, rules: Rules) -> Gateway {
    let storage = Arc::new(disk.clone());
    let (gateway, _) = Gateway::open(storage, &disk.file(), rules, START).unwrap();
    // A flag that has changed is in the file before anything is pushed.
    gateway.compact_journal().unwrap();
    gateway
}

/// The gateway of the image after the one that this gateway is of.
pub fn handed_over(gateway: &Gateway, disk: Option<&MemoryDisk>, rules: Rules) -> Gateway {
    let memory = MemoryDisk::with(b"");
    gateway.close(|| Ok(memory.file())).unwrap();
    match disk {
        Some(disk) => open(disk, rules),
        None => Gateway::take_over(&memory.file(), rules).unwrap(),
    }
}

#[test]
fn sums_are_the_models_in_any_life() {
    let (mut removed, mut restarts) = (0, 0);
    for seed in 0..400 {
        let mut world = World::new(seed);
        for step in 0..120 {
            let before = world.model.series.len();
            let flags = world.model.flags;
            world.step();
            removed += before.saturating_sub(world.model.series.len());
            restarts += usize::from(flags != world.model.flags);
            let expected = world.model.scrape();
            assert_eq!(scrape(&world.gateway), expected, "seed {seed}, step {step}");
            if let Some(disk) = &world.disk
                && step % 10 == 0
            {
                let again = open(&MemoryDisk::with(&disk.bytes()), world.model.flags.rules());
                assert_eq!(
                    scrape(&again),
                    expected,
                    "seed {seed}, step {step}, replayed"
                );
                assert_eq!(again.size(), world.gateway.size());
            }
        }
    }
    assert!(removed > 10_000 && restarts > 500, "{removed} {restarts}");
}
