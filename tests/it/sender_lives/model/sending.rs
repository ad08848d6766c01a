//! What a push of a sender adds, and what it is compared with next.

use std::collections::{BTreeMap, BTreeSet};

use prometheus_aggregation_gateway::metric::GaugeMode;

use super::{COUNTER, Model, Observed, Pushed, Sender, UNTYPED, Value};

fn is_smaller(now: f64, before: f64) -> bool {
    before - now > 1e-9 * before
}

enum Growth {
    Whole,
    Late,
    Difference,
}

impl Model {
    fn growth(&mut self, before: u64, start: u64, is_smaller: bool) -> Growth {
        let are_known = before > 0 && start > 0;
        if are_known && start > before || !are_known && is_smaller {
            self.restarted += 1;
            Growth::Whole
        } else if is_smaller {
            self.late += 1;
            Growth::Late
        } else {
            Growth::Difference
        }
    }

    /// Merges a push of a sender.
    pub fn push(&mut self, pushed: &Pushed, second: u64) {
        let name = (pushed.a, pushed.s);
        if pushed.is_counter && self.has_untyped() {
            self.declare_counter();
        }
        let is_counter = self.is_counter || pushed.is_counter;
        let mut sender = self.sender(name).cloned().unwrap_or_default();
        let (mut folded, mut gauges) = (BTreeMap::new(), BTreeMap::new());
        let mut touched = BTreeSet::new();
        for (&key, (value, start)) in &pushed.values {
            let series = self.target(key.0, pushed.a, key.1);
            match value {
                Value::Number(value) if key.0 == COUNTER || key.0 == UNTYPED && is_counter => {
                    let grown = self.grow(&mut sender, key, *value, *start);
                    self.fold(&mut folded, series, grown);
                }
                Value::Number(value) => {
                    gauges.insert(key, *value);
                    sender.counters.remove(&key);
                    touched.insert(series);
                    if self.mode(key.0) != GaugeMode::Sum {
                        self.fold(&mut folded, series, *value);
                    }
                }
                Value::Histogram(observed) => {
                    let grown = self.grow_observed(&mut sender, key.1, observed, *start);
                    self.observe(series, &grown, second);
                }
            }
        }
        self.merge(folded, second);
        for series in touched {
            let (_, last) = self.numbers.entry(series).or_insert((None, 0));
            *last = second.max(*last);
        }
        self.is_counter |= pushed.is_counter && self.has_untyped();
        let mut gone = sender.gauges.clone();
        gone.retain(|key, _| {
            let is_replaced = pushed.is_put || pushed.named.contains(&key.0);
            is_replaced && !gauges.contains_key(key)
        });
        sender.gauges.extend(gauges);
        (sender.heard, sender.is_live) = (second, true);
        self.senders.retain(|(found, _)| *found != name);
        self.senders.push((name, sender));
        self.withdraw_gauges(name, &gone);
        self.drop_empty();
        self.tidy();
    }

    fn grow(&mut self, of: &mut Sender, key: (usize, usize), value: f64, start: u64) -> f64 {
        let gauge = of.gauges.remove(&key).map(|value| (value, 0));
        let Some((before, start_before)) = of.counters.get(&key).copied().or(gauge) else {
            of.counters.insert(key, (value, start));
            return value;
        };
        let growth = self.growth(start_before, start, is_smaller(value, before));
        let (grown, kept) = match growth {
            Growth::Whole => (value, (value, start)),
            Growth::Late => (0.0, (before, start_before)),
            Growth::Difference => {
                let grown = (value - before).max(0.0);
                (grown, (before.max(value), start.max(start_before)))
            }
        };
        of.counters.insert(key, kept);
        grown
    }

    fn grow_observed(&mut self, of: &mut Sender, b: usize, now: &Observed, start: u64) -> Observed {
        let mut grown = now.clone();
        let nothing = |observed: &mut Observed| {
            observed.own.values_mut().for_each(|count| *count = 0.0);
            (observed.sum, observed.count) = (None, 0.0);
        };
        if now.is_left_out {
            nothing(&mut grown);
            return grown;
        }
        let known = |sum: Option<f64>| Observed {
            sum: Some(sum.unwrap_or(0.0)),
            ..now.clone()
        };
        let Some((before, start_before)) = of.histograms.get(&b).cloned() else {
            of.histograms.insert(b, (known(now.sum), start));
            return grown;
        };
        let own = |observed: &Observed, bound: &usize| *observed.own.get(bound).unwrap_or(&0.0);
        let is_any_smaller = is_smaller(now.count, before.count)
            || before
                .own
                .keys()
                .any(|bound| own(now, bound) < own(&before, bound));
        match self.growth(start_before, start, is_any_smaller) {
            Growth::Whole => drop(of.histograms.insert(b, (known(now.sum), start))),
            Growth::Late => nothing(&mut grown),
            Growth::Difference => {
                for (bound, count) in &mut grown.own {
                    *count -= own(&before, bound);
                }
                grown.count -= before.count;
                grown.sum = now.sum.map(|sum| sum - before.sum.unwrap());
                let kept = known(now.sum.or(before.sum));
                of.histograms.insert(b, (kept, start.max(start_before)));
            }
        }
        grown
    }
}
