//! Paths to `GroupingKey::from_path`: it never panics, what it refuses it refuses in one short
//! line, and a key that it returns is valid, can be written as a path again, and can be put on
//! every sample. The input is what stands behind the push path.

#![no_main]

use std::collections::BTreeMap;

use libfuzzer_sys::fuzz_target;
use prometheus_aggregation_gateway::gateway::{Accepted, Gateway, PushRequest, Refusal};
use prometheus_aggregation_gateway::grouping_key::GroupingKey;
use prometheus_aggregation_gateway::label_limits::LabelLimits;
use prometheus_aggregation_gateway::metric::raw_label_name;
use prometheus_aggregation_gateway::parse::{Format, parse};
use prometheus_aggregation_gateway::senders::Replaced;

#[allow(dead_code)] // templates are of formats alone
mod valid;

#[path = "../it"]
mod it {
    #[allow(dead_code)] // the tests read more kinds of scrapes
    pub mod strict;
}

fuzz_target!(|path: &str| {
    let key = match GroupingKey::from_path(path) {
        Ok(key) => key,
        Err(error) => return valid::assert_message(&error.to_string()),
    };
    assert!(key.labels().is_sorted_by(|(one, _), (next, _)| one < next));
    for (name, value) in key.labels() {
        assert!(!name.starts_with("__") && name != "le", "{key:?}");
        assert!(name != "job" || !value.is_empty(), "{key:?}");
    }
    let labels = key.labels().iter();
    let labels: Labels = labels
        .map(|(name, value)| (raw_label_name(name).into_owned(), plain(value)))
        .collect();
    // What begins so is decoded once more.
    if !labels.keys().any(|name| name.starts_with("U__")) {
        let path = percent_encoded(&labels);
        assert_eq!(GroupingKey::from_path(&path).as_ref(), Ok(&key));
    }
    assert_labels_win(path, &key);
});

type Labels = BTreeMap<String, String>;

/// The labels as a path in which every byte of every name and value is %-encoded.
fn percent_encoded(labels: &Labels) -> String {
    let encoded =
        |text: &str| -> String { text.bytes().map(|byte| format!("%{byte:02x}")).collect() };
    let pairs = labels
        .iter()
        .map(|(name, value)| format!("{}/{}/", encoded(name), encoded(value)));
    pairs.collect()
}

/// The labels of the key are put over those of a body; an empty one takes its label away.
fn assert_labels_win(path: &str, key: &GroupingKey) {
    let of_body = ["a", "job", "z"].map(|name| (name.to_owned(), "of body".to_owned()));
    let mut expected = Labels::from(of_body);
    let of_key = key.labels().iter();
    expected.extend(of_key.map(|(name, value)| (name.clone(), plain(value))));
    expected.retain(|_, value| !value.is_empty());

    let body = b"# TYPE x counter\nx{z=\"of body\",a=\"of body\",job=\"of body\"} 1\n";
    let push = parse(Format::Text, body, key, LabelLimits::NONE).expect("the body is valid");
    valid::assert_push_of_text(&push, body);
    let gateway = Gateway::default();
    push_to(&gateway, path, body).expect("the body is valid");
    let scrape = String::from_utf8(gateway.scrape()).expect("a scrape is UTF-8");
    let families = valid::assert_reads(&scrape);
    let found: Labels = families[0].samples[0].labels.iter().cloned().collect();
    assert_eq!(found, expected);
}

/// A label value without the escapes of the exposition format.
fn plain(escaped: &str) -> String {
    let mut plain = String::new();
    let mut characters = escaped.chars();
    while let Some(character) = characters.next() {
        plain.push(match character {
            '\\' => match characters.next() {
                Some('n') => '\n',
                Some(same @ ('\\' | '"')) => same,
                other => panic!("escape {other:?} in {escaped:?}"),
            },
            '"' | '\n' | '\0' => panic!("{character:?} is not escaped in {escaped:?}"),
            same => same,
        });
    }
    plain
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
