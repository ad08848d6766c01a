//! A push with an idempotency key is added once, however often it comes.

use std::sync::Arc;

use prometheus_aggregation_gateway::gateway::{Accepted, Gateway, Limits, PushRequest, Refusal};
use prometheus_aggregation_gateway::idempotency::GENERATION_MILLIS;
use prometheus_aggregation_gateway::parse::Format;
use prometheus_aggregation_gateway::rules::Rules;
use prometheus_aggregation_gateway::senders::Replaced;

use crate::journal::{START, reopened, scrape};
use crate::memory_disk::MemoryDisk;
use crate::random::Random;
use crate::running_gateway::RunningGateway;

const BODY: &[u8] = b"# TYPE a counter\na 1\n";

fn push(gateway: &Gateway, key: &str, labels: &str, time_millis: u64) -> Result<Accepted, Refusal> {
    gateway.push(&PushRequest {
        replaced: Replaced::Families,
        labels,
        key: Some(key.as_bytes()),
        format: Format::Text,
        body: BODY,
        time_millis,
    })
}

#[track_caller]
fn assert_merged(outcome: Result<Accepted, Refusal>) {
    assert!(matches!(outcome, Ok(Accepted::Merged(_))), "{outcome:?}");
}

#[test]
fn a_key_is_remembered_for_one_to_two_generations() {
    let gateway = Gateway::default();
    let begin = 1_000_000;
    assert_merged(push(&gateway, "first", "", begin));
    let last = begin + GENERATION_MILLIS - 1;
    assert_merged(push(&gateway, "last", "", last));
    assert_eq!(push(&gateway, "first", "", last), Ok(Accepted::Repeated));
    assert_eq!(
        push(&gateway, "last", "job/x", last),
        Err(Refusal::KeyReused)
    );
    assert_eq!(scrape(&gateway), "# TYPE a counter\na 2\n");
    // A new generation begins; the first key goes when that is over.
    let second = begin + GENERATION_MILLIS;
    assert_merged(push(&gateway, "second", "", second));
    for key in ["first", "last", "second"] {
        let late = second + GENERATION_MILLIS - 1;
        assert_eq!(
            push(&gateway, key, "", late),
            Ok(Accepted::Repeated),
            "{key}"
        );
    }
    let third = second + GENERATION_MILLIS;
    assert_eq!(push(&gateway, "second", "", third), Ok(Accepted::Repeated));
    assert_merged(push(&gateway, "last", "", third));
    // Nothing is remembered for ever because nobody asks.
    assert_merged(push(&gateway, "last", "", third + 2 * GENERATION_MILLIS));
    assert_eq!(gateway.key_counts().remembered, 1);
    assert_eq!(gateway.key_counts().early_swaps, 0);
}

/// Libraries that keep the labels in a hash map write the same path in another way at each try.
#[test]
fn a_key_belongs_to_the_labels_of_its_path_in_any_order() {
    let gateway = Gateway::default();
    assert_merged(push(&gateway, "a", "job/x/instance/y", 0));
    for labels in [
        "instance/y/job/x/",
        "job/%78/instance/y",
        "job@base64/eA/instance/y",
    ] {
        let repeated = push(&gateway, "a", labels, 0);
        assert_eq!(repeated, Ok(Accepted::Repeated), "{labels}");
    }
    for labels in ["", "job/x", "job/y/instance/x", "job/xinstance/instance/y"] {
        let reused = push(&gateway, "a", labels, 0);
        assert_eq!(reused, Err(Refusal::KeyReused), "{labels}");
    }
}

/// A sender tries again after the gateway was down, or after the clock has leapt, however long that
/// was; after that, keys are forgotten as ever.
#[test]
fn keys_do_not_age_while_no_time_passes() {
    let disk = MemoryDisk::with(b"");
    let begin = 1_000_000;
    let first = reopened(&disk);
    assert_merged(push(&first, "previous", "", begin));
    assert_merged(push(&first, "current", "", begin + GENERATION_MILLIS));
    drop(first);
    let gateway = reopened(&disk);
    let leapt = begin + 100 * GENERATION_MILLIS;
    gateway.restart_ages(leapt);
    for key in ["previous", "current"] {
        let late = leapt + GENERATION_MILLIS - 1;
        assert_eq!(push(&gateway, key, "", late), Ok(Accepted::Repeated));
    }
    assert_merged(push(&gateway, "previous", "", leapt + GENERATION_MILLIS));
    let last = leapt + 2 * GENERATION_MILLIS;
    assert_merged(push(&gateway, "current", "", last));
    assert_eq!(scrape(&reopened(&disk)), scrape(&gateway));
}

