//! The real binary on a port of its own, and requests to it in bytes.

use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use rustix::net::sockopt::set_socket_linger;
use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process, prlimit};

pub use crate::log_text::{said, unstamped};

/// How long anything may take before a test gives up. Machines are slow and busy at times.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A folder that goes with its test.
pub struct ScratchFolder(PathBuf);

impl ScratchFolder {
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for ScratchFolder {
    fn drop(&mut self) {
        // What is left is in the folder for that.
        let _ = fs::remove_dir_all(&self.0);
    }
}

pub fn scratch_folder() -> ScratchFolder {
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let name = format!("gateway-test-{}-{number}", std::process::id());
    let path = std::env::temp_dir().join(name);
    fs::create_dir_all(&path).expect("a folder for tests can be made");
    ScratchFolder(path)
}

/// Waits for a condition.
#[track_caller]
pub fn wait_until(condition: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "it does not come true");
        thread::yield_now();
    }
}

/// A gateway that ends with its test.
pub struct RunningGateway {
    process: Child,
    stderr: Mutex<Receiver<String>>,
    /// Where it listens.
    pub address: SocketAddr,
}

/// The gateway's binary: the one that was built with the tests, or the one of the environment
/// variable GATEWAY, such as the static one.
pub fn program() -> String {
    let built = || env!("CARGO_BIN_EXE_prometheus-aggregation-gateway").to_owned();
    std::env::var("GATEWAY").unwrap_or_else(|_| built())
}

/// The gateway's binary with these arguments and nothing from the environment but what it needs.
pub fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(program());
    command
        .args(arguments)
        .env("TZ", "UTC")
        .stdin(Stdio::null());
    command
}

impl RunningGateway {
    /// Starts it on a free port of the loopback address, with further flags.
    #[track_caller]
    pub fn start(flags: &[&str]) -> RunningGateway {
        RunningGateway::start_on("127.0.0.1:0", flags)
    }

    /// Starts it on an address of the loopback interface, or on all.
    #[track_caller]
    pub fn start_on(address: &str, flags: &[&str]) -> RunningGateway {
        let arguments = [&["-listen", address], flags].concat();
        let mut command = command(&arguments);
        let process = command.stderr(Stdio::piped()).spawn();
        RunningGateway::of(process.expect("the binary was built"))
    }

    /// Starts another program than the one that was built.
    #[track_caller]
    pub fn start_program(program: &Path, flags: &[&str]) -> RunningGateway {
        let mut command = Command::new(program);
        let command = command.args(["-listen", "127.0.0.1:0"]).args(flags);
        let process = command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn();
        RunningGateway::of(process.expect("the program is there"))
    }

    /// Waits until a process listens that says on its piped stderr where.
    #[track_caller]
    pub fn of(process: Child) -> RunningGateway {
        let mut gateway = RunningGateway::watch(process);
        gateway.wait_until_it_listens();
        gateway
    }

    /// Reads what a process says on its piped stderr.
    pub fn watch(mut process: Child) -> RunningGateway {
        let lines = BufReader::new(process.stderr.take().expect("it is piped")).lines();
        let (sender, stderr) = channel();
        thread::spawn(move || {
            lines
                .map_while(Result::ok)
                .try_for_each(|line| sender.send(line))
        });
        RunningGateway {
            process,
            stderr: Mutex::new(stderr),
            address: ([127, 0, 0, 1], 0).into(),
        }
    }

    /// A process whose stderr somebody else reads.
    pub fn unwatched(process: Child) -> RunningGateway {
        RunningGateway {
            process,
            stderr: Mutex::new(channel().1),
            address: ([127, 0, 0, 1], 0).into(),
        }
    }

    #[track_caller]
    pub fn wait_until_it_listens(&mut self) {
        let line = self.wait_for_line(" listens on ");
        let (_, address) = line.split_once(" listens on ").expect("it was waited for");
        let (_, port) = address.rsplit_once(':').expect("an address has a port");
        let port = port.split(|c: char| !c.is_ascii_digit()).next();
        let port = port.and_then(|port| port.parse().ok());
        self.address.set_port(port.expect("a port is a number"));
    }

    /// Waits for a line on stderr that contains `text`, and gives it without its time and level.
    #[track_caller]
    pub fn wait_for_line(&self, text: &str) -> String {
        unstamped(&self.wait_for_whole_line(text)).to_owned()
    }

