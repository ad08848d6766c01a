//! Clients of other protocols, or of none; and those that would like another one.

use std::net::TcpStream;
use std::time::Duration;

use super::super::target::{
    ATTACKERS, LAWFUL_BODY, LAWFUL_PATH, Reply, SMUGGLED, Target, read_reply,
};

const ATTEMPTS: usize = 1_000;

const UPGRADES: usize = 200;

/// For the honest client to be seen while all that is kept open is.
const HOLD_DURATION: Duration = Duration::from_secs(3);

/// Half of them hang up at once, half stay.
fn say(target: &Target, bytes: impl Fn(usize) -> Vec<u8> + Sync) {
    let kept = target.crowd(ATTEMPTS, |number| {
        let stream = target.open(&bytes(number))?;
        number.is_multiple_of(2).then_some(stream)
    });
    target.hold(HOLD_DURATION);
    drop(kept);
}

/// Requests of a version that is not spoken here.
pub fn http2_request_lines(target: &Target) {
    say(target, |_| {
        format!("GET /metrics HTTP/2.0\r\nHost: x\r\n\r\n{SMUGGLED}").into_bytes()
    });
}

/// RFC 9113 section 3.4, with an empty SETTINGS frame.
pub fn http2_prefaces(target: &Target) {
    say(target, |_| {
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_vec()
    });
}

/// What a client of TLS 1.2 and 1.3 begins with (RFC 8446 section 4.1.2).
pub fn tls_hellos(target: &Target) {
    say(target, |number| {
        let mut hello = vec![0x03, 0x03];
        let mut random = Random(number as u64);
        hello.extend((0..32).map(|_| random.byte()));
        // No session; two suites; no compression.
        hello.extend([0, 0, 4, 0x13, 0x01, 0xc0, 0x2f, 1, 0]);
        // supported_versions: 1.3 and 1.2.
        hello.extend([0, 9, 0, 43, 0, 5, 4, 0x03, 0x04, 0x03, 0x03]);
        let length = u8::try_from(hello.len()).expect("it is short");
        let handshake = [&[1, 0, 0, length], hello.as_slice()].concat();
        [&[22, 0x03, 0x01, 0, length + 4], handshake.as_slice()].concat()
    });
}

/// From none to some thousand bytes of noise, some with the ends of lines among them.
pub fn random_bytes(target: &Target) {
    say(target, |number| {
        let mut random = Random(number as u64);
        let length = usize::from(random.byte()) * usize::from(random.byte()) / 16;
        let mut bytes: Vec<u8> = (0..length).map(|_| random.byte()).collect();
        if number.is_multiple_of(3) {
            bytes.extend(b"\r\n\r\n");
        }
        bytes
    });
}

/// Java's client asks for HTTP/2 with each request, and takes no for an answer. It is a push like
/// any other.
pub fn upgrades(target: &Target) {
    let length = LAWFUL_BODY.len();
    let request = format!(
        "POST {LAWFUL_PATH} HTTP/1.1\r\nConnection: Upgrade, HTTP2-Settings\r\n\
         Content-Length: {length}\r\nHost: x\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\
         Upgrade: h2c\r\n\r\n{LAWFUL_BODY}"
    );
    target.crowd_of(ATTACKERS, UPGRADES, |_| -> Option<TcpStream> {
        target.sends_lawful(1);
        let Some(stream) = target.open(request.as_bytes()) else {
            target.complain("a push with Connection: Upgrade could not be sent");
            return None;
        };
        let (reply, _) = read_reply(stream);
        target.lawful_replied(reply);
        if reply != Reply::Code(200) {
            target.complain(format!("a push with Connection: Upgrade: {reply:?}"));
        }
        None
    });
    target.hold(HOLD_DURATION);
}

/// splitmix64.
struct Random(u64);

impl Random {
    fn byte(&mut self) -> u8 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (word ^ (word >> 31)).to_le_bytes()[0]
    }
}
