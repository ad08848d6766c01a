//! The last requests that were refused, for a page.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// So many are remembered.
pub const REFUSALS_MAX: usize = 20;

/// A request that was refused. All texts are printable and short.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedRequest {
    /// In unix milliseconds.
    pub time_millis: u64,
    /// The address of the client, or of the client of a trusted proxy.
    pub sender: String,
    /// Empty if the request could not be read.
    pub method: String,
    /// Without the query; empty if the request could not be read.
    pub path: String,
    /// The status code of the response.
    pub code: u16,
    /// The first line of the response.
    pub reason: String,
}

/// The last of them, as far as they were logged. Only the gate adds; whoever reads copies.
#[derive(Debug, Default)]
pub struct Refusals(Mutex<VecDeque<RefusedRequest>>);

impl Refusals {
    /// Adds one, and forgets the oldest if there are too many.
    pub fn add(&self, refused: RefusedRequest) {
        let mut all = self.all();
        if all.len() >= REFUSALS_MAX {
            all.pop_front();
        }
        all.push_back(refused);
    }

    /// A copy, the newest first.
    #[must_use]
    pub fn latest(&self) -> Vec<RefusedRequest> {
        self.all().iter().rev().cloned().collect()
    }

    // Nothing panics under this lock.
    fn all(&self) -> MutexGuard<'_, VecDeque<RefusedRequest>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
