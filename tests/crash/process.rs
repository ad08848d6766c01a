//! The gateway's process: started, killed, ended.

use std::fs::{self, OpenOptions};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::client::{NoAnswer, get};

/// How long it may take to start, and to end.
const PATIENCE: Duration = Duration::from_secs(60);

const LOOK_INTERVAL: Duration = Duration::from_millis(1);

/// How the gateway is started, again and again.
pub struct Program {
    pub path: PathBuf,
    pub address: SocketAddr,
    /// Where its journal and its stderr are.
    pub folder: PathBuf,
    pub has_journal: bool,
}

/// A running gateway, which ends with this.
pub struct Process {
    child: Child,
    address: SocketAddr,
    /// How long it took from its start to its first answer.
    pub start_duration: Duration,
}

impl Program {
    /// Starts it with these further arguments, and returns when it answers.
    pub fn start(&self, arguments: &[String]) -> Result<Process, String> {
        let started = Instant::now();
        let log = OpenOptions::new()
            .append(true)
            .create(true)
            .open(self.folder.join("log"))
            .map_err(|error| format!("the log cannot be opened: {error}"))?;
        let mut command = Command::new(&self.path);
        command.args(["-listen", &self.address.to_string()]);
        command.args(arguments);
        if self.has_journal {
            command.arg("-journal").arg(self.folder.join("journal"));
        }
        let child = command
            .stdin(Stdio::null())
            .stderr(log)
            .spawn()
            .map_err(|error| format!("the gateway cannot be started: {error}"))?;
        let mut process = Process {
            child,
            address: self.address,
            start_duration: Duration::ZERO,
        };
        while get(self.address, "/-/healthy").is_err() {
            process.assert_runs()?;
            if started.elapsed() > PATIENCE {
                return Err("the gateway does not come up".to_owned());
            }
            thread::sleep(LOOK_INTERVAL);
        }
        process.start_duration = started.elapsed();
        Ok(process)
    }

    /// What all processes have said on stderr.
    pub fn log(&self) -> String {
        let log = fs::read(self.folder.join("log"));
        log.map_or_else(
            |error| error.to_string(),
            |log| String::from_utf8_lossy(&log).into_owned(),
        )
    }
}

impl Process {
    /// It is one process from its start to the signal that ends it, however often it hands over.
    pub fn assert_runs(&mut self) -> Result<(), String> {
        match self.child.try_wait() {
            Ok(None) => Ok(()),
            Ok(Some(status)) => Err(format!("the gateway has ended by itself: {status}")),
            Err(error) => Err(format!("the gateway is lost: {error}")),
        }
    }

    /// Has it hand over.
    pub fn hang_up(&self) -> Result<(), String> {
        let process = Pid::from_child(&self.child);
        kill_process(process, Signal::HUP).map_err(|error| format!("SIGHUP: {error}"))
    }

    /// Ends it as a power cut does, but for what the system has taken.
    pub fn kill(mut self) -> Result<(), String> {
        self.assert_runs()?;
        self.end_now()
    }

    fn end_now(&mut self) -> Result<(), String> {
        let killed = self.child.kill().and_then(|()| self.child.wait());
        killed
            .map(drop)
            .map_err(|error| format!("it cannot be killed: {error}"))
    }

    /// Ends it as a service manager does. Nobody may be left that listens.
    pub fn terminate(mut self) -> Result<(), String> {
        let deadline = Instant::now() + PATIENCE;
        let process = Pid::from_child(&self.child);
        kill_process(process, Signal::TERM).map_err(|error| format!("SIGTERM: {error}"))?;
        while Instant::now() < deadline {
            match self.child.try_wait() {
                Err(error) => return Err(format!("the gateway is lost: {error}")),
                Ok(None) => thread::sleep(LOOK_INTERVAL),
                Ok(Some(status)) if !status.success() => {
                    return Err(format!("SIGTERM ended it with {status}"));
                }
                Ok(Some(_)) => {
                    return match get(self.address, "/-/healthy") {
                        Err(NoAnswer::Refused) => Ok(()),
                        _ => Err("it has ended, but its port takes connections".to_owned()),
                    };
                }
            }
        }
        Err("SIGTERM does not end it".to_owned())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.end_now();
    }
}
