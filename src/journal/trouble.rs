//! Why nothing can be kept at present, each with what is done about it.

use std::fmt::{self, Display, Formatter};

/// Why nothing can be kept at present.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// Nothing can be appended, or cut off; it is tried again.
    Append(String),
    /// What was appended may not be on the disk, though it was to be: only a new file holds it.
    Sync(String),
    /// The file was written by other rules: only a new file can take what is merged by these.
    Rules(String),
    /// The record is too long, whatever room there is.
    TooLong,
    /// Nothing is at the journal's path: a new file is written there.
    Gone,
    /// Something else is at the journal's path, which is left alone.
    OtherFile,
    /// Others have written over the file: only a new one holds what was appended.
    Overwritten,
    /// The journal's path cannot be checked.
    PathError(String),
}

impl Trouble {
    /// True if nothing is appended before all is in a new file.
    pub(super) fn needs_new_file(&self) -> bool {
        match self {
            Trouble::Sync(_) | Trouble::Rules(_) | Trouble::Overwritten => true,
            Trouble::Append(_)
            | Trouble::TooLong
            | Trouble::Gone
            | Trouble::OtherFile
            | Trouble::PathError(_) => false,
        }
    }
}

impl Display for Trouble {
    fn fmt(&self, to: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Trouble::Append(error) => write!(to, "the journal cannot be written: {error}"),
            Trouble::Sync(error) => write!(
                to,
                "the journal cannot be synced: {error}; a new one is being written"
            ),
            Trouble::Rules(error) => write!(
                to,
                "the journal must be rewritten, since its merge rules are not those of the flags: \
                 {error}"
            ),
            Trouble::TooLong => write!(to, "a record of the journal is at most 4 GiB long"),
            Trouble::Gone => write!(
                to,
                "the journal was moved away or removed; a new one is being written in its place"
            ),
            Trouble::OtherFile => write!(
                to,
                "another file is at the journal's path; move it away, or put the journal back"
            ),
            Trouble::Overwritten => write!(
                to,
                "the journal was cut short or overwritten by another program; a new one is being \
                 written in its place"
            ),
            Trouble::PathError(error) => {
                write!(to, "the journal's path cannot be checked: {error}")
            }
        }
    }
}
