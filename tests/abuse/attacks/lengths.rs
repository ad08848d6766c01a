//! Lengths that are absurd, unreadable or in doubt (RFC 9112 section 6.3).

use std::net::TcpStream;
use std::time::Duration;

use super::super::target::{ATTACKERS, Reply, SMUGGLED, Target, flood, read_reply};

const ATTEMPTS: usize = 1_000;

/// So many connections are kept open until the end.
const KEPT_MAX: usize = 400;

/// Where a body never ends, this much of it is sent.
const ENDLESS_BYTES: usize = 64 << 20;

/// A body that may still come: nothing is to be answered yet.
const UNFINISHED_PATIENCE: Duration = Duration::from_millis(200);

/// For the honest client to be seen while all that is kept open is.
const HOLD_DURATION: Duration = Duration::from_secs(2);

/// How a body is announced.
struct Announced {
    headers: String,
    length: Length,
}

/// What a reader may make of it.
#[derive(Clone, Copy, PartialEq)]
enum Length {
    /// The gateway takes bodies of this length, and may wait for the end of one.
    WithinLimit,
    /// It is not to be taken, but one may wait for a few bytes before one looks.
    Short,
    /// There is nothing to wait for.
    Refused,
}

fn announced() -> Vec<Announced> {
    let one = |length: &str| format!("Content-Length: {length}\r\n");
    let powers = (6..=25).map(|zeros| Announced {
        headers: one(&format!("1{}", "0".repeat(zeros))),
        length: if zeros <= 7 {
            Length::WithinLimit
        } else {
            Length::Refused
        },
    });
    let absurd = [
        // 2^63 - 1 to 2^64.
        "9223372036854775807",
        "9223372036854775808",
        "18446744073709551615",
        "18446744073709551616",
        "abc",
        "-5",
        "",
        "5, 5",
        "0x10",
    ];
    let absurd = absurd.map(|length| (one(length), Length::Refused));
    let short = [
        one("+5"),
        one("5").repeat(2),
        one("5") + &one("80"),
        one("80") + &one("5"),
    ];
    let short = short.map(|headers| (headers, Length::Short));
    let others = absurd.into_iter().chain(short);
    powers
        .chain(others.map(|(headers, length)| Announced { headers, length }))
        .collect()
}

/// What comes behind the head.
#[derive(Clone, Copy, PartialEq)]
enum Behind {
    Nothing,
    /// A push, which nobody may take for one.
    Little,
    Endless,
}

impl Behind {
    const ALL: [Behind; 3] = [Behind::Nothing, Behind::Little, Behind::Endless];
}

/// Each of the lengths with each of the bodies, hung up on at once.
pub fn hung_up(target: &Target) {
    let announced = announced();
    target.crowd(ATTEMPTS, |number| -> Option<TcpStream> {
        let (announced, behind) = pick(&announced, number);
        send(target, announced, behind);
        None
    });
    target.hold(HOLD_DURATION);
}

/// The same, kept open. What is answered is 400 or 413.
pub fn kept_open(target: &Target) {
    let announced = announced();
    let mut kept = target.crowd(ATTEMPTS, |number| {
        let (announced, behind) = pick(&announced, number);
        let stream = send(target, announced, behind)?;
        let is_unfinished = match announced.length {
            Length::WithinLimit => behind != Behind::Endless,
            Length::Short => behind == Behind::Nothing,
            Length::Refused => false,
        };
        if is_unfinished {
            // A timeout that is not zero can be set.
            let _ = stream.set_read_timeout(Some(UNFINISHED_PATIENCE));
        }
        let (reply, stream) = read_reply(stream);
        match reply {
            Reply::Code(400 | 413) => Some(stream),
            Reply::Silence if is_unfinished => Some(stream),
            // It may have been answered while more was sent; that takes the answer away.
            Reply::Closed => {
                target.note("closed without a readable answer");
                None
            }
            reply => {
                let headers = announced.headers.escape_debug();
                target.complain(format!("\"{headers}\": {reply:?} instead of 400 or 413"));
                None
            }
        }
        .filter(|_| number < KEPT_MAX * 2)
    });
    kept.truncate(KEPT_MAX);
    target.hold(HOLD_DURATION);
}

fn pick(announced: &[Announced], number: usize) -> (&Announced, Behind) {
    let behind = Behind::ALL[number / announced.len() % Behind::ALL.len()];
    (&announced[number % announced.len()], behind)
}

fn send(target: &Target, announced: &Announced, behind: Behind) -> Option<TcpStream> {
    let mut request = format!(
        "POST /metrics/job/lengths HTTP/1.1\r\nHost: x\r\n{}\r\n",
        announced.headers
    );
    if behind == Behind::Little {
        request.push_str(SMUGGLED);
    }
    let stream = target.open(request.as_bytes())?;
    if behind == Behind::Endless {
        // Behind a body that is over, a push would be one.
        let piece = if announced.length == Length::WithinLimit {
            "x".repeat(1 << 16)
        } else {
            SMUGGLED.repeat((1 << 16) / SMUGGLED.len())
        };
        flood(&stream, piece.as_bytes(), ENDLESS_BYTES, || {
            target.is_over()
        });
    }
    Some(stream)
}

/// Messages of which two readers may see two different ends. A push stands behind each end.
pub fn ambiguous(target: &Target) {
    let framings: Vec<String> = framings();
    target.crowd_of(ATTACKERS, ATTEMPTS, |number| -> Option<TcpStream> {
        let framing = &framings[number % framings.len()];
        // The end of a chunked body, which is the begin of one with a length.
        let request = format!(
            "POST /metrics/job/lengths HTTP/1.1\r\nHost: x\r\n{framing}\r\n0\r\n\r\n{SMUGGLED}"
        );
        let (reply, _) = target.ask(request.as_bytes())?;
        if !matches!(reply, Reply::Code(400 | 413 | 501) | Reply::Closed) {
            let framing = framing.escape_debug();
            target.complain(format!("\"{framing}\": {reply:?} instead of a refusal"));
        }
        None
    });
    target.hold(HOLD_DURATION);
}

fn framings() -> Vec<String> {
    // To the end of what is sent, and to the end of the chunked body.
    let whole = "0\r\n\r\n".len() + SMUGGLED.len();
    let lengths = [
        format!("Content-Length: {whole}\r\n"),
        "Content-Length: 5\r\n".to_owned(),
        "Content-Length: 0\r\n".to_owned(),
    ];
    let coding = |coding: &str| format!("Transfer-Encoding: {coding}\r\n");
    let chunked = coding("chunked");
    let mut framings: Vec<String> = lengths
        .iter()
        .flat_map(|length| [format!("{length}{chunked}"), format!("{chunked}{length}")])
        .collect();
    framings.extend(
        [
            "gzip",
            "gzip, chunked",
            "chunked, gzip",
            "chunked, chunked",
            "identity",
            "identity, chunked",
            "xchunked",
            "chunkedx",
            "",
        ]
        .map(coding),
    );
    framings.extend([
        chunked.repeat(2),
        chunked.clone() + &coding("identity"),
        coding("identity") + &chunked,
        lengths[0].repeat(2),
        format!("{}{}", lengths[1], lengths[0]),
        format!("{}{}", lengths[2], lengths[0]),
    ]);
    framings
}
