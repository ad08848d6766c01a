//! What an attack sees of the gateway, and where it writes down what came of it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, ErrorKind, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::nice;

use super::client::{Connection, is_timeout};
use super::gateway::memory_mebibytes;
use super::sockets::connect_narrow;

/// An attack may go on for so long.
const ATTACK_DURATION_MAX: Duration = Duration::from_secs(24);

/// How long an attacker waits for one thing.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// So many kinds of broken laws are written down in full.
const COMPLAINTS_MAX: usize = 8;

/// So many attackers are at work at once.
pub const ATTACKERS: usize = 16;

/// A push that nobody may merge: it is sent where only a misreading can find it.
pub const SMUGGLED: &str = "POST /metrics/job/evil HTTP/1.1\r\nHost: x\r\n\
                            Content-Length: 17\r\n\r\nsmuggled_total 1\n";

/// The body of a push that is as lawful as the honest client's, if it is acknowledged.
pub const LAWFUL_BODY: &str = "lawful_total 1\n";

/// Its path and its series.
pub const LAWFUL_PATH: &str = "/metrics/job/lawful";
pub const LAWFUL_SERIES: &str = "lawful_total{job=\"lawful\"}";

/// Whether the gateway takes the flags that set its deadlines.
#[derive(Clone, Copy, PartialEq)]
pub enum Deadlines {
    Known,
    Unknown,
}

/// How a request was answered.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Reply {
    Code(u16),
    /// The connection ended.
    Closed,
    /// Nothing came.
    Silence,
}

pub struct Target {
    pub address: SocketAddr,
    pub process: u32,
    pub deadlines: Deadlines,
    end: Instant,
    attempts: AtomicU64,
    lawful_sent: AtomicU64,
    lawful_acknowledged: AtomicU64,
    /// Broken laws, and how often each.
    complaints: Mutex<BTreeMap<String, u64>>,
    /// What is worth knowing, and how often.
    notes: Mutex<BTreeMap<String, u64>>,
}

impl Target {
    pub fn new(address: SocketAddr, process: u32, deadlines: Deadlines) -> Target {
        Target {
            address,
            process,
            deadlines,
            end: Instant::now() + ATTACK_DURATION_MAX,
            attempts: AtomicU64::new(0),
            lawful_sent: AtomicU64::new(0),
            lawful_acknowledged: AtomicU64::new(0),
            complaints: Mutex::default(),
            notes: Mutex::default(),
        }
    }

    /// True when the attack has had its time.
    pub fn is_over(&self) -> bool {
        Instant::now() >= self.end
    }

    /// Waits, but not for longer than the attack may go on.
    pub fn hold(&self, duration: Duration) {
        let remaining = self.end.saturating_duration_since(Instant::now());
        thread::sleep(duration.min(remaining));
    }

    /// Makes so many attempts by many threads. Gives what they keep open.
    pub fn crowd<T: Send>(
        &self,
        attempts: usize,
        attempt: impl Fn(usize) -> Option<T> + Sync,
    ) -> Vec<T> {
        self.crowd_of(ATTACKERS, attempts, attempt)
    }

