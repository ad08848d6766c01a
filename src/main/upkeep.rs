//! The threads that forget what is silent, and that keep the journal small and on the disk.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::Duration;

use prometheus_aggregation_gateway::aggregate::Size;
use prometheus_aggregation_gateway::cli::Config;
use prometheus_aggregation_gateway::gateway::NotKept;
use prometheus_aggregation_gateway::http::Site;
use prometheus_aggregation_gateway::journal::Trouble;
use prometheus_aggregation_gateway::status::JournalOperation;

use super::owned_thread::{OwnedThread, Sleep, sleep};
use super::{Failure, logger};

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

/// Starts the threads that have something to do.
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

/// Deletes series that were silent for `silence`, at most an eighth of it or a second later.
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
