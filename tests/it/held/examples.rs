//! One series, a few senders.

use std::collections::BTreeMap;

use prometheus_aggregation_gateway::aggregate::{
    Aggregate, GaugeSum, HeldSeries, Removal, Selection,
};
use prometheus_aggregation_gateway::grouping_key::GroupingKey;
use prometheus_aggregation_gateway::metric::PushedBy;

use super::{empty, merge, pushed, text};

/// An aggregate with what one sender after another does to `x`.
struct One {
    aggregate: Aggregate,
    held: BTreeMap<&'static str, (HeldSeries, f64)>,
}

impl One {
    fn new() -> One {
        One {
            aggregate: empty(),
            held: BTreeMap::new(),
        }
    }

    fn ordinary(&mut self, body: &str) {
        let key = GroupingKey::default();
        let merged = merge(
            &mut self.aggregate,
            &pushed(body, &key, PushedBy::Anyone),
            7,
        );
        assert!(merged.is_some(), "{body}");
    }

    /// A sender's gauge or untyped series without labels.
    fn sends(&mut self, sender: &'static str, body: &str) {
        let key = GroupingKey::default();
        let push = pushed(body, &key, PushedBy::Sender);
        assert!(merge(&mut self.aggregate, &push, 7).is_some(), "{body}");
        let (value, labels) = (push.numbers[0].value, &push.numbers[0].labels);
        if let Some((at, old)) = self.held.get_mut(sender)
            && self.aggregate.change_contribution(at, *old, value)
        {
            *old = value;
            return;
        }
        let at = self
            .aggregate
            .contribute(&push.families[0].name, labels, value);
        self.held.insert(sender, (at.expect("it was made"), value));
    }

    fn leaves(&mut self, sender: &str) {
        let (at, value) = self.held.remove(sender).expect("it was there");
        self.aggregate.withdraw(&at, value);
    }

    /// The lines of a scrape but for comments.
    #[track_caller]
    fn is(&self, expected: &str) {
        let scrape = text(&self.aggregate.view());
        let lines: Vec<&str> = scrape
            .lines()
            .filter(|line| !line.starts_with('#'))
            .collect();
        assert_eq!(lines.join("\n"), expected);
    }
}

/// The example of issue 17.
#[test]
fn last_values_of_live_senders_are_added() {
    for ordinary in [None, Some("x 5\n")] {
        let mut one = One::new();
        ordinary.iter().for_each(|body| one.ordinary(body));
        let expected = match ordinary {
            None => ["x 4", "x 6", "x 3", "x 1", ""],
            Some(_) => ["x 9", "x 11", "x 8", "x 6", "x 5"],
        };
        one.sends("a", "x 4\n");
        one.is(expected[0]);
        one.sends("b", "x 2\n");
        one.is(expected[1]);
        one.sends("a", "x 1\n");
        one.is(expected[2]);
        one.leaves("b");
        one.is(expected[3]);
        one.leaves("a");
        one.is(expected[4]);
    }
}

/// What is taken back leaves what the others contribute, whatever the magnitudes.
#[test]
fn sums_are_compensated() {
    let mut one = One::new();
    one.sends("a", "x 0.001\n");
    one.sends("b", "x 1e300\n");
    one.sends("c", "x -3\n");
    one.is("x 1e300");
    one.leaves("b");
    one.is("x -2.999");
    one.leaves("a");
    one.is("x -3");
    one.ordinary("x 1e-7\n");
    one.leaves("c");
    one.is("x 1e-7");
    // They stay finite.
    one.sends("a", &format!("x {:?}\n", f64::MAX));
    one.sends("b", &format!("x {:?}\n", f64::MAX));
    one.is("x 1.7976931348623157e308");
}

#[test]
fn a_family_without_series_is_absent() {
    let mut one = One::new();
    one.sends("a", "# HELP x Old.\n# TYPE x gauge\nx 1\n");
    one.leaves("a");
    one.is("");
    assert_eq!(text(&one.aggregate.view()), "");
    // Another type, and names that it would expose.
    one.ordinary("# HELP x New.\n# TYPE x histogram\nx_count 1\n");
    assert!(!text(&one.aggregate.view()).contains("Old."));
    let mut one = One::new();
    one.sends("a", "x_sum 1\n");
    one.leaves("a");
    one.ordinary("# TYPE x histogram\nx_count 1\n");
}

