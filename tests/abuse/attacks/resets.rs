//! Connections that end as if a cable was cut.

use std::net::TcpStream;
use std::time::Duration;

use rustix::net::sockopt::set_socket_linger;

use super::super::gateway::descriptors;
use super::super::target::{LAWFUL_BODY, LAWFUL_PATH, Target};
use super::slow::wait_for_descriptors;

const ATTEMPTS: usize = 3_000;
const HOLD_DURATION: Duration = Duration::from_secs(2);

/// After nothing, within a head, within a body, after a push, while a scrape is on its way.
pub fn resets(target: &Target) {
    let length = LAWFUL_BODY.len();
    let push = format!(
        "POST {LAWFUL_PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n{LAWFUL_BODY}"
    );
    let before = descriptors(target.process);
    let begins = [
        "",
        "POST /metrics/job/resets HTTP/1.1\r\nContent-Le",
        "POST /metrics/job/resets HTTP/1.1\r\nContent-Length: 100000\r\n\r\nsmuggled_total 1\n",
        "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n",
        &push,
    ];
    target.crowd(ATTEMPTS, |number| -> Option<TcpStream> {
        let begin = begins[number % begins.len()];
        if begin == push {
            // Whether it is merged is not known, but that it is so once at most.
            target.sends_lawful(1);
        }
        let stream = target.open(begin.as_bytes())?;
        // Closed without a farewell, at the end of this.
        let _ = set_socket_linger(&stream, Some(Duration::ZERO));
        None
    });
    target.hold(HOLD_DURATION);
    wait_for_descriptors(target, before);
}
