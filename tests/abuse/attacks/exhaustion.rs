//! More than there is of descriptors, threads or memory.

use std::time::{Duration, Instant};

use super::super::target::{Target, flood};

/// What the gateway may have.
pub const DESCRIPTORS: u32 = 128;
pub const THREADS: u32 = 60;

const CONNECTIONS: usize = 300;
const CONNECTIONS_DURATION: Duration = Duration::from_secs(5);

/// So many at once, for so long.
const HEADS: usize = 64;
const HEADS_MAX: usize = 20_000;
const HEADS_DURATION: Duration = Duration::from_secs(4);

const HEAD_BYTES: usize = 64 << 20;

/// A gateway that takes so much has failed, and the machine is to be spared.
const SPARED_MEBIBYTES: u64 = 2_048;

const PIPELINES: usize = 4;
const PIPELINE_BYTES: usize = 8 << 20;
const PIPELINE_DURATION: Duration = Duration::from_secs(3);

/// Connections that only stay: a third without a byte, a third within a head, a third after a
/// request.
pub fn connections(target: &Target) {
    let begins = [
        "",
        "GET /-/healthy HTTP/1.1\r\n",
        "GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n",
    ];
    let kept = target.crowd(CONNECTIONS, |number| {
        target.open(begins[number % begins.len()].as_bytes())
    });
    target.hold(CONNECTIONS_DURATION);
    drop(kept);
}

/// Requests of a version that is not spoken, each of which may cost what is never given back.
pub fn http2_request_lines(target: &Target) {
    let kept = target.crowd(CONNECTIONS, |number| {
        let stream = target.open(b"GET /metrics HTTP/2.0\r\nHost: x\r\n\r\n")?;
        number.is_multiple_of(2).then_some(stream)
    });
    target.hold(CONNECTIONS_DURATION);
    drop(kept);
}

/// One line that does not end.
pub fn endless_header(target: &Target) {
    heads(target, &"a".repeat(1 << 16));
}

/// Short lines of which there is no last one.
pub fn endless_headers(target: &Target) {
    heads(target, &"X-Short: a\r\n".repeat(5_000));
}

fn heads(target: &Target, piece: &str) {
    let started = Instant::now();
    target.crowd_of(HEADS, HEADS_MAX, |_| {
        if started.elapsed() > HEADS_DURATION {
            return None;
        }
        let stream = target.open(b"GET /metrics HTTP/1.1\r\nX-Long: a")?;
        let is_enough = || target.is_over() || target.memory_mebibytes() > SPARED_MEBIBYTES;
        let sent = flood(&stream, piece.as_bytes(), HEAD_BYTES, is_enough);
        let outcome = match sent {
            HEAD_BYTES.. => "taken whole",
            _ if target.memory_mebibytes() > SPARED_MEBIBYTES => "spared",
            _ => "cut off",
        };
        target.note(outcome);
        (sent == HEAD_BYTES).then_some(stream)
    });
}

/// Requests upon requests, whose answers are not read.
pub fn pipelined_unread(target: &Target) {
    let requests = "GET /-/healthy HTTP/1.1\r\n\r\n".repeat(2_000);
    let kept = target.crowd_of(PIPELINES, PIPELINES, |_| {
        let stream = target.connect()?;
        let sent = flood(&stream, requests.as_bytes(), PIPELINE_BYTES, || {
            target.is_over()
        });
        target.note(match sent {
            PIPELINE_BYTES.. => "taken whole",
            _ => "not taken whole",
        });
        Some(stream)
    });
    target.hold(PIPELINE_DURATION);
    drop(kept);
}
