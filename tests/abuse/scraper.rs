//! An honest client that scrapes at the pace of a quick Prometheus, whatever it gets.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use super::client::Connection;

/// From the end of a scrape to the begin of the next one.
const PAUSE: Duration = Duration::from_millis(500);

const REQUEST: &[u8] = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n";

/// Scrapes again and again on one connection, and reads all as quickly as it can.
pub struct Scraper {
    address: SocketAddr,
    patience: Duration,
    kept: Option<Connection>,
    /// From each request to the first byte of its answer.
    pub waits: Vec<Duration>,
    pub failed: u64,
    pub first_failure: Option<String>,
}

impl Scraper {
    pub fn new(address: SocketAddr, patience: Duration) -> Scraper {
        Scraper {
            address,
            patience,
            kept: None,
            waits: Vec::new(),
            failed: 0,
            first_failure: None,
        }
    }

    pub fn run(&mut self, is_over: &AtomicBool) {
        while !is_over.load(SeqCst) {
            if let Err(why) = self.scrape() {
                self.failed += 1;
                self.first_failure.get_or_insert(why);
            }
            thread::sleep(PAUSE);
        }
    }

    fn scrape(&mut self) -> Result<(), String> {
        let started = Instant::now();
        let kept = self.kept.take();
        let opened = kept.map_or_else(|| Connection::open(self.address, self.patience), Ok);
        let answer = opened.and_then(|mut connection| {
            connection.send(REQUEST)?;
            connection.wait()?;
            self.waits.push(started.elapsed());
            let answer = connection.answer()?;
            self.kept = (!answer.ends_connection).then_some(connection);
            Ok(answer)
        });
        match answer {
            Ok(answer) if answer.code == 200 => Ok(()),
            Ok(answer) => Err(format!("{}: {}", answer.code, answer.body.trim_end())),
            Err(error) => Err(format!("{error} after {:.1?}", started.elapsed())),
        }
    }

    pub fn longest_wait(&self) -> Option<Duration> {
        self.waits.iter().max().copied()
    }
}
