//! A client that does nothing wrong: it pushes, reads a page and scrapes in turn, and tries again
//! when it is not answered.
//!
//! Each attempt to push has a series of its own, so it is known of each of them what may show: an
//! acknowledged one shows once, one that was refused or never sent does not, any other shows once
//! or not at all. Besides, all add to one counter, which is looked at in each scrape.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use super::client::{Answer, Connection, is_timeout};
use super::latencies::Latencies;

/// A push, a page and a scrape are begun this often.
const PACE: Duration = Duration::from_millis(10);

/// As often comes a new connection, which a gateway that is deaf does not answer.
const PUSHES_PER_CONNECTION: usize = 4;

/// How long to wait before the next try.
const RETRY_DURATION: Duration = Duration::from_millis(5);

/// Every second push is about this long, by comments. The others have some hundred bytes.
const LONG_PUSH_BYTES: usize = 5_000;
const COMMENT: &str = "# a comment that only makes the body of this push longer than a small one\n";

/// The pages that it reads in turn.
const PAGES: [&str; 2] = ["/-/healthy", "/-/metrics"];

/// Who scrapes beside an attack.
#[derive(Clone, Copy, PartialEq)]
pub enum Scrapes {
    /// The honest client, after each push and page.
    InTurn,
    /// A client of its own, since a scrape of that attack's series takes long or has to wait.
    Apart,
}

/// What became of an attempt to push.
#[derive(Clone, Copy, PartialEq)]
enum Fate {
    /// It was not answered.
    Unknown,
    Acknowledged,
    /// It was answered, but not with 200; or there was no connection.
    Refused,
}

pub struct Honest {
    /// The value of a label of its series.
    name: &'static str,
    address: SocketAddr,
    /// So long it waits for an answer.
    patience: Duration,
    kept: Option<Connection>,
    fates: Vec<Fate>,
    pub pushes: Latencies,
    pub pages: Latencies,
    pub scrapes: Latencies,
    pages_read: usize,
    /// How many requests were not answered with 200.
    pub failed: u64,
    /// Acknowledged, and not there.
    pub lost: u64,
    /// There more often than it was sent.
    pub doubled: u64,
    /// Why the first of the requests failed.
    pub first_failure: Option<String>,
}

impl Honest {
    pub fn new(name: &'static str, address: SocketAddr, patience: Duration) -> Honest {
        Honest {
            name,
            address,
            patience,
            kept: None,
            fates: Vec::new(),
            pushes: Latencies::every(PACE),
            pages: Latencies::every(PACE),
            pages_read: 0,
            scrapes: Latencies::every(PACE),
            failed: 0,
            lost: 0,
            doubled: 0,
            first_failure: None,
        }
    }

    /// Pushes, reads pages and scrapes until it is over.
    pub fn run(&mut self, is_over: &AtomicBool, scrapes: Scrapes) {
        while !is_over.load(SeqCst) {
            let started = Instant::now();
            let latency = self.persist(is_over, Honest::push_once);
            self.pushes.took(latency);
            let latency = self.persist(is_over, Honest::page_once);
            self.pages.took(latency);
            if scrapes == Scrapes::InTurn {
                let latency = self.persist(is_over, Honest::scrape_once);
                self.scrapes.took(latency);
            }
            thread::sleep(PACE.saturating_sub(started.elapsed()));
        }
    }

    /// Tries until it succeeds or all is over. Gives how long that took.
    fn persist(&mut self, is_over: &AtomicBool, operation: fn(&mut Honest) -> bool) -> Duration {
        let started = Instant::now();
        while !operation(self) && !is_over.load(SeqCst) {
            thread::sleep(RETRY_DURATION);
        }
        started.elapsed()
    }

    /// True if a push and then a scrape, or a page, on new connections are answered at once.
    pub fn is_answered_within(&mut self, limit: Duration, scrapes: Scrapes) -> bool {
        let mut is_quick = |operation: fn(&mut Honest) -> bool| {
            self.kept = None;
            let started = Instant::now();
            operation(self) && started.elapsed() <= limit
        };
        is_quick(Honest::push_once)
            && is_quick(match scrapes {
                Scrapes::InTurn => Honest::scrape_once,
                Scrapes::Apart => Honest::page_once,
            })
    }

