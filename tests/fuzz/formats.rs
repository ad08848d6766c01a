//! Bytes to the readers of protobuf and `OpenMetrics`: they end without a panic, what they refuse
//! they refuse in one short line, and a push that they return is valid as `metric` says, within
//! limits and without. What it adds up to is a valid scrape, which is read back as the same. The
//! first byte of the input chooses the format, the others are the body.

#![no_main]

use libfuzzer_sys::fuzz_target;
use prometheus_aggregation_gateway::aggregate::Aggregate;
use prometheus_aggregation_gateway::grouping_key::GroupingKey;
use prometheus_aggregation_gateway::label_limits::LabelLimits;
use prometheus_aggregation_gateway::metric::Push;
use prometheus_aggregation_gateway::parse::{Arena, Format, parse, parse_in, parse_snapshot};
use prometheus_aggregation_gateway::render::{Encoding, NameStyle, whole, whole_text};
use prometheus_aggregation_gateway::rules::{Rules, Summaries};

#[allow(dead_code)] // lines are of text alone
mod valid;

#[path = "../it"]
mod it {
    pub mod protobuf_reader;
    #[allow(dead_code)] // the tests read more kinds of scrapes
    pub mod strict;
}

/// Limits that short bodies are beyond.
const TIGHT: LabelLimits = LabelLimits {
    labels_max: 1,
    bytes_max: 4,
};

fuzz_target!(|input: &[u8]| {
    let (format, body) = match input {
        [b'o', body @ ..] => (Format::OpenMetrics, body),
        [_, body @ ..] => (Format::Protobuf, body),
        [] => return,
    };
    let key = GroupingKey::from_path("b/of_the_path/job/x").expect("a valid path");
    let general = parse(format, body, &key, LabelLimits::NONE);
    let mut arena = Arena::default();
    assert_eq!(parse_in(&mut arena, format, body, &key, LabelLimits::NONE), general);
    valid::assert_template(format, body, &key, LabelLimits::NONE);
    let key = GroupingKey::default();
    for limits in [LabelLimits::NONE, TIGHT] {
        let parsed = parse(format, body, &key, limits);
        let mut arena = Arena::default();
        assert_eq!(parse_in(&mut arena, format, body, &key, limits), parsed);
        valid::assert_template(format, body, &key, limits);
        match parsed {
            Ok(mut push) => {
                valid::assert_push(&push);
                assert_starts(&push);
                // Without rules, a summary could expose the name of a family beside it.
                Rules::default().with_summaries(Summaries::Kept).apply(&mut push);
                assert_scrape(&push);
            }
            Err(error) => valid::assert_message(&error.to_string()),
        }
    }
});

/// Starts are of series that are there, each once.
fn assert_starts(push: &Push<'_>) {
    for (starts, series) in [
        (&push.number_starts, push.numbers.len()),
        (&push.histogram_starts, push.histograms.len()),
    ] {
        assert!(starts.is_sorted_by(|one, next| one.place < next.place));
        assert!(starts.iter().all(|start| start.place < series && start.milliseconds > 0));
    }
}

fn assert_scrape(push: &Push<'_>) {
    let first = scrape(push);
    valid::assert_reads(&first);
    let key = GroupingKey::default();
    let again = parse_snapshot(first.as_bytes(), &key).expect("a scrape is valid");
    assert_eq!(scrape(&again), first);
}

/// The scrape as text; as protobuf, it says the same.
fn scrape(push: &Push<'_>) -> String {
    let mut aggregate = Aggregate::default();
    let checked = aggregate.check(push).expect("there is nothing to conflict with");
    aggregate.merge(&checked, 0);
    let view = aggregate.view();
    let text = String::from_utf8(whole_text(&view)).expect("a scrape is UTF-8");
    let protobuf = whole(&view, Encoding::Protobuf, NameStyle::Quoted);
    let families = it::protobuf_reader::read(&protobuf);
    // The count of a summary has no fractions there.
    if families.iter().all(|family| family.kind != 2) {
        assert_eq!(it::protobuf_reader::text(&families), text);
    }
    text
}
