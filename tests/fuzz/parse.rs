//! Bytes to `parse`: it ends without a panic, what it refuses it refuses in one short line, and a
//! push that it returns is valid as `metric` says. A line with a blank before it, which is never read
//! as a plain one, is read as the same, within limits and without; so is what a template reads. The
//! input is the body.

#![no_main]

use libfuzzer_sys::fuzz_target;
use prometheus_aggregation_gateway::grouping_key::GroupingKey;
use prometheus_aggregation_gateway::label_limits::LabelLimits;
use prometheus_aggregation_gateway::parse::{Format, parse};

mod valid;

#[path = "../it"]
mod it {
    #[allow(dead_code)] // the tests read more kinds of scrapes
    pub mod strict;
}

/// Limits that short bodies are beyond.
const TIGHT: LabelLimits = LabelLimits {
    labels_max: 1,
    bytes_max: 4,
};

fuzz_target!(|body: &[u8]| {
    if body.starts_with(b"\x1f\x8b\x08") {
        // That is looked at before there are lines.
        return;
    }
    let key = GroupingKey::default();
    let general = in_the_general_way(body);
    for limits in [LabelLimits::NONE, TIGHT] {
        let parsed = parse(Format::Text, body, &key, limits);
        assert_eq!(parsed, parse(Format::Text, &general, &key, limits));
        valid::assert_template(Format::Text, body, &key, limits);
        match parsed {
            Ok(push) => valid::assert_push_of_text(&push, body),
            Err(error) => valid::assert_message(&error.to_string()),
        }
    }
});

/// The body with a blank before each line, behind the mark of byte order.
fn in_the_general_way(body: &[u8]) -> Vec<u8> {
    let (mark, body) = body.split_at(if body.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 });
    let lines = body.split(|&byte| byte == b'\n');
    let lines: Vec<Vec<u8>> = lines.map(|line| [b" ", line].concat()).collect();
    [mark, &lines.join(&b'\n')].concat()
}
