//! The core by itself, in bytes per second of one core: `cargo bench`.

use std::io::Write;
use std::process::{Command, Stdio};

use divan::counter::BytesCount;
use divan::{Bencher, black_box};
use prometheus_aggregation_gateway::aggregate::Aggregate;
use prometheus_aggregation_gateway::compression::{ContentCoding, decompress};
use prometheus_aggregation_gateway::grouping_key::GroupingKey;
use prometheus_aggregation_gateway::label_limits::LabelLimits;
use prometheus_aggregation_gateway::metric::{
    NativeBucketLimit, NativeHistogram, NativeParts, Push,
};
use prometheus_aggregation_gateway::parse::{Format, parse};
use prometheus_aggregation_gateway::render::{Encoding, NameStyle, whole, whole_text};

mod bodies;

fn main() {
    divan::main();
}

/// A body by what it is, and what stands behind its push path.
const BODIES: [(&str, &str); 6] = [
    ("one line", ""),
    ("web application", ""),
    ("20,000 numbers", ""),
    ("20,000 numbers", "job/nightly/instance/host-1"),
    ("20,000 unsorted", ""),
    ("5,000 histograms", ""),
];

fn body(kind: &str) -> String {
    match kind {
        "one line" => bodies::ONE_LINE.to_owned(),
        "web application" => bodies::web_application(),
        "20,000 numbers" => bodies::numbers(0, 20_000),
        "20,000 unsorted" => bodies::unsorted(20_000),
        _ => bodies::histograms(0, 5_000),
    }
}

fn of<'a>(body: &'a str, key: &'a GroupingKey) -> Push<'a> {
    parse(Format::Text, body.as_bytes(), key, LabelLimits::NONE).expect("it is valid")
}

fn add(aggregate: &mut Aggregate, push: &Push<'_>) {
    let checked = aggregate.check(push).expect("it fits");
    aggregate.merge(&checked, 0);
}

#[divan::bench(args = BODIES.map(|(kind, path)| format!("{kind} /{path}")))]
fn parse_body(bencher: Bencher, name: &str) {
    let (body, key) = named(name);
    let bencher = bencher.counter(BytesCount::new(body.len()));
    bencher.bench_local(|| of(black_box(&body), &key).samples);
}

#[divan::bench(args = BODIES.map(|(kind, path)| format!("{kind} /{path}")))]
fn merge_known(bencher: Bencher, name: &str) {
    let (body, key) = named(name);
    let push = of(&body, &key);
    let mut aggregate = Aggregate::default();
    add(&mut aggregate, &push);
    let bencher = bencher.counter(BytesCount::new(body.len()));
    bencher.bench_local(|| add(&mut aggregate, &push));
}

#[divan::bench(args = BODIES.map(|(kind, path)| format!("{kind} /{path}")))]
fn merge_new(bencher: Bencher, name: &str) {
    let (body, key) = named(name);
    let push = of(&body, &key);
    let bencher = bencher.counter(BytesCount::new(body.len()));
    bencher
        .with_inputs(Aggregate::default)
        .bench_local_refs(|aggregate| add(aggregate, &push));
}

/// A native histogram of 160 buckets that is known, or of which every second bucket is.
#[divan::bench(args = ["all known", "half new"])]
fn merge_native(bencher: Bencher, which: &str) {
    let native = |step: i64| {
        let buckets = (0..160).map(|index| (index * step, 3.0));
        let parts = NativeParts {
            schema: 3,
            positive: buckets.collect(),
            count: 480.0,
            sum: 480.0,
            ..NativeParts::default()
        };
        NativeHistogram::new(&parts).expect("it is valid")
    };
    let (stored, pushed) = match which {
        "all known" => (native(1), native(1)),
        _ => (native(1), native(2)),
    };
    bencher
        .with_inputs(|| stored.clone())
        .bench_local_refs(|stored| stored.merge(black_box(&pushed), NativeBucketLimit(1000)));
}

