//! Scrapes with underscores for what is beyond the alphabets, against a model that looks at all
//! pairs; random names, many of which become one.

use std::collections::BTreeMap;
use std::path::PathBuf;

use prometheus_aggregation_gateway::aggregate::{Ages, Aggregate, Removal, Selection, Series};
use prometheus_aggregation_gateway::grouping_key::GroupingKey;
use prometheus_aggregation_gateway::label_limits::LabelLimits;
use prometheus_aggregation_gateway::metric::escaped_name;
use prometheus_aggregation_gateway::parse::{Format, parse, parse_snapshot};
use prometheus_aggregation_gateway::render::{
    Cursor, Encoding, NameStyle, Omissions, render, render_pieces, whole, whole_text,
};

use crate::protobuf_reader;
use crate::random::Random;
use crate::random::model::escape;
use crate::strict::{self, Family, Sample};

const SEQUENCES: u64 = 300;

const METRICS: [&str; 24] = [
    "a",
    "a.b",
    "a_b",
    "a-b",
    "a:b",
    "1a",
    "_a",
    "\u{e9}",
    "_",
    "a.b_bucket",
    "a_b_bucket",
    "a_b.bucket",
    "a_b_sum",
    "a.b.sum",
    "a_b.count",
    "a b",
    "..x",
    "__x",
    "a\"b",
    "a\\b",
    "a\nb",
    "a\r.b",
    "\u{96ea}\u{1f600}",
    "le",
];

const LABELS: [&str; 16] = [
    "l",
    "l.m",
    "l_m",
    "l-m",
    "l:m",
    "..x",
    "..name..",
    "1",
    "_",
    "job",
    "\u{65e5}\u{672c}",
    "l\"m",
    "l\\",
    "l\n",
    "\u{fffd}",
    "l.e",
];

/// A body of one family.
fn body(random: &mut Random) -> String {
    let name = *random.pick(&METRICS);
    let name = escape(name);
    let kind = *random.pick(&["counter", "gauge", "untyped", "histogram"]);
    let mut body = format!("# HELP \"{name}\" Help.\n# TYPE \"{name}\" {kind}\n");
    for _ in 0..1 + random.below(6) {
        let mut names = LABELS;
        random.shuffle(&mut names);
        let count = *random.pick(&[0, 1, 1, 1, 2, 2, 3]);
        let label = |name: &&str| format!(",\"{}\"=\"{}\"", escape(name), random.below(2));
        let labels: String = names[..count].iter().map(label).collect();
        // The label sets of a body may come twice: then it is refused.
        body.push_str(&match kind {
            "histogram" => format!(
                "{{\"{name}_bucket\"{labels},le=\"1\"}} 1\n{{\"{name}_count\"{labels}}} 2\n"
            ),
            _ => format!("{{\"{name}\"{labels}}} 1\n"),
        });
    }
    body
}

fn push(aggregate: &mut Aggregate, body: &str) {
    let key = GroupingKey::default();
    let Ok(push) = parse(Format::Text, body.as_bytes(), &key, LabelLimits::NONE) else {
        return;
    };
    if let Ok(checked) = aggregate.check(&push) {
        aggregate.merge(&checked, 0);
    }
}

fn quoted(aggregate: &Aggregate) -> String {
    String::from_utf8(whole_text(&aggregate.view())).expect("a scrape is UTF-8")
}

/// The scrape with underscores, and how many families and series are left out.
#[track_caller]
fn escaped(aggregate: &Aggregate) -> (String, usize, usize) {
    let view = aggregate.view();
    let omissions = Omissions::of(&view);
    let style = NameStyle::Underscores(&omissions);
    let mut text = Vec::new();
    assert!(
        render(
            &view,
            Encoding::Text,
            style,
            Cursor::default(),
            &mut text,
            usize::MAX
        )
        .is_none()
    );
    for piece_bytes in [1, 100, 1000] {
        let (mut pieces, mut from) = (Vec::new(), Some(Cursor::default()));
        while let Some(cursor) = from {
            let end = pieces.len() + piece_bytes;
            from = render(&view, Encoding::Text, style, cursor, &mut pieces, end);
        }
        assert!(pieces == text, "in pieces of {piece_bytes}");
    }
    let text = String::from_utf8(text).expect("a scrape is UTF-8");
    let protobuf = whole(&view, Encoding::Protobuf, style);
    let read = protobuf_reader::read(&protobuf);
    assert_eq!(protobuf_reader::text(&read), text, "as protobuf");
    (text, omissions.families(), omissions.series())
}

