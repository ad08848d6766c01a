//! Where the sums come from at the start, the threads that keep the journal, and the hand-over.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::{Duration, Instant};

use prometheus_aggregation_gateway::aggregate::Size;
use prometheus_aggregation_gateway::cli::Config;
use prometheus_aggregation_gateway::gateway::{Gateway, NotKept, Start, WrittenBy};
use prometheus_aggregation_gateway::handoff::{Handoff, Image, is_announced, memory_file};
use prometheus_aggregation_gateway::http::Site;
use prometheus_aggregation_gateway::journal::{
    Disk, JournalError, JournalFile, Storage, Trouble, read_head,
};
use prometheus_aggregation_gateway::listen::Listener;
use prometheus_aggregation_gateway::rules::Rules;
use prometheus_aggregation_gateway::status::JournalOperation;

use super::owned_thread::{OwnedThread, Sleep, sleep};
use super::{Failure, logger, system};

/// The disk has what is older than this and the time that a sync takes.
const SYNC_INTERVAL: Duration = Duration::from_millis(500);

/// How often to check whether the journal should be rewritten.
const COMPACTION_LOOK_INTERVAL: Duration = Duration::from_millis(100);

/// How long to wait after that has failed.
const COMPACTION_RETRY_INTERVAL: Duration = Duration::from_secs(5);

/// How often to look for silent senders.
const SENDERS_INTERVAL: Duration = Duration::from_secs(1);

/// How often to look for silent series, at most.
const EXPIRY_INTERVAL_MIN: Duration = Duration::from_secs(1);

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

/// What is forgotten as time goes by.
#[derive(Clone, Copy)]
pub struct Upkeep {
    /// How long a series may be silent, if it is not to stay for ever.
    pub expire_after: Option<Duration>,
    /// How long senders are remembered, if there are any.
    pub sender_memory: Option<Duration>,
}

impl Upkeep {
    /// What the flags say.
    pub fn of(config: &Config) -> Upkeep {
        Upkeep {
            expire_after: config.expire_after,
            sender_memory: config.senders.map(|senders| senders.memory),
        }
    }
}

/// The threads for expiry, senders, compaction and sync. They end in this order: what a compaction
/// still writes is synced.
pub type BackgroundThreads = Vec<OwnedThread>;

/// Starts those that there is something to do for.
pub fn start(site: &Arc<Site>, upkeep: Upkeep) -> Result<BackgroundThreads, Failure> {
    let mut background = Vec::new();
    if let Some(memory) = upkeep.sender_memory {
        let site = Arc::clone(site);
        background.push(OwnedThread::start("senders", move |stopped| {
            forget_senders(&site, memory, &stopped);
        })?);
    }
    if let Some(silence) = upkeep.expire_after {
        let site = Arc::clone(site);
        background.push(OwnedThread::start("expiry", move |stopped| {
            expire(&site, silence, &stopped);
        })?);
    }
    if site.gateway.journal_state().is_none() {
        return Ok(background);
    }
    let of_compaction = Arc::clone(site);
    let compaction = OwnedThread::start("journal compact", move |stopped| {
        keep_small(&of_compaction, &stopped);
    })?;
    let of_sync = Arc::clone(site);
    let sync = OwnedThread::start("journal sync", move |stopped| {
        keep_on_disk(&of_sync, &stopped);
    })?;
    background.extend([compaction, sync]);
    Ok(background)
}

/// Forgets series that were silent for `silence`, at most an eighth of it or a second later.
fn expire(site: &Site, silence: Duration, stopped: &Receiver<()>) {
    // Series are known by whole seconds, which cost one.
    let interval = (silence / 8).saturating_sub(EXPIRY_INTERVAL_MIN);
    let interval = interval.max(EXPIRY_INTERVAL_MIN);
    let silent_seconds = whole_seconds(silence);
    let mut has_failed = false;
    while sleep(stopped, interval) == Sleep::Elapsed {
        let expired = site.gateway.expire(site.clock.now_millis(), silent_seconds);
        match &expired {
            Ok(Size { series: 0, .. }) => {}
            Ok(gone) => {
                site.status.count_expired(gone.series);
                logger::info(format!("expired: {gone}"));
            }
            Err(why) if !has_failed => {
                logger::error(format!("nothing expires: {why}"));
            }
            Err(_) => {}
        }
        has_failed = expired.is_err();
    }
}

