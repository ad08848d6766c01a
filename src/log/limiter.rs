//! How many lines there may be of events that anyone can cause.

use std::collections::VecDeque;

/// At most this many lines of a kind within any second, the line with a count included.
pub const LINES_PER_SECOND_MAX: usize = 10;

const SECOND_MILLIS: u64 = 1_000;

/// What is done about an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It gets a line.
    Line,
    /// It is counted.
    Count,
}

/// Lets some events have a line and counts the others. After the most lines that a second may have,
/// there is none for a second; then the number of events that had none is due.
#[derive(Debug, Default)]
pub struct Limiter {
    /// When the last lines were, in milliseconds.
    lines_millis: VecDeque<u64>,
    silent_until_millis: u64,
    counted: u64,
}

impl Limiter {
    /// Decides about an event at this time in milliseconds. Ask whether a count is [due](Self::due)
    /// before.
    pub fn admit(&mut self, now_millis: u64) -> Verdict {
        if now_millis < self.silent_until_millis {
            self.counted += 1;
            return Verdict::Count;
        }
        self.add_line(now_millis);
        Verdict::Line
    }

    /// The number of events that had no line, if there are some and it is time for the line that
    /// says so, which this counts as one.
    pub fn due(&mut self, now_millis: u64) -> Option<u64> {
        if self.counted == 0 || now_millis < self.silent_until_millis {
            return None;
        }
        self.add_line(now_millis);
        self.end()
    }

    /// The number of events that had no line, if there are some: nobody asks any more.
    pub fn end(&mut self) -> Option<u64> {
        let counted = std::mem::take(&mut self.counted);
        (counted > 0).then_some(counted)
    }

    fn add_line(&mut self, now_millis: u64) {
        let is_old = |line_millis: &u64| line_millis + SECOND_MILLIS <= now_millis;
        while self.lines_millis.front().is_some_and(is_old) {
            self.lines_millis.pop_front();
        }
        self.lines_millis.push_back(now_millis);
        if self.lines_millis.len() >= LINES_PER_SECOND_MAX {
            self.silent_until_millis = now_millis + SECOND_MILLIS;
        }
    }
}
