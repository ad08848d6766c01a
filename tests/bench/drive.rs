//! Sends one kind of work to a server and prints what a request cost it.
//!
//! Usage: `drive WORK ADDRESS PID [COUNT]`. The server is the process `PID` on this machine; its
//! CPU is what the kernel says of its threads. Pushes go to `$PUSH_PATH`, or to `/metrics`. Prints
//! one line: requests, CPU a request in microseconds, body (or answer) megabytes per second of that
//! CPU, median, 99th percentile and maximum of the latency in microseconds.
//!
//! `drive start PROGRAM ARGUMENT...` starts a server on 127.0.0.1:19199 again and again and prints
//! the median of the time until it has answered a first request, in microseconds.

// Its lints are about casts that cost no digit here.
#![allow(clippy::cast_precision_loss)]

mod bodies;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// How long a kind of work is repeated, once it is warm.
const MEASURED: Duration = Duration::from_secs(2);

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [work, program, rest @ ..] = arguments.as_slice()
        && work == "start"
    {
        return println!("{:.0}", start(program, rest).as_secs_f64() * 1e6);
    }
    let [work, address, pid, rest @ ..] = arguments.as_slice() else {
        panic!("usage: drive WORK ADDRESS PID [COUNT]");
    };
    let count = rest
        .first()
        .map_or(0, |count| count.parse().expect("a number"));
    let mut client = Client::connect(address);
    let one_line = push(bodies::ONE_LINE);
    let report = match work.as_str() {
        "one-line" => repeat(&mut client, pid, &one_line),
        "web" => repeat(&mut client, pid, &push(&bodies::web_application())),
        "numbers" => repeat(&mut client, pid, &push(&bodies::numbers(0, count))),
        "unsorted" => repeat(&mut client, pid, &push(&bodies::unsorted(count))),
        "histograms" => repeat(&mut client, pid, &push(&bodies::histograms(0, count))),
        "new" => new_series(&mut client, pid, count),
        "load" => load(&mut client, count),
        "scrape" => repeat(&mut client, pid, SCRAPE),
        "while-scraped" => {
            let mut scraper = Client::connect(address);
            thread::spawn(move || {
                loop {
                    scraper.round_trip(SCRAPE);
                }
            });
            repeat(&mut client, pid, &one_line)
        }
        _ => panic!("no such work: {work}"),
    };
    println!("{report}");
}

const SCRAPE: &[u8] = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n";

fn push(body: &str) -> Vec<u8> {
    let (length, path) = (body.len(), std::env::var("PUSH_PATH"));
    let path = path.as_deref().unwrap_or("/metrics");
    format!("POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n{body}").into()
}

/// How long a server takes to answer for the first time.
fn start(program: &str, arguments: &[String]) -> Duration {
    let once = || {
        let started = Instant::now();
        let mut server = Command::new(program)
            .args(arguments)
            .stderr(Stdio::null())
            .spawn()
            .expect("it is a program");
        while TcpStream::connect("127.0.0.1:19199").is_err() {
            thread::yield_now();
        }
        let health = b"GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n";
        Client::connect("127.0.0.1:19199").round_trip(health);
        let time = started.elapsed();
        server
            .kill()
            .and_then(|()| server.wait())
            .expect("it is our child");
        time
    };
    let mut times: Vec<Duration> = (0..21).map(|_| once()).collect();
    times.sort();
    times[times.len() / 2]
}

/// Sends the same request again and again.
fn repeat(client: &mut Client, pid: &str, request: &[u8]) -> String {
    let warm = Instant::now() + MEASURED / 4;
    while Instant::now() < warm {
        client.round_trip(request);
    }
    let (cpu_before, start) = (cpu(pid), Instant::now());
    let (mut latencies, mut bytes) = (Vec::new(), 0);
    while start.elapsed() < MEASURED {
        let sent = Instant::now();
        bytes += client.round_trip(request).max(request.len());
        latencies.push(sent.elapsed());
    }
    report(cpu(pid).saturating_sub(cpu_before), &mut latencies, bytes)
}