/// In bytes of text, as [`parse_body`] is.
#[divan::bench(args = ["one line", "web application", "20,000 numbers", "5,000 histograms"])]
fn decompress_gzip(bencher: Bencher, kind: &str) {
    let body = body(kind);
    let compressed = gzip(&body);
    let bencher = bencher.counter(BytesCount::new(body.len()));
    bencher.bench_local(|| decompress(ContentCoding::Gzip, black_box(&compressed), body.len()));
}

/// A known push with and without its decompression: gzip is to have 60 % of the speed of text.
#[divan::bench(args = ["web application", "20,000 numbers", "5,000 histograms"])]
fn push_gzip(bencher: Bencher, kind: &str) {
    let (body, key) = (body(kind), GroupingKey::default());
    let compressed = gzip(&body);
    let mut aggregate = Aggregate::default();
    let bencher = bencher.counter(BytesCount::new(body.len()));
    bencher.bench_local(|| {
        let body = decompress(ContentCoding::Gzip, black_box(&compressed), body.len());
        let body = body.expect("it is what was compressed");
        let push = parse(Format::Text, &body, &key, LabelLimits::NONE).expect("it is valid");
        add(&mut aggregate, &push);
    });
}

#[divan::bench(args = ["web application", "20,000 numbers", "5,000 histograms"])]
fn push_text(bencher: Bencher, kind: &str) {
    let (body, key) = (body(kind), GroupingKey::default());
    let mut aggregate = Aggregate::default();
    let bencher = bencher.counter(BytesCount::new(body.len()));
    bencher.bench_local(|| add(&mut aggregate, &of(black_box(&body), &key)));
}

/// The body as gzip(1) compresses it without flags.
fn gzip(body: &str) -> Vec<u8> {
    let mut child = Command::new("gzip")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("gzip is installed");
    let mut input = child.stdin.take().expect("it is piped");
    std::thread::scope(|scope| {
        scope.spawn(move || input.write_all(body.as_bytes()).expect("gzip reads"));
        child.wait_with_output().expect("gzip ends").stdout
    })
}

#[divan::bench(args = ["20,000 numbers", "5,000 histograms"])]
fn render(bencher: Bencher, kind: &str) {
    let (body, key) = (body(kind), GroupingKey::default());
    let mut aggregate = Aggregate::default();
    add(&mut aggregate, &of(&body, &key));
    let view = aggregate.view();
    let bencher = bencher.counter(BytesCount::new(whole_text(&view).len()));
    bencher.bench_local(|| whole_text(black_box(&view)));
}

/// In bytes of text, as [`render`] is: it is to take at most 1.3 times as long.
#[divan::bench(args = ["20,000 numbers", "5,000 histograms"])]
fn render_protobuf(bencher: Bencher, kind: &str) {
    let (body, key) = (body(kind), GroupingKey::default());
    let mut aggregate = Aggregate::default();
    add(&mut aggregate, &of(&body, &key));
    aggregate.note_start(1_795_740_000_000);
    let view = aggregate.view();
    let bencher = bencher.counter(BytesCount::new(whole_text(&view).len()));
    bencher.bench_local(|| whole(black_box(&view), Encoding::Protobuf, NameStyle::Quoted));
}

/// What a reset does while it holds the lock: to free what was there comes after.
#[divan::bench]
fn reset_with_200_000_series(bencher: Bencher) {
    let (body, key) = (bodies::numbers(0, 200_000), GroupingKey::default());
    let push = of(&body, &key);
    let loaded = || {
        let mut aggregate = Aggregate::default();
        add(&mut aggregate, &push);
        aggregate
    };
    bencher.with_inputs(loaded).bench_local_refs(std::mem::take);
}

fn named(name: &str) -> (String, GroupingKey) {
    let (kind, path) = name.split_once(" /").expect("a kind and a path");
    (
        body(kind),
        GroupingKey::from_path(path).expect("a valid path"),
    )
}
