//! Connections on which many requests are sent ahead of their answers.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use super::super::target::Target;

const REQUESTS_PER_ROUND: usize = 200;

/// With heads of 36 bytes, 40 kB/s.
const ROUND_INTERVAL: Duration = Duration::from_millis(180);
const FAST_ROUND_INTERVAL: Duration = Duration::from_millis(10);
/// 10,000 requests a second.
const REFUSED_ROUND_INTERVAL: Duration = Duration::from_millis(20);

const DURATION: Duration = Duration::from_secs(5);

/// The last answers come within this.
const ANSWER_PATIENCE: Duration = Duration::from_secs(5);

const UNREAD: usize = 600;
const UNREAD_DURATION: Duration = Duration::from_secs(6);

/// `HEAD /metrics` at the rate of a slow line.
pub fn heads(target: &Target) {
    pipeline(target, &request("HEAD /metrics"), "200", ROUND_INTERVAL);
}

/// The same, 18 times as fast if the gateway reads that fast.
pub fn heads_fast(target: &Target) {
    pipeline(
        target,
        &request("HEAD /metrics"),
        "200",
        FAST_ROUND_INTERVAL,
    );
}

/// The page that costs the most beside the sums.
pub fn own_metrics(target: &Target) {
    pipeline(target, &request("GET /-/metrics"), "200", ROUND_INTERVAL);
}

/// Pushes that are refused, each of which the log would name.
pub fn refused_pushes(target: &Target) {
    let push = "POST /metrics/job/a HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n{";
    pipeline(target, push, "400", REFUSED_ROUND_INTERVAL);
}

fn request(request_line: &str) -> String {
    format!("{request_line} HTTP/1.1\r\nHost: x\r\n\r\n")
}

/// One connection that sends a round of requests again and again, and reads all answers, which are
/// to have this status. If it is closed, another one follows.
fn pipeline(target: &Target, request: &str, status: &str, interval: Duration) {
    let round = request.repeat(REQUESTS_PER_ROUND);
    let end = Instant::now() + DURATION;
    let (mut sent, mut answered, mut connections) = (0, 0, 0);
    while Instant::now() < end {
        let Some(stream) = target.connect() else {
            return target.complain("the pipelining client is not connected");
        };
        connections += 1;
        thread::scope(|scope| {
            let answers = scope.spawn(|| count_answers(&stream, status));
            sent += send_rounds(&stream, &round, interval, end);
            // The reader ends when the last answer is late, or the gateway has closed.
            answered += answers.join().unwrap_or_default();
        });
    }
    target.note(format!(
        "{answered} answers to {sent} pipelined requests on {connections} connections"
    ));
    if answered < sent {
        target.complain("pipelined requests were not answered");
    }
}

fn send_rounds(mut stream: &TcpStream, round: &str, interval: Duration, end: Instant) -> usize {
    let mut sent = 0;
    while Instant::now() < end {
        let begun = Instant::now();
        if stream.write_all(round.as_bytes()).is_err() {
            break;
        }
        sent += REQUESTS_PER_ROUND;
        thread::sleep(interval.saturating_sub(begun.elapsed()));
    }
    // All requests are whole, so all are to be answered.
    let _ = stream.shutdown(Shutdown::Write);
    sent
}

/// Counts answers of this status until the connection ends or nothing comes.
fn count_answers(mut stream: &TcpStream, status: &str) -> usize {
    let begin = format!("HTTP/1.1 {status} ");
    let begin = begin.as_bytes();
    // A timeout that is not zero can be set.
    let _ = stream.set_read_timeout(Some(ANSWER_PATIENCE));
    let mut unread = Vec::new();
    let mut buffer = vec![0; 1 << 16];
    let mut count = 0;
    while let Ok(length @ 1..) = stream.read(&mut buffer) {
        unread.extend_from_slice(&buffer[..length]);
        let found = unread.windows(begin.len()).filter(|&at| at == begin);
        count += found.count();
        // What may be the begin of a status line.
        let keep = unread.len().min(begin.len() - 1);
        unread.drain(..unread.len() - keep);
    }
    count
}

/// Clients with small windows, which ask for page after page and read nothing.
pub fn unread_own_metrics(target: &Target) {
    let requests = "GET /-/metrics HTTP/1.1\r\nHost: x\r\n\r\n".repeat(100);
    let kept = target.crowd(UNREAD, |_| target.open_narrow(requests.as_bytes()));
    target.hold(UNREAD_DURATION);
    drop(kept);
}
