//! Scrapers that read slowly or not at all.

use std::fmt::Write as _;
use std::io::Read;
use std::net::{Shutdown, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use super::super::gateway::descriptors;
use super::super::target::{PATIENCE, Target};
use super::slow::{ANSWER_TIMEOUT, descriptors_go, patience, push_series, wait_for_descriptors};

const GET: &[u8] = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n";

const HALF_CLOSED: usize = 600;
/// Enough for an answer not to fit into the system's buffers.
const SERIES: usize = 50_000;

/// A histogram of as many buckets as there may be series, and some to spare for the honest client.
const BUCKETS: usize = 990_000;
const BUCKETS_PER_PUSH: usize = 99_000;

const SLOW_SCRAPES: usize = 52;
const SLOW_SCRAPES_BETWEEN_PUSHES: usize = 48;
const SERIES_BETWEEN_PUSHES: usize = 100_000;
const SLOW_DURATION: Duration = Duration::from_secs(8);

/// What a slow reader reads, and how often: 4 KiB/s.
const SLOW_BYTES: usize = 1 << 10;
const SLOW_INTERVAL: Duration = Duration::from_millis(250);

/// Readers at twice the rate below which the slowest is closed.
const STEADY_READERS: usize = 2;
const STEADY_BYTES: usize = 64 << 10;
const STEADY_NANOSECONDS_PER_BYTE: u64 = 1_900;

/// Clients that say that they will send no more, and do not read. Each must meet its deadline.
pub fn half_closed_gets(target: &Target) {
    push_series(target, SERIES);
    let before = descriptors(target.process);
    let streams = target.crowd(HALF_CLOSED, |_| {
        let stream = target.open_narrow(GET)?;
        stream.shutdown(Shutdown::Write).is_ok().then_some(stream)
    });
    let patience = patience(target, ANSWER_TIMEOUT);
    if !descriptors_go(target, before, patience) {
        let left = descriptors(target.process).saturating_sub(before);
        let count = streams.len();
        let line = format!("of {count} half-closed connections, {left} descriptors are left");
        target.complain(format!("{line} after {patience:?}"));
    }
    drop(streams);
    wait_for_descriptors(target, before);
}

fn push_histogram(target: &Target) {
    for first in (0..BUCKETS).step_by(BUCKETS_PER_PUSH) {
        let mut body = String::from("# TYPE wide histogram\n");
        for (count, bound) in (1..).zip(first..first + BUCKETS_PER_PUSH) {
            // A String takes whatever is written.
            let _ = writeln!(body, "wide_bucket{{le=\"{bound}\"}} {count}");
        }
        let all = BUCKETS_PER_PUSH;
        let _ = write!(
            body,
            "wide_bucket{{le=\"+Inf\"}} {all}\nwide_sum 1\nwide_count {all}\n"
        );
        target.push_whole("/metrics/job/wide", &body);
    }
}

/// Many slow scrapes of one histogram: none may keep a copy of it.
pub fn slow_histogram_scrapes(target: &Target) {
    push_histogram(target);
    let streams = target.crowd(SLOW_SCRAPES, |_| target.open_narrow(GET));
    read_slowly(target, streams);
}

/// The same, with a push to the histogram after each scrape has begun: none may keep a copy of what
/// was there before the push.
pub fn slow_scrapes_and_pushes(target: &Target) {
    push_histogram(target);
    let push = "# TYPE wide histogram\nwide_bucket{le=\"7\"} 1\nwide_bucket{le=\"+Inf\"} 1\n\
                wide_sum 1\nwide_count 1\n";
    scrape_between_pushes(target, "/metrics/job/wide", push);
}

/// The same of many series, each of which is touched by each push.
pub fn slow_scrapes_of_series(target: &Target) {
    let mut push = String::new();
    for number in 0..SERIES_BETWEEN_PUSHES {
        let _ = writeln!(push, "many{{number=\"{number}\"}} 1");
    }
    target.push_whole("/metrics/job/many", &push);
    scrape_between_pushes(target, "/metrics/job/many", &push);
}

fn scrape_between_pushes(target: &Target, path: &str, push: &str) {
    let streams = target.crowd_of(1, SLOW_SCRAPES_BETWEEN_PUSHES, |_| {
        let stream = target.open_narrow(GET);
        target.push_whole(path, push);
        stream
    });
    read_slowly(target, streams);
}

/// Reads a little of each now and then.
fn read_slowly(target: &Target, streams: Vec<TcpStream>) {
    let started = Instant::now();
    let mut open: Vec<TcpStream> = streams
        .into_iter()
        .filter(|stream| stream.set_nonblocking(true).is_ok())
        .collect();
    let count = open.len();
    while started.elapsed() < SLOW_DURATION && !target.is_over() {
        open.retain_mut(|stream| !matches!(stream.read(&mut [0; SLOW_BYTES]), Ok(0)));
        target.hold(SLOW_INTERVAL);
    }
    target.note(format!(
        "{} of {count} slow scrapes are still open",
        open.len()
    ));
}

/// Slow readers take all views of the sums, among readers that are slow but steady. Those must get
/// the whole page.
pub fn slow_readers(target: &Target) {
    push_series(target, SERIES);
    thread::scope(|scope| {
        for _ in 0..STEADY_READERS {
            scope.spawn(|| read_steadily(target));
        }
        let streams = target.crowd(SLOW_SCRAPES, |_| target.open_narrow(GET));
        read_slowly(target, streams);
    });
}

fn read_steadily(target: &Target) {
    const END: &[u8] = b"0\r\n\r\n";
    let Some(mut stream) = target.open(GET) else {
        return target.complain("a steady reader is not connected");
    };
    let (mut last, mut all) = (Vec::new(), 0);
    let mut buffer = vec![0; STEADY_BYTES];
    let started = Instant::now();
    // A timeout that is not zero can be set.
    let _ = stream.set_read_timeout(Some(PATIENCE));
    while let Ok(length @ 1..) = stream.read(&mut buffer) {
        all += length;
        last.extend_from_slice(&buffer[..length]);
        last.drain(..last.len().saturating_sub(END.len()));
        if last == END {
            return target.note("a steady reader got the whole page");
        }
        let pause = length as u64 * STEADY_NANOSECONDS_PER_BYTE;
        thread::sleep(Duration::from_nanos(pause));
    }
    let seconds = started.elapsed().as_secs();
    target.complain(format!(
        "a steady reader got {all} bytes in {seconds} s, and no end"
    ));
}
