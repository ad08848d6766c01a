//! The same work so many times, for a counter of instructions: see `scripts/instructions`.
//!
//! Usage: `fixed WORK TIMES`.

use std::hint::black_box;

use prometheus_aggregation_gateway::aggregate::Aggregate;
use prometheus_aggregation_gateway::grouping_key::GroupingKey;
use prometheus_aggregation_gateway::label_limits::LabelLimits;
use prometheus_aggregation_gateway::metric::PushedBy;
use prometheus_aggregation_gateway::parse::{Arena, Format, parse, parse_in};
use prometheus_aggregation_gateway::render::{Encoding, NameStyle, whole};
use prometheus_aggregation_gateway::rules::Rules;
use prometheus_aggregation_gateway::senders::{Replaced, Senders, Sending};
use prometheus_aggregation_gateway::stable_hash::HashKey;

mod bodies;

/// Those of the flags, unless they are given.
const LABEL_LIMITS: LabelLimits = LabelLimits {
    labels_max: 64,
    bytes_max: 4096,
};
const SERIES_MAX: usize = 1_000_000;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [work, times] = arguments.as_slice() else {
        panic!("usage: fixed WORK TIMES");
    };
    let times = times.parse().expect("a number");
    match work.as_str() {
        "push-numbers" => push(&bodies::numbers(0, 2000), "", times),
        "push-protobuf-numbers" => push_protobuf(&bodies::protobuf_numbers(0, 2000), times),
        "push-protobuf-numbers-with-starts" => {
            push_protobuf(&bodies::protobuf_numbers_with_starts(0, 2000), times);
        }
        "push-protobuf-histograms" => push_protobuf(&bodies::protobuf_histograms(0, 200), times),
        "push-unsorted" => push(&bodies::unsorted(2000), "", times),
        "push-histograms" => push(&bodies::histograms(0, 200), "", times),
        "push-line-into-1000" => push_into(1000, times),
        "push-line-into-100000" => push_into(100_000, times),
        "push-web-application" => push(&bodies::web_application(), "job/shop", times),
        "push-web-application-as-sender" => push_as_sender(&bodies::web_application(), times),
        "push-new-numbers" => {
            (0..times).for_each(|_| push(&bodies::numbers(0, 2000), "", 1));
        }
        "render-numbers" => render(&bodies::numbers(0, 2000), Encoding::Text, times),
        "render-histograms" => render(&bodies::histograms(0, 200), Encoding::Text, times),
        "render-protobuf-numbers" => {
            render(&bodies::numbers(0, 2000), Encoding::Protobuf, times);
        }
        "render-protobuf-histograms" => {
            render(&bodies::histograms(0, 200), Encoding::Protobuf, times);
        }
        _ => panic!("no such work: {work}"),
    }
}

fn add(aggregate: &mut Aggregate, body: &str, key: &GroupingKey) {
    add_in(Format::Text, aggregate, body.as_bytes(), key);
}

fn add_in(format: Format, aggregate: &mut Aggregate, body: &[u8], key: &GroupingKey) {
    let mut arena = Arena::default();
    let push = parse_in(&mut arena, format, body, key, LABEL_LIMITS).expect("it is valid");
    let checked = aggregate.check(&push).expect("it fits");
    aggregate
        .check_room(&checked, SERIES_MAX)
        .expect("there is room");
    aggregate.merge(&checked, 0);
}

fn push(body: &str, path: &str, times: usize) {
    let key = GroupingKey::from_path(path).expect("a valid path");
    let mut aggregate = Aggregate::default();
    (0..times).for_each(|_| add(&mut aggregate, black_box(body), &key));
    black_box(&aggregate);
}

/// The push of a sender that is known, by the same way as in the gateway.
fn push_as_sender(body: &str, times: usize) {
    let path = GroupingKey::from_path("job/shop").expect("a valid path");
    let rules = Rules::default().with_sender_label("instance".to_owned());
    let key = HashKey::random();
    let sender = key.hash(&[b"job", b"shop", b"instance", b"x"]);
    let mut aggregate = Aggregate::new(rules.ages()).with_contributions(rules.contributions());
    let mut senders = Senders::default();
    for _ in 0..times {
        let push = parse(
            Format::Text,
            black_box(body).as_bytes(),
            &path,
            LABEL_LIMITS,
        );
        let mut push = push.expect("it is valid");
        let sending = Sending::of(key, sender, &push, Replaced::Everything);
        push.pushed_by = PushedBy::Sender;
        let changes = senders.prepare(&sending, &mut push, &aggregate);
        let folded = rules.drop_labels(&mut push);
        let checked = aggregate.check(&push).expect("it fits");
        aggregate
            .check_room(&checked, SERIES_MAX)
            .expect("there is room");
        aggregate.merge(&checked, 0);
        senders.note(&sending, changes, &push, &folded, &mut aggregate, 0);
    }
    black_box(&aggregate);
}

fn push_protobuf(body: &[u8], times: usize) {
    let key = GroupingKey::default();
    let mut aggregate = Aggregate::default();
    (0..times).for_each(|_| add_in(Format::Protobuf, &mut aggregate, black_box(body), &key));
    black_box(&aggregate);
}

/// A hundred pushes of one line into a family of so many series, at places all over it.
fn push_into(series: usize, times: usize) {
    let key = GroupingKey::default();
    let body = bodies::numbers(0, series);
    let mut aggregate = Aggregate::default();
    add(&mut aggregate, &body, &key);
    let lines: Vec<&str> = body.lines().skip(1).step_by(series / 100).collect();
    for line in (0..times).flat_map(|_| &lines) {
        add(&mut aggregate, line, &key);
    }
    black_box(&aggregate);
}

fn render(body: &str, encoding: Encoding, times: usize) {
    let mut aggregate = Aggregate::default();
    add(&mut aggregate, body, &GroupingKey::default());
    aggregate.note_start(1_795_740_000_000);
    (0..times).for_each(|_| {
        black_box(whole(
            black_box(&aggregate.view()),
            encoding,
            NameStyle::Quoted,
        ));
    });
}
