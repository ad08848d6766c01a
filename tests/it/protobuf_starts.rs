//! When the sums began to count from zero, as a scrape as protobuf says: it is the same after
//! anything that the sums outlive, and is not said where it would not be true.

use std::sync::Arc;

use prometheus_aggregation_gateway::gateway::{Gateway, Start};
use prometheus_aggregation_gateway::journal::{Beginning, Journal, Preface, Storage};
use prometheus_aggregation_gateway::render::{Encoding, NameStyle, whole};
use prometheus_aggregation_gateway::rules::{Ages, Rules, Summaries};

use crate::memory_disk::MemoryDisk;
use crate::protobuf_reader::read;
use crate::push_text::PushText;
use crate::random::Random;

fn at(time_millis: u64) -> Start {
    Start {
        window_start: 0,
        time_millis,
    }
}

fn rules() -> Rules {
    Rules::new(Vec::new(), Vec::new(), Ages::Kept).with_summaries(Summaries::Kept)
}

const ALL_TYPES: &str = "# TYPE c counter\nc 1\n# TYPE g gauge\ng 1\n# TYPE h histogram\n\
    h_bucket{le=\"1\"} 1\nh_sum 1\nh_count 1\n# TYPE s summary\ns_sum 1\ns_count 1\n\
    # TYPE u untyped\nu 1\n";

/// The start of the counter, in whole seconds; none without one, or of what does not say it. A
/// gauge never says it, and all else says the same.
#[track_caller]
fn start(gateway: &Gateway) -> Option<u64> {
    let scrape = whole(&gateway.view(), Encoding::Protobuf, NameStyle::Quoted);
    let families = read(&scrape);
    let counter = families.iter().find(|family| family.name == "c");
    let start = counter.and_then(|family| family.metrics[0].start);
    for family in &families {
        let is_sum = matches!(family.name.as_str(), "c" | "h" | "s");
        let expected = start.filter(|_| is_sum);
        assert!(family.metrics.iter().all(|metric| metric.start == expected));
    }
    start
}

#[track_caller]
fn push(gateway: &Gateway) {
    gateway.push_text("", ALL_TYPES.as_bytes()).unwrap();
}

fn open(disk: &MemoryDisk, time_millis: u64) -> Gateway {
    let storage: Arc<dyn Storage> = Arc::new(disk.clone());
    let opened = Gateway::open(storage, &disk.file(), rules(), at(time_millis));
    opened.unwrap_or_else(|error| panic!("{error}")).0
}

#[test]
fn resets_and_removals() {
    let gateway = Gateway::in_memory(rules(), at(5001));
    assert_eq!(start(&gateway), None);
    push(&gateway);
    assert_eq!(start(&gateway), Some(5_000));
    gateway.reset(9_000, 8).unwrap();
    push(&gateway);
    assert_eq!(start(&gateway), Some(9_000));
    gateway.wipe(10_999).unwrap();
    push(&gateway);
    assert_eq!(start(&gateway), Some(10_000));
    // Nothing is removed by these.
    gateway.delete_family(11_000, "x").unwrap();
    gateway.delete_labels(11_000, "job/x").unwrap();
    gateway.expire(11_000, 5).unwrap();
    assert_eq!(start(&gateway), Some(10_000));
    // A series that was removed counts from zero again: then it is not said.
    gateway.delete_family(12_000, "c").unwrap();
    push(&gateway);
    assert_eq!(start(&gateway), None);
    gateway.reset(13_000, 8).unwrap();
    push(&gateway);
    assert_eq!(start(&gateway), Some(13_000));
    gateway.expire(100_000, 5).unwrap();
    assert_eq!(gateway.size().series, 0);
    push(&gateway);
    assert_eq!(start(&gateway), None);
}

/// After any changes, a start finds what was said before it.
#[test]
fn journals() {
    for seed in 0..60 {
        let mut random = Random::new(seed);
        let disk = MemoryDisk::with(b"");
        let mut gateway = open(&disk, 7_000);
        for step in 1..20 {
            let time_millis = 7_000 + step * 1_500;
            match random.below(8) {
                0 => drop(gateway.reset(time_millis, 70).unwrap()),
                1 => drop(gateway.wipe(time_millis).unwrap()),
                2 => drop(gateway.delete_family(time_millis, "c").unwrap()),
                3 => drop(gateway.compact_journal().unwrap()),
                4 => {
                    // A reset that restarts the file, since there is no room.
                    disk.fill_up(disk.bytes().len());
                    gateway.reset(time_millis, 80).unwrap();
                    disk.fill_up(usize::MAX);
                    gateway.sync_journal().unwrap();
                }
                5 => gateway = open(&disk, time_millis),
                _ => {}
            }
            if random.percent(80) {
                push(&gateway);
                let again = open(&disk, 99_000_000);
                assert_eq!(start(&again), start(&gateway), "seed {seed}, step {step}");
            }
        }
    }
}

#[test]
fn hand_overs() {
    let gateway = Gateway::in_memory(rules(), at(5_000));
    push(&gateway);
    let memory = || Ok(MemoryDisk::with(b"").file());
    let file = gateway.close(memory).unwrap();
    let next = Gateway::take_over(&file, rules()).unwrap();
    assert_eq!(start(&next), Some(5_000));
    next.delete_family(6_000, "g").unwrap();
    let file = next.close(memory).unwrap();
    let next = Gateway::take_over(&file, rules()).unwrap();
    push(&next);
    assert_eq!(start(&next), None);
}

/// Files of versions that did not keep it.
#[test]
fn files_that_do_not_say_it() {
    let disk = MemoryDisk::with(b"");
    let beginning = Beginning {
        preface: Preface {
            rules: rules().to_string().into_bytes().into(),
            ..Preface::default()
        },
        window_start: 1,
        time_millis: 0,
    };
    let storage: Arc<dyn Storage> = Arc::new(disk.clone());
    drop(Journal::open(storage, &disk.file(), &beginning, |_, _| Ok(())).unwrap());
    let gateway = open(&disk, 5_000);
    push(&gateway);
    assert_eq!(start(&gateway), None);
    gateway.reset(6_000, 2).unwrap();
    push(&gateway);
    assert_eq!(start(&gateway), Some(6_000));
}

/// The rules may be others at the next start.
#[test]
fn other_rules() {
    let disk = MemoryDisk::with(b"");
    let gateway = open(&disk, 5_000);
    push(&gateway);
    let storage: Arc<dyn Storage> = Arc::new(disk.clone());
    let opened = Gateway::open(storage, &disk.file(), Rules::default(), at(9_000));
    let (next, _) = opened.unwrap();
    assert_eq!(start(&next), Some(5_000));
}