/// Issue 17: when untyped becomes counter, what senders contributed stays.
#[test]
fn untyped_that_becomes_a_counter_keeps_contributions() {
    let mut one = One::new();
    one.sends("a", "x 5\n");
    one.ordinary("# TYPE x counter\nx 2\n");
    one.is("x 7");
    one.leaves("a");
    one.is("x 7");
    assert_eq!(one.aggregate.held_series(), 0);
    one.aggregate.remove_now(Selection::NotHeld);
    one.is("");
}

/// In other modes, a series goes with its last live sender.
#[test]
fn held_values_of_other_modes() {
    let mut one = One::new();
    let body = |value: f64| format!("# TYPE max_x gauge\nmax_x {value}\n");
    one.ordinary(&body(-3.0));
    one.sends("a", &body(-4.0));
    one.is("max_x -3");
    one.sends("b", &body(8.0));
    one.sends("b", &body(6.0));
    one.is("max_x 8");
    one.aggregate.remove_now(Selection::NotHeld);
    one.is("max_x 8");
    one.leaves("b");
    one.is("max_x 8");
    one.leaves("a");
    one.is("");
    one.ordinary(&body(-9.0));
    one.is("max_x -9");
}

/// Of what a removal has prepared, nothing stays of a family that goes and comes again meanwhile.
#[test]
fn a_family_that_is_replaced_while_series_are_removed() {
    for catch_ups in 0..2 {
        let mut one = One::new();
        one.sends("a", "x{a=\"1\"} 1\n");
        one.sends("b", "x{b=\"1\"} 1\n");
        let selection = Selection::Labels(vec![("b".to_owned(), "1".to_owned())]);
        let mut removal = Removal::prepare(one.aggregate.view(), selection);
        one.leaves("a");
        one.leaves("b");
        one.ordinary("x{b=\"1\"} 3\nx{c=\"1\"} 2\n");
        for _ in 0..catch_ups {
            let caught_up = removal.catch_up(&one.aggregate.view());
            caught_up.expect("nothing was removed");
        }
        let removed = one.aggregate.remove(&mut removal).map(|size| size.series);
        assert_eq!(removed, Ok(1));
        one.is("x{c=\"1\"} 2");
        one.ordinary("x{c=\"1\"} 2\n");
        one.is("x{c=\"1\"} 4");
    }
}

/// A reset keeps what is held: not in a family that becomes a counter meanwhile.
#[test]
fn a_family_that_becomes_a_counter_while_it_is_reset() {
    for beside in ["", "y 1\n"] {
        let mut one = One::new();
        one.sends("a", "x 5\n");
        one.ordinary(beside);
        let mut removal = Removal::prepare(one.aggregate.view(), Selection::NotHeld);
        one.ordinary("# TYPE x counter\n");
        assert!(one.aggregate.remove(&mut removal).is_ok());
        one.is("");
    }
}

/// Vacant series take memory until they are removed; nobody sees the difference.
#[test]
fn many_vacant_series() {
    let mut one = One::new();
    one.ordinary("x{a=\"0\"} 1\n");
    for number in 0..1024 {
        one.sends("a", &format!("x{{a=\"{number}\"}} 1\n"));
        one.leaves("a");
    }
    assert!(!one.aggregate.has_many_vacant());
    for name in ["y", "z"] {
        one.sends("a", &format!("{name} 1\n"));
        one.leaves("a");
    }
    assert!(one.aggregate.has_many_vacant());
    let removed = one.aggregate.remove_now(Selection::Vacant);
    assert_eq!(removed.series, 0);
    assert!(!one.aggregate.has_many_vacant());
    one.sends("a", "x{a=\"7\"} 1\n");
    one.is("x{a=\"0\"} 1\nx{a=\"7\"} 1");
}

/// Issue 17: a gauge of a sender takes at most 80 bytes; these are a part of them.
#[test]
fn sizes() {
    assert_eq!(size_of::<GaugeSum>(), 32);
    assert_eq!(size_of::<HeldSeries>(), 16);
}
