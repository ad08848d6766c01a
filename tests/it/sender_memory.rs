//! What is remembered of senders takes at most 40 bytes a counter, 80 a gauge (of which 24 are a
//! part of its sum), and 200 a sender besides.

use prometheus_aggregation_gateway::aggregate::{Ages, Aggregate, Contributions};
use prometheus_aggregation_gateway::grouping_key::GroupingKey;
use prometheus_aggregation_gateway::label_limits::LabelLimits;
use prometheus_aggregation_gateway::metric::PushedBy;
use prometheus_aggregation_gateway::parse::{Format, parse};
use prometheus_aggregation_gateway::rules::Rules;
use prometheus_aggregation_gateway::senders::{
    Counter, Gauge, Replaced, Sender, Senders, Sending, Table,
};
use prometheus_aggregation_gateway::stable_hash::HashKey;

/// An `Arc` to a slice, and the counts before what it points to.
const PIECE_BYTES: usize = 16 + 16;

/// A place in a table that is at least 7/16 full, and its control byte.
const INDEX_BYTES: usize = 12;

/// Of the sum of a gauge, what is there for senders alone.
const SUM_BYTES: usize = 24;

fn push(senders: &mut Senders, aggregate: &mut Aggregate, key: HashKey, sender: &str, body: &str) {
    let path = GroupingKey::default();
    let mut push = parse(Format::Text, body.as_bytes(), &path, LabelLimits::NONE).unwrap();
    push.pushed_by = PushedBy::Sender;
    let sender = key.hash(&[sender.as_bytes()]);
    let sending = Sending::of(key, sender, &push, Replaced::Families);
    let changes = senders.prepare(&sending, &mut push, aggregate);
    let folded = Rules::default().drop_labels(&mut push);
    let checked = aggregate.check(&push).unwrap();
    aggregate.merge(&checked, 0);
    senders.note(&sending, changes, &push, &folded, aggregate, 0);
}

fn bytes<E>(table: &Table<E>) -> usize {
    let pieces = table.pieces().iter();
    let pieces = pieces.map(|piece| PIECE_BYTES + piece.len() * size_of::<E>());
    pieces.sum()
}

#[test]
fn memory_is_bounded() {
    const SERIES: usize = 30_000;
    let mut senders = Senders::default();
    let contributions = Contributions::Kept;
    let mut aggregate = Aggregate::new(Ages::NotKept).with_contributions(contributions);
    let key = HashKey::random();
    // They come some at a time, so that pieces are split.
    for first in (0..SERIES).step_by(50) {
        let mut body = String::from("# TYPE c counter\n");
        for number in first..first + 50 {
            body += &format!("c{{n=\"{number}\"}} 1\n");
        }
        body += "# TYPE g gauge\n";
        for number in first..first + 50 {
            body += &format!("g{{n=\"{number}\"}} 1\n");
        }
        // `POST` replaces the gauges of the family.
        push(&mut senders, &mut aggregate, key, "a", &body);
    }
    let view = senders.view();
    let (mut counters, mut counter_bytes) = (0, 0);
    for sender in view.list.iter().filter(|sender| sender.counters.len() > 1) {
        counters += sender.counters.len();
        counter_bytes += bytes(&sender.counters);
    }
    assert_eq!(counters, SERIES);
    println!("{} bytes a counter", counter_bytes as f64 / counters as f64);
    assert!(counter_bytes <= 40 * counters);
    let gauges = size_of::<Gauge>() + SUM_BYTES;
    println!("{gauges} bytes a gauge, {} a counter", size_of::<Counter>());
    assert!(gauges + PIECE_BYTES / 16 <= 80);
    let sender = size_of::<Sender>() + INDEX_BYTES + 3 * PIECE_BYTES;
    println!("{sender} bytes a sender");
    assert!(sender <= 200);
    assert_eq!(senders.sizes().numbers, SERIES + 50 + 1);
}