    /// The same with so many threads.
    pub fn crowd_of<T: Send>(
        &self,
        attackers: usize,
        attempts: usize,
        attempt: impl Fn(usize) -> Option<T> + Sync,
    ) -> Vec<T> {
        let (next, kept) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
        thread::scope(|scope| {
            for _ in 0..attackers.min(attempts) {
                scope.spawn(|| {
                    yield_to_others();
                    while !self.is_over() {
                        let number = next.fetch_add(1, SeqCst);
                        if number >= attempts {
                            return;
                        }
                        if let Some(value) = attempt(number) {
                            lock(&kept).push(value);
                        }
                    }
                });
            }
        });
        let missing = attempts.saturating_sub(next.load(SeqCst));
        if missing > 0 {
            self.note(format!(
                "there was no time for {missing} of {attempts} attempts"
            ));
        }
        kept.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    /// Connects for one more attempt.
    pub fn connect(&self) -> Option<TcpStream> {
        self.attempts.fetch_add(1, SeqCst);
        let connected = TcpStream::connect_timeout(&self.address, PATIENCE).and_then(|stream| {
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            stream.set_write_timeout(Some(PATIENCE))?;
            Ok(stream)
        });
        connected
            .map_err(|error| self.note(format!("not connected: {}", error.kind())))
            .ok()
    }

    /// Connects and sends. Gives the connection, unless it has ended.
    pub fn open(&self, bytes: &[u8]) -> Option<TcpStream> {
        let mut stream = self.connect()?;
        stream.write_all(bytes).is_ok().then_some(stream)
    }

    /// Connects, sends, and waits for the first answer.
    pub fn ask(&self, bytes: &[u8]) -> Option<(Reply, TcpStream)> {
        let mut stream = self.connect()?;
        // What cannot be written has perhaps been answered.
        let _ = stream.write_all(bytes);
        Some(read_reply(stream))
    }

    /// Connects with a window as small as the system allows, and sends.
    pub fn open_narrow(&self, bytes: &[u8]) -> Option<TcpStream> {
        self.attempts.fetch_add(1, SeqCst);
        let connected = connect_narrow(self.address, PATIENCE);
        let mut stream = connected
            .map_err(|error| self.note(format!("not connected: {}", error.kind())))
            .ok()?;
        stream.write_all(bytes).is_ok().then_some(stream)
    }

    /// Connects, and has one request answered.
    pub fn open_idle(&self) -> Option<TcpStream> {
        let (reply, stream) = self.ask(b"GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n")?;
        if reply != Reply::Code(200) {
            self.note(format!("before being idle: {reply:?}"));
        }
        matches!(reply, Reply::Code(_)).then_some(stream)
    }

    /// Pushes what the attack needs.
    pub fn push_whole(&self, path: &str, body: &str) {
        let length = body.len();
        let head = format!("POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n");
        match self.ask(&[head.as_bytes(), body.as_bytes()].concat()) {
            Some((Reply::Code(200), _)) => {}
            reply => {
                let reply = reply.map(|(reply, _)| reply);
                self.complain(format!("what the attack needs is not pushed: {reply:?}"));
            }
        }
    }

    /// Counts lawful pushes that are about to be sent.
    pub fn sends_lawful(&self, pushes: u64) {
        self.lawful_sent.fetch_add(pushes, SeqCst);
    }

    /// Counts one that was answered, if with 200.
    pub fn lawful_replied(&self, reply: Reply) {
        if reply == Reply::Code(200) {
            self.lawful_acknowledged.fetch_add(1, SeqCst);
        }
    }

    /// How many lawful pushes of the attackers may show at least and at most.
    pub fn lawful(&self) -> (u64, u64) {
        (
            self.lawful_acknowledged.load(SeqCst),
            self.lawful_sent.load(SeqCst),
        )
    }

    /// Counts attempts that are made on a connection beside its first.
    pub fn attempts_more(&self, more: u64) {
        self.attempts.fetch_add(more, SeqCst);
    }

    pub fn attempts(&self) -> u64 {
        self.attempts.load(SeqCst)
    }

    pub fn memory_mebibytes(&self) -> u64 {
        memory_mebibytes(self.process, "VmRSS")
    }

    /// Writes a broken law down.
    pub fn complain(&self, line: impl Into<String>) {
        *lock(&self.complaints).entry(line.into()).or_insert(0) += 1;
    }

    /// Writes down what breaks no law.
    pub fn note(&self, line: impl Into<String>) {
        *lock(&self.notes).entry(line.into()).or_insert(0) += 1;
    }

    pub fn complaints(&self) -> Vec<String> {
        let complaints = lock(&self.complaints);
        let told = complaints.iter().take(COMPLAINTS_MAX);
        let mut lines: Vec<String> = told
            .map(|(line, count)| format!("{line} ({count} times)"))
            .collect();
        if complaints.len() > COMPLAINTS_MAX {
            lines.push(format!(
                "and {} more like it",
                complaints.len() - COMPLAINTS_MAX
            ));
        }
        lines
    }

    /// All notes in one line.
    pub fn notes(&self) -> String {
        let mut line = String::new();
        for (note, count) in &*lock(&self.notes) {
            let separator = if line.is_empty() { "" } else { "; " };
            // A String takes whatever is written.
            let _ = write!(line, "{separator}{count} x {note}");
        }
        line
    }
}

/// The lower priority of attackers, who would have processors of their own on other machines. Without
/// it, what is measured with dozens of them on few processors is how the honest client waits to run.
const ATTACKER_NICENESS: i32 = 10;

/// Lowers the priority of this thread.
fn yield_to_others() {
    // It may always be lowered; if not, only the latencies are worse.
    let _ = nice(ATTACKER_NICENESS);
}

/// Waits for the next answer on a connection whose timeouts are set.
pub fn read_reply(stream: TcpStream) -> (Reply, TcpStream) {
    let mut connection = Connection::of(stream);
    let reply = reply_of(connection.answer().map(|answer| answer.code));
    (reply, connection.into_stream())
}

pub fn reply_of(answer: io::Result<u16>) -> Reply {
    match answer {
        Ok(code) => Reply::Code(code),
        Err(error) if is_timeout(&error) => Reply::Silence,
        Err(_) => Reply::Closed,
    }
}

/// Sends bytes again and again: until so many have been taken, the other side has closed, or takes
/// no more for a second, or `is_enough` says so.
pub fn flood(
    mut stream: &TcpStream,
    piece: &[u8],
    bytes_max: usize,
    is_enough: impl Fn() -> bool,
) -> usize {
    // A timeout that is not zero can be set.
    let _ = stream.set_write_timeout(Some(Duration::from_secs(1)));
    let mut sent = 0;
    while sent < bytes_max && !is_enough() {
        match stream.write(&piece[sent % piece.len()..]) {
            Ok(0) => break,
            Ok(length) => sent += length,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => break,
        }
    }
    sent
}

/// A count is right whatever panicked beside it.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