/// Prometheus' escaping scheme `underscores`, by its definition.
fn underscored(name: &str, is_metric: bool) -> String {
    let plain = unescape(name.trim_start_matches('"'));
    let plain = if name.starts_with('"') {
        plain.strip_suffix('"').unwrap()
    } else {
        &plain
    };
    let escape = |(at, character): (usize, char)| match character {
        '0'..='9' if at == 0 => '_',
        ':' if is_metric => ':',
        _ if character.is_ascii_alphanumeric() => character,
        _ => '_',
    };
    plain.char_indices().map(escape).collect()
}

fn unescape(text: &str) -> String {
    let text = text
        .replace("\\\\", "\0")
        .replace("\\\"", "\"")
        .replace("\\n", "\n");
    text.replace('\0', "\\")
}

fn exposed(name: &str, kind: &str) -> Vec<String> {
    let parts: &[&str] = if kind == "histogram" {
        &["", "_bucket", "_sum", "_count"]
    } else {
        &[""]
    };
    parts.iter().map(|part| format!("{name}{part}")).collect()
}

type LabelSet = BTreeMap<String, String>;

/// The label set of a sample with underscores, but for `le`; none if it cannot be shown.
fn shown_labels(sample: &Sample) -> Option<LabelSet> {
    let mut shown = LabelSet::new();
    for (name, value) in sample.labels.iter().filter(|(name, _)| name != "le") {
        let name = underscored(name, false);
        if name.starts_with("__") || shown.insert(name, value.clone()).is_some() {
            return None;
        }
    }
    Some(shown)
}

fn is_plain(sample: &Sample) -> bool {
    sample.labels.iter().all(|(name, _)| !name.starts_with('"'))
}

/// The samples of a family that are shown: their names and labels with underscores.
fn shown_samples(family: &Family) -> Vec<(String, LabelSet, Sample)> {
    let mut shown: Vec<(String, LabelSet, Sample)> = Vec::new();
    for sample in &family.samples {
        let own_set: Vec<_> = sample
            .labels
            .iter()
            .filter(|(name, _)| name != "le")
            .collect();
        let is_own = |other: &&Sample| {
            other
                .labels
                .iter()
                .filter(|(name, _)| name != "le")
                .collect::<Vec<_>>()
                == own_set
        };
        let Some(labels) = shown_labels(sample) else {
            continue;
        };
        // Of those that become one, a plain one stays, or the first.
        let rivals = family
            .samples
            .iter()
            .filter(|other| shown_labels(other).as_ref() == Some(&labels));
        let rivals: Vec<&Sample> = rivals.collect();
        let stays = rivals
            .iter()
            .find(|other| is_plain(other))
            .unwrap_or(&rivals[0]);
        if is_own(stays) {
            shown.push((underscored(&sample.name, true), labels, sample.clone()));
        }
    }
    shown
}

/// What a scrape with underscores shows of the families of one in quotes, and what it leaves out.
fn model(families: &[Family]) -> (Vec<(String, LabelSet, String)>, usize, usize) {
    let is_plain_name = |family: &&Family| underscored(&family.name, true) == family.name;
    let plain = families.iter().filter(is_plain_name);
    let mut taken: Vec<String> = plain
        .flat_map(|family| exposed(&family.name, &family.kind))
        .collect();
    let (mut shown, mut left_out, mut samples_left_out) = (Vec::new(), 0, 0);
    for family in families {
        let mut samples = shown_samples(family);
        let names = exposed(&underscored(&family.name, true), &family.kind);
        if !is_plain_name(&family) {
            if names.iter().any(|name| taken.contains(name)) {
                samples.clear();
            } else if !samples.is_empty() {
                taken.extend(names);
            }
        }
        left_out += usize::from(samples.is_empty());
        samples_left_out += family.samples.len() - samples.len();
        shown.extend(samples.into_iter().map(|(name, mut labels, sample)| {
            let le = sample.labels.iter().find(|(name, _)| name == "le");
            labels.extend(le.cloned());
            (name, labels, sample.text)
        }));
    }
    (shown, left_out, samples_left_out)
}

/// Whether each family says rightly that it has names in quotes.
#[track_caller]
fn check_counts(aggregate: &Aggregate) {
    for (name, family) in aggregate.view().families() {
        let has_quoted_labels = match &family.series {
            Series::Numbers(sums) => sums.iter().any(|(labels, _)| labels.starts_with('"')),
            Series::Histograms(sums) => sums.iter().any(|(labels, _)| labels.starts_with('"')),
            Series::Gauges(gauges) => {
                let mut sums = gauges.sums().iter();
                sums.any(|(labels, _)| labels.starts_with('"'))
            }
        };
        let has_quoted_name = underscored(name, true) != name;
        assert_eq!(
            family.has_quoted_names(),
            has_quoted_name || has_quoted_labels,
            "{name}"
        );
    }
}

