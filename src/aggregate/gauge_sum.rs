//! What stands for one gauge, or one untyped series, where senders contribute to them.
//!
//! ```text
//! exposed value = what ordinary pushes added + the sum of what live senders contribute
//! ```
//!
//! Contributions come and go, so their sum is compensated: it has a second float for what is lost
//! when the first is rounded (two-sum: Knuth, TAOCP volume 2, section 4.2.2). What a sender takes
//! back leaves what the others contribute, whatever the magnitudes. Sums saturate at the greatest
//! finite number; contributions beyond that are lost.

use std::sync::Arc;

use super::family::{AddTo, Series, Sum, Totals};
use super::sorted::Sorted;
use crate::metric::{GaugeMode, Push, PushedBy, PushedNumber, add};

/// The sums of one family, and its name for what refers to them.
#[derive(Clone, Debug)]
pub struct Gauges {
    /// By label set.
    pub(super) sums: Sorted<GaugeSum>,
    pub(super) name: Arc<FamilyName>,
}

/// The name of a family, as all that refers to a series of it shares it: that is one word each.
#[derive(Debug)]
pub struct FamilyName(Box<str>);

impl FamilyName {
    pub(super) fn new(name: &str) -> FamilyName {
        FamilyName(name.into())
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl Gauges {
    /// Without series.
    pub(super) fn of(name: Arc<FamilyName>) -> Gauges {
        Gauges {
            sums: Sorted::default(),
            name,
        }
    }

    /// The sums, by label set. Those that are vacant are not exposed.
    #[must_use]
    pub fn sums(&self) -> &Sorted<GaugeSum> {
        &self.sums
    }
}

/// See the module.
#[derive(Clone, Debug)]
pub struct GaugeSum {
    /// What ordinary pushes have made of it; NaN when there was none. In modes other than sum, the
    /// value.
    ordinary: f64,
    /// The sum of contributions, and what is lost by rounding that.
    contributed: [f64; 2],
    /// How many contributions stand in it, or [`NOT_LINKED`]. Without any, `contributed` counts for
    /// nothing.
    held_by: u32,
    /// Which no other series of the aggregate has.
    pub(super) id: u32,
}

/// Some contributions stand in it, of which none has been linked to it yet.
const NOT_LINKED: u32 = u32::MAX;

/// All of a [`GaugeSum`] that a snapshot keeps: which it was, and its parts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HeldSum {
    /// Tells it from others of the same snapshot.
    pub id: u32,
    /// What ordinary pushes have made of it; in modes other than sum, the value. Finite.
    pub ordinary: Option<f64>,
    /// The sum of contributions, and what is lost by rounding that; finite.
    pub contributed: [f64; 2],
}

impl GaugeSum {
    /// One that nobody pushed: it is not exposed.
    pub(super) fn vacant(id: u32) -> GaugeSum {
        GaugeSum {
            ordinary: f64::NAN,
            contributed: [0.0; 2],
            held_by: 0,
            id,
        }
    }

    /// What is exposed; `None` of a vacant one.
    #[must_use]
    pub fn value(&self) -> Option<f64> {
        if self.held_by == 0 {
            return self.ordinary();
        }
        let [high, low] = self.contributed;
        let [sum, rest] = two_sum(self.ordinary().unwrap_or(0.0), high);
        Some(add(sum, rest + low) + 0.0)
    }

    fn ordinary(&self) -> Option<f64> {
        Some(self.ordinary).filter(|ordinary| !ordinary.is_nan())
    }

    /// Its parts, if a sender holds it.
    #[must_use]
    pub fn held(&self) -> Option<HeldSum> {
        self.is_held().then(|| HeldSum {
            id: self.id,
            ordinary: self.ordinary(),
            contributed: self.contributed,
        })
    }

    /// Takes the parts of one that was kept. What was contributed is in its sum, but nobody has
    /// said yet whose it is.
    pub(super) fn restore(&mut self, sum: &HeldSum) {
        self.ordinary = sum.ordinary.unwrap_or(f64::NAN);
        self.contributed = sum.contributed;
        self.held_by = NOT_LINKED;
    }

    /// A contribution stands in it that is in its sum already.
    pub(super) fn link(&mut self) {
        self.held_by = match self.held_by {
            NOT_LINKED => 1,
            held_by => held_by.saturating_add(1),
        };
    }

    pub(super) fn contribute(&mut self, mode: GaugeMode, value: f64) {
        if self.held_by == 0 {
            self.contributed = [0.0; 2];
        }
        self.link();
        if mode == GaugeMode::Sum {
            self.accumulate(value);
        }
    }

