//! Clients that take their time. The gateway is given short deadlines for them.

use std::io::Write;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::super::gateway::descriptors;
use super::super::target::{Deadlines, Target};

const HEAD_TIMEOUT: Duration = Duration::from_secs(2);
const BODY_TIMEOUT: Duration = Duration::from_secs(3);
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(3);
const IDLE_TIMEOUT: Duration = Duration::from_secs(4);

/// The flags of these deadlines.
pub const DEADLINE_FLAGS: &[(&str, &str)] = &[
    ("-head-timeout", "2s"),
    ("-body-timeout", "3s"),
    ("-answer-timeout", "3s"),
    ("-idle-timeout", "4s"),
];

/// A deadline is looked at now and then, and the machine may be busy.
const TARDINESS: Duration = Duration::from_secs(3);
const TOLERANCE: u32 = 3;

/// So long is waited for a gateway that knows no deadlines.
const NO_DEADLINE_PATIENCE: Duration = Duration::from_secs(6);

const LOOK_INTERVAL: Duration = Duration::from_millis(50);
const TRICKLE_INTERVAL: Duration = Duration::from_secs(1);

/// Descriptors of the honest client, and of what the gateway looks at.
const DESCRIPTORS_TOLERANCE: usize = 24;

/// How long they may take to go when all has been closed.
const DESCRIPTORS_PATIENCE: Duration = Duration::from_secs(6);

/// Enough for an answer not to fit into the system's buffers.
const SERIES: usize = 50_000;

/// What comes every second on each connection.
enum Trickle {
    Nothing,
    Byte(u8),
    /// Chunks of one byte.
    Chunk,
}

impl Trickle {
    fn bytes(&self) -> &[u8] {
        match self {
            Trickle::Nothing => b"",
            Trickle::Byte(byte) => std::slice::from_ref(byte),
            Trickle::Chunk => b"1\r\n#\r\n",
        }
    }
}

const LONG_HEAD: &str =
    "POST /metrics/job/slow HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n";
const CHUNKED_HEAD: &str =
    "POST /metrics/job/slow HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";

/// Heads, with nothing or a little behind them.
pub fn stalled_uploads(target: &Target) {
    let before = descriptors(target.process);
    let requests = [
        LONG_HEAD.to_owned(),
        format!("{LONG_HEAD}smuggled_total 1\n"),
        CHUNKED_HEAD.to_owned(),
        format!("{CHUNKED_HEAD}11\r\nsmuggled_total 1\n\r\n"),
    ];
    let streams = target.crowd(500, |number| {
        target.open(requests[number % requests.len()].as_bytes())
    });
    let stalled = [(streams, Trickle::Nothing)];
    wait_until_dropped(target, stalled, BODY_TIMEOUT);
    wait_for_descriptors(target, before);
}

/// Bodies of a byte a second.
pub fn trickled_uploads(target: &Target) {
    let before = descriptors(target.process);
    let long = target.crowd(100, |_| target.open(LONG_HEAD.as_bytes()));
    let chunked = target.crowd(100, |_| target.open(CHUNKED_HEAD.as_bytes()));
    let trickled = [(long, Trickle::Byte(b'#')), (chunked, Trickle::Chunk)];
    wait_until_dropped(target, trickled, BODY_TIMEOUT);
    wait_for_descriptors(target, before);
}

/// Scrapers that never read. The end of such a connection does not reach its client, so what is
/// looked at is whether the gateway lets go of it.
pub fn unread_scrapes(target: &Target) {
    push_series(target, SERIES);
    let before = descriptors(target.process);
    let get = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n";
    let streams = target.crowd(200, |_| target.open_narrow(get));
    let patience = patience(target, ANSWER_TIMEOUT);
    if !descriptors_go(target, before, patience) {
        let left = descriptors(target.process).saturating_sub(before);
        let count = streams.len();
        let line = format!("of {count} scrapers that do not read, {left} descriptors are left");
        target.complain(format!("{line} after {patience:?}"));
    }
    drop(streams);
    wait_for_descriptors(target, before);
}

/// Pushes so many series, of about 120 bytes each.
pub fn push_series(target: &Target, series: usize) {
    let padding = "x".repeat(80);
    let line = |number| format!("big{{number=\"{number}\",padding=\"{padding}\"}} 1\n");
    let body: String = (0..series).map(line).collect();
    target.push_whole("/metrics/job/big", &body);
}

