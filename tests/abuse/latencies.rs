//! How long operations took.

use std::time::Duration;

/// All of them, as if one had been begun every `pace`: one that takes longer stands for those that
/// could not be begun meanwhile, of which each would have waited a pace less. Without that, an hour
/// of silence would be one slow operation among a thousand quick ones.
pub struct Latencies {
    pace: Duration,
    all: Vec<Duration>,
}

impl Latencies {
    pub fn every(pace: Duration) -> Latencies {
        let all = Vec::new();
        Latencies { pace, all }
    }

    pub fn took(&mut self, duration: Duration) {
        let mut remaining = duration;
        self.all.push(remaining);
        while remaining > self.pace {
            remaining -= self.pace;
            self.all.push(remaining);
        }
    }

    /// So long took all but one of a hundred at most, if there were any.
    pub fn p99(&self) -> Option<Duration> {
        let mut sorted = self.all.clone();
        sorted.sort_unstable();
        let at = (sorted.len() * 99).div_ceil(100);
        sorted.get(at.checked_sub(1)?).copied()
    }

    pub fn worst(&self) -> Option<Duration> {
        self.all.iter().max().copied()
    }
}
