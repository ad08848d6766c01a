//! The seam between the journal and the disk: what it asks of a file and of the folder around it.
//!
//! A test puts another one here, which loses what was not synced and fails when it is told to.

use std::fmt::Debug;
use std::fs;
use std::io::{self, ErrorKind, IoSlice};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::sync::Arc;

/// What a disk writes at once, or not at all.
pub const SECTOR_BYTES: usize = 512;

/// What tells an open file from all others, whatever becomes of its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileIdentity {
    /// The number of the device that it is on.
    pub device: u64,
    /// Its inode there, which no other file has as long as this one is open.
    pub inode: u64,
}

impl From<&fs::Metadata> for FileIdentity {
    fn from(metadata: &fs::Metadata) -> FileIdentity {
        FileIdentity {
            device: metadata.dev(),
            inode: metadata.ino(),
        }
    }
}

/// What is at the journal's path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AtPath {
    /// The file that records are appended to.
    Journal,
    /// Nothing: it was moved away or removed.
    Nothing,
    /// Something else, or a link to something else.
    OtherFile,
}

/// A file, as far as the journal needs one.
pub trait JournalFile: Debug + Send + Sync {
    /// Its length in bytes.
    ///
    /// # Errors
    /// The system's own.
    fn length(&self) -> io::Result<u64>;
    /// Reads some bytes from an offset on; none at the end.
    ///
    /// # Errors
    /// The system's own.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;
    /// Writes some of these bytes from an offset on: one system call.
    ///
    /// # Errors
    /// The system's own.
    fn write_at(&self, parts: &[IoSlice<'_>], offset: u64) -> io::Result<usize>;
    /// Cuts it off, or fills it up with zeros.
    ///
    /// # Errors
    /// The system's own.
    fn set_length(&self, length: u64) -> io::Result<()>;
    /// Returns when all that was written is on the disk.
    ///
    /// # Errors
    /// The system's own.
    fn sync(&self) -> io::Result<()>;
    /// What tells it from other files.
    ///
    /// # Errors
    /// The system's own.
    fn identity(&self) -> io::Result<FileIdentity>;
    /// A handle for another image of this process.
    ///
    /// # Errors
    /// The system's own.
    fn descriptor(&self) -> io::Result<OwnedFd>;
}

/// What the journal asks of the folder that it is in.
pub trait Storage: Debug + Send + Sync {
    /// A new, empty file beside the journal, in place of an earlier one.
    ///
    /// # Errors
    /// The system's own, or that something is there that is not an earlier one.
    fn create(&self) -> io::Result<Arc<dyn JournalFile>>;
    /// Removes it again, unless something else has its name by now.
    ///
    /// # Errors
    /// The system's own.
    fn discard(&self, created: &dyn JournalFile) -> io::Result<()>;
    /// What is at the journal's path, given the file that records are appended to.
    ///
    /// # Errors
    /// The system's own: it cannot be seen what is there.
    fn at_path(&self, journal: &dyn JournalFile) -> io::Result<AtPath>;
    /// Puts the created file at the journal's path, whole or not at all, and gives what was there:
    /// if that is [`AtPath::OtherFile`], it is there still, and nothing was done.
    ///
    /// # Errors
    /// The system's own; nothing was done.
    fn replace(&self, journal: &dyn JournalFile, created: &dyn JournalFile) -> io::Result<AtPath>;
    /// Returns when it is on the disk which file is the journal.
    ///
    /// # Errors
    /// The system's own.
    fn sync_folder(&self) -> io::Result<()>;
}

impl JournalFile for fs::File {
    fn length(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        FileExt::read_at(self, buffer, offset)
    }

    fn write_at(&self, parts: &[IoSlice<'_>], offset: u64) -> io::Result<usize> {
        Ok(rustix::io::pwritev(self, parts, offset)?)
    }

    fn set_length(&self, length: u64) -> io::Result<()> {
        self.set_len(length)
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }

    fn identity(&self) -> io::Result<FileIdentity> {
        Ok((&self.metadata()?).into())
    }

    fn descriptor(&self) -> io::Result<OwnedFd> {
        Ok(self.try_clone()?.into())
    }
}

/// Reads the bytes from an offset on, and tells how many there are before the end of the file.
pub(super) fn read_whole(
    file: &dyn JournalFile,
    bytes: &mut [u8],
    offset: u64,
) -> io::Result<usize> {
    let mut length = 0;
    while length < bytes.len() {
        match file.read_at(&mut bytes[length..], offset + length as u64) {
            Ok(0) => break,
            Ok(read) => length += read,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(length)
}

/// Writes all of these bytes from an offset on.
pub(super) fn write_whole(
    file: &dyn JournalFile,
    mut parts: &mut [IoSlice<'_>],
    mut offset: u64,
) -> io::Result<()> {
    // Empty ones at the front are no progress.
    IoSlice::advance_slices(&mut parts, 0);
    while !parts.is_empty() {
        match file.write_at(parts, offset) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(written) => {
                IoSlice::advance_slices(&mut parts, written);
                offset += written as u64;
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
