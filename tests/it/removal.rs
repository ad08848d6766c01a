//! Any mix of pushes and removals leaves what a plain map of the same leaves: families that come,
//! go and come again, views from before, and pushes while a removal is prepared.

mod model;

use prometheus_aggregation_gateway::aggregate::{
    Ages, Aggregate, Outdated, Removal, Selection, Size, View,
};
use prometheus_aggregation_gateway::grouping_key::GroupingKey;
use prometheus_aggregation_gateway::keyed_hash::KeyedHash;
use prometheus_aggregation_gateway::label_limits::LabelLimits;
use prometheus_aggregation_gateway::parse::{Format, parse, parse_snapshot};
use prometheus_aggregation_gateway::render::{render_pieces, whole_text};

use crate::random::Random;
use model::{Model, Pushed, Universe};

const SEQUENCES: u64 = 24;
const STEPS: usize = 25;

fn text(view: &View) -> String {
    String::from_utf8(whole_text(view)).expect("a scrape is UTF-8")
}

/// The whole snapshot of a view, in pieces.
fn snapshot(view: &View) -> Vec<String> {
    let mut pieces = Vec::new();
    let piece_bytes = 10_000;
    let rendered: Result<(), ()> = render_pieces(view, piece_bytes, |piece, _| {
        pieces.push(String::from_utf8(piece.to_vec()).expect("a snapshot is UTF-8"));
        Ok(())
    });
    assert!(rendered.is_ok());
    pieces
}

/// Pushes a body at a second; true if it was accepted.
fn push(aggregate: &mut Aggregate, body: &str, second: u32) -> bool {
    let key = GroupingKey::default();
    let push = parse(Format::Text, body.as_bytes(), &key, LabelLimits::NONE);
    let push = push.unwrap_or_else(|error| panic!("{error}\n{body}"));
    match aggregate.check(&push) {
        Ok(checked) => aggregate.merge(&checked, second),
        Err(_) => return false,
    }
    true
}

fn read_back(view: &View, ages: Ages) -> Aggregate {
    let mut aggregate = Aggregate::new(ages);
    for piece in snapshot(view) {
        let key = GroupingKey::default();
        let push = parse_snapshot(piece.as_bytes(), &key).expect("a snapshot is valid");
        let checked = aggregate.check(&push).expect("a snapshot fits");
        aggregate.merge(&checked, u32::MAX);
    }
    aggregate
}

/// An aggregate, its model, and what was seen of both.
struct Pair {
    universe: Universe,
    aggregate: Aggregate,
    model: Model,
    second: u32,
    views: Vec<(View, String)>,
}

impl Pair {
    fn new(random: &mut Random, ages: Ages) -> Pair {
        Pair {
            universe: Universe::new(random),
            aggregate: Aggregate::new(ages),
            model: Model::new(ages),
            second: 1000,
            views: Vec::new(),
        }
    }

    #[track_caller]
    fn check(&self, seed: u64) {
        let view = self.aggregate.view();
        let (scrape, expected) = (text(&view), self.model.scrape());
        assert!(
            scrape == expected,
            "seed {seed}: {}",
            first_difference(&scrape, &expected)
        );
        assert_eq!(self.aggregate.size(), self.model.size(), "seed {seed}");
        let seconds = view.families().flat_map(|(name, family)| {
            let seconds = model::seconds(family).into_iter();
            seconds.map(move |(labels, second)| (name.to_owned(), labels, second))
        });
        let seconds: Vec<_> = seconds
            .map(|(name, labels, second)| (name, labels, view.silent_since(second)))
            .collect();
        assert!(
            seconds == self.model.silences(),
            "seed {seed}: other seconds"
        );
    }

    fn step(&mut self, random: &mut Random) {
        self.second += random.below(20) as u32;
        match random.below(20) {
            0 => {
                let second = self.second - random.below(30) as u32;
                self.aggregate.restart_ages(second);
                self.model.restart_ages(second);
            }
            1 => {
                let view = self.aggregate.view();
                let text = text(&view);
                self.views.push((view, text));
            }
            _ => self.push(random),
        }
    }

    fn push(&mut self, random: &mut Random) {
        let pushed = Pushed::random(random, &self.universe);
        // Clocks are set back at times.
        let second = match random.below(10) {
            0 => self.second - random.below(60) as u32,
            _ => self.second,
        };
        let is_accepted = push(&mut self.aggregate, &pushed.text(), second);
        assert_eq!(is_accepted, self.model.push(&pushed, second));
    }

