//! Any sequence of what senders and others push, of silence, resets, removals, kills, hand-overs,
//! compactions and changes of flags between lives: the sums are those of a model of plain maps.

mod model;

use std::collections::{BTreeMap, BTreeSet};

use prometheus_aggregation_gateway::aggregate::Ages;
use prometheus_aggregation_gateway::gateway::{Accepted, Gateway, Limits, PushRequest, Refusal};
use prometheus_aggregation_gateway::parse::Format;
use prometheus_aggregation_gateway::senders::{Replaced, SenderSizes};

use crate::journal::scrape;
use crate::lives::{begin, handed_over, open};
use crate::memory_disk::MemoryDisk;
use crate::random::Random;
use model::{
    BOUNDS, COUNTER, FAMILIES, Flags, GAUGE, HISTOGRAM, Model, Observed, Pushed, UNTYPED, Value,
};

const TIMEOUT: u32 = 300;
const MEMORY: u32 = 3000;

/// A push of some families: its body, and what the model makes of it.
struct RandomPush {
    body: String,
    path: String,
    pushed: Pushed,
}

impl RandomPush {
    fn new(random: &mut Random, label: &str) -> RandomPush {
        let (a, s) = (random.below(2), random.below(4));
        let pushed = Pushed {
            a,
            s,
            is_put: random.percent(30),
            named: BTreeSet::new(),
            is_counter: random.percent(10),
            values: BTreeMap::new(),
        };
        let a = ["", "a/1/"][a];
        let path = match s {
            0 => a.to_owned(),
            s => format!("{a}{label}/{s}"),
        };
        let body = String::new();
        let mut push = RandomPush { body, path, pushed };
        if random.percent(5) {
            push.pushed.is_counter = false;
            return push;
        }
        for family in [COUNTER, GAUGE, HISTOGRAM, UNTYPED] {
            push.add_family(random, family);
        }
        push
    }

    fn add_family(&mut self, random: &mut Random, family: usize) {
        let name = FAMILIES[family];
        let kind = match family {
            COUNTER => Some("counter"),
            GAUGE => Some("gauge"),
            HISTOGRAM => Some("histogram"),
            _ => self.pushed.is_counter.then_some("counter"),
        };
        let is_declared = kind.is_some_and(|kind| {
            let is_declared = family == UNTYPED || random.percent(70);
            if is_declared {
                self.body += &format!("# TYPE {name} {kind}\n");
                self.pushed.named.insert(family);
            }
            is_declared
        });
        if !is_declared && family != UNTYPED {
            return;
        }
        let mut starts = String::new();
        for b in 0..3 {
            if random.percent(60) {
                continue;
            }
            self.pushed.named.insert(family);
            let start = match family {
                COUNTER | HISTOGRAM if random.percent(40) => 1 + random.below(3) as u64,
                _ => 0,
            };
            let value = match family {
                HISTOGRAM => self.add_histogram(random, b),
                _ => {
                    let value = random.below(10) as f64;
                    let is_nan = random.percent(8);
                    let written = if is_nan { f64::NAN } else { value };
                    self.body += &format!("{name}{} {written}\n", braces(b, ""));
                    (!is_nan).then_some(Value::Number(value))
                }
            };
            if let Some(value) = value {
                self.pushed.values.insert((family, b), (value, start));
            }
            if start > 0 {
                let name = name.trim_end_matches("_total");
                starts += &format!("{name}_created{} {start}\n", braces(b, ""));
            }
        }
        if !starts.is_empty() {
            let name = name.trim_end_matches("_total");
            self.body += &format!("# TYPE {name}_created gauge\n{starts}");
        }
    }

    fn add_histogram(&mut self, random: &mut Random, b: usize) -> Option<Value> {
        let mut observed = Observed::default();
        for (bound, written_bound) in BOUNDS.iter().enumerate() {
            if bound < 2 && random.percent(30) {
                continue;
            }
            let own = random.below(3) as f64;
            let is_nan = bound < 2 && random.percent(4);
            let written = match is_nan {
                true => f64::NAN,
                false => observed.count + own,
            };
            let le = format!("le=\"{written_bound}\"");
            self.body += &format!("h_bucket{} {written}\n", braces(b, &le));
            observed.is_left_out |= is_nan;
            if !is_nan {
                observed.count += own;
                observed.own.insert(bound, own);
            }
        }
        if random.percent(80) {
            let sum = random.below(20) as f64;
            self.body += &format!("h_sum{} {sum}\n", braces(b, ""));
            observed.sum = Some(sum);
        }
        if random.percent(80) {
            self.body += &format!("h_count{} {}\n", braces(b, ""), observed.count);
        }
        Some(Value::Histogram(observed))
    }
}

