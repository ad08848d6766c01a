//! Pushers with idempotency keys, which delete their series now and then, and who looks at them.

use std::sync::atomic::Ordering::SeqCst;
use std::thread;
use std::time::{Duration, Instant};

use super::account::{Account, Deletion, Shown, Windows, body, shown};
use super::client::{Answer, Connection, NoAnswer, get};
use super::ledger::lock;
use super::mode::{Event, GaugeMode};
use super::{PAUSE_DURATION, RETRY_DURATION, Random, Run};

/// Pushes of a pusher between two of its deletions.
const PUSHES_BETWEEN_DELETIONS: u64 = 200;

const WIPE_INTERVAL: Duration = Duration::from_millis(700);

impl Run {
    /// Pushes at full speed, each push until it is acknowledged.
    pub fn push_with_keys(&self, number: usize) {
        let mut random = Random(number as u64);
        let mut kept = None;
        let mut is_acknowledged = true;
        while !self.is_over.load(SeqCst) && is_acknowledged {
            let sequence = lock(&self.accounts[number]).send();
            self.ledger.pushers[number].sent.fetch_add(1, SeqCst);
            is_acknowledged = self.push_until_acknowledged(number, sequence, 0, &mut kept);
            if number == 0 {
                thread::sleep(PAUSE_DURATION);
            }
            let is_due = random.below(PUSHES_BETWEEN_DELETIONS) == 0;
            if self.mode.has(Event::Deletion) && is_acknowledged && is_due {
                is_acknowledged = self.delete(number, &mut random);
            }
        }
    }

    /// False if the time is over before. It was sent so often before.
    fn push_until_acknowledged(
        &self,
        number: usize,
        sequence: u64,
        mut attempts: u64,
        kept: &mut Option<Connection>,
    ) -> bool {
        let life = self.ledger.kills.load(SeqCst);
        let request = self.request(number, sequence);
        loop {
            attempts += 1;
            let started = Instant::now();
            let outcome = self.send_once(&request, kept, number.is_multiple_of(2));
            self.ledger.took(started.elapsed());
            let pusher = &self.ledger.pushers[number];
            match outcome {
                Ok(answer) => {
                    self.ledger.answered("push with a key", pusher, &answer);
                    if answer.code == 200 {
                        break;
                    }
                }
                Err(why) => self.ledger.unanswered("push with a key", why),
            }
            if self.is_over.load(SeqCst) {
                return false;
            }
            thread::sleep(RETRY_DURATION);
        }
        let is_of_one_life = attempts == 1 && life == self.ledger.kills.load(SeqCst);
        let mode = is_of_one_life.then(|| self.gauge_mode(life)).flatten();
        lock(&self.accounts[number]).acknowledge(mode);
        true
    }

    fn gauge_mode(&self, life: u64) -> Option<GaugeMode> {
        let life = usize::try_from(life).ok()?;
        lock(&self.gauge_modes).get(life).copied()
    }

    fn request(&self, number: usize, sequence: u64) -> String {
        let body = body(number, sequence, self.mode.comment_bytes);
        let length = body.len();
        format!(
            "POST /metrics/job/crash HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\
             Idempotency-Key: {number}-{sequence}\r\n\r\n{body}"
        )
    }

    pub fn send_once(
        &self,
        request: &str,
        kept: &mut Option<Connection>,
        keeps_connection: bool,
    ) -> Result<Answer, NoAnswer> {
        let opened = kept
            .take()
            .map_or_else(|| Connection::open(self.program.address), Ok);
        let mut connection = opened?;
        let answer = connection.round_trip(request.as_bytes())?;
        *kept = (keeps_connection && !answer.ends_connection).then_some(connection);
        Ok(answer)
    }

    /// False if the time is over before it is acknowledged.
    fn delete(&self, number: usize, random: &mut Random) -> bool {
        let (deletion, target) = match random.below(2) {
            0 => (
                Deletion::AllSeries,
                format!("DELETE /metrics/pusher/{number}/job/crash"),
            ),
            _ => (
                Deletion::Family,
                format!("PUT /api/v1/admin/wipe?family=crash_family_{number}"),
            ),
        };
        lock(&self.accounts[number]).begin_deletion();
        let is_deleted = self.remove(&target);
        if is_deleted {
            lock(&self.accounts[number]).end_deletion(deletion);
        }
        is_deleted
    }