    fn selection(&self, random: &mut Random) -> Selection {
        match random.below(6) {
            0 => Selection::Family(self.universe.family_name(random)),
            1 | 2 => Selection::Labels(self.universe.labels(random)),
            _ => Selection::PushedBefore(self.second + 5 - random.below(80) as u32),
        }
    }

    /// A removal with pushes while it is prepared, and views of all that.
    fn remove(&mut self, random: &mut Random, seed: u64) {
        let selection = self.selection(random);
        let mut removal = Removal::prepare(self.aggregate.view(), selection.clone());
        for _ in 0..random.below(4) {
            for _ in 0..random.below(4) {
                self.step(random);
            }
            removal
                .catch_up(&self.aggregate.view())
                .expect("nothing was removed");
        }
        for _ in 0..random.below(3) {
            self.step(random);
        }
        if random.percent(10) {
            let before = self.aggregate.reset();
            assert_eq!(before.size(), self.model.size());
            self.model.reset();
            self.push(random);
            let size = self.aggregate.size();
            assert_eq!(removal.catch_up(&self.aggregate.view()), Err(Outdated));
            assert_eq!(self.aggregate.remove(&mut removal), Err(Outdated));
            assert_eq!(self.aggregate.size(), size);
            return;
        }
        let view = self.aggregate.view();
        let before = text(&view);
        let removed = self.aggregate.remove(&mut removal);
        let expected = self.model.remove(&selection);
        assert_eq!(removed, Ok(expected), "seed {seed}: {selection:?}");
        assert_eq!(removal.is_empty(), expected == Size::default());
        if !removal.is_empty() {
            assert_eq!(self.aggregate.remove(&mut removal), Err(Outdated));
        }
        drop(removal);
        assert!(text(&view) == before, "seed {seed}: a view changed");
    }
}

fn first_difference(one: &str, other: &str) -> String {
    let lines = one.lines().zip(other.lines());
    let different = lines.into_iter().find(|(one, other)| one != other);
    format!("{different:?}").chars().take(300).collect()
}

fn check_sequence(seed: u64, ages: Ages) {
    let mut random = Random::new(seed);
    let mut pair = Pair::new(&mut random, ages);
    for _ in 0..STEPS {
        match random.below(8) {
            0 | 1 => pair.remove(&mut random, seed),
            2 => {
                let selection = pair.selection(&mut random);
                let removed = pair.aggregate.remove_now(selection.clone());
                assert_eq!(removed, pair.model.remove(&selection), "seed {seed}");
            }
            3 if random.percent(20) => {
                pair.aggregate = read_back(&pair.aggregate.view(), ages);
                pair.model.read_back();
            }
            _ => pair.step(&mut random),
        }
        pair.check(seed);
    }
    for (view, expected) in &pair.views {
        assert!(text(view) == *expected, "seed {seed}: a view changed");
    }
}

#[test]
fn any_mix_equals_a_map() {
    for seed in 0..SEQUENCES {
        check_sequence(seed, Ages::Kept);
    }
}

#[test]
fn any_mix_equals_a_map_without_ages() {
    for seed in 0..SEQUENCES / 4 {
        check_sequence(seed, Ages::NotKept);
    }
}

/// Two label sets of one hash, the lower first.
fn of_one_hash() -> (String, String) {
    let mut known = std::collections::HashMap::new();
    let found = (0..).find_map(|number: u32| {
        let labels = format!("a=\"{number}\"");
        let hash = KeyedHash::of(&labels).wide();
        Some((known.insert(hash, labels.clone())?, labels))
    });
    let (one, other) = found.expect("there are more texts than hashes");
    if one < other {
        (one, other)
    } else {
        (other, one)
    }
}

/// The index of a family tells them apart wherever a leaf is divided.
#[test]
fn label_sets_of_one_hash() {
    let (lower, upper) = of_one_hash();
    let start = lower.trim_end_matches('"');
    for between in 0..140 {
        let mut aggregate = Aggregate::default();
        let mut label_sets: Vec<String> = (0..200).map(|n| format!("a=\"!{n:03}\"")).collect();
        label_sets.push(lower.clone());
        label_sets.extend((0..between).map(|n| format!("{start}x{n:03}\"")));
        label_sets.push(upper.clone());
        for labels in label_sets.iter().chain(&label_sets) {
            assert!(push(&mut aggregate, &format!("x{{{labels}}} 1\n"), 0));
        }
        let lines = label_sets.iter().map(|labels| format!("x{{{labels}}} 2\n"));
        let expected: String = lines.collect();
        assert_eq!(
            text(&aggregate.view()),
            format!("# TYPE x untyped\n{expected}")
        );
        assert_eq!(aggregate.size().series, label_sets.len());
    }
}

