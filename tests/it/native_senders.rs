//! Native histograms of cumulative senders: what is added is what each has grown by, at whatever
//! resolution it and its pushes before are.

use std::sync::Arc;

use prometheus_aggregation_gateway::gateway::Gateway;

use crate::journal::START;
use crate::memory_disk::MemoryDisk;
use crate::native_histograms::encoded::{Counts, body, classic, fields, zigzag};
use crate::native_histograms::model::Model;
use crate::native_pushes::{check_same, histograms, line, native, push};
use crate::push_text::PushText;
use crate::random::Random;
use crate::random::encoded::{bytes, double, integer};
use crate::rules::rules;

const FLAGS: &str = "-sender-label instance -drop-label pod";

fn open(disk: &MemoryDisk) -> Gateway {
    let opened = Gateway::open(Arc::new(disk.clone()), &disk.file(), rules(FLAGS), START);
    opened.expect("the journal is whole").0
}

/// One process of a sender.
struct Life {
    model: Model,
    /// When it began, in unix seconds.
    start: u64,
}

impl Life {
    fn new(random: &mut Random, start: u64) -> Life {
        let mut model = Model::empty(random.between(-1, 8) as i32);
        if random.percent(30) {
            model.widen(random.between(-600, 0));
        }
        Life { model, start }
    }

    /// What a client library does on its own: it observes, and lowers its resolution.
    fn go_on(&mut self, random: &mut Random) {
        for _ in 0..random.below(10) {
            // Numbers that floats have exactly, so that sums are.
            let value = random.between(-64, 64) as f64 / 16.0;
            self.model.observe(value);
        }
        if random.percent(15) && self.model.schema > -4 {
            let coarser = Model::empty(self.model.schema - 1);
            self.model.merge(&coarser);
        }
        if random.percent(10) {
            let exponent = random.between(-600, 100);
            self.model.widen(exponent);
        }
    }

    fn body(&self, random: &mut Random, pod: usize) -> Vec<u8> {
        let counts = *random.pick(&[Counts::Integers, Counts::Floats]);
        let mut fields = fields(random, &self.model, counts);
        fields.push(bytes(15, &integer(1, self.start)));
        fields.extend(classic(&[(f64::INFINITY, self.model.count as u64)]));
        body("n", &[("pod", &pod.to_string())], &fields)
    }
}

/// Senders observe, lower their resolutions, push, repeat pushes, push what is late, and restart,
/// while the gateway restarts, too: the sums are those of the last pushes of all processes.
#[test]
fn what_is_added_is_what_was_observed() {
    for seed in 0..60 {
        let mut random = Random::new(seed);
        let disk = MemoryDisk::with(b"");
        let mut gateway = open(&disk);
        let mut expected = Model::empty(8);
        for sender in 0..4 {
            let path = format!("instance/{}", sender % 3);
            let mut life = Life::new(&mut random, 100 + sender);
            let mut late: Option<Vec<u8>> = None;
            let mut has_pushed = false;
            for _ in 0..12 {
                life.go_on(&mut random);
                let body = life.body(&mut random, sender as usize);
                for _ in 0..=random.below(2) {
                    push(&gateway, &path, &body).expect("it is valid");
                    has_pushed = true;
                }
                if let Some(late) = late.filter(|_| random.percent(20)) {
                    push(&gateway, &path, &late).expect("it is valid");
                }
                late = Some(body);
                if random.percent(10) {
                    gateway.compact_journal().expect("the disk is fine");
                }
                if random.percent(10) {
                    let before = gateway;
                    gateway = open(&disk);
                    check_same(&before, &gateway);
                }
            }
            assert!(has_pushed);
            expected.merge(&life.model);
        }
        let stored = native(&gateway, "n{}").expect("it is whole");
        assert_eq!(Model::of(&stored), expected, "seed {seed}");
        let all = histograms(&gateway.view());
        assert_eq!(all.len(), 1);
        assert_eq!(all["n{}"].count, expected.count, "seed {seed}");
        assert_eq!(all["n{}"].sum, expected.sum, "seed {seed}");
    }
}

/// `count` observations in bucket 1 of schema 0, of a process that began at this second.
fn ones(count: u64, start: u64) -> Vec<Vec<u8>> {
    vec![
        integer(1, count),
        double(2, count as f64 * 1.5),
        bytes(12, &[integer(1, zigzag(1)), integer(2, 1)].concat()),
        integer(13, zigzag(count as i64)),
        bytes(15, &integer(1, start)),
    ]
}

