//! Times removals, resets and snapshots of 1,000,000 series, and prints them as rows of a table.
//!
//! All but a hundredth of the series have been silent for too long. While their removal is prepared,
//! pushes go on, as they do between the last time that it caught up and the instant at which it
//! takes place: that instant is what pushes and scrapes wait for.

// Its lints are about casts that cost no digit here.
#![allow(clippy::cast_precision_loss)]

mod bodies;

use std::fmt::Write;
use std::time::Instant;

use prometheus_aggregation_gateway::aggregate::{Ages, Aggregate, Removal, Selection};
use prometheus_aggregation_gateway::grouping_key::GroupingKey;
use prometheus_aggregation_gateway::label_limits::LabelLimits;
use prometheus_aggregation_gateway::parse::{Format, parse, parse_snapshot};
use prometheus_aggregation_gateway::render::render_pieces;

const SERIES: usize = 1_000_000;
const FAMILIES: usize = 100_000;
/// One series of so many is pushed again.
const PUSHED_AGAIN: usize = 100;
/// Pushes of one line each, before a removal catches up and before it takes place.
const LINES_MEANWHILE: [usize; 2] = [10_000, 100];
const ROUNDS: usize = 5;
/// As the gateway writes them.
const SNAPSHOT_ENTRY_BYTES: usize = 1 << 20;

const LOADED: u32 = 1000;
const LIMIT: u32 = 1500;
const PUSHED: u32 = 2000;

fn main() {
    let one_family = bodies::numbers(0, SERIES);
    let one_family: Vec<&str> = one_family.lines().skip(1).collect();
    let many = many_families();
    let many: Vec<&str> = many.lines().collect();
    removal("one family", &one_family);
    removal("100,000 families", &many);
    let milliseconds = median(|| reset(&one_family));
    println!(
        "| reset of 1,000,000 series: us under the lock | {:.1} |",
        milliseconds * 1000.0
    );
    for (name, ages) in [("without", Ages::NotKept), ("with", Ages::Kept)] {
        let milliseconds = median(|| snapshot(&one_family, ages));
        println!("| snapshot of 1,000,000 series {name} times: ms to read | {milliseconds:.0} |");
    }
}

fn many_families() -> String {
    let mut body = String::new();
    for number in 0..SERIES {
        let (family, value) = (number % FAMILIES, number / FAMILIES);
        let _ = writeln!(body, "requests_{family}_total{{path=\"/items/{value}\"}} 1");
    }
    body
}

fn push(aggregate: &mut Aggregate, body: &str, second: u32) {
    let key = GroupingKey::default();
    let push = parse(Format::Text, body.as_bytes(), &key, LabelLimits::NONE).expect("it is valid");
    let checked = aggregate.check(&push).expect("it fits");
    aggregate.merge(&checked, second);
}

fn loaded(lines: &[&str], ages: Ages) -> Aggregate {
    let mut aggregate = Aggregate::new(ages);
    for lines in lines.chunks(20_000) {
        push(&mut aggregate, &lines.join("\n"), LOADED);
    }
    aggregate
}

/// Prints the medians of some rounds.
fn removal(name: &str, lines: &[&str]) {
    let mut rounds: Vec<[f64; 4]> = (0..ROUNDS).map(|_| remove(lines)).collect();
    let mut median = |column: usize| {
        rounds.sort_by(|one, other| one[column].total_cmp(&other[column]));
        rounds[ROUNDS / 2][column]
    };
    println!(
        "| removal of 990,000 series of {name}: ms to prepare, to catch up, under the lock, \
         to free | {:.0}, {:.2}, {:.3}, {:.0} |",
        median(0),
        median(1),
        median(2),
        median(3)
    );
}

fn remove(lines: &[&str]) -> [f64; 4] {
    let mut aggregate = loaded(lines, Ages::Kept);
    let again: Vec<&str> = lines.iter().step_by(PUSHED_AGAIN).copied().collect();
    push(&mut aggregate, &again.join("\n"), PUSHED);
    let mut line = 0;
    let mut meanwhile = |aggregate: &mut Aggregate, pushes: usize| {
        for _ in 0..pushes {
            // A prime: places all over, most of them of series that would have been removed.
            line = (line + 7919) % lines.len();
            push(aggregate, lines[line], PUSHED);
        }
    };
    let selection = Selection::PushedBefore(LIMIT);
    let view = aggregate.view();
    let (mut removal, prepare) = timed(|| Removal::prepare(view, selection));
    meanwhile(&mut aggregate, LINES_MEANWHILE[0]);
    let view = aggregate.view();
    let (caught_up, catch_up) = timed(|| removal.catch_up(&view));
    drop(view);
    meanwhile(&mut aggregate, LINES_MEANWHILE[1]);
    let (removed, remove) = timed(|| aggregate.remove(&mut removal));
    let left = SERIES - removed.map_or(0, |removed| removed.series);
    assert!(caught_up.is_ok() && left == aggregate.size().series && left < SERIES / 20);
    let ((), free) = timed(|| drop(removal));
    [prepare, catch_up, remove, free]
}

/// What it gives back is freed without the lock.
fn reset(lines: &[&str]) -> f64 {
    let mut aggregate = loaded(lines, Ages::NotKept);
    let (_cleared, milliseconds) = timed(|| aggregate.reset());
    milliseconds
}

fn snapshot(lines: &[&str], ages: Ages) -> f64 {
    let mut pieces = Vec::new();
    let view = loaded(lines, ages).view();
    let rendered: Result<(), ()> = render_pieces(&view, SNAPSHOT_ENTRY_BYTES, |piece, _| {
        pieces.push(piece.to_vec());
        Ok(())
    });
    assert!(rendered.is_ok());
    let mut aggregate = Aggregate::new(ages);
    // As a journal is replayed.
    let ((), milliseconds) = timed(|| {
        let key = GroupingKey::default();
        aggregate.index_later();
        for piece in &pieces {
            let push = parse_snapshot(piece, &key).expect("a snapshot is valid");
            let checked = aggregate.check(&push).expect("a snapshot fits");
            aggregate.merge(&checked, PUSHED);
        }
        aggregate.index_now();
    });
    milliseconds
}

fn median(milliseconds: impl FnMut() -> f64) -> f64 {
    let mut rounds: Vec<f64> = std::iter::repeat_with(milliseconds).take(ROUNDS).collect();
    rounds.sort_by(f64::total_cmp);
    rounds[ROUNDS / 2]
}

/// What `work` gives, and the milliseconds that it took.
fn timed<T>(work: impl FnOnce() -> T) -> (T, f64) {
    let start = Instant::now();
    let result = work();
    (result, start.elapsed().as_secs_f64() * 1000.0)
}
