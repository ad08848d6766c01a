//! The same work so many times, for a counter of instructions: see `scripts/instructions`.
//!
//! Usage: `fixed WORK TIMES`.

use std::hint::black_box;

use prometheus_aggregation_gateway::aggregate::Aggregate;
use prometheus_aggregation_gateway::gateway::{Gateway, Limits, PushRequest, Start};
use prometheus_aggregation_gateway::grouping_key::GroupingKey;
use prometheus_aggregation_gateway::label_limits::LabelLimits;
use prometheus_aggregation_gateway::parse::{Format, parse, parse_snapshot};
use prometheus_aggregation_gateway::render::{Encoding, NameStyle, render_pieces, whole};
use prometheus_aggregation_gateway::rules::Rules;
use prometheus_aggregation_gateway::senders::Replaced;

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
    let push_text = |path, body: &str| push(Format::Text, path, body.as_bytes(), times);
    let push_protobuf = |body: &[u8]| push(Format::Protobuf, "", body, times);
    match work.as_str() {
        "push-numbers" => push_text("", &bodies::numbers(0, 2000)),
        "push-unsorted" => push_text("", &bodies::unsorted(2000)),
        "push-histograms" => push_text("", &bodies::histograms(0, 200)),
        "push-web-application" => push_text("job/shop", &bodies::web_application()),
        "push-web-application-as-sender" => push_as_sender(&bodies::web_application(), times),
        "push-new-numbers" => (0..times).for_each(|_| push_new(&bodies::numbers(0, 2000))),
        "read-snapshot" => read_snapshot(&bodies::numbers(0, 20_000), times),
        "push-protobuf-numbers" => push_protobuf(&bodies::protobuf_numbers(0, 2000)),
        "push-protobuf-numbers-with-starts" => {
            push_protobuf(&bodies::protobuf_numbers_with_starts(0, 2000));
        }
        "push-protobuf-histograms" => push_protobuf(&bodies::protobuf_histograms(0, 200)),
        "push-line-into-1000" => push_into(1000, times),
        "push-line-into-100000" => push_into(100_000, times),
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

fn gateway(rules: Rules) -> Gateway {
    Gateway::in_memory(rules, Start::default()).with_limits(Limits {
        series_max: SERIES_MAX,
        labels: LABEL_LIMITS,
        ..Limits::default()
    })
}

fn add(gateway: &Gateway, format: Format, labels: &str, body: &[u8]) {
    let request = PushRequest {
        labels,
        key: None,
        format,
        replaced: Replaced::Everything,
        body: black_box(body),
        time_millis: 0,
    };
    gateway.push(&request).expect("it fits");
}

/// A push of what is known: it has come a few times before.
fn push(format: Format, labels: &str, body: &[u8], times: usize) {
    push_to(&gateway(Rules::default()), format, labels, body, times);
}

/// The push of a sender that is known.
fn push_as_sender(body: &str, times: usize) {
    let gateway = gateway(Rules::default().with_sender_label("instance".to_owned()));
    let labels = "job/shop/instance/x";
    push_to(&gateway, Format::Text, labels, body.as_bytes(), times);
}

fn push_to(gateway: &Gateway, format: Format, labels: &str, body: &[u8], times: usize) {
    const TIMES_BEFORE: usize = 4;
    (0..TIMES_BEFORE + times).for_each(|_| add(gateway, format, labels, body));
}

fn push_new(body: &str) {
    add(
        &gateway(Rules::default()),
        Format::Text,
        "",
        body.as_bytes(),
    );
}

/// A hundred pushes of one line into a family of so many series, at places all over it.
fn push_into(series: usize, times: usize) {
    let gateway = gateway(Rules::default());
    let body = bodies::numbers(0, series);
    add(&gateway, Format::Text, "", body.as_bytes());
    let lines: Vec<&str> = body.lines().skip(1).step_by(series / 100).collect();
    for line in (0..times).flat_map(|_| &lines) {
        add(&gateway, Format::Text, "", line.as_bytes());
    }
}

/// A snapshot of the body as a journal has it, into an empty aggregate.
fn read_snapshot(body: &str, times: usize) {
    const RECORD_BYTES: usize = 1 << 20;
    let key = GroupingKey::default();
    let gateway = gateway(Rules::default());
    add(&gateway, Format::Text, "", body.as_bytes());
    let mut pieces = Vec::new();
    let rendered: Result<(), ()> = render_pieces(&gateway.view(), RECORD_BYTES, |piece, _| {
        pieces.push(piece.to_vec());
        Ok(())
    });
    assert!(rendered.is_ok());
    for _ in 0..times {
        let mut aggregate = Aggregate::default();
        aggregate.index_later();
        for piece in &pieces {
            let push = parse_snapshot(black_box(piece), &key).expect("it is valid");
            let checked = aggregate.check(&push).expect("it fits");
            aggregate.merge(&checked, 0);
        }
        aggregate.index_now();
        black_box(&aggregate);
    }
}

fn render(body: &str, encoding: Encoding, times: usize) {
    let key = GroupingKey::default();
    let push = parse(Format::Text, body.as_bytes(), &key, LABEL_LIMITS).expect("it is valid");
    let mut aggregate = Aggregate::default();
    let checked = aggregate.check(&push).expect("it fits");
    aggregate.merge(&checked, 0);
    aggregate.note_start(1_795_740_000_000);
    (0..times).for_each(|_| {
        black_box(whole(
            black_box(&aggregate.view()),
            encoding,
            NameStyle::Quoted,
        ));
    });
}
