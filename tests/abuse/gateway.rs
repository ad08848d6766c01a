//! A gateway's process, perhaps confined, and what the system says of it.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// How long it may take to start.
const PATIENCE: Duration = Duration::from_secs(20);

/// So many lines of stderr are kept, to be shown. All are counted.
const KEPT_LINES_MAX: usize = 12;

/// What the process may have.
#[derive(Clone, Copy)]
pub enum Confinement {
    None,
    Descriptors(u32),
    /// Processes and threads.
    Threads(u32),
    /// So many descriptors, and a journal in a file system of its own, which can be filled.
    FullDisk(u32),
}

/// Why no gateway runs.
pub enum NotStarted {
    /// This machine does not let us confine it.
    NotPossible(String),
    Failed(String),
}

/// A running gateway, which ends with this.
pub struct Gateway {
    child: Child,
    pub address: SocketAddr,
    stderr: Arc<Mutex<Stderr>>,
    /// Its control group and the copy of the program, which go with it.
    group: Option<PathBuf>,
    folder: Option<PathBuf>,
}

/// What it has said.
#[derive(Clone, Default)]
pub struct Stderr {
    pub lines: u64,
    pub first_lines: Vec<String>,
}

impl Gateway {
    /// Starts the program, and waits until it listens.
    pub fn start(
        program: &Path,
        listen: &str,
        flags: &[&str],
        confinement: Confinement,
    ) -> Result<Gateway, NotStarted> {
        let Confined {
            mut command,
            group,
            folder,
        } = confine(program, confinement)?;
        let failed = |why: String| NotStarted::Failed(format!("the gateway does not start: {why}"));
        let mut child = command
            .args(["-listen", listen])
            .args(flags)
            // What a panic prints is to be seen at its longest.
            .env("RUST_BACKTRACE", "1")
            .env("TZ", "UTC")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| failed(error.to_string()))?;
        let stderr = Arc::new(Mutex::new(Stderr::default()));
        let (sender, address) = channel();
        if let Some(pipe) = child.stderr.take() {
            let stderr = Arc::clone(&stderr);
            // It ends with the process.
            thread::spawn(move || read(BufReader::new(pipe), &stderr, &sender));
        }
        let mut gateway = Gateway {
            child,
            address: ([127, 0, 0, 1], 0).into(),
            stderr,
            group,
            folder,
        };
        gateway.address = wait_for(&address).map_err(failed)?;
        Ok(gateway)
    }

    pub fn process(&self) -> u32 {
        self.child.id()
    }

    /// It is one process from its start to its end, however often it hands over.
    pub fn assert_runs(&mut self) -> Result<(), String> {
        match self.child.try_wait() {
            Ok(None) => Ok(()),
            Ok(Some(status)) => Err(format!("the gateway has ended: {status}")),
            Err(error) => Err(format!("the gateway is lost: {error}")),
        }
    }

    pub fn stderr(&self) -> Stderr {
        let stderr = self.stderr.lock().unwrap_or_else(PoisonError::into_inner);
        stderr.clone()
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Some(group) = &self.group {
            // Folders of control groups are removed as if they were empty.
            let _ = fs::remove_dir(group);
        }
        if let Some(folder) = &self.folder {
            let _ = fs::remove_dir_all(folder);
        }
    }
}

fn read(pipe: impl BufRead, stderr: &Mutex<Stderr>, address: &Sender<SocketAddr>) {
    for line in pipe.split(b'\n').map_while(Result::ok) {
        let line = String::from_utf8_lossy(&line).into_owned();
        let listens_on = line.split_once(" listens on ");
        if let Some(on) = listens_on.and_then(|(_, on)| parse_address(on)) {
            // Nobody waits for it a second time.
            let _ = address.send(on);
        }
        let mut stderr = stderr.lock().unwrap_or_else(PoisonError::into_inner);
        stderr.lines += 1;
        if stderr.first_lines.len() < KEPT_LINES_MAX {
            stderr.first_lines.push(line);
        }
    }
}

/// `127.0.0.1:9091`, or `:9091 (IPv4)` for all addresses of a family.
fn parse_address(text: &str) -> Option<SocketAddr> {
    if let Ok(address) = text.parse() {
        return Some(address);
    }
    let (port, _) = text.strip_prefix(':')?.split_once(' ')?;
    Some((Ipv4Addr::LOCALHOST, port.parse().ok()?).into())
}

fn wait_for(address: &Receiver<SocketAddr>) -> Result<SocketAddr, String> {
    address.recv_timeout(PATIENCE).map_err(|error| match error {
        RecvTimeoutError::Timeout => "it does not listen".to_owned(),
        RecvTimeoutError::Disconnected => "it has ended".to_owned(),
    })
}

// --- Confinement ---

