//! Pushes in any sequence, to one gateway: after each of them the scrape is valid, counts what the
//! gateway says it holds, and is what its own text makes of an empty gateway, which then answers
//! the next push alike; a refused push has changed nothing; and two pushes give the same sums in
//! either order.
//!
//! The input is a sequence of pushes, each a line with what stands behind the push path and then
//! the body, all up to the next line that begins with `>`, which no valid body has:
//!
//! ```text
//! job/x
//! # TYPE a counter
//! a 1
//! >
//! a 2
//! ```

#![no_main]

use libfuzzer_sys::{Corpus, fuzz_target};
use prometheus_aggregation_gateway::gateway::{Accepted, Gateway, PushRequest, Refusal};
use prometheus_aggregation_gateway::grouping_key::GroupingKey;
use prometheus_aggregation_gateway::label_limits::LabelLimits;
use prometheus_aggregation_gateway::metric::{MetricType, Push, PushedFamily};
use prometheus_aggregation_gateway::parse::{Format, parse};
use prometheus_aggregation_gateway::senders::Replaced;

#[allow(dead_code)] // templates are of formats alone
mod valid;

#[path = "../it"]
mod it {
    #[allow(dead_code)] // the tests read more kinds of scrapes
    pub mod strict;
}

const PUSHES_MAX: usize = 16;

fuzz_target!(|input: &[u8]| -> Corpus {
    if input.windows(8).any(|word| word == b"_created") {
        // Of a push, such gauges may be left out; the journal reads a scrape in another way.
        return Corpus::Reject;
    }
    let sequence: Vec<_> = sequence(input).take(PUSHES_MAX + 1).collect();
    if sequence.len() > PUSHES_MAX {
        return Corpus::Reject;
    }
    let gateway = Gateway::default();
    let mut before = String::new();
    let mut last: Option<&(&str, &[u8])> = None;
    for push in &sequence {
        let (path, body) = push;
        let restored = restored(&before);
        let outcome = push_to(&gateway, path, body);
        let scrape = scrape(&gateway);
        assert_eq!(
            push_to(&restored, path, body),
            outcome,
            "what is restored answers otherwise"
        );
        // The counts of buckets are restored from cumulative ones, which are rounded.
        if !scrape.contains(" histogram\n") {
            assert_eq!(self::scrape(&restored), scrape);
        }
        match outcome {
            Ok(_) => {
                let key = key(path);
                let parsed = parse(Format::Text, body, &key, LabelLimits::NONE).expect("it was accepted");
                valid::assert_push_of_text(&parsed, body);
                if let Some(last) = last.replace(push) {
                    assert_commutes(last, push);
                }
            }
            Err(refusal) => {
                valid::assert_message(&refusal.to_string());
                assert_eq!(scrape, before, "the refused push changed the scrape");
            }
        }
        before = scrape;
    }
    restored(&before);
    Corpus::Keep
});

/// The pushes of an input; a path that is no grouping key is left out.
fn sequence(input: &[u8]) -> impl Iterator<Item = (&str, &[u8])> {
    let mut left = Some(input);
    std::iter::from_fn(move || {
        let push = left?;
        let end = push.windows(2).position(|pair| pair == b"\n>");
        left = end.map(|end| &push[end + 2..]);
        let push = &push[..end.unwrap_or(push.len())];
        let path_end = push
            .iter()
            .position(|&byte| byte == b'\n')
            .unwrap_or(push.len());
        let (path, body) = push.split_at(path_end);
        let path = std::str::from_utf8(path).unwrap_or_default();
        let path = if GroupingKey::from_path(path).is_ok() { path } else { "" };
        Some((path, body.get(1..).unwrap_or_default()))
    })
}

fn key(path: &str) -> GroupingKey {
    GroupingKey::from_path(path).expect("the others were left out")
}

/// The scrape; it is valid, and as long as the gateway says.
fn scrape(gateway: &Gateway) -> String {
    let scrape = String::from_utf8(gateway.scrape()).expect("a scrape is UTF-8");
    let families = valid::assert_reads(&scrape);
    assert_eq!(gateway.size().families, families.len(), "{scrape}");
    let series: usize = families.iter().map(|family| family.samples.len()).sum();
    assert_eq!(gateway.size().series, series, "{scrape}");
    scrape
}

/// A gateway made of a scrape, which it gives again: render, parse and merge are the identity.
fn restored(text: &str) -> Gateway {
    let gateway = Gateway::default();
    if let Err(error) = push_to(&gateway, "", text.as_bytes()) {
        panic!("the scrape is refused: {error}\n{text}");
    }
    assert_eq!(scrape(&gateway), text);
    gateway
}

/// Two pushes are accepted and add up to the same in either order, but where the first word counts
/// by design: HELP texts that differ, and families that one of the two declares without series.
fn assert_commutes(one: &(&str, &[u8]), other: &(&str, &[u8])) {
    let keys = [one, other].map(|(path, _)| key(path));
    let [first, second] = [(one, &keys[0]), (other, &keys[1])]
        .map(|((_, body), key)| parse(Format::Text, body, key, LabelLimits::NONE).expect("it was accepted"));
    let parsed = [first, second];
    if says_order_matters(&parsed) {
        return;
    }
    let [forward, backward] = [[one, other], [other, one]].map(|order| {
        let gateway = Gateway::default();
        let accepted = order.map(|(path, body)| push_to(&gateway, path, body).is_ok());
        (accepted[0] && accepted[1]).then(|| scrape(&gateway))
    });
    assert_eq!(forward, backward);
}

fn says_order_matters([one, other]: &[Push<'_>; 2]) -> bool {
    let mut in_both = one.families.iter().filter_map(|family| {
        let has_name = |other: &&PushedFamily<'_>| other.name == family.name;
        Some((family, other.families.iter().find(has_name)?))
    });
    // Of a summary, which is not kept, nothing is stored.
    let only_declares = |family: &PushedFamily<'_>| {
        !family.has_series || family.metric_type == MetricType::Summary
    };
    in_both.any(|(one, other)| {
        let helps_differ = one.help != other.help && !one.help.is_empty() && !other.help.is_empty();
        helps_differ || only_declares(one) || only_declares(other)
    })
}

fn push_to(gateway: &Gateway, labels: &str, body: &[u8]) -> Result<Accepted, Refusal> {
    gateway.push(&PushRequest {
        replaced: Replaced::Families,
        labels,
        key: None,
        format: Format::Text,
        body,
        time_millis: 0,
    })
}