fn braces(b: usize, le: &str) -> String {
    let b = match b {
        0 => String::new(),
        b => format!("b=\"{b}\""),
    };
    let labels: Vec<&str> = [b.as_str(), le]
        .into_iter()
        .filter(|label| !label.is_empty())
        .collect();
    match labels.join(",").as_str() {
        "" => String::new(),
        labels => format!("{{{labels}}}"),
    }
}

/// A gateway with its disk, if it has one, and the model of it.
struct World {
    random: Random,
    disk: Option<MemoryDisk>,
    gateway: Gateway,
    model: Model,
    numbers_max: usize,
    now_millis: u64,
    refused: usize,
}

impl World {
    fn new(seed: u64) -> World {
        let mut random = Random::new(seed);
        let disk = random.percent(80).then(|| MemoryDisk::with(b""));
        let flags = Flags {
            label: Some("s"),
            ..Flags::random(&mut random)
        };
        let numbers_max = *random.pick(&[1_000_000, 1_000_000, 60, 30]);
        let gateway = begin(disk.as_ref(), flags.rules());
        World {
            random,
            disk,
            gateway: limited(gateway, numbers_max),
            model: Model::new(flags),
            numbers_max,
            now_millis: 10_000_000,
            refused: 0,
        }
    }

    fn second(&self) -> u64 {
        self.now_millis / 1000
    }

    fn push(&mut self) {
        let push = RandomPush::new(&mut self.random, "s");
        let outcome = self.gateway.push(&PushRequest {
            labels: &push.path,
            key: None,
            format: Format::Text,
            replaced: match push.pushed.is_put {
                true => Replaced::Everything,
                false => Replaced::Families,
            },
            body: push.body.as_bytes(),
            time_millis: self.now_millis,
        });
        let second = self.second();
        if push.pushed.s == 0 || self.model.flags.label != Some("s") {
            assert!(matches!(outcome, Ok(Accepted::Merged(_))), "{outcome:?}");
            return self.model.push_ordinary(&push.pushed, second);
        }
        if self.make_room(&push.pushed) {
            assert!(matches!(outcome, Ok(Accepted::Merged(_))), "{outcome:?}");
            self.model.push(&push.pushed, second);
        } else {
            let is_full = matches!(outcome, Err(Refusal::TooManyNumbers(_)));
            assert!(is_full, "{outcome:?}");
            self.refused += 1;
        }
    }

    /// What a push needs is made of senders that are silent, if it can be.
    fn make_room(&mut self, pushed: &Pushed) -> bool {
        let numbers = |value: &Value| match value {
            Value::Number(_) => 1,
            Value::Histogram(observed) => observed.own.len() + 2,
        };
        let sent = pushed.values.values().map(|(value, _)| numbers(value));
        let sent = 1 + sent.sum::<usize>();
        if self.model.remembered() + sent > self.numbers_max {
            for name in self.model.silent(self.second(), TIMEOUT.into()) {
                self.model.withdraw(name);
            }
        }
        let before = self.model.remembered();
        let mut after = self.model.clone();
        after.push(pushed, self.second());
        let added = after.remembered().saturating_sub(before);
        let mut left = before + added;
        let mut forgotten = Vec::new();
        let others = self
            .model
            .senders
            .iter()
            .filter(|(name, sender)| !sender.is_live && *name != (pushed.a, pushed.s));
        let mut others = others.map(|(name, _)| *name);
        let mut smaller = self.model.clone();
        while added > 0 && left > self.numbers_max {
            let Some(name) = others.next() else {
                return false;
            };
            let before = smaller.remembered();
            smaller.forget(name);
            left -= before - smaller.remembered();
            forgotten.push(name);
        }
        forgotten
            .into_iter()
            .for_each(|name| self.model.forget(name));
        true
    }

