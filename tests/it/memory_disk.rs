//! A disk in memory for the journal: it keeps for sure only what was synced, sector by sector, and
//! fails when it is told to.

use std::collections::BTreeSet;
use std::fmt::{self, Debug, Formatter};
use std::io::{self, ErrorKind, IoSlice};
use std::ops::Range;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex};

use prometheus_aggregation_gateway::journal::{AtPath, FileIdentity, JournalFile, Storage};

use rustix::io::Errno;

use crate::random::Random;

const SECTOR_BYTES: usize = 512;

/// A file as the system shows it, and as it is on the disk.
#[derive(Clone, Debug, Default)]
struct Content {
    now: Vec<u8>,
    on_disk: Vec<u8>,
    /// The sectors that the system still means to write.
    dirty: BTreeSet<usize>,
}

#[derive(Debug)]
pub struct MemoryFile {
    content: Mutex<Content>,
    faults: Arc<Mutex<Faults>>,
    meanwhile: Meanwhile,
}

/// No test needs more operations: one that is retried for ever would.
const OPERATIONS_MAX: usize = 1_000_000;

/// What the journal asks of a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operation {
    Create,
    Look,
    Read,
    Replace,
    Sync,
    SyncFolder,
    Truncate,
    Write,
}

/// Which operations fail, counted from zero, and how long a file may be.
#[derive(Debug)]
struct Faults {
    operations: usize,
    failing: Range<usize>,
    /// Of these, the first and every so many fail.
    failing_interval: usize,
    /// How they fail; by an error of no kind if not said.
    error: Option<Errno>,
    /// Those that have failed, since somebody asked.
    failed: Vec<Operation>,
    bytes_max: usize,
    /// Whether a signal interrupts every other read and write.
    interrupts: bool,
    was_interrupted: bool,
}

#[derive(Debug)]
struct Folder {
    /// What is at the journal's path.
    at_path: Option<Arc<MemoryFile>>,
    created: Option<Arc<MemoryFile>>,
    /// What the disk knows as the journal.
    on_disk: Option<Arc<MemoryFile>>,
}

impl Folder {
    fn at_path(&self, journal: &dyn JournalFile) -> io::Result<AtPath> {
        let journal = journal.identity()?;
        Ok(match &self.at_path {
            None => AtPath::Nothing,
            Some(found) if found.identity()? == journal => AtPath::Journal,
            Some(_) => AtPath::OtherFile,
        })
    }
}

#[derive(Clone, Debug)]
pub struct MemoryDisk {
    folder: Arc<Mutex<Folder>>,
    faults: Arc<Mutex<Faults>>,
    meanwhile: Meanwhile,
}

/// What happens while a created file is synced, and how many syncs of it come before.
#[derive(Clone, Default)]
struct Meanwhile(Arc<Mutex<Option<(usize, Happening)>>>);

type Happening = Box<dyn FnOnce() + Send>;

impl Meanwhile {
    /// What happens during this sync.
    fn next(&self) -> Option<Happening> {
        let mut meanwhile = self.0.lock().expect("nobody panics with it");
        if let Some((syncs_before @ 1.., _)) = &mut *meanwhile {
            *syncs_before -= 1;
            return None;
        }
        Some(meanwhile.take()?.1)
    }
}

impl Debug for Meanwhile {
    fn fmt(&self, to: &mut Formatter<'_>) -> fmt::Result {
        to.write_str("Meanwhile")
    }
}

impl Faults {
    fn next(&mut self, operation: Operation) -> io::Result<()> {
        let number = self.operations;
        self.operations += 1;
        assert!(number < OPERATIONS_MAX, "an operation is retried for ever");
        let place = number.saturating_sub(self.failing.start);
        if !self.failing.contains(&number) || !place.is_multiple_of(self.failing_interval) {
            return Ok(());
        }
        self.failed.push(operation);
        let other = || io::Error::other("the disk fails on purpose");
        Err(self.error.map_or_else(other, io::Error::from))
    }