/// A refused push is not remembered, and a reset forgets no key.
#[test]
fn only_accepted_pushes_are_remembered() {
    let gateway = Gateway::default().with_limits(Limits {
        series_max: 1,
        ..Limits::default()
    });
    assert_merged(push(&gateway, "a", "", 0));
    let refused = push(&gateway, "b", "job/x", 0);
    assert!(matches!(refused, Err(Refusal::TooManySeries(_))));
    gateway.reset(0, 0).unwrap();
    assert_merged(push(&gateway, "b", "job/x", 0));
    assert_eq!(push(&gateway, "a", "", 0), Ok(Accepted::Repeated));
    assert_eq!(scrape(&gateway), "# TYPE a counter\na{job=\"x\"} 1\n");
}

#[test]
fn a_full_generation_is_replaced_early_if_it_is_a_minute_old() {
    let gateway = Gateway::default().with_limits(Limits {
        keys_max: 2,
        ..Limits::default()
    });
    assert_merged(push(&gateway, "a", "", 0));
    assert_merged(push(&gateway, "b", "", 0));
    let refused = push(&gateway, "c", "", 59_999).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "2 idempotency keys came within a minute (-max-idempotency-keys); push it again later"
    );
    assert_eq!(push(&gateway, "b", "", 59_999), Ok(Accepted::Repeated));
    assert_merged(push(&gateway, "c", "", 60_000));
    assert_merged(push(&gateway, "d", "", 60_000));
    assert_eq!(push(&gateway, "a", "", 60_000), Ok(Accepted::Repeated));
    assert_merged(push(&gateway, "e", "", 120_000));
    assert_merged(push(&gateway, "a", "", 120_000));
    assert_eq!(gateway.key_counts().early_swaps, 2);
    assert_eq!(gateway.key_counts().remembered, 4);
}

/// Nothing is forgotten for a push that lacks room elsewhere.
#[test]
fn a_sender_without_room_makes_no_room_for_its_key() {
    let rules = Rules::default().with_sender_label("instance".to_owned());
    let gateway = Gateway::in_memory(rules, START).with_limits(Limits {
        keys_max: 1,
        sender_series_max: 1,
        ..Limits::default()
    });
    assert_merged(push(&gateway, "first", "", 0));
    let refused = push(&gateway, "second", "instance/x", 60_000);
    assert!(
        matches!(refused, Err(Refusal::TooManyNumbers(_))),
        "{refused:?}"
    );
    assert_eq!(gateway.key_counts().early_swaps, 0);
    assert_merged(push(&gateway, "second", "", 60_000));
    assert_eq!(gateway.key_counts().early_swaps, 1);
}

/// Whatever comes between, keys and sums are those of a model that remembers every key with the
/// time of its generation; so they are after a restart, a compaction and a hand-over.
#[test]
fn keys_survive_restarts_compactions_and_hand_overs() {
    for seed in 0..100 {
        let mut random = Random::new(seed);
        let disk = MemoryDisk::with(b"");
        let mut gateway = reopened(&disk);
        let mut model = Model::default();
        let mut now = 1;
        for step in 0..300 {
            now += [
                0,
                1000,
                30_000,
                GENERATION_MILLIS / 3,
                3 * GENERATION_MILLIS,
            ][[0, 1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 4][random.below(12)]];
            match random.below(12) {
                0 => gateway = reopened(&disk),
                1 => {
                    gateway.reset(now, 0).unwrap();
                    model.sum = 0;
                    gateway.compact_journal().unwrap();
                }
                2 => {
                    let memory = MemoryDisk::with(b"");
                    let in_memory = Gateway::in_memory(Rules::default(), START);
                    drop(in_memory);
                    let file = gateway.close(|| Ok(memory.file())).unwrap();
                    gateway = Gateway::open(Arc::new(disk.clone()), &file, Rules::default(), START)
                        .unwrap()
                        .0;
                }
                _ => {
                    let key = random.below(20).to_string();
                    let labels = ["", "job/x"][usize::from(random.below(10) == 0)];
                    let outcome = push(&gateway, &key, labels, now);
                    let expected = model.push(&key, labels, now);
                    assert_eq!(
                        outcome.as_ref().map(is_new).map_err(|_| ()),
                        expected,
                        "{step}"
                    );
                }
            }
            let sum: f64 = scrape(&gateway)
                .lines()
                .filter(|line| line.starts_with('a'))
                .map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap())
                .sum();
            assert_eq!(sum, f64::from(model.sum), "seed {seed}, step {step}");
        }
    }
}

fn is_new(accepted: &Accepted) -> bool {
    *accepted != Accepted::Repeated
}

#[derive(Default)]
struct Model {
    current: Vec<(String, String)>,
    previous: Vec<(String, String)>,
    current_began: u64,
    previous_began: u64,
    sum: u32,
}

