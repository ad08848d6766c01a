//! Many connections: idle ones beside floods, more than there may be, and some to be handed over.

use std::io::Write;
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::super::client::Connection;
use super::super::target::{Reply, Target, flood, read_reply};
use super::slow::{drop_ended, is_answered};

/// How long the honest client is measured alone.
const BASELINE_DURATION: Duration = Duration::from_secs(3);

const IDLE: usize = 5_000;
const IDLE_DURATION: Duration = Duration::from_secs(3);

/// What so many idle connections may cost the gateway.
const IDLE_MEBIBYTES_MAX: u64 = 2;

const ENDLESS_HEADS: usize = 40;
const ENDLESS_HEAD_BYTES: usize = 64 << 20;

/// The first of the endless heads is closed within this.
const HANG_UP_PATIENCE: Duration = Duration::from_secs(2);

const HANDED_OVER_IDLE: usize = 1_000;
const HANDED_OVER_HEADS: usize = 100;

/// Heads stall for longer than a hand-over may wait for them.
const STALL_DURATION: Duration = Duration::from_millis(700);
const HAND_OVER_DURATION: Duration = Duration::from_secs(3);

/// The value of the flag.
pub const CONNECTIONS_MAX: &str = "300";
const FLOOD: usize = 3_000;
/// By 16 attackers, 2,000 a second: all connections are replaced every 150 ms, and the honest client
/// uses its own every 10 ms.
const FLOOD_INTERVAL: Duration = Duration::from_millis(8);
const FLOOD_DURATION: Duration = Duration::from_secs(3);

/// With the honest clients, so many connections are all busy at once that only a few are left.
const BUSY: usize = 200;
const BUSY_IDLE: usize = 400;
const BUSY_IDLE_INTERVAL: Duration = Duration::from_millis(4);
const BUSY_DURATION: Duration = Duration::from_secs(3);
const BUSY_INTERVAL: Duration = Duration::from_millis(200);

/// No attack.
pub fn nobody(target: &Target) {
    target.hold(BASELINE_DURATION);
}

/// Connections that are kept for later requests cost little, and none is closed.
pub fn idle(target: &Target) {
    // What the first connections take stays.
    drop(target.crowd(100, |_| target.open_idle()));
    let before = target.memory_mebibytes();
    let mut kept = open_idle(target, IDLE);
    target.hold(IDLE_DURATION);
    let after = target.memory_mebibytes();
    target.note(format!(
        "{before} MiB before {IDLE} idle connections, {after} MiB with them"
    ));
    if after > before + IDLE_MEBIBYTES_MAX {
        target.complain(format!(
            "{IDLE} idle connections took {} MiB",
            after - before
        ));
    }
    check_open(target, &mut kept, IDLE);
}

fn open_idle(target: &Target, count: usize) -> Vec<TcpStream> {
    let kept = target.crowd(count, |_| target.open_idle());
    if kept.len() < count {
        target.complain(format!(
            "{} of {count} connections failed",
            count - kept.len()
        ));
    }
    kept
}

fn check_open(target: &Target, kept: &mut Vec<TcpStream>, count: usize) {
    drop_ended(kept);
    if kept.len() < count {
        target.complain(format!(
            "{} of {count} idle connections were closed",
            count - kept.len()
        ));
    }
}

/// Heads that do not end, beside idle connections: the former are closed soon, the latter never.
pub fn endless_heads(target: &Target) {
    let mut kept = open_idle(target, IDLE);
    let started = Instant::now();
    let piece = "X-Short: a\r\n".repeat(5_000);
    let hung_up = target.crowd_of(ENDLESS_HEADS, ENDLESS_HEADS, |_| {
        let stream = target.open(b"GET /metrics HTTP/1.1\r\nX-Long: a")?;
        // What is sent after the answer may be read and thrown away, so that the answer is seen.
        let is_over = || target.is_over() || is_answered(&stream);
        let sent = flood(&stream, piece.as_bytes(), ENDLESS_HEAD_BYTES, is_over);
        let hung_up = started.elapsed();
        target.note(if sent < ENDLESS_HEAD_BYTES {
            "cut off"
        } else {
            "taken whole"
        });
        (sent < ENDLESS_HEAD_BYTES).then_some(hung_up)
    });
    let first = hung_up.iter().min();
    match first {
        Some(first) if *first <= HANG_UP_PATIENCE => {}
        first => target.complain(format!(
            "the first endless head is cut off after {first:.1?}"
        )),
    }
    check_open(target, &mut kept, IDLE);
}

/// The gateway is told to replace itself. Idle connections and half-read heads are kept.
pub fn hand_over(target: &Target) {
    const REQUEST: &[u8] = b"GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n";
    let idle = open_idle(target, HANDED_OVER_IDLE);
    let (begin, end) = REQUEST.split_at(20);
    let heads = target.crowd(HANDED_OVER_HEADS, |_| target.open(begin));
    let process = target.process.try_into().ok().and_then(Pid::from_raw);
    let signalled = process.map(|process| kill_process(process, Signal::HUP));
    if !matches!(signalled, Some(Ok(()))) {
        return target.complain("the gateway cannot be told to hand over");
    }
    target.hold(STALL_DURATION);
    finish(target, "half-read heads", heads, end);
    target.hold(HAND_OVER_DURATION);
    finish(target, "idle connections", idle, REQUEST);
}

fn finish(target: &Target, what: &str, streams: Vec<TcpStream>, rest: &[u8]) {
    for mut stream in streams {
        // What cannot be written shows as no answer.
        let _ = stream.write_all(rest);
        let (reply, _) = read_reply(stream);
        if reply != Reply::Code(200) {
            target.complain(format!("{what} after a hand-over: {reply:?}"));
        }
    }
}

/// Ten times as many connections as there may be. None sends anything, so the honest clients' are
/// always those that were used last, and a new one is always accepted.
pub fn flood_all(target: &Target) {
    let kept = target.crowd(FLOOD, |_| {
        thread::sleep(FLOOD_INTERVAL);
        target.connect()
    });
    target.hold(FLOOD_DURATION);
    drop(kept);
}

/// Connections that are in use are not closed for others: half of those that there may be make
/// requests all the time, while idle ones come and go.
pub fn busy(target: &Target) {
    let connect = |_| target.connect().map(Connection::of);
    let mut busy = target.crowd(BUSY, connect);
    thread::scope(|scope| {
        scope.spawn(|| {
            let idle = target.crowd_of(1, BUSY_IDLE, |_| {
                thread::sleep(BUSY_IDLE_INTERVAL);
                target.connect()
            });
            target.hold(BUSY_DURATION / 2);
            drop(idle);
        });
        let started = Instant::now();
        while started.elapsed() < BUSY_DURATION {
            let request = b"GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n";
            for connection in &mut busy {
                match connection.round_trip(request) {
                    Ok(answer) if answer.code == 200 => {}
                    Ok(answer) => target.complain(format!("a busy client: {}", answer.code)),
                    Err(error) => target.complain(format!("a busy client is cut off: {error}")),
                }
            }
            thread::sleep(BUSY_INTERVAL);
        }
    });
}
