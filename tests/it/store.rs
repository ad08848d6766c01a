//! More series than fit into one leaf of the store, in every order: they are found again, exposed
//! in order, and a view stays as it is while pushes go on.

use std::collections::BTreeMap;
use std::fmt::Write;

use prometheus_aggregation_gateway::aggregate::View;
use prometheus_aggregation_gateway::gateway::Gateway;
use prometheus_aggregation_gateway::render::whole_text;

use crate::push_text::PushText;
use crate::random::Random;

fn text(view: &View) -> String {
    String::from_utf8(whole_text(view)).expect("a scrape is UTF-8")
}

#[track_caller]
fn push(gateway: &Gateway, body: &str) {
    if let Err(error) = gateway.push_text("", body.as_bytes()) {
        panic!("{error}\n{body}");
    }
}

/// Label values whose order is not that of their numbers, some of them as long as a leaf's bytes.
fn value(random: &mut Random, number: usize) -> String {
    let length = match random.below(100) {
        0 => 40_000,
        1..10 => 1000,
        _ => random.below(20),
    };
    let start = ["", "a", "b", "\u{e4}", "zz"][random.below(5)];
    format!("{start}{}-{number}", "x".repeat(length))
}

/// A push of some of the values, each once, mostly in a random order.
fn some(random: &mut Random, values: &[String]) -> Vec<String> {
    let length = 1 + random.below(values.len() / 2);
    let first = random.below(values.len());
    let mut some: Vec<String> = (first..first + length)
        .map(|at| values[at % values.len()].clone())
        .collect();
    // Some senders write them in order.
    if random.percent(30) {
        some.sort();
    } else {
        random.shuffle(&mut some);
    }
    some
}

/// What `write` makes of each push, against sums in a tree of std's; with views taken on the way.
fn check(
    seed: u64,
    values: usize,
    write: fn(&[String]) -> String,
    expose: fn(&BTreeMap<String, u64>) -> String,
) {
    let mut random = Random::new(seed);
    let values: Vec<String> = (0..values)
        .map(|number| value(&mut random, number))
        .collect();
    let gateway = Gateway::default();
    let mut model = BTreeMap::new();
    let mut views = Vec::new();
    for _ in 0..20 {
        let some = some(&mut random, &values);
        push(&gateway, &write(&some));
        for value in some {
            *model.entry(value).or_insert(0) += 1;
        }
        if random.percent(50) {
            views.push((gateway.view(), expose(&model)));
        }
    }
    for (view, expected) in &views {
        assert!(text(view) == *expected, "a view changed (seed {seed})");
    }
    assert!(text(&gateway.view()) == expose(&model), "seed {seed}");
}

#[test]
fn numbers() {
    for seed in 0..8 {
        check(
            seed,
            3000,
            |values| {
                let lines = values.iter().map(|value| format!("x{{a=\"{value}\"}} 1\n"));
                lines.collect()
            },
            |model| {
                let mut text = String::from("# TYPE x untyped\n");
                for (value, sum) in model {
                    writeln!(text, "x{{a=\"{value}\"}} {sum}").unwrap();
                }
                text
            },
        );
    }
}

/// What comes in order, as a snapshot does, is found again wherever it went, and so is what comes
/// between it later.
#[test]
fn in_order_and_between() {
    let line = |number: usize| format!("x{{a=\"{number:05}\"}} 1\n");
    let lines =
        |numbers: &mut dyn Iterator<Item = usize>| -> String { numbers.map(line).collect() };
    let gateway = Gateway::default();
    let even = |number: &usize| number.is_multiple_of(2);
    for first in (0..3000).step_by(1000) {
        push(&gateway, &lines(&mut (first..first + 1000).filter(even)));
    }
    for first in [0, 700, 100] {
        push(&gateway, &lines(&mut (first..first + 1500)));
    }
    push(&gateway, &lines(&mut (0..3000).rev()));
    let mut expected = String::from("# TYPE x untyped\n");
    for number in 0..3000 {
        let pushes = [0..1500, 700..2200, 100..1600];
        let covered = pushes.iter().filter(|push| push.contains(&number)).count();
        let sum = covered + 1 + usize::from(even(&number));
        writeln!(expected, "x{{a=\"{number:05}\"}} {sum}").unwrap();
    }
    assert!(text(&gateway.view()) == expected);
}

