//! Whether a start would find the journal's file at its path: others may move or remove it, or put
//! another file there.

use std::io;
use std::sync::Arc;

use super::storage::{AtPath, JournalFile, Storage};
use super::{Journal, Trouble};

/// A check of what is at the journal's path, to be run without a lock.
#[derive(Debug)]
pub struct PathCheck {
    storage: Arc<dyn Storage>,
    file: Arc<dyn JournalFile>,
    nonce: u32,
}

impl PathCheck {
    /// Asks the file system.
    ///
    /// # Errors
    /// The system's own.
    pub fn run(&self) -> io::Result<AtPath> {
        self.storage.at_path(&*self.file)
    }
}

impl Journal {
    pub(super) fn check_path(&self) -> Result<(), Trouble> {
        self.path_trouble.clone().map_or(Ok(()), Err)
    }

    /// Begins a check of the journal's path.
    #[must_use]
    pub fn begin_path_check(&self) -> PathCheck {
        PathCheck {
            storage: Arc::clone(&self.storage),
            file: Arc::clone(self.log.file()),
            nonce: self.log.nonce(),
        }
    }

    /// Ends it: nothing is appended to a file that a start would not find, until it is at its path
    /// again or a new one is.
    pub fn end_path_check(&mut self, check: &PathCheck, outcome: &io::Result<AtPath>) {
        if check.nonce != self.log.nonce() {
            return;
        }
        self.path_trouble = match outcome {
            Ok(AtPath::Journal) => None,
            Ok(AtPath::Nothing) => Some(Trouble::Gone),
            Ok(AtPath::OtherFile) => Some(Trouble::OtherFile),
            Err(error) => Some(Trouble::PathError(error.to_string())),
        };
    }
}
