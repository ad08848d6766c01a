//! Senders on a disk that is full or fails: what is refused changes nothing, and what is
//! acknowledged counts once, in this process and in the next.

use std::collections::BTreeMap;
use std::sync::Arc;

use prometheus_aggregation_gateway::gateway::{
    Accepted, Gateway, Limits, NotKept, PushRequest, Refusal,
};
use prometheus_aggregation_gateway::parse::Format;
use prometheus_aggregation_gateway::rules::Rules;
use prometheus_aggregation_gateway::senders::Replaced;

use crate::journal::{HEAD_BYTES, START, scrape};
use crate::memory_disk::MemoryDisk;
use crate::random::Random;

/// The head of a record.
const RECORD_HEAD_BYTES: usize = 32;

const TIMEOUT_SECONDS: u32 = 300;

fn rules() -> Rules {
    Rules::default().with_sender_label("s".to_owned())
}

/// Tries until the disk lets it.
fn open(disk: &MemoryDisk) -> Gateway {
    for tries in 0.. {
        let storage = Arc::new(disk.clone());
        if let Ok((gateway, _)) = Gateway::open(storage, &disk.file(), rules(), START) {
            return gateway.with_limits(Limits {
                sender_timeout_seconds: TIMEOUT_SECONDS,
                ..Limits::default()
            });
        }
        if tries == 3 {
            disk.fail(0..0);
            disk.fill_up(usize::MAX);
        }
    }
    unreachable!("it returns")
}

fn reopened(disk: &MemoryDisk) -> Gateway {
    open(&MemoryDisk::with(&disk.bytes()))
}

fn request<'a>(labels: &'a str, body: &'a str, time_millis: u64) -> PushRequest<'a> {
    PushRequest {
        replaced: Replaced::Families,
        labels,
        key: None,
        format: Format::Text,
        body: body.as_bytes(),
        time_millis,
    }
}

/// A file that was restarted in place holds no hash key until the next record. A kill between the
/// two records of its preface leaves the first one.
#[test]
fn half_a_preface_is_completed() {
    let disk = MemoryDisk::with(b"");
    let gateway = open(&disk);
    disk.fill_up(disk.bytes().len());
    gateway.reset(0, 1).unwrap();
    disk.fill_up(usize::MAX);
    gateway.push(&request("", "a 1\n", 0)).unwrap();
    let mut half = disk.bytes();
    let length = half[HEAD_BYTES..HEAD_BYTES + 4].try_into().unwrap();
    let length = u32::from_le_bytes(length) as usize;
    half.truncate(HEAD_BYTES + RECORD_HEAD_BYTES + length);

    let disk = MemoryDisk::with(&half);
    let gateway = open(&disk);
    let keyed = PushRequest {
        key: Some(b"key"),
        ..request("s/1", "# TYPE g gauge\ng 1\n", 0)
    };
    gateway.push(&keyed).unwrap();
    let silent = u64::from(TIMEOUT_SECONDS) * 1000;
    gateway.forget_silent_senders(silent, u32::MAX).unwrap();
    assert_eq!(scrape(&gateway), "");
    let again = reopened(&disk);
    assert_eq!(scrape(&again), "");
    assert_eq!(again.push(&keyed), Ok(Accepted::Repeated));
}

/// Without senders, a reset makes room. With them, what is remembered of them is in the file.
#[test]
fn a_full_disk_refuses_resets_that_senders_outlive() {
    let disk = MemoryDisk::with(b"");
    let gateway = open(&disk);
    gateway
        .push(&request("s/1", "# TYPE c counter\nc 3\n", 0))
        .unwrap();
    gateway
        .push(&request("s/2", "# TYPE g gauge\ng 4\n", 0))
        .unwrap();
    let before = scrape(&gateway);
    disk.fill_up(disk.bytes().len());
    for _ in 0..2 {
        let refused = gateway.reset(0, 100);
        assert!(matches!(refused, Err(NotKept::Journal(_))), "{refused:?}");
        assert_eq!(scrape(&gateway), before);
        assert_eq!(gateway.window_start(), 7);
        let again = reopened(&disk);
        assert_eq!((scrape(&again), again.window_start()), (before.clone(), 7));
    }
    disk.fill_up(usize::MAX);
    gateway.sync_journal().unwrap();
    gateway.reset(0, 100).unwrap();
    let left = "# TYPE g gauge\ng 4\n";
    let again = reopened(&disk);
    for gateway in [&gateway, &again] {
        assert_eq!(
            (scrape(gateway).as_str(), gateway.window_start()),
            (left, 100)
        );
        let growth = "# TYPE c counter\nc 5\n";
        gateway.push(&request("s/1", growth, 0)).unwrap();
        assert_eq!(scrape(gateway), format!("# TYPE c counter\nc 2\n{left}"));
    }
}

/// A wipe makes room as long as no sender is remembered.
#[test]
fn a_wipe_makes_room_where_senders_may_come() {
    let disk = MemoryDisk::with(b"");
    let gateway = open(&disk);
    gateway.push(&request("", "a 1\n", 0)).unwrap();
    disk.fill_up(disk.bytes().len());
    gateway.wipe(0).unwrap();
    assert_eq!(scrape(&gateway), "");
    let again = reopened(&disk);
    assert_eq!((scrape(&again), again.window_start()), (String::new(), 7));
}

/// What the senders have counted, and what of that was acknowledged.
struct World {
    disk: MemoryDisk,
    gateway: Gateway,
    random: Random,
    counted: BTreeMap<usize, u64>,
    acknowledged: BTreeMap<usize, u64>,
    total: u64,
    now_millis: u64,
    refused: usize,
}