    /// Sends a request that removes something until it is acknowledged; false if the time is over
    /// before.
    fn remove(&self, target: &str) -> bool {
        let request = format!("{target} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n");
        while !self.is_over.load(SeqCst) {
            match self.send_once(&request, &mut None, false) {
                Ok(Answer { code: 202, .. }) => {
                    self.ledger.removals.fetch_add(1, SeqCst);
                    return true;
                }
                Ok(Answer {
                    code: 503, body, ..
                }) => {
                    self.ledger
                        .trouble(format!("removal: 503: {}", body.trim_end()));
                }
                Ok(answer) => self.ledger.fault(format!("{target}: {answer:?}")),
                Err(why) => self.ledger.unanswered("removal", why),
            }
            thread::sleep(RETRY_DURATION);
        }
        false
    }

    /// Wipes everything from time to time.
    pub fn wipe(&self) {
        while !self.is_over.load(SeqCst) {
            thread::sleep(WIPE_INTERVAL);
            self.remove("PUT /api/v1/admin/wipe");
        }
    }

    fn windows(&self) -> Windows {
        if self.mode.has_windows() {
            Windows::Many
        } else {
            Windows::One
        }
    }

    /// Checks all the time.
    pub fn scrape_accounts(&self) {
        while !self.is_over.load(SeqCst) {
            let before = self.accounts_now();
            match get(self.program.address, "/metrics") {
                Ok(page) => self.check_accounts(&before, &page),
                Err(why) => {
                    self.ledger.unanswered("scrape", why);
                    thread::sleep(RETRY_DURATION);
                }
            }
            self.note_own_metrics();
        }
    }

    fn accounts_now(&self) -> Vec<Account> {
        let accounts = self.accounts.iter();
        accounts.map(|account| lock(account).clone()).collect()
    }

    fn check_accounts(&self, before: &[Account], page: &str) {
        let after = self.accounts_now();
        let (mut lost, mut doubled) = (0, 0);
        for (number, (before, after)) in before.iter().zip(&after).enumerate() {
            let shown = shown(page, number);
            let Some(deviation) = before.check(after, shown, self.windows()) else {
                continue;
            };
            if deviation.lost + deviation.doubled > 0 {
                let (acknowledged, sent) = (before.acknowledged, after.sent);
                self.ledger.fault(format!(
                    "pusher {number}: acknowledged {acknowledged}, {shown:?}, sent {sent}: \
                     {deviation:?}"
                ));
            }
            self.note_window(number, before.epoch, shown);
            lost += deviation.lost;
            doubled += deviation.doubled;
        }
        self.ledger.note_scrape(lost, doubled);
    }

    fn note_window(&self, number: usize, epoch: u64, shown: Shown) {
        let mut account = lock(&self.accounts[number]);
        if account.epoch == epoch {
            account.note(shown);
        }
    }

    /// Sends what is in doubt until it is acknowledged. Then all that was sent counts, once. Gives
    /// the sums.
    pub fn check_accounts_in_the_end(&self) -> Result<String, String> {
        for (number, account) in self.accounts.iter().enumerate() {
            let Account {
                sent, acknowledged, ..
            } = lock(account).clone();
            if sent == acknowledged {
                continue;
            }
            // The time is over: it is sent once.
            if !self.push_until_acknowledged(number, sent, 1, &mut None) {
                return Err("a push is not acknowledged in the end".to_owned());
            }
        }
        let page = self.get("/metrics")?;
        self.check_accounts(&self.accounts_now(), &page);
        Ok(page)
    }

    /// What must be for the run to have shown something, and how many windows there may be.
    pub fn look_at_accounts(&self) {
        let kills = self.ledger.kills.load(SeqCst);
        let resets = self.program.log().matches("reset: cleared").count() as u64;
        self.ledger.removals.fetch_add(resets, SeqCst);
        let removals = self.ledger.removals.load(SeqCst);
        if self.mode.has(Event::Deletion) && removals == 0 {
            self.ledger.fault("nothing was ever deleted");
        }
        if self.mode.has(Event::Reset) && resets == 0 {
            self.ledger.fault("there was never a reset");
        }
        for (number, account) in self.accounts_now().iter().enumerate() {
            let windows = account.windows() as u64;
            // Each kill may hide that a reset or a wipe was made.
            if windows > 1 + removals + 2 * kills {
                self.ledger.fault(format!(
                    "pusher {number}: {windows} windows by {removals} removals"
                ));
            }
        }
    }
}