    fn remove(&mut self) {
        let now = self.now_millis;
        match self.random.below(5) {
            0 => {
                let silent = *self.random.pick(&[10, 100, 1000]);
                self.gateway.expire(now, silent).unwrap();
                self.model.expire(self.second() - u64::from(silent));
            }
            1 => {
                let b = 1 + self.random.below(2);
                self.gateway.delete_labels(now, &format!("b/{b}")).unwrap();
                self.model.delete(|(_, _, found, _)| found == b);
            }
            2 => {
                let family = self.random.below(FAMILIES.len());
                self.gateway.delete_family(now, FAMILIES[family]).unwrap();
                self.model.delete(|(found, ..)| found == family);
            }
            3 => {
                self.gateway.wipe(now).unwrap();
                self.model.delete(|_| true);
            }
            _ => {
                let (a, s) = (self.random.below(2), 1 + self.random.below(3));
                let path = format!("s/{s}/{}", ["", "a/1"][a]);
                self.gateway.sender_leaves(now, &path).unwrap();
                if self.model.flags.label == Some("s") {
                    self.model.forget((a, s));
                }
            }
        }
    }

    /// Another process goes on: after a kill, or with what was handed over.
    fn restart(&mut self) {
        let is_hand_over = self.random.percent(50) || self.disk.is_none();
        let flags = match self.random.percent(30) {
            true => Flags::random(&mut self.random),
            false => self.model.flags,
        };
        let gateway = match &self.disk {
            Some(disk) if !is_hand_over => open(disk, flags.rules()),
            disk => handed_over(&self.gateway, disk.as_ref(), flags.rules()),
        };
        self.gateway = limited(gateway, self.numbers_max);
        // Without a record since, that is the time of the journal.
        let second = self.gateway.time_millis() / 1000;
        if flags != self.model.flags {
            self.model.change_flags(flags, second);
        }
        if !is_hand_over {
            self.gateway.restart_ages(self.now_millis);
            if flags.ages == Ages::Kept || flags.label.is_some() {
                self.model.silence_start = self.second();
            }
        }
    }

    fn step(&mut self) {
        self.now_millis += *self.random.pick(&[0, 100, 5000, 60_000]) as u64;
        match self.random.below(30) {
            0 | 1 => {
                self.gateway.reset(self.now_millis, 0).unwrap();
                self.model.reset();
            }
            2 | 3 => drop(self.gateway.compact_journal().unwrap()),
            4 | 5 => self.restart(),
            6 | 7 => self.remove(),
            8 => {
                self.gateway
                    .forget_silent_senders(self.now_millis, MEMORY)
                    .unwrap();
                self.model
                    .pass_time(self.second(), TIMEOUT.into(), MEMORY.into());
            }
            _ => self.push(),
        }
    }

    #[track_caller]
    fn assert_is_model(&self, gateway: &Gateway, what: &str) {
        assert_eq!(scrape(gateway), self.model.scrape(), "{what}");
        let live = self
            .model
            .senders
            .iter()
            .filter(|(_, sender)| sender.is_live);
        let live = live.count();
        let sizes = SenderSizes {
            live,
            withdrawn: self.model.senders.len() - live,
            numbers: self.model.remembered(),
        };
        assert_eq!(gateway.sender_counts().sizes, sizes, "{what}");
    }
}

fn limited(gateway: Gateway, numbers_max: usize) -> Gateway {
    gateway.with_limits(Limits {
        sender_series_max: numbers_max,
        sender_timeout_seconds: TIMEOUT,
        ..Limits::default()
    })
}

#[test]
fn senders_are_the_models_in_any_life() {
    let (mut refused, mut restarted, mut late) = (0, 0, 0);
    for seed in 0..300 {
        let mut world = World::new(seed);
        for step in 0..150 {
            world.step();
            let what = format!("seed {seed}, step {step}");
            world.assert_is_model(&world.gateway, &what);
            if let Some(disk) = &world.disk
                && step % 10 == 0
            {
                let again = open(&MemoryDisk::with(&disk.bytes()), world.model.flags.rules());
                world.assert_is_model(&again, &format!("{what}, replayed"));
                assert_eq!(again.size(), world.gateway.size());
            }
        }
        refused += world.refused;
        restarted += world.model.restarted;
        late += world.model.late;
    }
    assert!(
        refused > 100 && restarted > 1000 && late > 500,
        "{refused} {restarted} {late}"
    );
}