impl World {
    fn new(seed: u64) -> World {
        let disk = MemoryDisk::with(b"");
        World {
            gateway: open(&disk),
            disk,
            random: Random::new(seed),
            counted: BTreeMap::new(),
            acknowledged: BTreeMap::new(),
            total: 0,
            now_millis: 1_000_000,
            refused: 0,
        }
    }

    fn push(&mut self) {
        let sender = 1 + self.random.below(3);
        let counted = self.counted.entry(sender).or_default();
        *counted += 1 + self.random.below(9) as u64;
        let counted = *counted;
        let mut body = format!("# TYPE c counter\nc {counted}\n");
        if self.random.percent(60) {
            let gauge = self.random.below(9);
            body += &format!("# TYPE g gauge\ng{{a=\"{}\"}} {gauge}\n", gauge % 2);
        }
        let is_put = self.random.percent(30);
        let labels = format!("s/{sender}");
        let outcome = self.gateway.push(&PushRequest {
            replaced: if is_put {
                Replaced::Everything
            } else {
                Replaced::Families
            },
            ..request(&labels, &body, self.now_millis)
        });
        match outcome {
            Ok(_) => {
                let before = self.acknowledged.insert(sender, counted);
                self.total += counted - before.unwrap_or(0);
            }
            Err(Refusal::NotKept(_)) => self.refused += 1,
            Err(error) => panic!("{error}"),
        }
    }

    fn forgets(&mut self, outcome: Result<(), NotKept>) -> bool {
        self.refused += usize::from(outcome.is_err());
        outcome.is_ok()
    }

    fn step(&mut self) {
        self.now_millis += *self.random.pick(&[0, 1000, 200_000]) as u64;
        let now = self.now_millis;
        let before = scrape(&self.gateway);
        let refused = self.refused;
        match self.random.below(16) {
            0 => {
                let reset = self.gateway.reset(now, 0).map(drop);
                if self.forgets(reset) {
                    self.total = 0;
                }
            }
            1 => {
                let wiped = self.gateway.wipe(now).map(drop);
                if self.forgets(wiped) {
                    self.total = 0;
                }
            }
            2 => {
                let sender = 1 + self.random.below(3);
                let left = self.gateway.sender_leaves(now, &format!("s/{sender}"));
                if self.forgets(left) {
                    self.acknowledged.remove(&sender);
                    self.counted.remove(&sender);
                }
            }
            3 => drop(self.gateway.forget_silent_senders(now, u32::MAX)),
            4 => drop(self.gateway.compact_journal()),
            5 | 6 => drop(self.gateway.sync_journal()),
            7 => self
                .disk
                .fill_up(self.disk.bytes().len() + self.random.below(100)),
            8 => self.disk.fill_up(usize::MAX),
            9 => self.gateway = open(&self.disk),
            _ => self.push(),
        }
        if self.refused > refused {
            assert_eq!(scrape(&self.gateway), before, "what was refused changed it");
        }
    }

    /// What is shown, and what the next process makes of the file and of the next pushes.
    fn check(&self, case: &str) {
        let shown = scrape(&self.gateway);
        assert_eq!(counter(&shown), self.total, "{case}: {shown}");
        let again = reopened(&self.disk);
        assert_eq!(scrape(&again), shown, "{case}, replayed");
        let sizes = |gateway: &Gateway| gateway.sender_counts().sizes;
        assert_eq!(sizes(&again), sizes(&self.gateway), "{case}, replayed");
        let mut total = self.total;
        for (sender, counted) in &self.counted {
            let body = format!("# TYPE c counter\nc {counted}\n");
            let labels = format!("s/{sender}");
            again
                .push(&request(&labels, &body, self.now_millis))
                .unwrap();
            total += counted - self.acknowledged.get(sender).unwrap_or(&0);
        }
        assert_eq!(counter(&scrape(&again)), total, "{case}, retried");
    }
}

/// The value of the counter in a scrape.
fn counter(scrape: &str) -> u64 {
    let line = scrape.lines().find_map(|line| line.strip_prefix("c "));
    line.map_or(0, |value| value.parse().unwrap())
}

#[test]
fn no_failing_disk_loses_or_doubles_what_senders_count() {
    const STEPS: usize = 60;
    let mut refused = 0;
    for seed in 0..300 {
        let mut world = World::new(seed);
        let first = seed as usize % 40;
        match seed % 3 {
            0 => world.disk.fail(first..first + 1 + seed as usize % 7),
            1 => world.disk.fail_every(first, 2 + seed as usize % 5),
            _ => {}
        }
        for step in 0..STEPS {
            world.step();
            world.check(&format!("seed {seed}, step {step}"));
        }
        refused += world.refused;
    }
    assert!(refused > 1000, "{refused}");
}

/// What was contributed to an untyped series that has become a counter is one number with what is
/// added since: a snapshot holds one number, and floats round by the order of additions.
#[test]
fn a_counter_that_was_contributed_to_rounds_the_same_when_replayed() {
    let disk = MemoryDisk::with(b"");
    let gateway = open(&disk);
    gateway.reset(0, 7).unwrap();
    gateway.push(&request("s/1", "x 0.1\n", 0)).unwrap();
    let counter = |value: &str| format!("# TYPE x counter\nx {value}\n");
    gateway.push(&request("", &counter("0.2"), 0)).unwrap();
    assert!(gateway.compact_journal().unwrap(), "a reset asks for it");
    gateway.push(&request("", &counter("0.3"), 0)).unwrap();
    assert_eq!(scrape(&reopened(&disk)), scrape(&gateway));
}
