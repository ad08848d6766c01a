//! The last requests that were refused, for a page.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::overview::RefusedRequest;

/// Refused requests that are remembered.
pub const REFUSALS_MAX: usize = 20;

/// The last refused requests that were logged. Only the gate adds; readers get a copy.
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
