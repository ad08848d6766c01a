//! Heads that are odd, old or wrong, and pushes that arrive in unusual ways.

use std::net::TcpStream;
use std::time::Duration;

use super::super::client::Connection;
use super::super::target::{LAWFUL_BODY, LAWFUL_PATH, PATIENCE, Reply, SMUGGLED, Target, reply_of};

const ROUNDS: usize = 5;
const HOLD_DURATION: Duration = Duration::from_secs(2);

/// A body over any limit.
const TOO_LONG: &str = "1000000000000";

/// What may become of a push.
#[derive(Clone, Copy)]
enum Verdict {
    /// It is answered with 200, and counts.
    Accepted,
    /// If it is answered with 200, it counts; any refusal is right as well.
    Either,
    /// It is not answered with 200, and does not count.
    Refused,
}

use Verdict::{Accepted, Either, Refused};

/// Version, headers and how it is to end.
type Case = (&'static str, &'static str, Verdict);

const HEADS: &[Case] = &[
    ("HTTP/1.0", "", Accepted),
    ("HTTP/1.0", "Connection: keep-alive\r\n", Accepted),
    ("HTTP/1.1", "", Accepted),
    ("HTTP/1.1", "Connection: close\r\n", Accepted),
    ("HTTP/1.1", "connection: ClOsE\r\n", Accepted),
    // RFC 9112 section 3.2: more than one Host is refused.
    ("HTTP/1.1", "HOST: y\r\n", Refused),
    (
        "HTTP/1.1",
        "X-Tab:\ta\t\r\nX-Bare:a\r\nX-Empty:\r\n",
        Accepted,
    ),
    ("HTTP/0.9", "", Either),
    ("HTTP/3.0", "", Refused),
    ("HTTP/1.1 ", "", Either),
    ("HTTP/1.1x", "", Refused),
    ("http/1.1", "", Refused),
    ("HTTP/1.1", "X-Name: gr\u{fc}\u{df}e\r\n", Either),
    ("HTTP/1.1", "gr\u{fc}\u{df}e: 1\r\n", Either),
    ("HTTP/1.1", "X-Nul: a\0b\r\n", Either),
    ("HTTP/1.1", "X-Return: a\rb\r\n", Either),
    ("HTTP/1.1", "X-Fold: a\r\n b\r\n", Either),
    ("HTTP/1.1", "no colon\r\n", Refused),
    ("HTTP/1.1", ": no name\r\n", Either),
    ("HTTP/1.1", "Content-Length : 0\r\n", Refused),
    ("HTTP/1.1", "Transfer-Encoding : chunked\r\n", Refused),
    ("HTTP/1.1", " Content-Length: 0\r\n", Refused),
    ("HTTP/1.1", "Transfer-Encoding:\r\n chunked\r\n", Refused),
    ("HTTP/1.1", "Transfer-Encoding: \u{b}chunked\r\n", Refused),
    ("HTTP/1.1", "X-Feed: a\nContent-Length: 0\r\n", Refused),
    (
        "HTTP/1.1",
        "X-Feed: a\nTransfer-Encoding: chunked\r\n",
        Refused,
    ),
    ("HTTP/1.1", "X-Feed: a\n\n", Refused),
    ("HTTP/1.1", "Expect: nonsense\r\n", Either),
];

/// Each of the heads, with a push behind it. Then some that are no heads.
pub fn heads(target: &Target) {
    target.crowd(HEADS.len() * ROUNDS, |number| -> Option<TcpStream> {
        let (version, headers, verdict) = HEADS[number % HEADS.len()];
        let (path, body) = match verdict {
            Accepted | Either => (LAWFUL_PATH, LAWFUL_BODY),
            Refused => ("/metrics/job/heads", "smuggled_total 1\n"),
        };
        let length = body.len();
        // The length comes last: what is odd may hide another one.
        let request = format!(
            "POST {path} {version}\r\nHost: x\r\n{headers}Content-Length: {length}\r\n\r\n{body}"
        );
        let name = format!("{version} {headers}");
        judge(target, &name, request.as_bytes(), verdict);
        None
    });
    let length = LAWFUL_BODY.len();
    let lone_feeds =
        format!("POST {LAWFUL_PATH} HTTP/1.1\nHost: x\nContent-Length: {length}\n\n{LAWFUL_BODY}");
    let long_path = format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "a".repeat(1 << 20));
    let others = [
        (lone_feeds.clone(), Either),
        (lone_feeds + "\r\n\r\n", Either),
        (
            format!(
                "\r\n\r\nPOST {LAWFUL_PATH} HTTP/1.1\r\nContent-Length: {length}\r\n\r\n\
                 {LAWFUL_BODY}"
            ),
            Either,
        ),
        (format!("POST\r\n\r\n{SMUGGLED}"), Refused),
        (
            format!("POST /metrics/job/heads\r\n\r\n{SMUGGLED}"),
            Refused,
        ),
        (
            format!("POST  /metrics/job/heads HTTP/1.1\r\n\r\n{SMUGGLED}"),
            Refused,
        ),
        (
            format!("P\0ST /metrics HTTP/1.1\r\n\r\n{}", "\0".repeat(99)),
            Refused,
        ),
        (long_path, Refused),
    ];
    target.crowd(others.len(), |number| -> Option<TcpStream> {
        let (request, verdict) = &others[number];
        let name: String = request.chars().take(40).collect();
        judge(target, &name, request.as_bytes(), *verdict);
        None
    });
    target.hold(HOLD_DURATION);
}