    /// Waits for a line on stderr that contains `text`, and gives it as it is.
    #[track_caller]
    pub fn wait_for_whole_line(&self, text: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        let stderr = self
            .stderr
            .lock()
            .expect("only one test thread waits for lines");
        loop {
            let remaining = deadline.saturating_duration_since(Instant::now());
            match stderr.recv_timeout(remaining) {
                Ok(line) if line.contains(text) => return line,
                Ok(_) => {}
                Err(error) => panic!("no line with {text:?} on stderr: {error}"),
            }
        }
    }

    /// What else it says on stderr until its end.
    pub fn remaining_lines(&self) -> Vec<String> {
        let stderr = self.stderr.lock();
        stderr
            .expect("only one test thread reads it")
            .iter()
            .map(|line| unstamped(&line).to_owned())
            .collect()
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        let process = Pid::from_child(&self.process);
        kill_process(process, signal).expect("it runs");
    }

    /// Waits for its end.
    #[track_caller]
    pub fn wait(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.process.try_wait().expect("it is our child") {
                return status;
            }
            assert!(Instant::now() < deadline, "it does not end");
            thread::yield_now();
        }
    }

    /// The most memory that it ever held.
    #[track_caller]
    pub fn peak_memory_bytes(&self) -> usize {
        let path = format!("/proc/{}/status", self.process.id());
        let status = fs::read_to_string(path).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB"));
        kilobytes
            .and_then(|number| number.parse::<usize>().ok())
            .expect("Linux says it")
            * 1024
    }

    /// Lets the peak begin anew, and gives what it is then (proc(5), `clear_refs`).
    #[track_caller]
    pub fn begin_peak_memory(&self) -> usize {
        let path = format!("/proc/{}/clear_refs", self.process.id());
        fs::write(path, "5").expect("it is our child");
        self.peak_memory_bytes()
    }

    /// Lets it have so much more memory, and no more: what is beyond that is refused by the system.
    #[track_caller]
    pub fn leave_memory(&self, bytes: u64) {
        // The threads that still start would take it, and cannot do without.
        let tasks = format!("/proc/{}/task", self.process.id());
        let threads = || fs::read_dir(&tasks).expect("it runs").count();
        wait_until(|| {
            let before = threads();
            (0..3).for_each(|_| drop(self.scrape()));
            threads() == before
        });
        let path = format!("/proc/{}/statm", self.process.id());
        let statm = fs::read_to_string(path).expect("it runs");
        let pages: u64 = statm.split(' ').next().map_or(0, |pages| {
            pages.parse().expect("the first one is the size in pages")
        });
        let limit = pages * 4096 + bytes;
        let limit = Rlimit {
            current: Some(limit),
            maximum: Some(limit),
        };
        let process = Some(Pid::from_child(&self.process));
        prlimit(process, Resource::As, limit).expect("it is our child");
    }

    /// Waits until no connection is left but the one by which that is asked for.
    #[track_caller]
    pub fn assert_is_idle(&self) {
        wait_until(|| self.own_metric("aggregation_gateway_used{resource=\"connections\"}") <= 1.0);
    }

    pub fn connect(&self) -> Connection {
        let stream = TcpStream::connect(self.address).expect("it listens");
        stream
            .set_read_timeout(Some(PATIENCE))
            .expect("a timeout that is not zero");
        Connection {
            reader: BufReader::new(stream),
        }
    }

    /// Begins a push whose body the gateway waits for, with some of it.
    #[track_caller]
    pub fn begin_push(&self, length: usize, begin: &[u8]) -> Connection {
        let mut connection = self.connect();
        let head = format!(
            "POST /metrics HTTP/1.1\r\nContent-Length: {length}\r\nExpect: 100-continue\r\n\r\n"
        );
        connection.send_bytes(head.as_bytes());
        // The gate says so when it begins to read.
        assert_eq!(connection.reply("POST").code, 100);
        connection.send_bytes(begin);
        connection
    }

    /// The number of its process.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// How many threads it has.
    #[track_caller]
    pub fn threads(&self) -> usize {
        let folder = format!("/proc/{}/task", self.process.id());
        fs::read_dir(folder).expect("it runs").count()
    }

    /// One request on a connection of its own.
    #[track_caller]
    pub fn request(&self, method: &str, path: &str, headers: &str, body: &[u8]) -> Reply {
        let mut connection = self.connect();
        connection.send(method, path, headers, body);
        connection.reply(method)
    }

    #[track_caller]
    pub fn get(&self, path: &str) -> Reply {
        self.request("GET", path, "", b"")
    }

    #[track_caller]
    pub fn push(&self, path: &str, body: &str) -> Reply {
        self.request("POST", path, "", body.as_bytes())
    }

    /// The sums.
    #[track_caller]
    pub fn scrape(&self) -> String {
        let reply = self.get("/metrics");
        assert_eq!(reply.code, 200);
        reply.body
    }

    /// The value of one of the gateway's own metrics, 0 when it is not there.
    #[track_caller]
    pub fn own_metric(&self, series: &str) -> f64 {
        let page = self.get("/-/metrics").body;
        let line = page
            .lines()
            .find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        line.map_or(0.0, |value| value.parse().expect("a value is a number"))
    }
}

