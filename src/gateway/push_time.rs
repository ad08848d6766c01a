//! When each path was last pushed: a gauge that the gateway sets itself (`-push-times`).
//!
//! Invariant: a replay sets what was set. The time is that of the push's record; where there was no
//! room for the series, the record says so.

use super::{Gateway, seconds};
use crate::aggregate::{Aggregate, Checked};
use crate::grouping_key::GroupingKey;
use crate::metric::{GaugeMode, LabelSet, MetricType, Push, PushedFamily, PushedNumber};
use crate::rules::{PUSH_TIME_NAME, PushTimes, Rules};

const HELP: &str = "When this was last pushed, unix time in seconds.";

/// In a second.
const MILLISECONDS: f64 = 1000.0;

/// The gauge of one path, by the labels of it that are stored.
pub struct PushTime {
    labels: LabelSet<'static>,
}

impl PushTime {
    /// That of a path with these labels; `None` if it is not set by these rules.
    pub fn of(rules: &Rules, key: &GroupingKey) -> Option<PushTime> {
        (rules.push_times() == PushTimes::Set).then(|| PushTime {
            labels: LabelSet::from_canonical(key.label_text()),
        })
    }

    /// Sets it, at this time in unix milliseconds.
    pub fn set(&self, aggregate: &mut Aggregate, rules: &Rules, time_millis: u64) {
        let push = self.push(rules, time_millis);
        // No other family has the name, nor exposes it.
        if let Ok(checked) = aggregate.check(&push) {
            aggregate.merge(&checked, seconds(time_millis));
        }
    }

    #[allow(clippy::cast_precision_loss)] // exact for the next 285,000 years
    fn push(&self, rules: &Rules, time_millis: u64) -> Push<'_> {
        let family = PushedFamily {
            name: PUSH_TIME_NAME.into(),
            help: HELP.into(),
            metric_type: MetricType::Gauge,
            mode: GaugeMode::default(),
            has_series: true,
            has_negative: false,
        };
        let number = PushedNumber {
            family: 0,
            labels: self.labels.clone(),
            value: time_millis as f64 / MILLISECONDS,
        };
        let mut push = Push {
            families: vec![family],
            numbers: vec![number],
            ..Push::default()
        };
        rules.apply(&mut push);
        push
    }
}

impl Gateway {
    /// True if the series of a push time is there already, or has room beside what a push will add.
    pub(super) fn has_room_for_time(&self, push_time: &PushTime, checked: &Checked<'_>) -> bool {
        let push = push_time.push(&self.rules, 0);
        let aggregate = self.read();
        let series = aggregate
            .check(&push)
            .map(|time| aggregate.new_series(&time));
        match series {
            Ok(0) | Err(_) => true,
            Ok(new) => {
                let series = aggregate.size().series + aggregate.new_series(checked) + new;
                series <= self.limits.series_max
            }
        }
    }
}
