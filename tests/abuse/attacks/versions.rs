//! Requests of old and new versions of HTTP, and of bytes from 0x80, which each have one right
//! answer.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use super::super::target::{LAWFUL_BODY, LAWFUL_PATH, Reply, Target};

const ATTEMPTS: usize = 100;
const HOLD_DURATION: Duration = Duration::from_secs(2);

/// HTTP/2 without a negotiation is refused within this.
const PREFACE_PATIENCE: Duration = Duration::from_secs(1);

/// Values that proxies set: they may hold any byte from 0x80 (RFC 9110 section 5.5).
pub fn non_ascii_headers(target: &Target) {
    let values: [&[u8]; 4] = [
        "CF-Region: S\u{e3}o Paulo".as_bytes(),
        b"X-Forwarded-User: J\xfcrgen",
        "X-Name: \u{65e5}\u{672c}".as_bytes(),
        b"X-Bytes: \x80\x85\xa0\xff",
    ];
    let length = LAWFUL_BODY.len();
    let head = format!("POST {LAWFUL_PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n");
    target.crowd(ATTEMPTS, |number| -> Option<TcpStream> {
        let value = values[number % values.len()];
        let request = [head.as_bytes(), value, b"\r\n\r\n", LAWFUL_BODY.as_bytes()];
        target.sends_lawful(1);
        let (reply, _) = target.ask(&request.concat())?;
        target.lawful_replied(reply);
        if reply != Reply::Code(200) {
            target.complain(format!("\"{}\": {reply:?}", value.escape_ascii()));
        }
        None
    });
    target.hold(HOLD_DURATION);
}

/// A body that ends where the connection does cannot be told from one that is cut.
pub fn http10_no_length(target: &Target) {
    target.crowd(ATTEMPTS, |number| -> Option<TcpStream> {
        let body = match number % 2 {
            0 => "smuggled_total 1\n",
            _ => "",
        };
        let request = format!("POST /metrics/job/old HTTP/1.0\r\nHost: x\r\n\r\n{body}");
        let (reply, _) = target.ask(request.as_bytes())?;
        if reply != Reply::Code(411) {
            target.complain(format!("HTTP/1.0 POST without a length: {reply:?}"));
        }
        None
    });
    target.hold(HOLD_DURATION);
}

/// RFC 9113 section 3.3, with an empty SETTINGS frame.
pub fn http2_preface(target: &Target) {
    target.crowd(ATTEMPTS, |_| -> Option<TcpStream> {
        let started = Instant::now();
        let (reply, _) = target.ask(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0")?;
        let passed = started.elapsed();
        if reply != Reply::Code(505) || passed > PREFACE_PATIENCE {
            target.complain(format!(
                "HTTP/2 preface: {reply:?} within {}s",
                passed.as_secs() + 1
            ));
        }
        None
    });
    target.hold(HOLD_DURATION);
}

/// An interim answer has no body, so it has no length (RFC 9110 section 8.6).
pub fn continue_framing(target: &Target) {
    let length = LAWFUL_BODY.len();
    let head = format!(
        "POST {LAWFUL_PATH} HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n\
         Content-Length: {length}\r\n\r\n"
    );
    target.crowd(ATTEMPTS, |_| -> Option<TcpStream> {
        let mut stream = target.open(head.as_bytes())?;
        let mut interim = String::new();
        let mut reader = BufReader::new(stream.try_clone().ok()?);
        while reader
            .read_line(&mut interim)
            .is_ok_and(|length| length > 2)
        {}
        let lower = interim.to_ascii_lowercase();
        if !lower.starts_with("http/1.1 100 ") {
            target.complain(format!(
                "Expect: 100-continue: \"{}\"",
                interim.escape_debug()
            ));
            return None;
        }
        if lower.contains("content-length") || lower.contains("transfer-encoding") {
            target.complain("100 Continue has a length");
        }
        target.sends_lawful(1);
        stream.write_all(LAWFUL_BODY.as_bytes()).ok()?;
        let mut status = [0; 12];
        let is_accepted = reader.read_exact(&mut status).is_ok() && &status == b"HTTP/1.1 200";
        if is_accepted {
            target.lawful_replied(Reply::Code(200));
        } else {
            target.complain(format!("after 100 Continue: {}", status.escape_ascii()));
        }
        None
    });
    target.hold(HOLD_DURATION);
}
