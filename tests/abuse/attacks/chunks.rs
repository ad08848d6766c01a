//! Chunked bodies that are wrong, odd or endless (RFC 9112 section 7.1).

use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use super::super::target::{LAWFUL_BODY, LAWFUL_PATH, PATIENCE, Reply, Target, flood, read_reply};

const ROUNDS: usize = 30;

/// Enough for bodies and lines that never end, with so many at once.
const ENDLESS: usize = 24;
const ENDLESS_AT_ONCE: usize = 8;
const ENDLESS_BYTES: usize = 64 << 20;

/// A gateway that takes so much has failed, and the machine is to be spared.
const SPARED_MEBIBYTES: u64 = 2_048;

const HOLD_DURATION: Duration = Duration::from_secs(2);

/// How a client leaves.
#[derive(Clone, Copy)]
enum Ending {
    HungUp,
    /// It says that nothing more will come, and waits for the answer.
    HalfClosed,
    KeptOpen,
}

impl Ending {
    const ALL: [Ending; 3] = [Ending::HungUp, Ending::HalfClosed, Ending::KeptOpen];
}

fn head(path: &str) -> String {
    format!("POST {path} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
}

/// Bodies that are no bodies, of which nothing may be merged.
fn wrong() -> Vec<String> {
    let chunk = |size: &str| format!("{size}\r\nsmuggled_total 1\n");
    let mut wrong: Vec<String> = [
        "FFFFFFFFFFFFFFFF",
        "7FFFFFFFFFFFFFFF",
        "8000000000000000",
        "10000000000000000",
        "10000000000000011",
        "-1",
        "-11",
        "0x11",
        "1 1",
        "",
        "zz",
        "11\r",
    ]
    .into_iter()
    .flat_map(|size| [chunk(size), format!("{}\r\n0\r\n\r\n", chunk(size))])
    .collect();
    wrong.extend([
        // No end of the data; another one; none of the body; a chunk that says too little.
        "11\r\nsmuggled_total 1\n0\r\n\r\n".to_owned(),
        "11\r\nsmuggled_total 1\nXX0\r\n\r\n".to_owned(),
        "11\r\nsmuggled_total 1\n\r\n".to_owned(),
        "11\r\nsmuggled_total 1\n\r\n0\r\nX".to_owned(),
        "10\r\nsmuggled_total 1\n\r\n0\r\n\r\n".to_owned(),
    ]);
    wrong
}

/// Bodies that may be taken or refused, each as a whole.
fn odd() -> Vec<String> {
    let chunk = |size: &str| format!("{size}\r\n{LAWFUL_BODY}\r\n0\r\n\r\n");
    let extension = "e".repeat(64 << 10);
    vec![
        chunk("f"),
        chunk("F"),
        chunk("000000000000000000000000F"),
        chunk("+f"),
        chunk(" f"),
        chunk("f "),
        chunk("f;name=value"),
        chunk("f ; name=\"va;lue\""),
        chunk(&format!("f ;ext={extension}")),
        format!("f\r\n{LAWFUL_BODY}\r\n0;last\r\n\r\n"),
        format!("f\r\n{LAWFUL_BODY}\r\n0\r\nX-Trailer: 1\r\nContent-Length: 5\r\n\r\n"),
        format!("f\n{LAWFUL_BODY}\n0\n\n"),
    ]
}

/// Sizes, extensions and trailers.
pub fn sizes(target: &Target) {
    let wrong = wrong();
    let endings = Ending::ALL.len();
    let kept = target.crowd(wrong.len() * ROUNDS, |number| {
        let request = head("/metrics/job/chunks") + &wrong[number % wrong.len()];
        let stream = target.open(request.as_bytes())?;
        match Ending::ALL[number / wrong.len() % endings] {
            Ending::HungUp => None,
            Ending::KeptOpen => Some(stream),
            Ending::HalfClosed => {
                // It may have ended already.
                let _ = stream.shutdown(Shutdown::Write);
                let (reply, _) = read_reply(stream);
                if !matches!(reply, Reply::Code(400 | 413) | Reply::Closed) {
                    let body = wrong[number % wrong.len()].escape_debug();
                    target.complain(format!("\"{body}\": {reply:?} instead of a refusal"));
                }
                None
            }
        }
    });
    let odd = odd();
    target.crowd(odd.len(), |number| -> Option<TcpStream> {
        let request = head(LAWFUL_PATH) + &odd[number];
        target.sends_lawful(1);
        let (reply, _) = target.ask(request.as_bytes())?;
        target.lawful_replied(reply);
        let body = odd[number].chars().take(24).collect::<String>();
        let body = body.escape_debug();
        target.note(format!("\"{body}\": {reply:?}"));
        if !matches!(
            reply,
            Reply::Code(200 | 400 | 408) | Reply::Closed | Reply::Silence
        ) {
            target.complain(format!("\"{body}\": {reply:?}"));
        }
        None
    });
    target.hold(HOLD_DURATION);
    drop(kept);
}

/// Lines of sizes, extensions and trailers that do not end.
pub fn endless_lines(target: &Target) {
    let begins = [
        "",
        "0",
        "5;ext=",
        "11\r\nsmuggled_total 1\n\r\n0\r\nX-Trailer: ",
    ];
    let pieces = ["0", "0", "a", "a"].map(|byte| byte.repeat(1 << 16));
    let kept = target.crowd_of(ENDLESS_AT_ONCE, ENDLESS, |number| {
        let at = number % begins.len();
        let stream = target.open((head("/metrics/job/chunks") + begins[at]).as_bytes())?;
        let is_enough = || target.is_over() || target.memory_mebibytes() > SPARED_MEBIBYTES;
        let sent = flood(&stream, pieces[at].as_bytes(), ENDLESS_BYTES, is_enough);
        target.note(match sent {
            ENDLESS_BYTES.. => "taken whole",
            _ => "cut off",
        });
        Some(stream)
    });
    target.hold(HOLD_DURATION);
    drop(kept);
}

/// Bodies over the limit that never say how long they are.
pub fn too_long(target: &Target) {
    const CHUNK_BYTES: usize = 1 << 16;
    let lines = "# nothing but a comment, which is as good as any other line\n";
    let comment = lines.repeat(CHUNK_BYTES / lines.len());
    let chunk = format!("{:x}\r\n{comment}\r\n", comment.len());
    let kept = target.crowd_of(ENDLESS_AT_ONCE, ENDLESS, |_| {
        let begin = head("/metrics/job/chunks") + "11\r\nsmuggled_total 1\n\r\n";
        let stream = target.open(begin.as_bytes())?;
        let sent = flood(&stream, chunk.as_bytes(), ENDLESS_BYTES, || {
            target.is_over()
        });
        let _ = stream.set_read_timeout(Some(PATIENCE));
        let (reply, stream) = read_reply(stream);
        match reply {
            Reply::Code(413 | 400) | Reply::Closed => target.note(format!("{reply:?}")),
            _ => target.complain(format!("after {sent} bytes: {reply:?} instead of 413")),
        }
        Some(stream)
    });
    target.hold(HOLD_DURATION);
    drop(kept);
}
