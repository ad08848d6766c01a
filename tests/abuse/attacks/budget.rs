//! More bodies under way than there is memory for.

use std::io::Write;
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use super::super::target::{LAWFUL_BODY, LAWFUL_PATH, Reply, Target, read_reply};

/// A budget of 64 MiB, four times the longest body.
pub const FLAGS: &[(&str, &str)] = &[("-max-buffered-bytes", "67108864"), ("-body-timeout", "8s")];

/// The budget, and as much again for all else.
pub const MEBIBYTES_MAX: u64 = 128;

const BODY_BYTES: usize = 16 << 20;
const UPLOADS: usize = 60;
const DECLARED: usize = 600;
const DURATION: Duration = Duration::from_secs(10);

/// A sender that is not slow, and does nothing wrong: 1 MiB/s.
const STEADY_BYTES: usize = 4 << 20;
const STEADY_PIECE_BYTES: usize = 64 << 10;
const STEADY_INTERVAL: Duration = Duration::from_millis(62);

fn head(path: &str, length: usize) -> String {
    format!("POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n")
}

/// Comments, which cost no series.
fn comments(bytes: usize) -> String {
    let line = "# nothing but a comment, which is as good as any other line 0123\n";
    let mut comments = line.repeat(bytes / line.len() + 1);
    comments.truncate(bytes - 1);
    comments.push('\n');
    comments
}

/// Bodies of 16 MiB that stall at different points, some 500 MB together. A sender that does not
/// stall is waited for.
pub fn stalled_uploads(target: &Target) {
    let body = comments(BODY_BYTES);
    let head = head("/metrics/job/budget", BODY_BYTES);
    thread::scope(|scope| {
        scope.spawn(|| send_steadily(target));
        let kept = target.crowd_of(UPLOADS, UPLOADS, |number| {
            let stream = target.open(head.as_bytes())?;
            // A timeout that is not zero can be set.
            let _ = stream.set_write_timeout(Some(Duration::from_secs(2)));
            let sent = BODY_BYTES / (UPLOADS + 1) * (number + 1);
            let taken = (&stream).write_all(&body.as_bytes()[..sent]).is_ok();
            target.note(if taken {
                "taken up to its stall"
            } else {
                "paused or closed before"
            });
            Some(stream)
        });
        target.hold(DURATION);
        drop(kept);
    });
}

/// One lawful push within a long body, at a steady rate.
fn send_steadily(target: &Target) {
    let body = comments(STEADY_BYTES) + LAWFUL_BODY;
    target.sends_lawful(1);
    let Some(mut stream) = target.open(head(LAWFUL_PATH, body.len()).as_bytes()) else {
        return target.complain("the steady sender is not connected");
    };
    // The gateway may let it wait.
    let _ = stream.set_write_timeout(Some(Duration::from_secs(15)));
    let _ = stream.set_read_timeout(Some(Duration::from_secs(15)));
    for piece in body.as_bytes().chunks(STEADY_PIECE_BYTES) {
        if let Err(error) = stream.write_all(piece) {
            target.note(format!("the steady sender: {error}"));
            break;
        }
        thread::sleep(STEADY_INTERVAL);
    }
    let (reply, _) = read_reply(stream);
    target.lawful_replied(reply);
    if reply != Reply::Code(200) {
        target.complain(format!("the steady sender: {reply:?}"));
    }
}

/// Declared lengths of 10 GB together, of which almost nothing is sent. They cost what was sent,
/// and nobody is refused for what they declare.
pub fn declared_lengths(target: &Target) {
    let begin = head("/metrics/job/budget", BODY_BYTES) + "smuggled_total 1\n";
    let kept: Vec<TcpStream> = target.crowd(DECLARED, |_| target.open(begin.as_bytes()));
    target.hold(DURATION / 2);
    let too_long = head("/metrics/job/budget", 2 * BODY_BYTES);
    if let Some((reply, _)) = target.ask(too_long.as_bytes())
        && reply != Reply::Code(413)
    {
        target.complain(format!("a declared length over the limit: {reply:?}"));
    }
    drop(kept);
}
