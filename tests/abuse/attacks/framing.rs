//! Framing that one reader sees and another does not (RFC 9112 sections 5.2, 6 and 11.2).

use std::io::Write;
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use super::super::sockets::connect_from;
use super::super::target::{PATIENCE, Reply, SMUGGLED, Target, read_reply};

const ROUNDS: usize = 3;
const HOLD_DURATION: Duration = Duration::from_secs(2);

/// How often one source address and port is connected to two local addresses.
const PAIRS: usize = 30;

/// A body that is a push, and one that is a request which pushes.
const BODIES: [&str; 2] = ["smuggled_total 1\n", SMUGGLED];

/// Headers that hide a length, which is `{}` here, or a coding. Only 400 and 501 are right.
fn hiding() -> Vec<Vec<u8>> {
    let mut hiding: Vec<Vec<u8>> = Vec::new();
    for (name, value) in [("Content-Length", "{}"), ("Transfer-Encoding", "chunked")] {
        let (start, end) = name.split_at(4);
        // Folded lines: the value, nothing, and the header itself.
        hiding.push(format!("{name}:\r\n {value}\r\n").into());
        hiding.push(format!("{name}:\r\n\t{value}\r\n").into());
        hiding.push(format!("{name}: {value}\r\n \r\n").into());
        hiding.push(format!("X-Fold: a\r\n {name}: {value}\r\n").into());
        hiding.push(format!(" {name}: {value}\r\n").into());
        for white in ["\u{b}", "\u{c}", "\r", "\0", "\u{1c}", "\u{7f}"] {
            hiding.push(format!("{name}:{white}{value}\r\n").into());
            hiding.push(format!("{name}: {value}{white}\r\n").into());
            hiding.push(format!("{name}{white}: {value}\r\n").into());
            hiding.push(format!("{white}{name}: {value}\r\n").into());
            hiding.push(format!("{start}{white}{end}: {value}\r\n").into());
            hiding.push(format!("X-Other: a{white}{name}: {value}\r\n").into());
        }
        for white in [" ", "\t"] {
            hiding.push(format!("{name}{white}: {value}\r\n").into());
        }
        hiding.push(format!("X-Other: a\n{name}: {value}\r\n").into());
        hiding.push(format!("{name}: {value}\nX-Other: a\r\n").into());
        // No-break space in two encodings, and the next line of ISO 8859.
        for white in [&b"\xc2\xa0"[..], b"\xa0", b"\x85"] {
            let name = name.as_bytes();
            hiding.push([name, white, b": ", value.as_bytes(), b"\r\n"].concat());
            hiding.push([name, b": ", white, value.as_bytes(), b"\r\n"].concat());
        }
    }
    hiding
}

/// A request with such a header, whose body is a push if the header is honoured, or if it is not.
fn hidden_request(header: &[u8], body: &str, has_plain_length: bool) -> Vec<u8> {
    let body = if contains(header, b"chunked") {
        format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len())
    } else {
        body.to_owned()
    };
    let length = body.len().to_string();
    let mut request = b"POST /metrics/job/framing HTTP/1.1\r\nHost: x\r\n".to_vec();
    if has_plain_length {
        request.extend(format!("Content-Length: {length}\r\n").into_bytes());
    }
    match header.windows(2).position(|at| at == b"{}") {
        Some(at) => {
            request.extend_from_slice(&header[..at]);
            request.extend_from_slice(length.as_bytes());
            request.extend_from_slice(&header[at + 2..]);
        }
        None => request.extend_from_slice(header),
    }
    request.extend_from_slice(b"\r\n");
    request.extend_from_slice(body.as_bytes());
    request
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|at| at == part)
}

/// Each of them with each body, alone and beside a length that is not hidden.
pub fn hidden(target: &Target) {
    let hiding = hiding();
    let variants = hiding.len() * BODIES.len() * 2;
    target.crowd(variants * ROUNDS, |number| -> Option<TcpStream> {
        let header = &hiding[number % hiding.len()];
        let variant = number / hiding.len();
        let body = BODIES[variant % BODIES.len()];
        let has_plain_length = !(variant / BODIES.len()).is_multiple_of(2);
        let (reply, _) = target.ask(&hidden_request(header, body, has_plain_length))?;
        if !matches!(reply, Reply::Code(400 | 501)) {
            let header = header.escape_ascii();
            target.complain(format!("\"{header}\": {reply:?} instead of 400 or 501"));
        }
        None
    });
    target.hold(HOLD_DURATION);
}

/// How the first of the two connections of a pair ends within its body.
#[derive(Clone, Copy)]
enum Cut {
    Closed,
    HalfClosed,
}

/// Two connections from one address and port to two addresses of the gateway. One is cut within a
/// chunked body, while the other one is alive. The cut one must not be merged.
pub fn same_source(target: &Target) {
    let cuts = [
        "11\r\nsmuggled_total 1\n\r\n",
        "11\r\nsmuggled_total 1\n\r\n0\r\n",
        "22\r\nsmuggled_total 1\n",
        "11\r\nsmuggled_total 1\n",
    ];
    let kept = target.crowd_of(1, PAIRS, |number| {
        let body = cuts[number % cuts.len()];
        let cut = match number / cuts.len() % 2 {
            0 => Cut::Closed,
            _ => Cut::HalfClosed,
        };
        let pair = connect_pair(target)?;
        cut_one(target, pair, body, cut)
    });
    target.hold(HOLD_DURATION);
    drop(kept);
}

fn connect_pair(target: &Target) -> Option<(TcpStream, TcpStream)> {
    let port = target.address.port();
    let to = |last| SocketAddr::from((Ipv4Addr::new(127, 0, 0, last), port));
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    target.attempts_more(2);
    let connected = connect_from(any, to(1), PATIENCE).and_then(|first| {
        let second = connect_from(first.local_addr()?, to(2), PATIENCE)?;
        Ok((first, second))
    });
    connected
        .map_err(|error| target.note(format!("no pair: {}", error.kind())))
        .ok()
}

/// Gives the connection that stays.
fn cut_one(
    target: &Target,
    (mut first, mut second): (TcpStream, TcpStream),
    body: &str,
    cut: Cut,
) -> Option<TcpStream> {
    let head = "POST /metrics/job/same HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
    second
        .write_all(b"GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n")
        .ok()?;
    let (reply, second) = read_reply(second);
    if reply != Reply::Code(200) {
        target.note(format!("the second connection: {reply:?}"));
    }
    first.write_all(head.as_bytes()).ok()?;
    first.write_all(body.as_bytes()).ok()?;
    match cut {
        Cut::Closed => drop(first),
        Cut::HalfClosed => {
            first.shutdown(Shutdown::Write).ok()?;
            let (reply, _) = read_reply(first);
            if reply == Reply::Code(200) {
                target.complain(format!(
                    "a cut body is acknowledged: {}",
                    body.escape_debug()
                ));
            }
        }
    }
    Some(second)
}
