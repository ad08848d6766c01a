//! Whether a start would find the journal's file at its path: others may move or remove it, or put
//! another file there.

use std::io;
use std::sync::Arc;

use super::storage::{AtPath, File, Storage};
use super::{Journal, Trouble};

/// A look at what is at the journal's path.
#[derive(Debug)]
pub struct Look {
    storage: Arc<dyn Storage>,
    file: Arc<dyn File>,
    nonce: u32,
}

impl Look {
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

    /// What to find out about the journal's path, from time to time.
    #[must_use]
    pub fn begin_look(&self) -> Look {
        Look {
            storage: Arc::clone(&self.storage),
            file: Arc::clone(self.log.file()),
            nonce: self.log.nonce(),
        }
    }

    /// Notes what was found out: nothing more is appended to a file that a start would not find, be
    /// it only until it is at its path again, or another one is.
    pub fn end_look(&mut self, look: &Look, outcome: &io::Result<AtPath>) {
        if look.nonce != self.log.nonce() {
            return;
        }
        self.path_trouble = match outcome {
            Ok(AtPath::Journal) => None,
            Ok(AtPath::Nothing) => Some(Trouble::Gone),
            Ok(AtPath::OtherFile) => Some(Trouble::OtherFile),
            Err(error) => Some(Trouble::Unseen(error.to_string())),
        };
    }
}
