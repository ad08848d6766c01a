//! Of a snapshot: when each series was last pushed.

/// Splits the timestamp off a line that would be plain without it: digits behind a value. What is
/// no such line is left whole, or is not plain in any case.
pub fn timestamp_split_off(line: &str) -> (&str, Option<i64>) {
    /// Any number of 18 digits is in the range of an `i64`.
    const DIGITS_MAX: usize = 18;
    let whole = (line, None);
    let Some((sample, word)) = line.rsplit_once(' ') else {
        return whole;
    };
    // Then the word is the value.
    if sample.ends_with('}') || !sample.contains(' ') {
        return whole;
    }
    if word.len() > DIGITS_MAX || !word.bytes().all(|byte| byte.is_ascii_digit()) {
        return whole;
    }
    match word.parse() {
        Ok(timestamp) => (sample, Some(timestamp)),
        Err(_) => whole,
    }
}

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
