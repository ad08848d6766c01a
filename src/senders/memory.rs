//! Who is silent, and how much is remembered.

use std::fmt;

use super::Senders;
use super::list::{Life, Sender};
use crate::stable_hash::StableHash;

/// A push needs more numbers to be remembered than may be, and every other sender was heard within
/// the timeout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooManyNumbers {
    /// How many there would be.
    pub numbers: usize,
    /// How many there may be.
    pub numbers_max: usize,
}

impl fmt::Display for TooManyNumbers {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let TooManyNumbers {
            numbers,
            numbers_max,
        } = self;
        write!(
            to,
            "{numbers} numbers of senders would be remembered, of {numbers_max} \
             (-max-sender-series), and none of a sender that is silent for -sender-timeout"
        )
    }
}

impl std::error::Error for TooManyNumbers {}

impl Senders {
    /// The senders of a list that are silent for `silent_seconds` or longer, the longest silent
    /// first: as many as have about `numbers_max` numbers, and at least one if there is any.
    #[must_use]
    pub fn silent(
        &self,
        life: Life,
        now_second: u32,
        silent_seconds: u32,
        numbers_max: usize,
    ) -> Vec<StableHash> {
        let since = |sender: &Sender| sender.heard_second.max(self.silence_start);
        let is_silent =
            |sender: &&Sender| now_second.saturating_sub(since(sender)) >= silent_seconds;
        let mut numbers = 0;
        let is_within = |sender: &&Sender| {
            let is_within = numbers < numbers_max;
            numbers += sender.numbers();
            is_within
        };
        let silent = self.list.iter(life).take_while(is_silent);
        silent
            .take_while(is_within)
            .map(|sender| sender.hash)
            .collect()
    }

    /// True if there may be more than `numbers_max` numbers after a push of `series` series.
    #[must_use]
    pub fn may_lack_room(&self, series: usize, numbers_max: usize) -> bool {
        self.numbers + 1 + series > numbers_max
    }

    /// The senders that are to be forgotten so that `added` numbers more can be remembered: the
    /// longest silent of those whose gauges were withdrawn, but not the one that pushes.
    ///
    /// # Errors
    /// When they are too few.
    pub fn to_forget(
        &self,
        pushing: StableHash,
        added: usize,
        numbers_max: usize,
    ) -> Result<Vec<StableHash>, TooManyNumbers> {
        let mut numbers = self.numbers + added;
        let mut forgotten = Vec::new();
        if added == 0 {
            return Ok(forgotten);
        }
        let mut others = self.list.iter(Life::Withdrawn);
        while numbers > numbers_max {
            let others = &mut others;
            let Some(sender) = others.find(|sender| sender.hash != pushing) else {
                return Err(TooManyNumbers {
                    numbers,
                    numbers_max,
                });
            };
            numbers -= sender.numbers();
            forgotten.push(sender.hash);
        }
        Ok(forgotten)
    }
}
