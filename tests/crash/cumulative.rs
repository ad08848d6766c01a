//! Cumulative senders: each pusher pushes its state, again and again, some of it twice.
//!
//! What it has pushed last is what is scraped, or what it is pushing: the law is the same as for
//! increments, with values in the place of counts.

use std::sync::atomic::Ordering::SeqCst;
use std::thread;
use std::time::Instant;

use super::client::Connection;
use super::ledger::body;
use super::{PAUSE_DURATION, RETRY_DURATION, Run};

/// Of so many pushes, one is sent again.
const PUSHES_BETWEEN_REPEATS: u64 = 3;

impl Run {
    /// Pushes at full speed.
    pub fn push_as_sender(&self, number: usize) {
        let pusher = &self.ledger.pushers[number];
        let mut kept: Option<Connection> = None;
        for value in 1.. {
            let request = self.state_request(number, value);
            let is_repeated = value.is_multiple_of(PUSHES_BETWEEN_REPEATS);
            for _ in 0..=u8::from(is_repeated) {
                if self.is_over.load(SeqCst) {
                    return;
                }
                pusher.sent.store(value, SeqCst);
                let started = Instant::now();
                let outcome = self.send_once(&request, &mut kept, number.is_multiple_of(2));
                self.ledger.took(started.elapsed());
                match outcome {
                    Ok(answer) if answer.code == 200 => {
                        pusher.acknowledged.store(value, SeqCst);
                    }
                    Ok(answer) if answer.code == 503 => {
                        self.ledger
                            .trouble(format!("state: 503: {}", answer.body.trim_end()));
                    }
                    Ok(answer) => self
                        .ledger
                        .fault(format!("a state was answered {answer:?}")),
                    Err(why) => {
                        self.ledger.unanswered("state", why);
                        thread::sleep(RETRY_DURATION);
                    }
                }
            }
            if number == 0 {
                thread::sleep(PAUSE_DURATION);
            }
        }
    }

    fn state_request(&self, number: usize, value: u64) -> String {
        let body = body(number, value, self.mode.comment_bytes);
        let length = body.len();
        format!(
            "PUT /metrics/job/crash/instance/{number} HTTP/1.1\r\nHost: x\r\n\
             Content-Length: {length}\r\n\r\n{body}"
        )
    }
}