impl Model {
    /// Whether the push is added; an error if its key came with another one.
    fn push(&mut self, key: &str, labels: &str, now: u64) -> Result<bool, ()> {
        if !self.current.is_empty() && now >= self.current_began + GENERATION_MILLIS {
            self.previous = std::mem::take(&mut self.current);
            self.previous_began = self.current_began;
        }
        if now >= self.previous_began + 2 * GENERATION_MILLIS && self.current.is_empty() {
            self.previous.clear();
        }
        let mut known = self.current.iter().chain(&self.previous);
        if let Some((_, of)) = known.find(|(known, _)| known == key) {
            return if of == labels { Ok(false) } else { Err(()) };
        }
        if self.current.is_empty() {
            self.current_began = now;
        }
        self.current.push((key.to_owned(), labels.to_owned()));
        self.sum += 1;
        Ok(true)
    }
}

#[test]
fn over_http() {
    let gateway = RunningGateway::start(&["-crontab", "@daily", "-max-idempotency-keys", "5"]);
    let post = |target: &str, field: &str| {
        let body = std::str::from_utf8(BODY).unwrap();
        gateway.request("POST", target, field, body.as_bytes())
    };
    let first = post("/metrics", "Idempotency-Key: k 1\r\n");
    assert_eq!(first.code, 200);
    assert!(
        !first.head.contains("Idempotent-Replayed"),
        "{}",
        first.head
    );
    for (target, field) in [
        ("/metrics", "idempotency-key: k 1\r\n"),
        ("/metrics", "Idempotency-Key: \"k 1\"\r\n"),
        ("/metrics?idempotency-key=k%201", ""),
        ("/metrics?x=y&idempotency-key=k%201&z", ""),
        ("/metrics?idempotency-key=%22k%201%22", ""),
        (
            "/metrics?idempotency-key=other",
            "Idempotency-Key: \"k 1\"\r\n",
        ),
    ] {
        let again = post(target, field);
        assert_eq!(
            (again.code, &again.body),
            (200, &first.body),
            "{target} {field}"
        );
        assert!(
            again.head.contains("Idempotent-Replayed: true\r\n")
                && again
                    .head
                    .contains("Access-Control-Expose-Headers: Idempotent-Replayed\r\n"),
            "{}",
            again.head
        );
    }
    assert_eq!(post("/metrics/job/x", "Idempotency-Key: k 1\r\n").code, 422);
    let longest = format!("Idempotency-Key: {}\r\n", "k".repeat(255));
    assert_eq!(post("/metrics", &longest).code, 200);
    for key in ["a", "b", "c"] {
        let field = format!("Idempotency-Key: {key}\r\n");
        assert_eq!(post("/metrics", &field).code, 200);
    }
    assert_eq!(post("/metrics", "Idempotency-Key: d\r\n").code, 429);
    assert_eq!(gateway.scrape(), "# TYPE a counter\na 5\n");
    let counted = |result: &str| {
        gateway.own_metric(&format!(
            "aggregation_gateway_pushes_total{{result=\"{result}\"}}"
        ))
    };
    assert_eq!(counted("accepted"), 5.0);
    assert_eq!(counted("repeated"), 6.0);
    assert_eq!(counted("idempotency_key_reused"), 1.0);
    assert_eq!(counted("too_many_idempotency_keys"), 1.0);
}

#[test]
fn wrong_keys_are_refused() {
    let gateway = RunningGateway::start(&[]);
    let long = format!("Idempotency-Key: {}\r\n", "k".repeat(256));
    for (target, field, found) in [
        ("/metrics", "Idempotency-Key:\r\n", ", found nothing"),
        ("/metrics?idempotency-key", "", ", found nothing"),
        ("/metrics?idempotency-key=%zz", "", ", found `%zz`"),
        (
            "/metrics?idempotency-key=%22a",
            "",
            ", in quotes or without, found `\"a`",
        ),
        (
            "/metrics",
            "Idempotency-Key: \u{fc}\r\n",
            ", found `\\u{7f}\\u{7f}`",
        ),
        (
            "/metrics",
            "Idempotency-Key: \"a\r\n",
            ", in quotes or without, found `\"a`",
        ),
        (
            "/metrics",
            "Idempotency-Key: \"a\\n\"\r\n",
            ", in quotes or without, found `\"a\\n\"`",
        ),
        ("/metrics", &long, ", found 256"),
    ] {
        let refused = gateway.request("POST", target, field, BODY);
        let line = format!("Idempotency-Key: expected 1 to 255 visible ASCII characters{found}\n");
        assert_eq!(
            (refused.code, refused.body),
            (400, line),
            "{target} {field}"
        );
    }
    assert_eq!(gateway.scrape(), "");
}