/// Withdraws the gauges of senders that are silent, a second later, and forgets those that are
/// silent for longer.
fn forget_senders(site: &Site, memory: Duration, stopped: &Receiver<()>) {
    let memory_seconds = whole_seconds(memory);
    let mut has_failed = false;
    while sleep(stopped, SENDERS_INTERVAL) == Sleep::Elapsed {
        let now_millis = site.clock.now_millis();
        let forgotten = site
            .gateway
            .forget_silent_senders(now_millis, memory_seconds);
        if let Err(why) = &forgotten
            && !has_failed
        {
            logger::error(format!("no silent sender is withdrawn or forgotten: {why}"));
        }
        has_failed = forgotten.is_err();
    }
}

/// A silence in whole seconds.
pub fn whole_seconds(silence: Duration) -> u32 {
    u32::try_from(silence.as_secs()).unwrap_or(u32::MAX)
}

fn keep_on_disk(site: &Site, stopped: &Receiver<()>) {
    let mut trouble = None;
    while sleep(stopped, SYNC_INTERVAL) == Sleep::Elapsed {
        site.gateway.check_journal();
        sync(site);
        let now = site.gateway.not_kept();
        if now != trouble {
            match &now {
                Some(why) => logger::error(format!("pushes are refused: {why}")),
                None => logger::info("pushes are accepted again"),
            }
            trouble = now;
        }
    }
}

fn keep_small(site: &Site, stopped: &Receiver<()>) {
    let mut interval = Duration::ZERO;
    while sleep(stopped, interval) == Sleep::Elapsed {
        // If nothing is at the path, pushes are refused until there is a new file.
        site.gateway.check_journal();
        let trouble = site.gateway.not_kept();
        let goes_on = || stopped.try_recv() == Err(TryRecvError::Empty);
        interval = match site.gateway.compact_journal_while(&goes_on) {
            Ok(false) => COMPACTION_LOOK_INTERVAL,
            Ok(true) => {
                if let Some(NotKept::Journal(Trouble::Gone)) = trouble {
                    logger::warn(
                        "the journal was moved away or removed; a new one is in its place",
                    );
                } else if let Some(NotKept::Journal(Trouble::Overwritten)) = trouble {
                    logger::warn("the journal was overwritten; a new one is in its place");
                }
                site.status
                    .count_journal_operation(JournalOperation::Compaction);
                logger::debug("the journal was rewritten");
                COMPACTION_LOOK_INTERVAL
            }
            Err(error) => {
                site.status
                    .count_journal_error(JournalOperation::Compaction);
                logger::error(format!("the journal cannot be rewritten: {error}"));
                COMPACTION_RETRY_INTERVAL
            }
        };
    }
}

/// Has on the disk what was appended to the journal.
pub fn sync(site: &Site) {
    match site.gateway.sync_journal() {
        Ok(false) => {}
        Ok(true) => site.status.count_journal_operation(JournalOperation::Sync),
        Err(error) => {
            site.status.count_journal_error(JournalOperation::Sync);
            logger::error(format!("the journal cannot be synced: {error}"));
        }
    }
}

/// Tells whether a hand-over is likely to succeed, or why not.
pub fn may_hand_over(image: &Image, site: &Site) -> Result<(), String> {
    site.gateway.check_journal();
    match site.gateway.not_kept() {
        Some(trouble) => Err(trouble.to_string()),
        None => image.try_out(),
    }
}

/// Hands the sockets, the connections and the sums to a new image, which goes on in this process.
/// When that is not possible, returns why, with the connections; then the gateway takes pushes.
pub fn hand_over(
    image: &Image,
    listeners: &[Listener],
    states: Vec<u8>,
    sockets: Vec<OwnedFd>,
    site: &Site,
) -> (String, Vec<u8>, Vec<OwnedFd>) {
    let sums = || -> io::Result<(OwnedFd, Vec<OwnedFd>)> {
        // The next image finds nothing but what is in the file.
        site.gateway.check_journal();
        let memory = || Ok(Arc::new(memory_file()?) as Arc<dyn JournalFile>);
        let sums = site.gateway.close(memory)?.descriptor()?;
        let listeners = listeners.iter().map(Listener::try_clone);
        let listeners = listeners.map(|listener| listener.map(OwnedFd::from));
        Ok((sums, listeners.collect::<io::Result<_>>()?))
    };
    let (error, states, sockets) = match sums() {
        Ok((sums, listeners)) => {
            let handoff = Handoff {
                listeners,
                sums,
                page: site.status_page() + &site.status.history_lines(),
                states,
                sockets,
            };
            // The thread that writes the log ends with this image.
            logger::flush();
            let error = image.exec(&handoff);
            (error, handoff.states, handoff.sockets)
        }
        Err(error) => (error, states, sockets),
    };
    site.gateway.reopen();
    (error.to_string(), states, sockets)
}