    fn interrupt(&mut self) -> io::Result<()> {
        self.was_interrupted = self.interrupts && !self.was_interrupted;
        if self.was_interrupted {
            Err(ErrorKind::Interrupted.into())
        } else {
            Ok(())
        }
    }
}

impl MemoryFile {
    fn lock(&self) -> std::sync::MutexGuard<'_, Content> {
        self.content
            .lock()
            .expect("no test panics while it holds it")
    }

    fn next(&self, operation: Operation) -> io::Result<()> {
        let mut faults = self.faults.lock().expect("nobody panics with it");
        faults.next(operation)
    }

    fn interrupt(&self) -> io::Result<()> {
        let mut faults = self.faults.lock().expect("nobody panics with it");
        faults.interrupt()
    }
}

impl JournalFile for MemoryFile {
    fn length(&self) -> io::Result<u64> {
        Ok(self.lock().now.len() as u64)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.interrupt()?;
        self.next(Operation::Read)?;
        let content = self.lock();
        let rest = content.now.get(offset as usize..).unwrap_or_default();
        let length = rest.len().min(buffer.len());
        buffer[..length].copy_from_slice(&rest[..length]);
        Ok(length)
    }

    /// A write that fails has written the half of what it was given, or nothing when it overwrites
    /// a part of one sector: that is done at once.
    fn write_at(&self, parts: &[IoSlice<'_>], offset: u64) -> io::Result<usize> {
        self.interrupt()?;
        let mut bytes: Vec<u8> = parts.iter().flat_map(|part| part.iter().copied()).collect();
        let bytes_max = self.faults.lock().expect("nobody panics with it").bytes_max;
        let outcome = self.next(Operation::Write);
        let mut content = self.lock();
        let begin = offset as usize;
        if outcome.is_err() {
            let end = begin + bytes.len();
            let is_one_sector = end <= (begin / SECTOR_BYTES + 1) * SECTOR_BYTES;
            let is_at_once = is_one_sector && end <= content.now.len();
            bytes.truncate(if is_at_once { 0 } else { bytes.len() / 2 });
        }
        let room = bytes_max.max(content.now.len()).saturating_sub(begin);
        bytes.truncate(room);
        if room == 0 {
            return Err(ErrorKind::StorageFull.into());
        }
        let end = begin + bytes.len();
        let length = content.now.len().max(end);
        content.now.resize(length, 0);
        content.now[begin..end].copy_from_slice(&bytes);
        content
            .dirty
            .extend(begin / SECTOR_BYTES..end.div_ceil(SECTOR_BYTES));
        outcome.map(|()| bytes.len())
    }

    fn set_length(&self, length: u64) -> io::Result<()> {
        self.next(Operation::Truncate)?;
        self.lock().now.resize(length as usize, 0);
        Ok(())
    }

    /// After a failed sync the system forgets what it meant to write, as Linux does.
    fn sync(&self) -> io::Result<()> {
        let meanwhile = self.meanwhile.next();
        let outcome = self.next(Operation::Sync);
        if let Some(meanwhile) = meanwhile {
            meanwhile();
        }
        let mut content = self.lock();
        let dirty = std::mem::take(&mut content.dirty);
        if outcome.is_ok() {
            content.write(dirty.into_iter());
            let length = content.now.len();
            content.on_disk.resize(length, 0);
        }
        outcome
    }

    fn identity(&self) -> io::Result<FileIdentity> {
        let inode = std::ptr::from_ref(self).addr() as u64;
        Ok(FileIdentity { device: 0, inode })
    }

    fn descriptor(&self) -> io::Result<OwnedFd> {
        Err(ErrorKind::Unsupported.into())
    }
}

impl Content {
    fn write(&mut self, sectors: impl Iterator<Item = usize>) {
        for sector in sectors {
            let begin = sector * SECTOR_BYTES;
            let end = self.now.len().min(begin + SECTOR_BYTES);
            if begin < end {
                let length = self.on_disk.len().max(end);
                self.on_disk.resize(length, 0);
                self.on_disk[begin..end].copy_from_slice(&self.now[begin..end]);
            }
        }
    }
}

impl MemoryDisk {
    /// A disk whose journal holds these bytes.
    pub fn with(bytes: &[u8]) -> MemoryDisk {
        let faults = Arc::new(Mutex::new(Faults {
            operations: 0,
            failing: 0..0,
            failing_interval: 1,
            error: None,
            failed: Vec::new(),
            bytes_max: usize::MAX,
            interrupts: false,
            was_interrupted: false,
        }));
        let journal = file(bytes, &faults, Meanwhile::default());
        let folder = Folder {
            on_disk: Some(Arc::clone(&journal)),
            at_path: Some(journal),
            created: None,
        };
        MemoryDisk {
            folder: Arc::new(Mutex::new(folder)),
            faults,
            meanwhile: Meanwhile::default(),
        }
    }

