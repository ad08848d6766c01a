//! The log on stderr: a queue of bounded length, and the one thread that writes.
//!
//! Logging never waits for the reader of stderr. When the queue is full, lines are dropped and
//! counted; the next line that is written says how many.

use std::borrow::Cow;
use std::env;
use std::io::{self, Write};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use prometheus_aggregation_gateway::clock::wall_millis;
use prometheus_aggregation_gateway::log::{Level, LogEvent, LogFormat, Stamp, Style};
use rustix::fs::fstat;

use super::{Failure, system};

/// Lines that wait for the thread.
const QUEUED_LINES_MAX: usize = 256;

/// How long the end of the process, or a hand-over, waits until all lines are written.
const FLUSH_DURATION_MAX: Duration = Duration::from_millis(500);

static LOGGER: OnceLock<Logger> = OnceLock::new();

struct Logger {
    level: Level,
    style: Style,
    queue: SyncSender<Entry>,
    /// Lines dropped since the last line about dropped lines in the log.
    dropped_lines: AtomicU64,
    /// Lines dropped since the metrics were last told.
    uncounted_lines: AtomicU64,
}

enum Entry {
    Event {
        event: LogEvent,
        time_millis: u64,
    },
    /// The receiver of this channel is told when all entries before this one are written.
    Flush(SyncSender<()>),
}

/// Starts the thread. To be called when the signals are blocked; before it, lines are written by
/// whoever has them.
pub fn start(format: LogFormat, level: Level) -> Result<(), Failure> {
    let (queue, entries) = sync_channel(QUEUED_LINES_MAX);
    let style = Style {
        format,
        stamp: stamp(),
    };
    let logger = LOGGER.get_or_init(|| Logger {
        level,
        style,
        queue,
        dropped_lines: AtomicU64::new(0),
        uncounted_lines: AtomicU64::new(0),
    });
    let thread = thread::Builder::new().name("log".to_owned());
    let started = thread.spawn(move || write_all(logger, &entries));
    // It is never joined: who reads stderr may never read it.
    started.map(drop).map_err(system)
}

/// Whether stderr is the journal of systemd (systemd.exec(5), `JOURNAL_STREAM`).
fn stamp() -> Stamp {
    let journal = env::var("JOURNAL_STREAM").ok();
    let stderr = fstat(io::stderr()).ok();
    let stderr = stderr.map(|stat| format!("{}:{}", stat.st_dev, stat.st_ino));
    match (journal, stderr) {
        (Some(journal), Some(stderr)) if journal == stderr => Stamp::Priority,
        _ => Stamp::Time,
    }
}

/// Whether what ends the process is said by the log.
pub fn is_started() -> bool {
    LOGGER.get().is_some()
}

/// Has an event written, if its level is wanted. Never waits.
pub fn log(event: LogEvent) {
    let time_millis = wall_millis();
    let Some(logger) = LOGGER.get() else {
        let (format, stamp) = (LogFormat::Text, stamp());
        return write_line(&Style { format, stamp }.line(&event, time_millis));
    };
    if event.level > logger.level {
        return;
    }
    if logger
        .queue
        .try_send(Entry::Event { event, time_millis })
        .is_err()
    {
        logger.dropped_lines.fetch_add(1, Relaxed);
        logger.uncounted_lines.fetch_add(1, Relaxed);
    }
}

pub fn error(message: impl Into<Cow<'static, str>>) {
    log(LogEvent::new(Level::Error, message));
}

pub fn warn(message: impl Into<Cow<'static, str>>) {
    log(LogEvent::new(Level::Warn, message));
}

pub fn info(message: impl Into<Cow<'static, str>>) {
    log(LogEvent::new(Level::Info, message));
}

pub fn debug(message: impl Into<Cow<'static, str>>) {
    log(LogEvent::new(Level::Debug, message));
}

/// How many lines were dropped since this was last asked.
pub fn take_dropped_lines() -> u64 {
    let uncounted = |logger: &Logger| logger.uncounted_lines.swap(0, Relaxed);
    LOGGER.get().map_or(0, uncounted)
}

/// Waits until what was logged has been written, but not for ever.
pub fn flush() {
    let Some(logger) = LOGGER.get() else {
        return;
    };
    let (done, is_done) = sync_channel(1);
    if logger.queue.try_send(Entry::Flush(done)).is_ok() {
        // Nobody reads stderr, if that takes longer.
        let _ = is_done.recv_timeout(FLUSH_DURATION_MAX);
    }
}

fn write_all(logger: &Logger, entries: &Receiver<Entry>) {
    for entry in entries {
        match entry {
            Entry::Event { event, time_millis } => {
                write_line(&logger.style.line(&event, time_millis));
            }
            Entry::Flush(done) => drop(done.try_send(())),
        }
        let dropped = logger.dropped_lines.swap(0, Relaxed);
        if dropped > 0 {
            let event = LogEvent::new(Level::Warn, "lines of the log dropped: stderr is not read");
            let event = event.with_number("count", dropped);
            write_line(&logger.style.line(&event, wall_millis()));
        }
    }
}

/// In one write, so that lines of several processes do not mix. Nobody is left to tell when stderr
/// is closed.
fn write_line(line: &str) {
    let _ = io::stderr().write_all(format!("{line}\n").as_bytes());
}