fn judge(target: &Target, name: &str, request: &[u8], verdict: Verdict) {
    let name = name.escape_debug();
    if !matches!(verdict, Refused) {
        target.sends_lawful(1);
    }
    let Some((reply, _)) = target.ask(request) else {
        return target.complain(format!("\"{name}\": not connected"));
    };
    match (verdict, reply) {
        (Accepted | Either, Reply::Code(200)) => target.lawful_replied(reply),
        (Either, _) => {}
        (Refused, reply) if reply != Reply::Code(200) => {}
        (Accepted | Refused, _) => target.complain(format!("\"{name}\": {reply:?}")),
    }
    if matches!(verdict, Either) {
        target.note(format!("\"{name}\": {reply:?}"));
    }
}

/// Clients that ask before they send a body.
pub fn expectations(target: &Target) {
    target.crowd(200, |number| -> Option<TcpStream> {
        let stream = target.connect()?;
        let mut connection = Connection::of(stream);
        match number % 4 {
            0 => refused(target, &mut connection),
            1 => expect(target, &mut connection, Patience::ForContinue),
            _ => expect(target, &mut connection, Patience::None),
        }
        None
    });
    target.hold(HOLD_DURATION);
}

/// Whether a client waits before it sends the body.
#[derive(Clone, Copy, PartialEq)]
enum Patience {
    ForContinue,
    None,
}

fn expect(target: &Target, connection: &mut Connection, patience: Patience) {
    let length = LAWFUL_BODY.len();
    let head = format!(
        "POST {LAWFUL_PATH} HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n\
         Content-Length: {length}\r\n\r\n"
    );
    target.sends_lawful(1);
    let mut ask = || {
        connection.send(head.as_bytes())?;
        if patience == Patience::ForContinue {
            let code = connection.answer()?.code;
            if code != 100 {
                return Ok(code);
            }
        }
        connection.send(LAWFUL_BODY.as_bytes())?;
        match connection.answer()?.code {
            100 => Ok(connection.answer()?.code),
            code => Ok(code),
        }
    };
    let reply = reply_of(ask());
    target.lawful_replied(reply);
    if reply != Reply::Code(200) {
        target.complain(format!("Expect: 100-continue: {reply:?}"));
    }
}

/// Asks for what is refused.
fn refused(target: &Target, connection: &mut Connection) {
    let head = format!(
        "POST /metrics/job/heads HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n\
         Content-Length: {TOO_LONG}\r\n\r\n"
    );
    let answer = connection.round_trip(head.as_bytes());
    let reply = reply_of(answer.map(|answer| answer.code));
    if !matches!(reply, Reply::Code(413 | 417) | Reply::Closed) {
        target.complain(format!("Expect: 100-continue, too long: {reply:?}"));
    }
}

/// Many pushes in one write.
pub fn pipelined_pushes(target: &Target) {
    const PUSHES: u64 = 20;
    let length = LAWFUL_BODY.len();
    let push = format!(
        "POST {LAWFUL_PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n{LAWFUL_BODY}"
    );
    let pushes = push.repeat(usize::try_from(PUSHES).expect("it is small"));
    target.crowd(100, |_| -> Option<TcpStream> {
        target.attempts_more(PUSHES - 1);
        let stream = target.connect()?;
        let mut connection = Connection::of(stream);
        target.sends_lawful(PUSHES);
        if connection.send(pushes.as_bytes()).is_err() {
            target.complain(format!("{PUSHES} pushes in one write: not taken"));
            return None;
        }
        for _ in 0..PUSHES {
            let reply = reply_of(connection.answer().map(|answer| answer.code));
            target.lawful_replied(reply);
            if reply != Reply::Code(200) {
                let line = format!("{reply:?} within {PATIENCE:?}");
                target.complain(format!("{PUSHES} pushes in one write: {line}"));
                break;
            }
        }
        None
    });
    target.hold(HOLD_DURATION);
}
