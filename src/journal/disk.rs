//! The journal's file and folder on a real disk.
//!
//! Invariants: nothing here waits for another process, and nothing but a regular file is opened; a
//! file is removed or replaced only if it is known to be the gateway's own. Others may change the
//! folder at any time, so each file is looked at again after it was opened, locked or renamed.
//!
//! A new file is put in the journal's place by `renameat2(2)`: `RENAME_NOREPLACE` where nothing is,
//! `RENAME_EXCHANGE` where the journal is, so that what was there can still be looked at, and put
//! back. File systems without these flags (some of FUSE, old ones of the network) have a plain
//! `rename(2)` right after a look: there, a file that somebody puts there in between is lost.

use std::fs::{self, Permissions};
use std::io::{self, Error, ErrorKind};
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{
    Access, AtFlags, CWD, FlockOperation, Mode, OFlags, RenameFlags, accessat, flock, open,
    renameat_with,
};
use rustix::io::Errno;

use super::JournalError;
use super::format::MAGIC;
use super::storage::{AtPath, FileIdentity, JournalFile, Storage};

/// As many as Linux follows (`path_resolution(7)`).
const LINKS_MAX: usize = 40;

/// How often an operation is tried again because somebody has changed the folder meanwhile.
const TRIES_MAX: usize = 100;

/// Before the umask.
const NEW_FILE_MODE: Mode = Mode::from_raw_mode(0o666);

/// A journal on the disk. Its file is locked as long as somebody holds it.
#[derive(Debug)]
pub struct Disk {
    /// As it was given; it may lead to the journal by symbolic links.
    given_path: PathBuf,
    /// Without symbolic links.
    path: PathBuf,
    /// Those of the journal when it was opened.
    permissions: Permissions,
}

impl Disk {
    /// Opens the file at a path, makes it if there is none, and locks it. The path may be a
    /// symbolic link to a file that is there.
    ///
    /// # Errors
    /// When it cannot be written, is no regular file, is a symbolic link to nothing, or is locked
    /// by another gateway.
    pub fn open(path: &Path) -> Result<(Disk, Arc<dyn JournalFile>), JournalError> {
        let failed = JournalError::system("open");
        for _ in 0..TRIES_MAX {
            let Some((real_path, file)) = open_existing(path)? else {
                let created = create(&resolve(path).map_err(&failed)?);
                match created {
                    Err(error) if error.kind() != ErrorKind::AlreadyExists => {
                        return Err(failed(error));
                    }
                    Ok(_) | Err(_) => continue,
                }
            };
            lock(&file).map_err(|error| match error.kind() {
                ErrorKind::WouldBlock => JournalError::InUse,
                _ => JournalError::System("lock", error),
            })?;
            let disk = Disk {
                given_path: path.to_owned(),
                path: real_path,
                permissions: file.metadata().map_err(&failed)?.permissions(),
            };
            // Another gateway may have put a new file in its place before this one was locked.
            if disk.at_path(&file).map_err(&failed)? == AtPath::Journal {
                return Ok((disk, Arc::new(file)));
            }
        }
        Err(failed(Error::other("the file at its path keeps changing")))
    }

    /// Takes over a file that another image of this process had opened and locked. It need not be
    /// at its path any more: that is found out as it is while the gateway runs.
    ///
    /// # Errors
    /// The system's own.
    pub fn adopt(path: &Path, file: OwnedFd) -> Result<(Disk, Arc<dyn JournalFile>), JournalError> {
        let file = fs::File::from(file);
        let metadata = file.metadata().map_err(JournalError::system("read"))?;
        let disk = Disk {
            given_path: path.to_owned(),
            // Its folder may have gone; it may come back.
            path: resolve(path).unwrap_or_else(|_| path.to_owned()),
            permissions: metadata.permissions(),
        };
        Ok((disk, Arc::new(file)))
    }

    /// Tells whether a journal could be opened and rewritten, as far as that can be told without
    /// locking or making anything; gives its file, if there is one.
    ///
    /// # Errors
    /// What [`Disk::open`] and [`Storage::create`] would say.
    pub fn check(path: &Path) -> Result<Option<Arc<dyn JournalFile>>, JournalError> {
        let found = open_existing(path)?;
        let real_path = match &found {
            Some((real_path, _)) => real_path.clone(),
            None => resolve(path).map_err(JournalError::system("open"))?,
        };
        let folder = folder_of(&real_path);
        let may_write = Access::WRITE_OK | Access::EXEC_OK;
        let writable = accessat(CWD, folder, may_write, AtFlags::EACCESS).map_err(Error::from);
        let beside = writable.and_then(|()| leftover(&new_path(&real_path)));
        beside.map_err(JournalError::system("write a new file beside"))?;
        Ok(found.map(|(_, file)| Arc::new(file) as Arc<dyn JournalFile>))
    }