/// Requests that stop within their heads, or before the first byte.
pub fn half_open_heads(target: &Target) {
    let before = descriptors(target.process);
    let begins = [
        "",
        "POST",
        "POST /metrics/job/slow HTTP/1.1\r\n",
        "POST /metrics/job/slow HTTP/1.1\r\nHost: x\r\nContent-Length: 17\r\n",
        "POST /metrics/job/slow HTTP/1.1\r\nHost: x\r\nContent-Length: 17\r\n\r\n",
        "POST /metrics/job/slow HTTP/1.1\r\nHost: x\r\nContent-Length: 17\r\n\r\nsmuggled",
    ];
    let streams = target.crowd(1_000, |number| {
        target.open(begins[number % begins.len()].as_bytes())
    });
    wait_until_dropped(target, [(streams, Trickle::Nothing)], HEAD_TIMEOUT);
    wait_for_descriptors(target, before);
}

/// Heads of a byte a second.
pub fn trickled_heads(target: &Target) {
    let before = descriptors(target.process);
    let begin = b"GET /metrics HTTP/1.1\r\nX-Long: ";
    let streams = target.crowd(1_000, |_| target.open(begin));
    wait_until_dropped(target, [(streams, Trickle::Byte(b'x'))], HEAD_TIMEOUT);
    wait_for_descriptors(target, before);
}

/// Connections that are kept for no further request.
pub fn idle_connections(target: &Target) {
    let before = descriptors(target.process);
    let streams = target.crowd(1_000, |_| target.open_idle());
    wait_until_dropped(target, [(streams, Trickle::Nothing)], IDLE_TIMEOUT);
    wait_for_descriptors(target, before);
}

pub fn patience(target: &Target, deadline: Duration) -> Duration {
    match target.deadlines {
        Deadlines::Known => (deadline + TARDINESS) * TOLERANCE,
        Deadlines::Unknown => NO_DEADLINE_PATIENCE,
    }
}

/// Waits until the gateway has ended all of these connections.
fn wait_until_dropped<const KINDS: usize>(
    target: &Target,
    mut slow: [(Vec<TcpStream>, Trickle); KINDS],
    deadline: Duration,
) {
    let patience = patience(target, deadline);
    let (started, mut trickled) = (Instant::now(), Instant::now());
    let count: usize = slow.iter().map(|(streams, _)| streams.len()).sum();
    loop {
        let is_due = trickled.elapsed() >= TRICKLE_INTERVAL;
        for (streams, trickle) in &mut slow {
            drop_ended(streams);
            if is_due {
                // A write that fails is seen as an end, if it is one.
                let write = |stream: &TcpStream| (&*stream).write_all(trickle.bytes());
                for stream in streams.iter() {
                    let _ = write(stream);
                }
            }
        }
        if is_due {
            trickled = Instant::now();
        }
        let left: usize = slow.iter().map(|(streams, _)| streams.len()).sum();
        let passed = started.elapsed();
        if left == 0 {
            return target.note(format!("all dropped after {} ms", passed.as_millis()));
        }
        if passed > patience || target.is_over() {
            let line = format!("{left} of {count} connections are not dropped");
            return target.complain(format!("{line} after {passed:.1?}"));
        }
        target.hold(LOOK_INTERVAL);
    }
}

/// Closes those that the other side has closed.
pub fn drop_ended(streams: &mut Vec<TcpStream>) {
    let mut polled: Vec<PollFd> = streams
        .iter()
        .map(|stream| PollFd::new(stream, PollFlags::RDHUP))
        .collect();
    let now = Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    if poll(&mut polled, Some(&now)).is_err() {
        return;
    }
    let ended: Vec<bool> = polled.iter().map(|one| !one.revents().is_empty()).collect();
    let mut ended = ended.into_iter();
    streams.retain(|_| !ended.next().unwrap_or(false));
}

/// True if there is something to read, or the other side has closed.
pub fn is_answered(stream: &TcpStream) -> bool {
    let now = Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    let mut polled = [PollFd::new(stream, PollFlags::IN | PollFlags::RDHUP)];
    poll(&mut polled, Some(&now)).is_ok_and(|ready| ready > 0)
}

/// Waits until the gateway has let go of the descriptors that it had no use for before.
pub fn wait_for_descriptors(target: &Target, before: usize) {
    if !descriptors_go(target, before, DESCRIPTORS_PATIENCE) {
        let now = descriptors(target.process);
        target.complain(format!(
            "{now} descriptors are left, {before} were there before"
        ));
    }
}

pub fn descriptors_go(target: &Target, before: usize, patience: Duration) -> bool {
    let started = Instant::now();
    while descriptors(target.process) > before + DESCRIPTORS_TOLERANCE {
        if started.elapsed() > patience || target.is_over() {
            return false;
        }
        target.hold(LOOK_INTERVAL);
    }
    true
}