    pub(super) fn change_contribution(&mut self, mode: GaugeMode, old: f64, new: f64) {
        if mode == GaugeMode::Sum {
            self.accumulate(-old);
            self.accumulate(new);
        }
    }

    pub(super) fn withdraw(&mut self, mode: GaugeMode, value: f64) {
        if mode == GaugeMode::Sum {
            self.accumulate(-value);
        }
        self.held_by = self.held_by.saturating_sub(1);
        if self.held_by == 0 {
            self.contributed = [0.0; 2];
            if mode != GaugeMode::Sum {
                self.ordinary = f64::NAN;
            }
        }
    }

    fn accumulate(&mut self, value: f64) {
        let [high, low] = self.contributed;
        let [sum, rest] = two_sum(high, value);
        self.contributed = two_sum(sum, low + rest);
    }

    fn add(&mut self, value: f64) {
        // Adding to zero leaves no negative zero.
        self.ordinary = add(self.ordinary().unwrap_or(0.0), value);
    }

    /// What is contributed becomes a part of the value.
    fn merge(&mut self, mode: GaugeMode, value: f64) {
        self.ordinary = match self.value() {
            None => value + 0.0,
            Some(stored) => mode.merge(stored, value),
        };
        self.contributed = [0.0; 2];
    }
}

/// The rounded sum of two finite numbers, and the rest of it; nothing of one that had to be cut to
/// stay finite.
fn two_sum(one: f64, other: f64) -> [f64; 2] {
    let sum = one + other;
    let of_other = sum - one;
    let rest = (one - (sum - of_other)) + (other - of_other);
    if rest.is_finite() {
        [sum, rest]
    } else {
        [add(one, other), 0.0]
    }
}

impl Sum for GaugeSum {
    const CHANGES_BY_SENDERS: bool = true;

    fn sums(series: &Series) -> Option<&Sorted<GaugeSum>> {
        match series {
            Series::Gauges(gauges) => Some(&gauges.sums),
            _ => None,
        }
    }

    fn sums_mut(series: &mut Series) -> Option<&mut Sorted<GaugeSum>> {
        match series {
            Series::Gauges(gauges) => Some(&mut Arc::make_mut(gauges).sums),
            _ => None,
        }
    }

    fn series(&self) -> usize {
        usize::from(!self.is_vacant())
    }

    fn is_negative(&self) -> bool {
        self.value().is_some_and(|value| value < 0.0)
    }

    fn is_held(&self) -> bool {
        self.held_by > 0
    }

    fn is_vacant(&self) -> bool {
        self.held_by == 0 && self.ordinary.is_nan()
    }

    fn identify(&mut self, next_id: &mut u32) {
        self.id = *next_id;
        *next_id = next_id.wrapping_add(1);
    }

    fn without_ordinary(&self) -> Option<GaugeSum> {
        let ordinary = f64::NAN;
        let rest = || GaugeSum {
            ordinary,
            ..self.clone()
        };
        self.ordinary().map(|_| rest())
    }

    fn vacated(&self) -> Option<GaugeSum> {
        Some(GaugeSum::vacant(self.id))
    }
}

impl<'a> AddTo<'a, GaugeSum> for PushedNumber<'a> {
    fn new_series(&self, sum: Option<&GaugeSum>, _push: &Push<'_>) -> usize {
        usize::from(sum.is_none_or(GaugeSum::is_vacant))
    }

    fn first(&self, push: &Push<'_>, totals: &mut Totals) -> GaugeSum {
        let mut first = GaugeSum::vacant(0);
        totals.add(&first);
        totals.add_names(self.labels.as_str());
        self.add_to(&mut first, push, totals);
        first
    }

    fn add_to(&self, sum: &mut GaugeSum, push: &Push<'_>, totals: &mut Totals) {
        totals.subtract(sum);
        match (totals.mode, push.pushed_by) {
            // What was contributed stays in a counter. It becomes one number with what is added, as
            // it is one in a snapshot: a replay must not round otherwise.
            _ if totals.is_counter => sum.merge(GaugeMode::Sum, self.value),
            (GaugeMode::Sum, PushedBy::Anyone) => sum.add(self.value),
            // It is contributed.
            (GaugeMode::Sum, PushedBy::Sender) => {}
            (mode, _) => sum.merge(mode, self.value),
        }
        totals.add(sum);
    }
}