    fn new_path(&self) -> PathBuf {
        new_path(&self.path)
    }

    /// Exchanges the created file and the one at the path, and removes that one if it is the
    /// journal; else puts it back.
    fn exchange(&self, journal: &dyn JournalFile) -> io::Result<AtPath> {
        let (new_path, journal) = (self.new_path(), journal.identity()?);
        let exchange = || renameat_with(CWD, &new_path, CWD, &self.path, RenameFlags::EXCHANGE);
        exchange()?;
        if identity_at(&new_path).is_ok_and(|found| found == Some(journal)) {
            // Else it is removed when the next one is created.
            let _ = fs::remove_file(&new_path);
            return Ok(AtPath::Journal);
        }
        exchange()?;
        Ok(AtPath::OtherFile)
    }
}

impl Storage for Disk {
    fn create(&self) -> io::Result<Arc<dyn JournalFile>> {
        let new_path = self.new_path();
        if let Some(file) = leftover(&new_path)? {
            // It may be another gateway's journal.
            lock(&file)?;
            self.discard(&file)?;
        }
        let file = create(&new_path)?;
        lock(&file)?;
        let at_path = fs::symlink_metadata(&self.path).ok();
        let permissions = at_path
            .filter(fs::Metadata::is_file)
            .map_or_else(|| self.permissions.clone(), |found| found.permissions());
        file.set_permissions(permissions)?;
        Ok(Arc::new(file))
    }

    fn discard(&self, created: &dyn JournalFile) -> io::Result<()> {
        let new_path = self.new_path();
        if identity_at(&new_path)? == Some(created.identity()?) {
            fs::remove_file(&new_path)?;
        }
        Ok(())
    }

    fn at_path(&self, journal: &dyn JournalFile) -> io::Result<AtPath> {
        let journal = Some(journal.identity()?);
        let found = identity_at(&self.path)?;
        if found.is_none() {
            return Ok(AtPath::Nothing);
        }
        // The links that led to it may lead elsewhere by now, and so would the next start.
        let leads_to = found_or_none(fs::metadata(&self.given_path))?;
        Ok(if found == journal && leads_to == journal {
            AtPath::Journal
        } else {
            AtPath::OtherFile
        })
    }

    fn replace(&self, journal: &dyn JournalFile, created: &dyn JournalFile) -> io::Result<AtPath> {
        let new_path = self.new_path();
        if identity_at(&new_path)? != Some(created.identity()?) {
            return Err(Error::other(format!(
                "{} was removed or replaced by somebody else",
                new_path.display()
            )));
        }
        for _ in 0..TRIES_MAX {
            let at_path = self.at_path(journal)?;
            let moved = match at_path {
                AtPath::OtherFile => return Ok(at_path),
                AtPath::Journal => self.exchange(journal),
                AtPath::Nothing => {
                    let flags = RenameFlags::NOREPLACE;
                    let renamed = renameat_with(CWD, &new_path, CWD, &self.path, flags);
                    renamed.map(|()| at_path).map_err(Error::from)
                }
            };
            match moved {
                Err(error) if is_unsupported(&error) => {
                    return fs::rename(&new_path, &self.path).map(|()| at_path);
                }
                // Somebody has moved it away, or put something there, since the look.
                Err(error)
                    if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::AlreadyExists) => {}
                outcome => return outcome,
            }
        }
        Err(Error::other("what is at its path keeps changing"))
    }

    fn sync_folder(&self) -> io::Result<()> {
        fs::File::open(folder_of(&self.path))?.sync_all()
    }
}

/// Opens the regular file that a path leads to, and gives its path without symbolic links; `None`
/// if there is nothing. The kernel itself follows the links first: in folders that anyone may write
/// to, it refuses those of other users (`fs.protected_symlinks`, proc(5)).
fn open_existing(path: &Path) -> Result<Option<(PathBuf, fs::File)>, JournalError> {
    let failed = JournalError::system("open");
    for _ in 0..TRIES_MAX {
        match fs::metadata(path) {
            Ok(metadata) => check_regular(&metadata)?,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                // A file that is made through a link could be made anywhere.
                return match fs::symlink_metadata(path) {
                    Ok(found) if found.is_symlink() => Err(JournalError::DanglingLink),
                    Ok(_) => continue,
                    Err(_) => Ok(None),
                };
            }
            Err(error) => return Err(failed(error)),
        }
        let real_path = resolve(path).map_err(&failed)?;
        match open_regular(&real_path, OFlags::RDWR) {
            Ok(file) => {
                check_regular(&file.metadata().map_err(&failed)?)?;
                return Ok(Some((real_path, file)));
            }
            // It is another thing than a moment ago.
            Err(Errno::NOENT | Errno::LOOP) => {}
            Err(error) => return Err(failed(error.into())),
        }
    }
    Err(failed(Error::other("the file at its path keeps changing")))
}

