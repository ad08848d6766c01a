//! Pushes of the last hour, minute by minute. Pure: counts and times are arguments.
//!
//! Nothing is done for a push: the counters of pushes are looked at every few seconds, and what
//! they have grown by since the last look belongs to the minute of this one.

use std::fmt::Write;

use super::PushResult;
use crate::overview::HISTORY_MINUTES;

/// Pushes, by result.
pub type Counts = [u64; PushResult::ALL.len()];

const MINUTE_MILLIS: u64 = 60_000;

/// Before the counts of a minute, where a hand-over writes them down: a comment of exposition text.
const LINE: &str = "# minute ";

/// See the module.
#[derive(Clone, Debug)]
pub struct History {
    /// The last minute that was looked in, since 1970.
    minute: u64,
    /// The counters at the last look.
    totals: Counts,
    /// By minute, modulo their number.
    minutes: [Counts; HISTORY_MINUTES],
}

impl Default for History {
    fn default() -> History {
        History {
            minute: 0,
            totals: Counts::default(),
            minutes: [Counts::default(); HISTORY_MINUTES],
        }
    }
}

impl History {
    /// Looks at the counters at a time in unix milliseconds. Times do not go back.
    pub fn look(&mut self, now_millis: u64, totals: Counts) {
        self.advance(now_millis / MINUTE_MILLIS);
        let counts = &mut self.minutes[slot(self.minute)];
        for (count, (now, before)) in counts.iter_mut().zip(totals.iter().zip(self.totals)) {
            *count += now.saturating_sub(before);
        }
        self.totals = totals;
    }

    fn advance(&mut self, minute: u64) {
        let passed = minute.saturating_sub(self.minute);
        for back in 0..passed.min(HISTORY_MINUTES as u64) {
            self.minutes[slot(minute - back)] = Counts::default();
        }
        self.minute = self.minute.max(minute);
    }

    /// The counts of the last hour, the oldest minute first. The last one is that of the last look.
    pub fn minutes(&self) -> impl Iterator<Item = &Counts> {
        let first = slot(self.minute) + 1;
        let minutes = self.minutes[first..].iter();
        minutes.chain(&self.minutes[..first])
    }

    /// All pushes in a second, over about the minute before a time: those of the minute that is not
    /// over, and as much of those of the minute before as lies within.
    #[allow(clippy::cast_precision_loss)] // it is shown rounded
    #[must_use]
    pub fn per_second(&self, now_millis: u64) -> f64 {
        let of = |minute: u64| self.minutes[slot(minute)].iter().sum::<u64>() as f64;
        let begun = (now_millis % MINUTE_MILLIS) as f64 / MINUTE_MILLIS as f64;
        let before = of(self.minute.saturating_sub(1)) * (1.0 - begun);
        (before + of(self.minute)) / 60.0
    }

    /// Lines that [`History::restore`] reads.
    #[must_use]
    pub fn lines(&self) -> String {
        let mut lines = String::new();
        for (back, counts) in (0..HISTORY_MINUTES as u64).rev().zip(self.minutes()) {
            let known = PushResult::ALL.iter().zip(counts);
            let counted = known.filter(|(_, count)| **count > 0);
            let words = counted.map(|((_, word), count)| format!(" {word}={count}"));
            let words: String = words.collect();
            if !words.is_empty() {
                // A String takes whatever is written.
                let _ = writeln!(lines, "{LINE}{}{words}", self.minute.saturating_sub(back));
            }
        }
        lines
    }

    /// Goes on where the history of the image before has ended: its lines are in a text, whatever
    /// else is there. The counters go on from these totals.
    pub fn restore(&mut self, text: &str, totals: Counts) {
        let lines = text.lines().filter_map(|line| line.strip_prefix(LINE));
        for line in lines {
            let mut words = line.split(' ');
            let minute = words.next().and_then(|minute| minute.parse().ok());
            let Some(minute) = minute.filter(|minute| *minute >= self.minute) else {
                continue;
            };
            self.advance(minute);
            for (word, count) in words.filter_map(|word| word.split_once('=')) {
                let at = PushResult::ALL.iter().position(|(_, known)| *known == word);
                if let (Some(at), Ok(count)) = (at, count.parse()) {
                    self.minutes[slot(minute)][at] = count;
                }
            }
        }
        self.totals = totals;
    }
}

#[allow(clippy::cast_possible_truncation)] // it is less than the number of minutes
fn slot(minute: u64) -> usize {
    (minute % HISTORY_MINUTES as u64) as usize
}