/// Pushes bodies of so many series, none of which was there before.
fn new_series(client: &mut Client, pid: &str, series: usize) -> String {
    let requests: Vec<_> = (0..10)
        .map(|part| push(&bodies::numbers(part * series, series)))
        .collect();
    let cpu_before = cpu(pid);
    let (mut latencies, mut bytes) = (Vec::new(), 0);
    for request in &requests {
        let sent = Instant::now();
        client.round_trip(request);
        latencies.push(sent.elapsed());
        bytes += request.len();
    }
    report(cpu(pid).saturating_sub(cpu_before), &mut latencies, bytes)
}

/// Fills the server with so many series, in bodies of 20,000.
fn load(client: &mut Client, series: usize) -> String {
    for first in (0..series).step_by(20_000) {
        client.round_trip(&push(&bodies::numbers(first, 20_000.min(series - first))));
    }
    format!("{series} series")
}

/// The CPU time that a process has used.
fn cpu(pid: &str) -> Duration {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).expect("it runs");
    let nanoseconds = |thread: fs::DirEntry| -> Option<u64> {
        let times = fs::read_to_string(thread.path().join("schedstat")).ok()?;
        times.split(' ').next()?.parse().ok()
    };
    Duration::from_nanos(threads.filter_map(Result::ok).filter_map(nanoseconds).sum())
}

fn report(cpu: Duration, latencies: &mut [Duration], bytes: usize) -> String {
    latencies.sort();
    let requests = latencies.len();
    let microseconds = |duration: Duration| duration.as_secs_f64() * 1e6;
    format!(
        "{requests} {:.2} {:.1} {:.0} {:.0} {:.0}",
        microseconds(cpu) / requests as f64,
        bytes as f64 / microseconds(cpu),
        microseconds(latencies[requests / 2]),
        microseconds(latencies[requests * 99 / 100]),
        microseconds(latencies[requests - 1]),
    )
}

struct Client {
    reader: BufReader<TcpStream>,
    buffer: Vec<u8>,
}

impl Client {
    fn connect(address: &str) -> Client {
        let stream = TcpStream::connect(address).expect("it listens");
        stream.set_nodelay(true).expect("a socket has the option");
        let reader = BufReader::with_capacity(256 << 10, stream);
        Client {
            reader,
            buffer: vec![0; 256 << 10],
        }
    }

    /// Sends a request, reads its answer, and gives the length of the answer's body.
    fn round_trip(&mut self, request: &[u8]) -> usize {
        self.reader
            .get_mut()
            .write_all(request)
            .expect("it is connected");
        let mut line = String::new();
        let (mut length, mut is_chunked) = (0, false);
        let mut is_first = true;
        loop {
            line.clear();
            self.reader.read_line(&mut line).expect("it answers");
            assert!(!is_first || line.contains(" 200 "), "{line}");
            is_first = false;
            let lower = line.trim_end().to_ascii_lowercase();
            if let Some(value) = lower.strip_prefix("content-length: ") {
                length = value.parse().expect("a number");
            }
            is_chunked |= lower == "transfer-encoding: chunked";
            if lower.is_empty() {
                break;
            }
        }
        if !is_chunked {
            self.skip(length);
            return length;
        }
        let mut total = 0;
        loop {
            line.clear();
            self.reader.read_line(&mut line).expect("a chunk follows");
            let size = usize::from_str_radix(line.trim_end(), 16).expect("a size");
            self.skip(size + 2);
            total += size;
            if size == 0 {
                return total;
            }
        }
    }

    fn skip(&mut self, mut length: usize) {
        while length > 0 {
            let part = length.min(self.buffer.len());
            self.reader
                .read_exact(&mut self.buffer[..part])
                .expect("the answer is whole");
            length -= part;
        }
    }
}