impl Drop for RunningGateway {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A connection that is kept from one request to the next.
pub struct Connection {
    reader: BufReader<TcpStream>,
}

impl Connection {
    /// Sends a request whose body is as long as it says.
    #[track_caller]
    pub fn send(&mut self, method: &str, path: &str, headers: &str, body: &[u8]) {
        let length = match (method, body) {
            ("GET" | "HEAD" | "OPTIONS", b"") => String::new(),
            _ => format!("Content-Length: {}\r\n", body.len()),
        };
        let head = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n{length}{headers}\r\n");
        self.send_bytes(&[head.as_bytes(), body].concat());
    }

    #[track_caller]
    pub fn send_bytes(&mut self, bytes: &[u8]) {
        self.reader.get_mut().write_all(bytes).expect("it reads");
    }

    /// Sends what may not be taken.
    pub fn try_send_bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.reader.get_mut().write_all(bytes)
    }

    /// Reads the reply to a request of this method; leaves what comes behind it.
    #[track_caller]
    pub fn reply(&mut self, method: &str) -> Reply {
        let (mut reply, body) = self.reply_and_bytes(method);
        reply.body = String::from_utf8(body).expect("replies are UTF-8");
        reply
    }

    /// The same where the body is no text: it comes beside the reply.
    #[track_caller]
    pub fn reply_and_bytes(&mut self, method: &str) -> (Reply, Vec<u8>) {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            let length = self
                .reader
                .read_line(&mut head)
                .expect("it answers in time");
            assert!(
                length > 0,
                "the connection ended in the head of a reply: {head:?}"
            );
        }
        let code = head.split(' ').nth(1).and_then(|code| code.parse().ok());
        let reply = Reply {
            code: code.expect("a status line has a code"),
            head,
            body: String::new(),
        };
        let length = reply
            .header("Content-Length")
            .map_or(0, |length| length.parse().unwrap());
        let is_without_body = method == "HEAD" || matches!(reply.code, 100 | 204);
        let body = match reply.header("Transfer-Encoding") {
            _ if is_without_body => Vec::new(),
            Some("chunked") => self.chunked_body(),
            _ => self.exactly(length),
        };
        (reply, body)
    }

    /// The next bytes.
    #[track_caller]
    pub fn exactly(&mut self, length: usize) -> Vec<u8> {
        let mut body = vec![0; length];
        self.reader
            .read_exact(&mut body)
            .expect("the body is as long as declared");
        body
    }

    /// RFC 9112 section 7.1, without extensions and trailers.
    #[track_caller]
    fn chunked_body(&mut self) -> Vec<u8> {
        let mut body = Vec::new();
        loop {
            let mut size = String::new();
            self.reader.read_line(&mut size).expect("a chunk follows");
            let size = size.strip_suffix("\r\n").expect("a line has an end");
            let size = usize::from_str_radix(size, 16).expect("a size is a number");
            body.extend(self.exactly(size));
            assert_eq!(self.exactly(2), b"\r\n");
            if size == 0 {
                return body;
            }
        }
    }

    /// Closes it without a farewell, as the system does for a process that is killed.
    pub fn reset(self) {
        let now = Some(Duration::ZERO);
        set_socket_linger(self.reader.get_ref(), now).expect("it is a socket");
    }

    /// Says that nothing more will be sent.
    #[track_caller]
    pub fn end_output(&self) {
        let stream = self.reader.get_ref();
        stream.shutdown(Shutdown::Write).expect("it is connected");
    }

    /// How long one write may take from now on.
    #[track_caller]
    pub fn set_write_timeout(&self, patience: Duration) {
        let stream = self.reader.get_ref();
        stream
            .set_write_timeout(Some(patience))
            .expect("it is not zero");
    }

    /// Waits for the other side to close.
    #[track_caller]
    pub fn read_to_end(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        // A reset is an end as well.
        let _ = self.reader.read_to_end(&mut rest);
        rest
    }
}

/// What the gateway answered.
#[derive(Debug)]
pub struct Reply {
    pub code: u16,
    pub head: String,
    pub body: String,
}

impl Reply {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (field, value) = line.split_once(": ")?;
            field.eq_ignore_ascii_case(name).then_some(value)
        })
    }
}
