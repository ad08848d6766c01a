//! Whether a start would find the journal at its path: others may move or remove its file, put
//! another one there, or write over it in place (`cp`, a shell's `>`, `logrotate` with
//! `copytruncate`), which leaves device and inode as they are.
//!
//! The path is looked at several times a second, and whenever a new file is to take its place.
//!
//! - Nothing is there (`mv`, `rm`): pushes are refused, and a new journal with all sums is written
//!   there at once. What was acknowledged in the second before that was noticed is in it, too, but
//!   is lost if the process is killed before it is written.
//! - Another file is there, such as the journal of another gateway or a copy that was restored: it
//!   is left alone, and pushes and resets are refused until it is moved away or the journal is put
//!   back. A link that leads to another file by now counts as one.

use std::io;
use std::sync::Arc;

use super::log::has_head_of;
use super::storage::{AtPath, JournalFile, Storage};
use super::{Journal, Trouble};

/// What a check has found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// What is at the path; if it is the journal's file, it is as long as it was written, and
    /// begins so.
    At(AtPath),
    /// The journal's file is at the path, but it was cut short or begins otherwise.
    Overwritten,
}

/// A check of what is at the journal's path, to be run without a lock.
#[derive(Debug)]
pub struct PathCheck {
    storage: Arc<dyn Storage>,
    file: Arc<dyn JournalFile>,
    nonce: u32,
    end: u64,
}

impl PathCheck {
    /// Asks the file system.
    ///
    /// # Errors
    /// The system's own.
    pub fn run(&self) -> io::Result<Seen> {
        let at_path = self.storage.at_path(&*self.file)?;
        if at_path != AtPath::Journal {
            return Ok(Seen::At(at_path));
        }
        let is_whole = self.file.length()? >= self.end && has_head_of(&*self.file, self.nonce)?;
        Ok(if is_whole {
            Seen::At(at_path)
        } else {
            Seen::Overwritten
        })
    }
}

impl Journal {
    pub(super) fn check_path(&self) -> Result<(), Trouble> {
        self.path_trouble.clone().map_or(Ok(()), Err)
    }

    /// Whether the file is as long as it was written. What is appended to one that was cut short
    /// would stand behind a hole, and the next check would not see that.
    pub(super) fn check_length(&mut self) -> Result<(), Trouble> {
        if self.log.is_cut_short() {
            return self.refuse(Trouble::Overwritten);
        }
        Ok(())
    }

    /// Begins a check of the journal's path.
    #[must_use]
    pub fn begin_path_check(&self) -> PathCheck {
        PathCheck {
            storage: Arc::clone(&self.storage),
            file: Arc::clone(self.log.file()),
            nonce: self.log.nonce(),
            end: self.log.end(),
        }
    }

    /// Ends it: nothing is appended to a file that a start would not find, until it is at its path
    /// again or a new one is; nor to one that was overwritten.
    pub fn end_path_check(&mut self, check: &PathCheck, outcome: &io::Result<Seen>) {
        if check.nonce != self.log.nonce() {
            return;
        }
        self.path_trouble = match outcome {
            Ok(Seen::At(AtPath::Journal)) => None,
            Ok(Seen::At(AtPath::Nothing)) => Some(Trouble::Gone),
            Ok(Seen::At(AtPath::OtherFile)) => Some(Trouble::OtherFile),
            Ok(Seen::Overwritten) => {
                self.trouble = Some(Trouble::Overwritten);
                None
            }
            Err(error) => Some(Trouble::PathError(error.to_string())),
        };
    }
}