    /// Lets this happen while the next created file is synced, after so many syncs of it.
    pub fn when_synced_beside(
        &self,
        syncs_before: usize,
        meanwhile: impl FnOnce() + Send + 'static,
    ) {
        let mut of_files = self.meanwhile.0.lock().expect("nobody panics with it");
        *of_files = Some((syncs_before, Box::new(meanwhile)));
    }

    /// The journal's file, as it is opened.
    pub fn file(&self) -> Arc<dyn JournalFile> {
        self.at_path().expect("it was not moved away")
    }

    fn at_path(&self) -> Option<Arc<MemoryFile>> {
        let folder = self.folder.lock().expect("nobody panics with it");
        folder.at_path.clone()
    }

    /// Moves what is at the journal's path away, and gives it.
    pub fn move_away(&self) -> Option<Arc<MemoryFile>> {
        let mut folder = self.folder.lock().expect("nobody panics with it");
        folder.at_path.take()
    }

    /// Puts a file at the journal's path that was moved away.
    pub fn put(&self, file: Option<Arc<MemoryFile>>) {
        let mut folder = self.folder.lock().expect("nobody panics with it");
        folder.at_path = file;
    }

    /// Puts another file at the journal's path, with these bytes.
    pub fn put_other(&self, bytes: &[u8]) {
        self.put(Some(file(bytes, &self.faults, Meanwhile::default())));
    }

    /// Whether a file is at the journal's path.
    pub fn has_journal(&self) -> bool {
        self.at_path().is_some()
    }

    /// Whether a created file is left beside the journal.
    pub fn has_file_beside(&self) -> bool {
        let folder = self.folder.lock().expect("nobody panics with it");
        folder.created.is_some()
    }

    /// What the file at the journal's path holds.
    pub fn bytes(&self) -> Vec<u8> {
        let at_path = self.at_path().expect("it was not moved away");
        at_path.lock().now.clone()
    }

    /// Lets these operations from now on fail.
    pub fn fail(&self, failing: Range<usize>) {
        let mut faults = self.faults.lock().expect("nobody panics with it");
        faults.operations = 0;
        faults.failing = failing;
        faults.failing_interval = 1;
    }

    /// Lets one operation fail after so many from now on, and every so many from then on.
    pub fn fail_every(&self, first: usize, interval: usize) {
        self.fail(first..usize::MAX);
        let mut faults = self.faults.lock().expect("nobody panics with it");
        faults.failing_interval = interval;
    }

    /// Lets them fail with this error from now on.
    pub fn fail_with(&self, error: Errno) {
        self.faults.lock().expect("nobody panics with it").error = Some(error);
    }

    /// The operations that have failed since this was asked last.
    pub fn take_failed(&self) -> Vec<Operation> {
        let mut faults = self.faults.lock().expect("nobody panics with it");
        std::mem::take(&mut faults.failed)
    }

