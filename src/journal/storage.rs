//! The seam between the journal and the disk: what it asks of a file and of the folder around it.
//!
//! A test puts another one here, which loses what was not synced and fails when it is told to.

use std::fmt::Debug;
use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, IoSlice};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{FlockOperation, flock};

use super::JournalError;

/// A file, as far as the journal needs one.
pub trait File: Debug + Send + Sync {
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
    /// The system's own.
    fn create(&self) -> io::Result<Arc<dyn File>>;
    /// Removes it again.
    ///
    /// # Errors
    /// The system's own.
    fn discard(&self) -> io::Result<()>;
    /// Puts the created file in the journal's place, whole or not at all.
    ///
    /// # Errors
    /// The system's own.
    fn replace(&self) -> io::Result<()>;
    /// Returns when it is on the disk which file is the journal.
    ///
    /// # Errors
    /// The system's own.
    fn sync_folder(&self) -> io::Result<()>;
}

impl File for fs::File {
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

    fn descriptor(&self) -> io::Result<OwnedFd> {
        Ok(self.try_clone()?.into())
    }
}

/// A journal on the disk. Its file is locked as long as somebody holds it.
#[derive(Debug)]
pub struct Disk {
    /// Without symbolic links.
    path: PathBuf,
}

impl Disk {
    /// Opens the file at a path, makes it if there is none, and locks it.
    ///
    /// # Errors
    /// When it cannot be written, is no file, or is locked by another gateway.
    pub fn open(path: &Path) -> Result<(Disk, Arc<dyn File>), JournalError> {
        loop {
            let mut options = OpenOptions::new();
            // Its content is what it is opened for.
            let options = options.read(true).write(true).create(true).truncate(false);
            let file = options.open(path).map_err(JournalError::system("open"))?;
            let metadata = file.metadata().map_err(JournalError::system("open"))?;
            if !metadata.is_file() {
                return Err(JournalError::NotAFile);
            }
            lock(&file).map_err(|error| match error.kind() {
                ErrorKind::WouldBlock => JournalError::InUse,
                _ => JournalError::System("lock", error),
            })?;
            let path = fs::canonicalize(path).map_err(JournalError::system("open"))?;
            // Another gateway may have put a new file in its place before this one was locked.
            if is_at(&file, &path).map_err(JournalError::system("open"))? {
                return Ok((Disk { path }, Arc::new(file)));
            }
        }
    }

    /// Takes over a file that another image of this process had opened and locked.
    ///
    /// # Errors
    /// When it is not the one at this path.
    pub fn adopt(path: &Path, file: OwnedFd) -> Result<(Disk, Arc<dyn File>), JournalError> {
        let file = fs::File::from(file);
        let path = fs::canonicalize(path).map_err(JournalError::system("open"))?;
        if !is_at(&file, &path).map_err(JournalError::system("open"))? {
            return Err(JournalError::Exchanged);
        }
        Ok((Disk { path }, Arc::new(file)))
    }

    fn new_path(&self) -> PathBuf {
        let mut path = self.path.clone().into_os_string();
        path.push(".new");
        path.into()
    }
}

impl Storage for Disk {
    fn create(&self) -> io::Result<Arc<dyn File>> {
        // What has that name may be another gateway's journal.
        if let Ok(file) = fs::File::open(self.new_path()) {
            lock(&file)?;
        }
        self.discard()?;
        // Only a new file is not somebody's link to another one.
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .open(self.new_path())?;
        lock(&file)?;
        // Should somebody have removed the journal, it is put back.
        if let Ok(metadata) = fs::metadata(&self.path) {
            file.set_permissions(metadata.permissions())?;
        }
        Ok(Arc::new(file))
    }

    fn discard(&self) -> io::Result<()> {
        match fs::remove_file(self.new_path()) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            outcome => outcome,
        }
    }

    fn replace(&self) -> io::Result<()> {
        fs::rename(self.new_path(), &self.path)
    }

    fn sync_folder(&self) -> io::Result<()> {
        let folder = self.path.parent().unwrap_or(Path::new("/"));
        fs::File::open(folder)?.sync_all()
    }
}

/// The lock ends with the last handle of this opening of the file, not with the image.
fn lock(file: &fs::File) -> io::Result<()> {
    Ok(flock(file, FlockOperation::NonBlockingLockExclusive)?)
}

fn is_at(file: &fs::File, path: &Path) -> io::Result<bool> {
    let (held, there) = (file.metadata()?, fs::metadata(path)?);
    Ok((held.dev(), held.ino()) == (there.dev(), there.ino()))
}
