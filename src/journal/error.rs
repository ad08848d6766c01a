//! Why a journal cannot be used, each with what to do about it.

use std::error::Error;
use std::fmt::{self, Display, Formatter};
use std::io;

use super::format::VERSION;

/// Why a journal cannot be opened.
#[derive(Debug)]
pub enum JournalError {
    /// The system refuses what the words say.
    System(&'static str, io::Error),
    /// A directory, a device, a FIFO: what it is, with its article.
    NotAFile(&'static str),
    /// A symbolic link to nothing.
    DanglingLink,
    /// Another process has locked it.
    InUse,
    /// Somebody has put another file at its path while it was begun.
    Exchanged,
    /// It does not begin as a journal does.
    Foreign,
    /// It is a journal of another version.
    Version(u32),
    /// Something that was on the disk is not what was written there.
    Damaged {
        /// Where the entry begins that is not whole.
        offset: u64,
        /// The end of the snapshot; without the whole of it, nothing is right.
        snapshot_end: u64,
    },
    /// An entry is whole, but its owner refuses it.
    Refused {
        /// Where it begins.
        offset: u64,
        /// Why.
        line: String,
    },
}

impl JournalError {
    /// What the system refuses, in words that stand behind "cannot".
    pub fn system(action: &'static str) -> impl Fn(io::Error) -> JournalError {
        move |error| JournalError::System(action, error)
    }
}

impl Error for JournalError {}

impl Display for JournalError {
    fn fmt(&self, to: &mut Formatter<'_>) -> fmt::Result {
        match self {
            JournalError::System(action, error) => write!(to, "cannot {action} it: {error}"),
            JournalError::NotAFile(kind) => write!(to, "it is {kind}, not a regular file"),
            JournalError::DanglingLink => write!(
                to,
                "it is a symbolic link to nothing; make the file that it leads to, or name another"
            ),
            JournalError::InUse => write!(
                to,
                "it is in use by another gateway; each needs a journal of its own"
            ),
            JournalError::Exchanged => {
                write!(to, "another file has taken its place while it was in use")
            }
            JournalError::Foreign => write!(
                to,
                "it is not a journal of this program; name another file, or move this one away"
            ),
            JournalError::Version(found) => write!(
                to,
                "it is in format {found}, this program reads format {VERSION}; use the program \
                 that wrote it, or move it away to begin anew"
            ),
            JournalError::Damaged {
                offset,
                snapshot_end,
            } => {
                write!(to, "it is damaged at byte {offset}: ")?;
                if offset < snapshot_end {
                    write!(
                        to,
                        "its snapshot is not whole; restore it from a copy, or move it away to \
                         begin anew"
                    )
                } else {
                    write!(
                        to,
                        "what was written there is another thing now; restore it from a copy, or \
                         keep what is before (truncate --size={offset} FILE), or move it away to \
                         begin anew"
                    )
                }
            }
            JournalError::Refused { offset, line } => write!(
                to,
                "what it holds at byte {offset} is refused: {line}; use the program that wrote \
                 it, or move it away to begin anew"
            ),
        }
    }
}
