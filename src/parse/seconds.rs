//! Of a snapshot: when each series was last pushed.

/// In unix seconds; 0 where a snapshot does not say.
#[derive(Default)]
pub struct Seconds {
    /// What the line says that is read.
    line: u32,
    numbers: Vec<u32>,
    /// By the places of the histograms in the list of those that were read.
    read_histograms: Vec<u32>,
    /// Of those that are kept.
    histograms: Vec<u32>,
}

impl Seconds {
    /// A sample line with this timestamp, in milliseconds, comes next.
    pub fn next_line(&mut self, timestamp: Option<i64>) {
        const MILLISECONDS: i64 = 1000;
        let second = timestamp.unwrap_or(0).max(0) / MILLISECONDS;
        self.line = u32::try_from(second).unwrap_or(u32::MAX);
    }

    /// The line was that of one more number.
    pub fn of_number(&mut self) {
        self.numbers.push(self.line);
    }

    /// The line was the `_count` of the histogram at this place.
    pub fn of_histogram(&mut self, place: usize) {
        if self.read_histograms.len() <= place {
            self.read_histograms.resize(place + 1, 0);
        }
        self.read_histograms[place] = self.line;
    }

    /// Leaves out the other numbers, by place.
    pub fn retain_numbers(&mut self, is_kept: impl Fn(usize) -> bool) {
        let mut places = 0..;
        self.numbers.retain(|_| places.next().is_some_and(&is_kept));
    }

    /// The histogram at this place is one of the push.
    pub fn keep_histogram(&mut self, place: usize) {
        let second = self.read_histograms.get(place).copied();
        self.histograms.push(second.unwrap_or(0));
    }

    /// Those of the numbers, and those of the histograms.
    pub fn into_lists(self) -> (Vec<u32>, Vec<u32>) {
        (self.numbers, self.histograms)
    }
}