struct Confined {
    command: Command,
    group: Option<PathBuf>,
    folder: Option<PathBuf>,
}

fn confine(program: &Path, confinement: Confinement) -> Result<Confined, NotStarted> {
    let unconfined = |command| Confined {
        command,
        group: None,
        folder: None,
    };
    match confinement {
        Confinement::None => Ok(unconfined(Command::new(program))),
        Confinement::Descriptors(count) => {
            let mut command = Command::new("prlimit");
            command
                .arg(format!("--nofile={count}:{count}"))
                .arg(program);
            Ok(unconfined(command))
        }
        Confinement::Threads(count) => confine_threads(program, count),
        Confinement::FullDisk(count) => confine_disk(program, count).map(unconfined),
    }
}

/// Where the file system of the journal is mounted, for the gateway alone to see.
pub const SMALL_DISK: &str = "/mnt";

/// A small file system needs a mount namespace of its own, and with that root.
fn confine_disk(program: &Path, count: u32) -> Result<Command, NotStarted> {
    let namespace = ["--mount", "--propagation", "private", "sh", "-c"];
    let mount = format!("mount -t tmpfs -o size=1m none {SMALL_DISK}");
    let mut probe = Command::new("unshare");
    let probed = probe.args(namespace).arg(&mount).stderr(Stdio::null());
    if !probed.status().is_ok_and(|status| status.success()) {
        let why = "not possible here: no file system can be mounted";
        return Err(NotStarted::NotPossible(why.to_owned()));
    }
    let mut command = Command::new("unshare");
    command
        .args(namespace)
        .arg(format!("{mount} && exec \"$@\""));
    command.args(["sh", "prlimit", &format!("--nofile={count}:{count}")]);
    let journal = format!("{SMALL_DISK}/journal");
    command.arg(program).args(["-journal", &journal]);
    Ok(command)
}

/// A limit on threads does not bind root, a control group does. Where there is none, another user.
fn confine_threads(program: &Path, count: u32) -> Result<Confined, NotStarted> {
    if let Some(group) = make_group(count) {
        let mut command = Command::new("sh");
        let join = "echo $$ >\"$0\" && exec \"$@\"";
        command.args(["-c", join]);
        command.arg(group.join("cgroup.procs")).arg(program);
        return Ok(Confined {
            command,
            group: Some(group),
            folder: None,
        });
    }
    let not_possible = |why: &str| NotStarted::NotPossible(format!("not possible here: {why}"));
    let name = format!("gateway-abuse-{}", std::process::id());
    let folder = std::env::temp_dir().join(name);
    let copy = folder.join("gateway");
    // The program may lie where only its owner may go.
    let copied = fs::create_dir_all(&folder).and_then(|()| fs::copy(program, &copy));
    copied.map_err(|error| not_possible(&format!("no copy of the program: {error}")))?;
    let mut command = Command::new("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]);
    let probed = Command::new("setpriv")
        .args(["--reuid=65534", "--regid=65534", "--clear-groups", "true"])
        .stderr(Stdio::null())
        .status();
    if !probed.is_ok_and(|status| status.success()) {
        let _ = fs::remove_dir_all(&folder);
        return Err(not_possible("neither control groups nor another user"));
    }
    command
        .arg("prlimit")
        .arg(format!("--nproc={count}:{count}"));
    command.arg(copy);
    Ok(Confined {
        command,
        group: None,
        folder: Some(folder),
    })
}

/// Makes a control group, of version 1 or 2, for so many threads.
fn make_group(count: u32) -> Option<PathBuf> {
    let name = format!("gateway-abuse-{}", std::process::id());
    ["/sys/fs/cgroup/pids", "/sys/fs/cgroup"]
        .iter()
        .find_map(|root| {
            let group = Path::new(root).join(&name);
            let limit = group.join("pids.max");
            fs::create_dir(&group).ok()?;
            // It comes with the folder, where threads can be limited.
            let is_limited = limit.is_file() && fs::write(&limit, count.to_string()).is_ok();
            if !is_limited {
                let _ = fs::remove_dir(&group);
            }
            is_limited.then_some(group)
        })
}

// --- What the system says ---

/// How many descriptors a process has.
pub fn descriptors(process: u32) -> usize {
    fs::read_dir(format!("/proc/{process}/fd")).map_or(0, Iterator::count)
}

/// How many threads a process has.
pub fn threads(process: u32) -> usize {
    fs::read_dir(format!("/proc/{process}/task")).map_or(0, Iterator::count)
}

/// A field of `/proc/PID/status` in mebibytes: `VmHWM`, the most memory that it held since it is an
/// image of its program; `VmRSS`, what it holds.
pub fn memory_mebibytes(process: u32, field: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let value = status
        .lines()
        .find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    let kilobytes = value.and_then(|value| value.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    kilobytes.unwrap_or(0) >> 10
}