    fn push_once(&mut self) -> bool {
        let attempt = self.fates.len();
        if attempt.is_multiple_of(PUSHES_PER_CONNECTION) {
            self.kept = None;
        }
        self.fates.push(Fate::Refused);
        let Some(connection) = self.connection() else {
            return false;
        };
        let name = self.name;
        let mut body = format!(
            "# TYPE honest_pushes_total counter\n\
             honest_pushes_total{{client=\"{name}\"}} 1\n\
             # TYPE honest_push_total counter\n\
             honest_push_total{{attempt=\"{attempt}\",client=\"{name}\"}} 1\n"
        );
        if !attempt.is_multiple_of(2) {
            body += &COMMENT.repeat(LONG_PUSH_BYTES / COMMENT.len());
        }
        let length = body.len();
        let request = format!(
            "POST /metrics/job/honest HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        self.fates[attempt] = Fate::Unknown;
        match self.round_trip(connection, &request) {
            Ok(answer) if answer.code == 200 => self.fates[attempt] = Fate::Acknowledged,
            Ok(_) => self.fates[attempt] = Fate::Refused,
            Err(_) => {}
        }
        self.fates[attempt] == Fate::Acknowledged
    }

    fn page_once(&mut self) -> bool {
        let Some(connection) = self.connection() else {
            return false;
        };
        let page = PAGES[self.pages_read % PAGES.len()];
        self.pages_read += 1;
        let request = format!("GET {page} HTTP/1.1\r\nHost: x\r\n\r\n");
        let answer = self.round_trip(connection, &request);
        answer.is_ok_and(|answer| answer.code == 200)
    }

    fn scrape_once(&mut self) -> bool {
        let Some(connection) = self.connection() else {
            return false;
        };
        let request = "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n";
        match self.round_trip(connection, request) {
            Ok(answer) if answer.code == 200 => {
                self.check_total(&answer.body);
                true
            }
            _ => false,
        }
    }

    fn connection(&mut self) -> Option<Connection> {
        let kept = self.kept.take();
        let opened = kept.map_or_else(|| Connection::open(self.address, self.patience), Ok);
        opened
            .map_err(|error| self.fail(&format!("not connected: {error}")))
            .ok()
    }

    /// Keeps the connection if it may be used again.
    fn round_trip(&mut self, mut connection: Connection, request: &str) -> io::Result<Answer> {
        match connection.round_trip(request.as_bytes()) {
            Ok(answer) => {
                if answer.code != 200 {
                    self.fail(&format!("{}: {}", answer.code, answer.body.trim_end()));
                }
                self.kept = (!answer.ends_connection).then_some(connection);
                Ok(answer)
            }
            Err(error) => {
                self.fail(&if is_timeout(&error) {
                    format!("not answered within {:?}", self.patience)
                } else {
                    format!("cut off: {error}")
                });
                Err(error)
            }
        }
    }

    fn fail(&mut self, why: &str) {
        self.failed += 1;
        self.first_failure.get_or_insert_with(|| why.to_owned());
    }

    // --- Accounting ---

    fn count(&self, fate: Fate) -> u64 {
        let fates = self.fates.iter();
        fates.filter(|&&counted| counted == fate).count() as u64
    }

    /// The law of each instant: acknowledged <= scraped <= sent and not refused. Nothing is under
    /// way while this client scrapes.
    fn check_total(&mut self, scrape: &str) {
        let series = format!(
            "honest_pushes_total{{client=\"{}\",job=\"honest\"}}",
            self.name
        );
        let scraped = value(scrape, &series);
        let acknowledged = self.count(Fate::Acknowledged);
        let most = acknowledged + self.count(Fate::Unknown);
        self.lost = self.lost.max(acknowledged.saturating_sub(scraped));
        self.doubled = self.doubled.max(scraped.saturating_sub(most));
    }

    /// The law of each attempt, in the end.
    pub fn check_each(&mut self, scrape: &str) {
        self.check_total(scrape);
        let mut scraped = vec![0; self.fates.len()];
        let (before, behind) = (
            "honest_push_total{attempt=\"",
            format!("\",client=\"{}\",job=\"honest\"}} ", self.name),
        );
        for line in scrape.lines() {
            let found = line
                .strip_prefix(before)
                .and_then(|rest| rest.split_once(behind.as_str()));
            let Some((attempt, value)) = found else {
                continue;
            };
            let attempt: usize = attempt.parse().expect("attempts are numbered");
            scraped[attempt] = value.parse().expect("whole numbers are shown as such");
        }
        let (mut lost, mut doubled) = (0, 0);
        for (fate, scraped) in self.fates.iter().zip(scraped) {
            let (least, most) = match fate {
                Fate::Unknown => (0, 1),
                Fate::Acknowledged => (1, 1),
                Fate::Refused => (0, 0),
            };
            lost += u64::saturating_sub(least, scraped);
            doubled += scraped.saturating_sub(most);
        }
        self.lost = self.lost.max(lost);
        self.doubled = self.doubled.max(doubled);
    }

    pub fn has_been_acknowledged(&self) -> bool {
        self.fates.contains(&Fate::Acknowledged)
    }
}

/// The value of a series; 0 when it is not there.
pub fn value(page: &str, series: &str) -> u64 {
    let line = page
        .lines()
        .find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.map_or(0, |value| {
        value.parse().expect("whole numbers are shown as such")
    })
}
