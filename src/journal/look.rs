//! Whether a start would find the journal at its path: others may move or remove its file, put
//! another one there, or write over it in place (`cp`, a shell's `>`, `logrotate` with
//! `copytruncate`), which leaves device and inode as they are.

use std::io;
use std::sync::Arc;

use super::log::has_head_of;
use super::storage::{AtPath, File, Storage};
use super::{Journal, Trouble};

/// What a look has found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// What is at the path; if it is the journal's file, it is as long as it was written, and
    /// begins so.
    At(AtPath),
    /// The journal's file is at the path, but it was cut short or begins otherwise.
    Overwritten,
}

/// A look at what is at the journal's path.
#[derive(Debug)]
pub struct Look {
    storage: Arc<dyn Storage>,
    file: Arc<dyn File>,
    nonce: u32,
    end: u64,
}

impl Look {
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
    /// would stand behind a hole, and the next look would not see that.
    pub(super) fn check_length(&mut self) -> Result<(), Trouble> {
        if self.log.is_cut_short() {
            return self.refuse(Trouble::Overwritten);
        }
        Ok(())
    }

    /// What to find out about the journal's path, from time to time.
    #[must_use]
    pub fn begin_look(&self) -> Look {
        Look {
            storage: Arc::clone(&self.storage),
            file: Arc::clone(self.log.file()),
            nonce: self.log.nonce(),
            end: self.log.end(),
        }
    }

    /// Notes what was found out: nothing more is appended to a file that a start would not find, be
    /// it only until it is at its path again, or another one is; nor to one that was overwritten.
    pub fn end_look(&mut self, look: &Look, outcome: &io::Result<Seen>) {
        if look.nonce != self.log.nonce() {
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
            Err(error) => Some(Trouble::Unseen(error.to_string())),
        };
    }
}