fn in_memory() -> Gateway {
    Gateway::in_memory(rules(FLAGS), START)
}

#[track_caller]
fn check(gateway: &Gateway, expected: &str) {
    let found = native(gateway, "n{}").as_ref().map(line);
    assert_eq!(found.as_deref().unwrap_or("none"), expected);
}

#[test]
fn restarts_and_late_pushes() {
    let gateway = in_memory();
    let steps = [
        (3, 100, 3),
        (5, 100, 5),
        // Late: fewer of the same process.
        (4, 100, 5),
        (5, 100, 5),
        // Restarted.
        (2, 200, 7),
        // Late: of the process before.
        (1, 100, 7),
        // Fewer, and nobody says when it began.
        (1, 0, 8),
    ];
    for (count, start, total) in steps {
        push(&gateway, "instance/a", &body("n", &[], &ones(count, start))).expect("it is valid");
        let sum = f64::from(total) * 1.5;
        let positive = format!("positive 1:{total} count {total} sum {sum}");
        check(
            &gateway,
            &format!("schema 0 zero 0.0:0 negative {positive}"),
        );
    }
    assert_eq!(gateway.sender_counts().late, 2);
    assert_eq!(gateway.sender_counts().restarted, 2);
}

/// What was counted without a native part must not be counted in it later.
#[test]
fn a_native_part_that_comes_late_is_left_out() {
    let gateway = in_memory();
    let text = |count: u64| format!("# TYPE n histogram\nn_sum 1\nn_count {count}\n");
    let native_push = |count: u64| push(&gateway, "instance/a", &body("n", &[], &ones(count, 0)));
    gateway
        .push_text("instance/a", text(3).as_bytes())
        .expect("it is valid");
    let merged = native_push(5).expect("it is valid");
    assert_eq!((merged.samples, merged.skipped.native_histogram), (2, 1));
    check(&gateway, "none");
    assert_eq!(histograms(&gateway.view())["n{}"].native, None);
    // From here on it is known what it grows by. After a reset it is all there is.
    native_push(6).expect("it is valid");
    assert_eq!(gateway.incomplete_natives(), 1);
    gateway.reset(0, 100).expect("there is no journal");
    let merged = native_push(10).expect("it is valid");
    assert_eq!((merged.samples, merged.skipped.native_histogram), (3, 0));
    check(
        &gateway,
        "schema 0 zero 0.0:0 negative positive 1:4 count 4 sum 6",
    );
    // One that goes away for a while is not known, either.
    gateway
        .push_text("instance/a", text(12).as_bytes())
        .expect("it is valid");
    native_push(13).expect("it is valid");
    check(&gateway, "none");
    assert_eq!(histograms(&gateway.view())["n{}"].count, 7.0);
}

/// A dip within the noise is not added again when it is made up for.
#[test]
fn noise_adds_nothing() {
    let gateway = in_memory();
    let count = 10_000_000_000;
    for dip in [0, 5, 0, 5, 0] {
        let observed = ones(count - dip, 0);
        push(&gateway, "instance/a", &body("n", &[], &observed)).expect("it is valid");
    }
    let native = native(&gateway, "n{}").expect("it has all observations");
    assert_eq!(native.count(), count as f64);
    assert_eq!(native.positive().counts(), [count as f64]);
}

/// Of an empty histogram, nothing was counted without a native part.
#[test]
fn an_empty_classic_histogram_is_no_start() {
    let gateway = in_memory();
    let empty = b"# TYPE n histogram\nn_sum 0\nn_count 0\n";
    gateway.push_text("instance/a", empty).expect("it is valid");
    push(&gateway, "instance/a", &body("n", &[], &ones(5, 0))).expect("it is valid");
    check(
        &gateway,
        "schema 0 zero 0.0:0 negative positive 1:5 count 5 sum 7.5",
    );
}

/// Each bucket is a number that is remembered, and so is the histogram itself.
#[test]
fn native_parts_are_remembered_numbers() {
    let gateway = in_memory();
    push(&gateway, "instance/a", &body("n", &[], &ones(5, 0))).expect("it is valid");
    // The sender, the sum, the count, +Inf, the native histogram and its bucket.
    assert_eq!(gateway.sender_counts().sizes.numbers, 6);
    push(&gateway, "instance/a", &body("n", &[], &[integer(1, 5)])).expect("it is valid");
    assert_eq!(gateway.sender_counts().sizes.numbers, 4);
    gateway
        .sender_leaves(0, "instance/a")
        .expect("there is no journal");
    assert_eq!(gateway.sender_counts().sizes.numbers, 0);
}