#[test]
fn histograms() {
    for seed in 0..8 {
        check(
            seed,
            1000,
            |values| {
                let mut text = String::from("# TYPE h histogram\n");
                for value in values {
                    // Each has a bound of its own beside those in common.
                    let own = value.len() + 10;
                    for (le, count) in [("1", 1), (own.to_string().as_str(), 2), ("+Inf", 3)] {
                        writeln!(text, "h_bucket{{a=\"{value}\",le=\"{le}\"}} {count}").unwrap();
                    }
                    writeln!(text, "h_sum{{a=\"{value}\"}} 5").unwrap();
                }
                text
            },
            |model| {
                let mut text = String::from("# TYPE h histogram\n");
                for (value, sum) in model {
                    let own = value.len() + 10;
                    for (le, count) in [("1", 1), (own.to_string().as_str(), 2), ("+Inf", 3)] {
                        let count = count * sum;
                        writeln!(text, "h_bucket{{a=\"{value}\",le=\"{le}\"}} {count}").unwrap();
                    }
                    writeln!(text, "h_sum{{a=\"{value}\"}} {}", 5 * sum).unwrap();
                    writeln!(text, "h_count{{a=\"{value}\"}} {}", 3 * sum).unwrap();
                }
                text
            },
        );
    }
}

/// The values as parts of the names of families.
#[test]
fn families() {
    fn name(value: &str) -> String {
        value.replace(['-', '\u{e4}'], "_")
    }
    for seed in 0..4 {
        check(
            seed,
            1000,
            |values| {
                let lines = values.iter().map(|value| format!("f{} 1\n", name(value)));
                lines.collect()
            },
            |model| {
                let sums = model.iter().map(|(value, sum)| (name(value), sum));
                let mut text = String::new();
                for (name, sum) in sums.collect::<BTreeMap<_, _>>() {
                    writeln!(text, "# TYPE f{name} untyped\nf{name} {sum}").unwrap();
                }
                text
            },
        );
    }
}

/// A push of some of the bounds, of others, and of none but `+Inf`.
#[test]
fn bounds_in_part() {
    let gateway = Gateway::default();
    let buckets = |bounds: &[&str]| -> String {
        let lines = (1..)
            .zip(bounds)
            .map(|(count, le)| format!("h_bucket{{le=\"{le}\"}} {count}\n"));
        std::iter::once("# TYPE h histogram\n".to_owned())
            .chain(lines)
            .collect()
    };
    push(&gateway, &buckets(&["1", "2", "4", "+Inf"]));
    push(&gateway, &buckets(&["2", "+Inf"]));
    push(&gateway, &buckets(&["+Inf"]));
    push(&gateway, &buckets(&["3", "4", "+Inf"]));
    push(&gateway, &buckets(&["1", "2", "3", "4", "+Inf"]));
    let expected = "# TYPE h histogram\nh_bucket{le=\"1\"} 2\nh_bucket{le=\"2\"} 5\n\
                    h_bucket{le=\"3\"} 7\nh_bucket{le=\"4\"} 10\nh_bucket{le=\"+Inf\"} 15\n\
                    h_sum 0\nh_count 15\n";
    assert_eq!(text(&gateway.view()), expected);
    assert_eq!(gateway.size().series, 7);
}

/// What begins before a reset ends with the data from before it.
#[test]
fn a_view_outlives_a_reset() {
    let gateway = Gateway::default();
    push(&gateway, "a 1\n");
    let view = gateway.view();
    gateway.reset(0, 0).expect("there is no journal");
    push(&gateway, "b 1\n");
    assert_eq!(text(&view), "# TYPE a untyped\na 1\n");
    assert_eq!(text(&gateway.view()), "# TYPE b untyped\nb 1\n");
}
