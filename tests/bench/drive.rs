//! Sends one kind of work to a server and prints what a request cost it.
//!
//! Usage: `drive WORK ADDRESS PID [COUNT]`, or `drive print WORK [COUNT]`, which prints the body
//! that is pushed. Pushes that are repeated have other numbers every other time. The server is the process `PID` on this machine; its
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
    let count = |count: Option<&String>| count.map_or(0, |count| count.parse().expect("a number"));
    if work == "print" {
        let body = body(address, count(Some(pid))).expect("a kind of push");
        return std::io::stdout().write_all(&body).expect("it is read");
    }
    let count = count(rest.first());
    let mut client = Client::connect(address);
    let one_line = [push(TEXT, bodies::ONE_LINE.as_bytes())];
    if let Some(body) = body(work, count) {
        let requests = if work.starts_with("protobuf") {
            vec![push(PROTOBUF, &body)]
        } else {
            vec![push(TEXT, &body), push(TEXT, &with_other_numbers(&body))]
        };
        return println!("{}", repeat(&mut client, pid, &requests));
    }
    let report = match work.as_str() {
        "one-line" => repeat(&mut client, pid, &one_line),
        "new" => new_series(&mut client, pid, count),
        "load" => load(&mut client, count),
        "scrape" => repeat(&mut client, pid, &[SCRAPE.to_vec()]),
        "protobuf-scrape" => repeat(&mut client, pid, &[PROTOBUF_SCRAPE.to_vec()]),
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

const PROTOBUF_SCRAPE: &[u8] = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\
    Accept: application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;\
    encoding=delimited\r\n\r\n";

const TEXT: &str = "text/plain; version=0.0.4";
const PROTOBUF: &str = "application/vnd.google.protobuf; encoding=delimited; \
    proto=io.prometheus.client.MetricFamily";

/// What is pushed, if the work is to push that again and again.
fn body(work: &str, count: usize) -> Option<Vec<u8>> {
    Some(match work {
        "web" => bodies::web_application().into(),
        "numbers" => bodies::numbers(0, count).into(),
        "unsorted" => bodies::unsorted(count).into(),
        "histograms" => bodies::histograms(0, count).into(),
        "protobuf-numbers" => bodies::protobuf_numbers(0, count),
        "protobuf-histograms" => bodies::protobuf_histograms(0, count),
        _ => return None,
    })
}

/// A text whose whole numbers are others of the same length; buckets still rise.
fn with_other_numbers(text: &[u8]) -> Vec<u8> {
    let text = std::str::from_utf8(text).expect("it is text");
    let other = |line: &str| match line.rsplit_once(' ') {
        Some((series, number)) if !line.starts_with('#') => {
            let number: f64 = number.parse().expect("a number");
            let digits = number.to_string().len();
            let other = (number + 1.0).to_string();
            let other = if other.len() == digits {
                other
            } else {
                number.to_string()
            };
            format!("{series} {other}\n")
        }
        _ => format!("{line}\n"),
    };
    text.lines().map(other).collect::<String>().into()
}

fn push(content_type: &str, body: &[u8]) -> Vec<u8> {
    let (length, path) = (body.len(), std::env::var("PUSH_PATH"));
    let path = path.as_deref().unwrap_or("/metrics");
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: {content_type}\r\n\
         Content-Length: {length}\r\n\r\n"
    );
    [head.as_bytes(), body].concat()
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

/// Sends the same requests again and again.
fn repeat(client: &mut Client, pid: &str, requests: &[Vec<u8>]) -> String {
    let mut requests = requests.iter().cycle();
    let warm = Instant::now() + MEASURED / 4;
    while Instant::now() < warm {
        requests.next().map(|request| client.round_trip(request));
    }
    let (cpu_before, start) = (cpu(pid), Instant::now());
    let (mut latencies, mut bytes) = (Vec::new(), 0);
    while start.elapsed() < MEASURED {
        let Some(request) = requests.next() else {
            break;
        };
        let sent = Instant::now();
        bytes += client.round_trip(request).max(request.len());
        latencies.push(sent.elapsed());
    }
    report(cpu(pid).saturating_sub(cpu_before), &mut latencies, bytes)
}

/// Pushes bodies of so many series, none of which was there before.
fn new_series(client: &mut Client, pid: &str, series: usize) -> String {
    let requests: Vec<_> = (0..10)
        .map(|part| push(TEXT, bodies::numbers(part * series, series).as_bytes()))
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
        let body = bodies::numbers(first, 20_000.min(series - first));
        client.round_trip(&push(TEXT, body.as_bytes()));
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
            assert!(
                !is_first || line.contains(" 200 ") || line.contains(" 204 "),
                "{line}"
            );
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