fn check_regular(metadata: &fs::Metadata) -> Result<(), JournalError> {
    match kind(metadata) {
        None => Ok(()),
        Some(kind) => Err(JournalError::NotAFile(kind)),
    }
}

/// What something is, if it is no regular file.
fn kind(metadata: &fs::Metadata) -> Option<&'static str> {
    let found = metadata.file_type();
    if found.is_file() {
        None
    } else if found.is_dir() {
        Some("a directory")
    } else if found.is_fifo() {
        Some("a FIFO")
    } else if found.is_socket() {
        Some("a socket")
    } else if found.is_symlink() {
        Some("a symbolic link")
    } else {
        Some("a device")
    }
}

/// Opens what should be a regular file: does not wait should it be a FIFO, and follows no link.
fn open_regular(path: &Path, access: OFlags) -> Result<fs::File, Errno> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    open(path, access | flags, Mode::empty()).map(fs::File::from)
}

fn create(path: &Path) -> io::Result<fs::File> {
    // Only a new file is not somebody's link to another one.
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(open(path, OFlags::RDWR | flags, NEW_FILE_MODE)?.into())
}

/// Opens what an earlier gateway has left under the name of the new file, if anything is there: it
/// is empty, begins as a journal does, or with zeros where that was not written yet.
fn leftover(path: &Path) -> io::Result<Option<fs::File>> {
    let refused = |what: &str| {
        let path = path.display();
        Err(Error::other(format!("{path} is {what}; move it away")))
    };
    let metadata = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        metadata => metadata?,
    };
    if let Some(kind) = kind(&metadata) {
        return refused(kind);
    }
    let file = match open_regular(path, OFlags::RDONLY) {
        Err(Errno::NOENT) => return Ok(None),
        file => file?,
    };
    if let Some(kind) = kind(&file.metadata()?) {
        return refused(kind);
    }
    let mut begin = [0; MAGIC.len()];
    let length = JournalFile::read_at(&file, &mut begin, 0)?;
    if begin == *MAGIC || begin[..length].iter().all(|&byte| byte == 0) {
        Ok(Some(file))
    } else {
        refused("a file of another program")
    }
}

fn new_path(path: &Path) -> PathBuf {
    let mut path = path.to_owned().into_os_string();
    path.push(".new");
    path.into()
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        Some(_) => Path::new("."),
        None => Path::new("/"),
    }
}

/// Where a path leads to, without symbolic links. Nothing need be there.
fn resolve(path: &Path) -> io::Result<PathBuf> {
    let mut path = path.to_owned();
    for _ in 0..LINKS_MAX {
        let name = path.file_name().ok_or(Errno::ISDIR)?;
        let place = fs::canonicalize(folder_of(&path))?.join(name);
        match fs::read_link(&place) {
            Ok(target) => path = folder_of(&place).join(target),
            // No link, or nothing.
            Err(error) if matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::NotFound) => {
                return Ok(place);
            }
            Err(error) => return Err(error),
        }
    }
    Err(Errno::LOOP.into())
}

/// What has this name; links are not followed.
fn identity_at(path: &Path) -> io::Result<Option<FileIdentity>> {
    found_or_none(fs::symlink_metadata(path))
}

fn found_or_none(metadata: io::Result<fs::Metadata>) -> io::Result<Option<FileIdentity>> {
    match metadata {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        metadata => Ok(Some((&metadata?).into())),
    }
}

fn is_unsupported(error: &Error) -> bool {
    let unsupported = [Errno::INVAL, Errno::NOSYS, Errno::OPNOTSUPP];
    let number = error.raw_os_error();
    unsupported
        .iter()
        .any(|one| Some(one.raw_os_error()) == number)
}

/// The lock ends with the last handle of this opening of the file, not with the image.
fn lock(file: &fs::File) -> io::Result<()> {
    Ok(flock(file, FlockOperation::NonBlockingLockExclusive)?)
}
