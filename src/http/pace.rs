//! How fast a client has been over the last two seconds.

/// How often [`Pace::step`] is to be called, in milliseconds.
pub const STEP_MS: u64 = 200;

const STEPS: usize = 10;

/// Bytes by step, for the steps of the last two seconds.
#[derive(Clone, Debug, Default)]
pub struct Pace {
    bytes: [u32; STEPS],
    steps: usize,
}

impl Pace {
    /// Counts bytes.
    pub fn count(&mut self, bytes: usize) {
        let now = &mut self.bytes[self.steps % STEPS];
        *now = now.saturating_add(u32::try_from(bytes).unwrap_or(u32::MAX));
    }

    /// Begins another step. Not to be called while the client is kept waiting.
    pub fn step(&mut self) {
        self.steps += 1;
        self.bytes[self.steps % STEPS] = 0;
    }

    /// Whether it has been slower than this rate for two seconds.
    #[must_use]
    pub fn is_below(&self, bytes_per_second: u64) -> bool {
        let bytes: u64 = self.bytes.iter().map(|bytes| u64::from(*bytes)).sum();
        self.steps >= STEPS && bytes < 2 * bytes_per_second
    }
}
