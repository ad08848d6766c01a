//! Where the sums come from at the start: a journal, another image of the process, or nowhere.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use prometheus_aggregation_gateway::gateway::{Gateway, Start, WrittenBy};
use prometheus_aggregation_gateway::handoff::is_announced;
use prometheus_aggregation_gateway::journal::{
    Disk, JournalError, JournalFile, Storage, read_head,
};
use prometheus_aggregation_gateway::rules::Rules;

use super::{Failure, logger, system};

/// Where the sums of earlier runs are, before they are read.
pub enum Source {
    Nothing,
    Journal(PathBuf, Disk, Arc<dyn JournalFile>),
    Memory(Arc<dyn JournalFile>),
}

impl Source {
    /// Opens the journal, if there is to be one, and locks it; `sums` is what another image of this
    /// process has handed over.
    pub fn open(journal: Option<&Path>, sums: Option<OwnedFd>) -> Result<Source, Failure> {
        let Some(path) = journal else {
            let memory = sums.map(|sums| Source::Memory(Arc::new(fs::File::from(sums))));
            return Ok(memory.unwrap_or(Source::Nothing));
        };
        if let Some(sums) = sums {
            // What `-check` had tried may fail by now. The sums are in this file all the same.
            let adopted = Disk::adopt(path, sums).map_err(|error| of_journal(path, &error));
            return adopted.map(|(disk, file)| Source::Journal(path.to_owned(), disk, file));
        }
        let (disk, file) = Disk::open(path).map_err(|error| of_journal(path, &error))?;
        // It will be rewritten, as a new file beside it.
        match disk.create().and_then(|new| disk.discard(&*new)) {
            // A full disk is no reason not to go on with what is on it.
            Err(error) if error.kind() != io::ErrorKind::StorageFull => {
                let error = JournalError::System("write a new file beside", error);
                return Err(of_journal(path, &error));
            }
            Ok(()) | Err(_) => {}
        }
        if file.length().is_ok_and(|length| length > 0) {
            read_head(&*file).map_err(|error| of_journal(path, &error))?;
        }
        Ok(Source::Journal(path.to_owned(), disk, file))
    }

    /// Reads them, to be merged by these rules from here on. Without any, this is where they begin.
    pub fn read(self, rules: Rules, start: Start) -> Result<Gateway, Failure> {
        let started = Instant::now();
        let (path, disk, file) = match self {
            Source::Nothing => return Ok(Gateway::in_memory(rules, start)),
            Source::Memory(file) => {
                let taken_over = Gateway::take_over(&file, rules);
                return taken_over.map_err(|error| system(format!("sums handed over: {error}")));
            }
            Source::Journal(path, disk, file) => (path, disk, file),
        };
        let (gateway, opened) = Gateway::open(Arc::new(disk), &file, rules, start)
            .map_err(|error| of_journal(&path, &error))?;
        let path = path.display();
        if let Some(torn) = opened.torn {
            logger::warn(format!(
                "journal {path}: {} bytes cut off at byte {}: it was being written when \
                 the process or the machine ended",
                torn.bytes, torn.offset
            ));
        }
        let size = gateway.size();
        logger::info(format!(
            "journal {path}: {size}, read in {:.3} s",
            started.elapsed().as_secs_f64()
        ));
        if opened.written_by == WrittenBy::OtherRules {
            match gateway.compact_journal() {
                Ok(_) => logger::info(format!(
                    "journal {path}: rewritten for other merge flags: its sums are merged by the \
                     current flags"
                )),
                Err(error) => logger::error(format!(
                    "journal {path}: rewritten for other merge flags: pushes are refused until it \
                     can be written: {error}"
                )),
            }
        }
        Ok(gateway)
    }
}

/// Tells whether the journal could be used, without locking or making anything. It need not be
/// there, unless it is another image's that is to be handed over.
pub fn check_journal(path: &Path) -> Result<(), Failure> {
    let of_journal = |error| of_journal(path, &error);
    match Disk::check(path).map_err(of_journal)? {
        None if is_announced().map_err(system)? => {
            let error = io::Error::from(rustix::io::Errno::NOENT);
            Err(of_journal(JournalError::System("open", error)))
        }
        None => Ok(()),
        Some(file) if file.length().is_ok_and(|length| length == 0) => Ok(()),
        Some(file) => read_head(&*file).map(drop).map_err(of_journal),
    }
}

fn of_journal(path: &Path, error: &JournalError) -> Failure {
    system(format!("journal {}: {error}", path.display()))
}
