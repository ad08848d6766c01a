//! How much an aggregate holds.

use std::fmt;

use super::family::Totals;

/// How much of an aggregate is exposed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Size {
    /// Metric families.
    pub families: usize,
    /// Time series as Prometheus counts them: a histogram is one for each bucket, and two more; one
    /// more for each native bucket, and one if it has a native part.
    pub series: usize,
}

impl fmt::Display for Size {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Size { families, series } = self;
        let noun = if *families == 1 { "family" } else { "families" };
        // The plural of series is series.
        write!(to, "{families} {noun}, {series} series")
    }
}

/// The totals of all families.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    pub size: Size,
    /// Series in which senders hold a contribution.
    pub held: usize,
    /// Series that are not exposed.
    pub vacant: usize,
    /// Histograms whose native part lacks observations.
    pub incomplete_natives: usize,
}

impl Counts {
    /// Counts a family in.
    pub fn add(&mut self, totals: &Totals) {
        self.size.families += usize::from(totals.series > 0);
        self.size.series += totals.series;
        self.held += totals.held_series();
        self.vacant += totals.vacant as usize;
        self.incomplete_natives += totals.incomplete_natives as usize;
    }

    /// Counts a family out that was counted with these totals.
    pub fn subtract(&mut self, totals: &Totals) {
        self.size.families -= usize::from(totals.series > 0);
        self.size.series -= totals.series;
        self.held -= totals.held_series();
        self.vacant -= totals.vacant as usize;
        self.incomplete_natives -= totals.incomplete_natives as usize;
    }
}
