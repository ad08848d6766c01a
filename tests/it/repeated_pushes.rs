//! Pushes of the same series again and again, with other numbers each time, are read by templates
//! and added where their series were found before. Whatever comes between, the sums are those of a
//! gateway that reads each push in the general way: there a blank stands before each line.

use prometheus_aggregation_gateway::gateway::{Gateway, PushRequest, Start};
use prometheus_aggregation_gateway::parse::Format;
use prometheus_aggregation_gateway::rules::{Ages, NamePattern, Rules, Summaries};
use prometheus_aggregation_gateway::senders::Replaced;

use crate::random::Random;

/// A gateway that may use templates, and one that cannot.
struct Pair {
    one: Gateway,
    other: Gateway,
}

impl Pair {
    fn new(rules: impl Fn() -> Rules) -> Pair {
        let gateway = || Gateway::in_memory(rules(), Start::default());
        Pair {
            one: gateway(),
            other: gateway(),
        }
    }

    fn push(&self, labels: &str, body: &str) {
        let request = |body| PushRequest {
            labels,
            key: None,
            format: Format::Text,
            replaced: Replaced::Everything,
            body,
            time_millis: 1_000_000,
        };
        let general: Vec<String> = body.lines().map(|line| format!(" {line}\n")).collect();
        let one = self.one.push(&request(body.as_bytes()));
        let other = self.other.push(&request(general.concat().as_bytes()));
        assert_eq!(format!("{one:?}"), format!("{other:?}"), "{body}");
    }

    fn check(&self) {
        let text = |gateway: &Gateway| String::from_utf8(gateway.scrape()).unwrap();
        assert_eq!(text(&self.one), text(&self.other));
        assert_eq!(self.one.size(), self.other.size());
    }

    /// Something that moves series, or has them come or go.
    fn disturb(&self, random: &mut Random) {
        match random.below(8) {
            0 => self.push("", &format!("b_total{{a=\"{}\"}} 1\n", random.below(1000))),
            1 => self.push(
                "",
                &format!("# TYPE n{0} counter\nn{0} 1\n", random.below(1000)),
            ),
            2 => self.push("", "# TYPE plain counter\nplain 1\n"),
            3 => {
                for gateway in [&self.one, &self.other] {
                    gateway.reset(1_000_000, 1000).unwrap();
                }
            }
            4 => {
                let name = *random.pick(&["a_total", "seconds", "plain"]);
                for gateway in [&self.one, &self.other] {
                    gateway.delete_family(1_000_000, name).unwrap();
                }
            }
            5 => {
                let labels = format!("host/{}", random.below(3));
                for gateway in [&self.one, &self.other] {
                    gateway.delete_labels(1_000_000, &labels).unwrap();
                }
            }
            _ => {}
        }
    }
}

/// A body of the kind, whose numbers are random.
fn body(kind: usize, random: &mut Random) -> String {
    let mut text = format!("# HELP a_total Kind {kind}.\n# TYPE a_total counter\n");
    for number in 0..10 + kind {
        let value = random.below(100);
        text += &format!(
            "a_total{{number=\"{number}\",host=\"{}\"}} {value}\n",
            kind % 3
        );
    }
    text += "# TYPE seconds histogram\n";
    for path in 0..3 {
        let mut below = 0;
        for le in ["0.1", "1", "+Inf"] {
            below += random.below(10);
            text += &format!("seconds_bucket{{path=\"{path}\",le=\"{le}\"}} {below}\n");
        }
        let sum = random.between(-4, 4);
        text += &format!("seconds_sum{{path=\"{path}\"}} {sum}.5\n");
        text += &format!("seconds_count{{path=\"{path}\"}} {below}\n");
    }
    // Sometimes negative, which a counter of that name refuses.
    text += &format!("plain {}\n", random.between(-1, 50));
    if kind % 2 == 1 {
        let count = random.below(9);
        text +=
            &format!("# TYPE gc summary\ngc{{quantile=\"0.5\"}} NaN\ngc_sum 1\ngc_count {count}\n");
    }
    text
}

#[track_caller]
fn check(rules: impl Fn() -> Rules, paths: &[&str]) {
    let pair = Pair::new(rules);
    let mut random = Random::new(5);
    for round in 0..600 {
        let kind = random.below(6);
        let path = paths[kind % paths.len()];
        pair.push(path, &body(kind, &mut random));
        if random.percent(30) {
            pair.disturb(&mut random);
        }
        if round % 3 == 0 {
            pair.check();
        }
    }
    pair.check();
}

#[test]
fn repeated_pushes_add_what_they_say() {
    check(Rules::default, &[""]);
    check(Rules::default, &["", "job/shop", "job/shop/host/1"]);
}

#[test]
fn repeated_pushes_under_rules_add_what_they_say() {
    let numbers = || NamePattern::Exact("number".to_owned());
    check(
        || Rules::default().with_summaries(Summaries::Kept),
        &["", "job/x"],
    );
    check(
        || Rules::new(Vec::new(), vec![numbers()], Ages::NotKept),
        &[""],
    );
    check(
        || Rules::new(Vec::new(), Vec::new(), Ages::Kept),
        &["", "job/x"],
    );
}

#[test]
fn repeated_pushes_of_senders_add_what_they_say() {
    let rules = || Rules::default().with_sender_label("instance".to_owned());
    check(rules, &["", "job/x/instance/1", "job/x/instance/2"]);
}

/// More kinds than are remembered, each again and again.
#[test]
fn more_kinds_than_templates() {
    let pair = Pair::new(Rules::default);
    let mut random = Random::new(9);
    for _ in 0..3 {
        for kind in 0..1500 {
            let lines: String = (0..12)
                .map(|line| format!("m{{kind=\"{kind}\",line=\"{line}\"}} {}\n", random.below(9)))
                .collect();
            pair.push("", &lines);
        }
    }
    pair.check();
}
