//! Series that fall silent are forgotten after `-expire-after`, not before, and only they are.

use std::sync::atomic::Ordering::SeqCst;
use std::thread;
use std::time::{Duration, Instant};

use super::client::{Answer, get};
use super::{RETRY_DURATION, Run};

/// The flag's value in this mode.
const SILENCE_DURATION: Duration = Duration::from_secs(10);

/// Series know whole seconds, the gateway looks every second, and the machine is busy.
const TOLERANCE_DURATION: Duration = Duration::from_secs(4);

const PUSH_INTERVAL: Duration = Duration::from_millis(250);

const PATIENCE: Duration = Duration::from_millis(20);

/// A series that was pushed once.
struct Silent {
    number: u64,
    /// Before it was sent, and after it was acknowledged.
    sent: Instant,
    acknowledged: Instant,
}

impl Run {
    /// Pushes one series after the other, each once, and looks at them all the time. Silence counts
    /// only while the gateway runs: after a kill it begins anew.
    pub fn watch_silence(&self) {
        let mut silent: Vec<Silent> = Vec::new();
        let mut number = 0;
        let (mut life, mut born) = (0, Instant::now());
        while !self.is_over.load(SeqCst) {
            let life_now = self.ledger.kills.load(SeqCst);
            if life_now != life {
                (life, born) = (life_now, Instant::now());
            }
            if silent
                .last()
                .is_none_or(|last| last.sent.elapsed() > PUSH_INTERVAL)
            {
                number += 1;
                silent.extend(self.push_silent(number));
            }
            let before = Instant::now();
            let page = get(self.program.address, "/metrics");
            let after = Instant::now();
            if let Ok(page) = page
                && life == self.ledger.kills.load(SeqCst)
            {
                silent.retain(|one| self.is_there(one, &page, (before, after), born));
            }
            thread::sleep(PATIENCE);
        }
        let life = self.mode.life_microseconds.0;
        let expired = self.program.log().matches("expired: ").count();
        if born.elapsed() > Duration::from_micros(life) && expired == 0 {
            self.ledger.fault("nothing has ever expired");
        }
    }

    /// Whether it is to be looked at again.
    fn is_there(
        &self,
        one: &Silent,
        page: &str,
        (before, after): (Instant, Instant),
        born: Instant,
    ) -> bool {
        let is_there = page.contains(&format!("crash_silent{{number=\"{}\"}} 1\n", one.number));
        let youngest = one.acknowledged.max(born);
        if is_there && before > youngest + SILENCE_DURATION + TOLERANCE_DURATION {
            let fault = format!("series {} is silent and does not expire", one.number);
            self.ledger.fault(fault);
            return false;
        }
        if !is_there && after < one.sent + SILENCE_DURATION {
            self.ledger
                .fault(format!("series {} has expired early", one.number));
            self.ledger.lost.fetch_max(1, SeqCst);
        }
        is_there
    }

    /// None if it is not known whether it was added.
    fn push_silent(&self, number: u64) -> Option<Silent> {
        let body = format!("# TYPE crash_silent gauge\ncrash_silent{{number=\"{number}\"}} 1\n");
        let length = body.len();
        let request =
            format!("POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n{body}");
        let sent = Instant::now();
        match self.send_once(&request, &mut None, false) {
            Ok(Answer { code: 200, .. }) => Some(Silent {
                number,
                sent,
                acknowledged: Instant::now(),
            }),
            Ok(_) => None,
            Err(why) => {
                self.ledger.unanswered("silent push", why);
                thread::sleep(RETRY_DURATION);
                None
            }
        }
    }
}