/// What is read is the timestamp of a snapshot's line, of a histogram's `_count` line; none in a
/// body that was sent.
#[test]
fn seconds_of_a_snapshot() {
    let body = "x 1 5999\nx{a=\"1\"} 1.5 6000\nx{a=\"2\"} 2\nx{a=\"3\"} NaN 1000\n\
                x{a=\"4 5\"} 4 7000\n{\"x.y\",a=\"6 7\"} 6 8000\n\
                # TYPE h histogram\nh_sum 1 1000\nh_bucket{le=\"+Inf\"} 1 2000\nh_count 1 3000\n\
                h_count{a=\"1\"} NaN 4000\nh_bucket{a=\"2\",le=\"+Inf\"} 1 5000\n";
    let key = GroupingKey::default();
    let push = parse_snapshot(body.as_bytes(), &key).expect("it is valid");
    assert_eq!(push.number_seconds, [5, 6, 0, 7, 8]);
    assert_eq!(push.histogram_seconds, [3, 0]);
    let sent = parse(Format::Text, body.as_bytes(), &key, LabelLimits::NONE).expect("it is valid");
    assert!(sent.number_seconds.is_empty() && sent.histogram_seconds.is_empty());
    assert_eq!(
        (sent.numbers, sent.histograms),
        (push.numbers, push.histograms)
    );
}

/// A snapshot says since when each series is silent, a scrape does not.
#[test]
fn snapshots_carry_seconds() {
    let mut aggregate = Aggregate::new(Ages::Kept);
    push(
        &mut aggregate,
        "x 1\ny 1\n# TYPE h histogram\nh_count 1\n",
        7,
    );
    aggregate.restart_ages(5);
    push(&mut aggregate, "y 1\n", 9);
    push(&mut aggregate, "z 1\n", 3);
    let scrape = "# TYPE h histogram\nh_bucket{le=\"+Inf\"} 1\nh_sum 0\nh_count 1\n\
                  # TYPE x untyped\nx 1\n# TYPE y untyped\ny 2\n# TYPE z untyped\nz 1\n";
    assert_eq!(text(&aggregate.view()), scrape);
    let expected = scrape
        .replace("h_count 1", "h_count 1 7000")
        .replace("x 1", "x 1 7000")
        .replace("y 2", "y 2 9000")
        .replace("z 1", "z 1 5000");
    assert_eq!(snapshot(&aggregate.view()).concat(), expected);
}

/// What was not selected when a removal was prepared is, if it carries the labels when it takes
/// place: in a family that lost nothing before, in one of its own, and where nothing was selected.
#[test]
fn series_that_come_while_they_are_removed() {
    let selection = Selection::Labels(vec![("group".to_owned(), "1".to_owned())]);
    let families: String = (0..300)
        .map(|n| format!("f{n:03}{{a=\"1\"}} 1\n"))
        .collect();
    let series: String = (0..300)
        .map(|n| format!("f000{{a=\"1\",n=\"{n}\"}} 1\n"))
        .collect();
    let selected = "f000{group=\"1\"} 1\n";
    for (stored, come) in [
        (vec![&*families, selected], "f299{group=\"1\"} 1\nf298 1\n"),
        (vec![&*families, selected], "g{group=\"1\"} 1\nf298 1\n"),
        (vec![&*families, &*series], "f000{group=\"1\"} 1\nf298 1\n"),
        (
            vec![&*families, &*series, "f299{group=\"1\"} 1\n"],
            "f000{group=\"1\"} 1\n",
        ),
    ] {
        for catch_ups in 0..2 {
            let (mut aggregate, mut expected) = (Aggregate::default(), Aggregate::default());
            for body in stored.iter().chain([&come]) {
                push(&mut expected, body, 0);
            }
            stored
                .iter()
                .for_each(|body| assert!(push(&mut aggregate, body, 0)));
            let mut removal = Removal::prepare(aggregate.view(), selection.clone());
            push(&mut aggregate, come, 0);
            for _ in 0..catch_ups {
                removal
                    .catch_up(&aggregate.view())
                    .expect("nothing was removed");
            }
            let removed = aggregate.remove(&mut removal);
            assert_eq!(
                removed,
                Ok(expected.remove_now(selection.clone())),
                "{come}"
            );
            assert!(text(&aggregate.view()) == text(&expected.view()), "{come}");
            assert!(!text(&aggregate.view()).contains("group"), "{come}");
            // What is left is found again.
            for aggregate in [&mut aggregate, &mut expected] {
                push(aggregate, &families, 0);
            }
            assert!(text(&aggregate.view()) == text(&expected.view()), "{come}");
        }
    }
}
