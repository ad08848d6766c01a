//! Why a journal cannot be used, each with what to do about it.

use std::error::Error;
use std::fmt::{self, Display, Formatter};
use std::io;

use super::format::VERSION;
use super::record::Kind;

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
        /// Where the record begins that is not whole.
        offset: u64,
        /// The end of the snapshot; without the whole of it, nothing is right.
        snapshot_end: u64,
    },
    /// A record is whole, but of a kind that this program does not write.
    Unknown {
        /// Where it begins.
        offset: u64,
        /// What it is said to be.
        kind: Kind,
    },
    /// What it holds cannot be merged by the current rules, as the line says.
    Rules(String),
    /// A record is whole, but the gateway refuses it.
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
                "it is in format {found}, this program reads format {VERSION}; to keep its sums, \
                 start the program that wrote it, save a scrape of it (curl \
                 http://HOST:PORT/metrics >sums.txt), start this program on a new journal, and \
                 push the scrape (curl --data-binary @sums.txt http://HOST:PORT/metrics); to start \
                 with nothing, move the file away"
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
                         start with nothing"
                    )
                } else {
                    write!(
                        to,
                        "its contents changed after they were written; restore it from a copy, or \
                         keep what is before (truncate --size={offset} FILE), or move it away to \
                         start with nothing"
                    )
                }
            }
            JournalError::Rules(line) => {
                write!(to, "its sums cannot be merged by the current flags: {line}")
            }
            JournalError::Unknown { offset, kind } => write!(
                to,
                "its record at byte {offset} is of the kind '{kind}', which this program does not \
                 know; use the program that wrote it, or a newer one"
            ),
            JournalError::Refused { offset, line } => write!(
                to,
                "what it holds at byte {offset} is refused: {line}; use the program that wrote \
                 it, or move it away to start with nothing"
            ),
        }
    }
}