    fn next(&self, operation: Operation) -> io::Result<()> {
        let mut faults = self.faults.lock().expect("nobody panics with it");
        faults.next(operation)
    }

    /// Lets a signal interrupt every other read and write.
    pub fn interrupt(&self) {
        let mut faults = self.faults.lock().expect("nobody panics with it");
        faults.interrupts = true;
    }

    /// Lets no file become longer.
    pub fn fill_up(&self, bytes_max: usize) {
        self.faults.lock().expect("nobody panics with it").bytes_max = bytes_max;
    }

    /// How many operations there were since [`MemoryDisk::fail`].
    pub fn operations(&self) -> usize {
        self.faults
            .lock()
            .expect("nobody panics with it")
            .operations
    }

    /// What a power cut leaves: what was synced, and of the rest some sectors.
    pub fn after_power_cut(&self, random: &mut Random) -> MemoryDisk {
        let folder = self.folder.lock().expect("nobody panics with it");
        let may_be = [&folder.on_disk, &folder.at_path];
        let found = random.pick(&may_be).as_ref();
        let mut content = found.expect("it was not moved away").lock().clone();
        let written = content
            .dirty
            .clone()
            .into_iter()
            .filter(|_| random.percent(50));
        let written: Vec<usize> = written.collect();
        content.write(written.into_iter());
        // The length may be there without the sectors, and they are zeros then.
        let (on_disk, now) = (content.on_disk.len(), content.now.len());
        let length = on_disk.min(now) + random.below(on_disk.abs_diff(now) + 1);
        content.on_disk.resize(length, 0);
        MemoryDisk::with(&content.on_disk)
    }
}

fn file(bytes: &[u8], faults: &Arc<Mutex<Faults>>, meanwhile: Meanwhile) -> Arc<MemoryFile> {
    Arc::new(MemoryFile {
        content: Mutex::new(Content {
            now: bytes.to_vec(),
            on_disk: bytes.to_vec(),
            dirty: BTreeSet::new(),
        }),
        faults: Arc::clone(faults),
        meanwhile,
    })
}

impl Storage for MemoryDisk {
    fn create(&self) -> io::Result<Arc<dyn JournalFile>> {
        let mut faults = self.faults.lock().expect("nobody panics with it");
        faults.next(Operation::Create)?;
        let created = file(b"", &self.faults, self.meanwhile.clone());
        let mut folder = self.folder.lock().expect("nobody panics with it");
        folder.created = Some(Arc::clone(&created));
        Ok(created)
    }

    fn discard(&self, created: &dyn JournalFile) -> io::Result<()> {
        let mut folder = self.folder.lock().expect("nobody panics with it");
        let discarded = created.identity()?;
        folder
            .created
            .take_if(|found| found.identity().is_ok_and(|found| found == discarded));
        Ok(())
    }

    fn at_path(&self, journal: &dyn JournalFile) -> io::Result<AtPath> {
        self.next(Operation::Look)?;
        let folder = self.folder.lock().expect("nobody panics with it");
        folder.at_path(journal)
    }

    fn replace(&self, journal: &dyn JournalFile, created: &dyn JournalFile) -> io::Result<AtPath> {
        self.next(Operation::Replace)?;
        let mut folder = self.folder.lock().expect("nobody panics with it");
        let at_path = folder.at_path(journal)?;
        if at_path != AtPath::OtherFile {
            let created = created.identity()?;
            let is_created =
                |found: &mut Arc<MemoryFile>| found.identity().is_ok_and(|found| found == created);
            let found = folder.created.take_if(is_created);
            folder.at_path = Some(found.ok_or(ErrorKind::NotFound)?);
        }
        Ok(at_path)
    }

    fn sync_folder(&self) -> io::Result<()> {
        self.next(Operation::SyncFolder)?;
        let mut folder = self.folder.lock().expect("nobody panics with it");
        folder.on_disk = folder.at_path.clone();
        Ok(())
    }
}
