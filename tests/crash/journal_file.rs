//! What others do to the journal's file while the gateway runs.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{CWD, RenameFlags, renameat_with};

use super::client::{NoAnswer, get};

/// How long the gateway may take to find out, and to do something about it.
const PATIENCE: Duration = Duration::from_secs(10);

const LOOK_INTERVAL: Duration = Duration::from_millis(1);

const OTHER: &[u8] = b"a file of others";

/// What is done to the file before each kill.
#[derive(Clone, Copy, PartialEq)]
pub enum Treatment {
    Untouched,
    /// `mv`: a new one is waited for.
    Moved,
    /// `rm`: the same.
    Removed,
    /// Another file is put there, and taken away again when pushes are refused.
    Replaced,
}

impl Treatment {
    /// Does it, and returns when all that was acknowledged is at the path again.
    pub fn apply(self, folder: &Path, address: SocketAddr) -> Result<(), String> {
        let (journal, aside) = (folder.join("journal"), folder.join("aside"));
        let failed = |error| format!("the journal cannot be moved: {error}");
        match self {
            Treatment::Untouched => Ok(()),
            Treatment::Moved => {
                fs::rename(&journal, &aside).map_err(failed)?;
                wait_for("a new journal", || journal.exists())
            }
            Treatment::Removed => {
                fs::remove_file(&journal).map_err(failed)?;
                wait_for("a new journal", || journal.exists())
            }
            Treatment::Replaced => replace(&journal, &aside, address),
        }
    }
}

fn replace(journal: &Path, aside: &PathBuf, address: SocketAddr) -> Result<(), String> {
    fs::write(aside, OTHER).map_err(|error| format!("no other file can be written: {error}"))?;
    // At once: a path that is free would be taken.
    let exchange = || {
        let exchanged = renameat_with(CWD, journal, CWD, aside, RenameFlags::EXCHANGE);
        exchanged.map_err(|error| format!("the journal cannot be exchanged: {error}"))
    };
    let ready = || get(address, "/-/ready");
    exchange()?;
    wait_for("a refusal", || {
        matches!(ready(), Err(NoAnswer::NotThere(503)))
    })?;
    if fs::read(journal).ok().as_deref() != Some(OTHER) {
        return Err("a file of others was written to".to_owned());
    }
    exchange()?;
    wait_for("its own file again", || ready().is_ok())
}

fn wait_for(what: &str, is_there: impl Fn() -> bool) -> Result<(), String> {
    let deadline = Instant::now() + PATIENCE;
    while !is_there() {
        if Instant::now() > deadline {
            return Err(format!("the gateway does not come to {what}"));
        }
        thread::sleep(LOOK_INTERVAL);
    }
    Ok(())
}
