//! Bytes to `parse`: it ends without a panic, what it refuses it refuses in one short line, and a
//! push that it returns is valid as `metric` says. The input is the body.

#![no_main]

use libfuzzer_sys::fuzz_target;
use prometheus_aggregation_gateway::grouping_key::GroupingKey;
use prometheus_aggregation_gateway::parse::parse;

mod valid;

#[path = "../it"]
mod it {
    pub mod strict;
}

fuzz_target!(|body: &[u8]| {
    match parse(body, &GroupingKey::default()) {
        Ok(push) => valid::assert_push(&push, body),
        Err(error) => valid::assert_message(&error.to_string()),
    }
});