#[track_caller]
fn check(aggregate: &Aggregate) {
    check_counts(aggregate);
    let in_quotes = quoted(aggregate);
    let families = strict::read(&in_quotes).unwrap_or_else(|error| panic!("{error}\n{in_quotes}"));
    let (text, left_out, series_left_out) = escaped(aggregate);
    let found = strict::read_escaped(&text);
    let found = found.unwrap_or_else(|error| panic!("{error}\n{text}---\n{in_quotes}"));
    let samples = found.into_iter().flat_map(|family| family.samples);
    let found: Vec<_> = samples
        .map(|sample| {
            (
                sample.name,
                sample.labels.into_iter().collect(),
                sample.text,
            )
        })
        .collect();
    let expected = model(&families);
    assert_eq!(
        (found, left_out, series_left_out),
        expected,
        "{text}---\n{in_quotes}"
    );
    // Both are read as they were.
    let mut again = Aggregate::default();
    push(&mut again, &in_quotes);
    assert_eq!(quoted(&again), in_quotes);
    check_counts(&again);
}

/// The scrapes are put into the folder `$SCRAPES`, if there is one, for others to read.
#[test]
fn random_names() {
    let folder = std::env::var_os("SCRAPES").map(PathBuf::from);
    for seed in 0..SEQUENCES {
        let mut random = Random::new(seed);
        let mut aggregate = Aggregate::default();
        for _ in 0..1 + random.below(12) {
            push(&mut aggregate, &body(&mut random));
        }
        check(&aggregate);
        if let Some(folder) = &folder {
            let (text, ..) = escaped(&aggregate);
            std::fs::write(folder.join(format!("{seed}.prom")), text).unwrap();
        }
    }
}

/// The store's counts of names hold while families and series go, also those that come in the
/// middle of a removal; a snapshot has all names.
#[test]
fn random_removals() {
    let selection = |random: &mut Random| match random.below(2) {
        0 => {
            let name = *random.pick(&METRICS);
            Selection::Family(escaped_name(name).into_owned())
        }
        _ => {
            let name = *random.pick(&LABELS);
            let name = escape(name);
            let is_plain = underscored(&name, false) == name;
            let name = if is_plain {
                name
            } else {
                format!("\"{name}\"")
            };
            Selection::Labels(vec![(name, random.below(2).to_string())])
        }
    };
    for seed in 0..SEQUENCES {
        let mut random = Random::new(seed);
        let ages = *random.pick(&[Ages::Kept, Ages::NotKept]);
        let mut aggregate = Aggregate::new(ages);
        for _ in 0..6 {
            (0..random.below(6)).for_each(|_| push(&mut aggregate, &body(&mut random)));
            let mut removal = Removal::prepare(aggregate.view(), selection(&mut random));
            (0..random.below(4)).for_each(|_| push(&mut aggregate, &body(&mut random)));
            aggregate
                .remove(&mut removal)
                .expect("nothing came between");
            check(&aggregate);
        }
        let mut again = Aggregate::new(ages);
        let pieces: Result<(), ()> = render_pieces(&aggregate.view(), 100, |piece, _| {
            let key = GroupingKey::default();
            let push = parse_snapshot(piece, &key).expect("a snapshot is valid");
            again.merge(&again.check(&push).expect("a snapshot fits"), 0);
            Ok(())
        });
        assert_eq!(pieces, Ok(()));
        assert_eq!(quoted(&again), quoted(&aggregate));
    }
}

/// Names as Prometheus escapes them.
#[test]
fn names_with_underscores() {
    let cases = [
        ("my.metric", "my_metric", "lmy_metric"),
        ("a b_c", "a_b_c", "la_b_c"),
        ("1.2", "__2", "l1_2"),
        ("\u{96ea}\u{1f600}x", "__x", "l__x"),
        ("a:b.c", "a:b_c", "la_b_c"),
        ("\\", "_", "l_"),
        ("\"\n", "__", "l__"),
    ];
    for (name, metric, label) in cases {
        let mut aggregate = Aggregate::default();
        let name = escaped_name(name);
        push(
            &mut aggregate,
            &format!("{{\"{name}\",\"l{name}\"=\"1\"}} 1\n"),
        );
        let text = format!("# TYPE {metric} untyped\n{metric}{{{label}=\"1\"}} 1\n");
        assert_eq!(escaped(&aggregate), (text, 0, 0));
    }
}
