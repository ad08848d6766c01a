//! Kills a gateway, and has it hand over, while it is pushed to at full speed, and looks whether
//! any push is lost, doubled or taken by half.
//!
//! Usage: `crash MODE SECONDS GATEWAY FOLDER [SEED]`. The program GATEWAY is started on a free port
//! of the loopback address, with its journal and its stderr (`log`) in FOLDER. Prints one row of
//! the table of which `scripts/crash` prints the head; what went wrong on the way, and the seed,
//! are on stderr. Exit status: 1 if a law is broken.

#![allow(clippy::pedantic)] // a program of its own, of which nobody has an interface

mod account;
mod client;
mod cumulative;
mod journal_file;
mod keyed;
mod ledger;
mod mode;
mod process;
mod silence;

use std::net::{SocketAddr, TcpListener};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use account::Account;
use client::{Answer, Connection, NoAnswer, get};
use journal_file::Treatment;
use ledger::{Ledger, Pusher, body, lock};
use mode::{Event, Flags, GaugeMode, Mode, Sender};
use process::{Process, Program};

/// Half of them keep their connection, the others connect for each push. All push at full speed but
/// for the first, which pauses: its connection is the one that is left when a hand-over waits for
/// all to go.
const PUSHERS: usize = 7;

/// Well below what a hand-over waits for a client that keeps its connection.
const PAUSE_DURATION: Duration = Duration::from_millis(5);

/// How long to wait before the next try where nobody listens.
const RETRY_DURATION: Duration = Duration::from_millis(1);

/// How often to look whether a signal is due, or the process has ended by itself: more often when
/// a kill is near.
const LOOK_INTERVAL_MIN: Duration = Duration::from_micros(50);
const LOOK_INTERVAL_MAX: Duration = Duration::from_millis(2);

/// How often a page is asked for in the end. A hand-over may be under way.
const TRIES_MAX: usize = 100;

/// So much of the gateway's stderr is shown when a law is broken.
const LOG_LINES_MAX: usize = 30;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [mode, seconds, gateway, folder, rest @ ..] = arguments.as_slice() else {
        panic!("usage: crash MODE SECONDS GATEWAY FOLDER [SEED]");
    };
    let found = Mode::ALL.into_iter().find(|known| known.name == mode);
    let mode = found.unwrap_or_else(|| panic!("no such mode: {mode}"));
    let number = |text: &String| text.parse().expect("SECONDS and SEED are whole numbers");
    let seed = rest.first().map_or_else(seed_of_now, number);
    eprintln!("{}: seed {seed}", mode.name);
    let mut random = Random(seed);
    let run = Run {
        program: Program {
            path: gateway.into(),
            address: free_address(&mut random),
            folder: folder.into(),
            has_journal: mode.has_journal,
        },
        mode,
        ledger: Ledger::new(PUSHERS),
        accounts: (0..PUSHERS).map(|_| Mutex::default()).collect(),
        gauge_modes: Mutex::default(),
        is_over: AtomicBool::new(false),
        slowest_start_milliseconds: AtomicU64::new(0),
    };
    if let Err(line) = run.run(&mut random, Duration::from_secs(number(seconds))) {
        run.ledger.fault(line);
    }
    run.look_at_totals();
    run.report();
    let faults = run.ledger.faults();
    if faults.is_empty() {
        return ExitCode::SUCCESS;
    }
    for fault in faults {
        eprintln!("  BROKEN LAW: {fault}");
    }
    let log = run.program.log();
    let lines: Vec<&str> = log.lines().collect();
    for line in &lines[lines.len().saturating_sub(LOG_LINES_MAX)..] {
        eprintln!("  log: {line}");
    }
    ExitCode::FAILURE
}

fn seed_of_now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |since| u64::from(since.subsec_nanos()))
}

/// splitmix64.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (word ^ (word >> 31)) % limit
    }
}

/// A port below those that the system gives to clients (`ip_local_port_range`): while the gateway
/// is down, a pusher could be given its port, and even be connected to itself.
fn free_address(random: &mut Random) -> SocketAddr {
    loop {
        let port = 20_000 + u16::try_from(random.below(10_000)).expect("it is below 10,000");
        let address = ([127, 0, 0, 1], port).into();
        if TcpListener::bind(address).is_ok() {
            return address;
        }
    }
}

struct Run {
    program: Program,
    mode: Mode,
    ledger: Ledger,
    /// Of the pushers with keys.
    accounts: Vec<Mutex<Account>>,
    /// How each life has merged gauges.
    gauge_modes: Mutex<Vec<GaugeMode>>,
    is_over: AtomicBool,
    slowest_start_milliseconds: AtomicU64,
}

impl Run {
    fn run(&self, random: &mut Random, duration: Duration) -> Result<(), String> {
        let process = self.start(&self.mode.flags(random))?;
        let process = thread::scope(|scope| {
            for number in 0..PUSHERS {
                match self.mode.sender {
                    Sender::Plain => scope.spawn(move || self.push(number)),
                    Sender::Cumulative => scope.spawn(move || self.push_as_sender(number)),
                    Sender::WithKeys => scope.spawn(move || self.push_with_keys(number)),
                };
            }
            match self.mode.sender {
                Sender::Plain | Sender::Cumulative => scope.spawn(|| self.scrape()),
                Sender::WithKeys => scope.spawn(|| self.scrape_accounts()),
            };
            if self.mode.has(Event::Silence) {
                scope.spawn(|| self.watch_silence());
            }
            if self.mode.has(Event::Wipe) {
                scope.spawn(|| self.wipe());
            }
            let process = self.disturb(process, random, duration);
            self.is_over.store(true, SeqCst);
            process
        })?;
        let process = match process {
            Some(process) => process,
            None => self.start(&self.mode.last_flags())?,
        };
        let sums = match self.mode.sender {
            Sender::Plain | Sender::Cumulative => {
                let acknowledged = self.ledger.acknowledged();
                let sums = self.get("/metrics")?;
                self.ledger.check(&acknowledged, &sums);
                sums
            }
            Sender::WithKeys => self.check_accounts_in_the_end()?,
        };
        let (kills, page) = (self.ledger.kills.load(SeqCst), self.get("/-/metrics")?);
        self.ledger.note_own_metrics(kills, &page);
        process.terminate()?;
        if self.mode.has_journal {
            let process = self.start(&self.mode.last_flags())?;
            if self.get("/metrics")? != sums {
                return Err("SIGTERM, and the journal holds other sums".to_owned());
            }
            process.terminate()?;
        }
        Ok(())
    }

    /// Sends the signals until the time is over, which ends with a kill where it is killed: that is
    /// one amid pushes, too. Gives the process that runs then.
    fn disturb(
        &self,
        mut process: Process,
        random: &mut Random,
        duration: Duration,
    ) -> Result<Option<Process>, String> {
        let end = Instant::now() + duration;
        let next_kill = |random: &mut Random| {
            if !self.mode.has(Event::Kill) {
                return end;
            }
            let (min, max) = self.mode.life_microseconds;
            let life = Duration::from_micros(min + random.below(max - min));
            end.min(Instant::now() + life)
        };
        let (mut kill_at, mut signal_at) = (
            next_kill(random),
            Instant::now() + self.mode.signal_interval,
        );
        loop {
            process.assert_runs()?;
            let now = Instant::now();
            if self.mode.has(Event::Kill) && now >= kill_at {
                let treatment = self.mode.treatment;
                treatment.apply(&self.program.folder, self.program.address)?;
                process.kill()?;
                self.ledger.kills.fetch_add(1, SeqCst);
                if now >= end {
                    return Ok(None);
                }
                process = self.start(&self.mode.flags(random))?;
                (kill_at, signal_at) = (
                    next_kill(random),
                    Instant::now() + self.mode.signal_interval,
                );
            } else if now >= end {
                return Ok(Some(process));
            } else if self.mode.has(Event::HandOver) && now >= signal_at {
                process.hang_up()?;
                signal_at = now + self.mode.signal_interval;
            }
            let until_kill = kill_at.saturating_duration_since(Instant::now());
            thread::sleep(until_kill.clamp(LOOK_INTERVAL_MIN, LOOK_INTERVAL_MAX));
        }
    }

    fn start(&self, flags: &Flags) -> Result<Process, String> {
        lock(&self.gauge_modes).push(flags.gauge_mode);
        let process = self.program.start(&flags.arguments)?;
        let milliseconds = process.start_duration.as_millis().try_into();
        self.slowest_start_milliseconds
            .fetch_max(milliseconds.unwrap_or(u64::MAX), SeqCst);
        Ok(process)
    }

    /// Pushes at full speed.
    fn push(&self, number: usize) {
        let keeps_connection = number.is_multiple_of(2);
        let pusher = &self.ledger.pushers[number];
        let body = body(number, 1, self.mode.comment_bytes);
        let length = body.len();
        let request = format!(
            "POST /metrics/job/crash HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        let mut kept: Option<Connection> = None;
        while !self.is_over.load(SeqCst) {
            let who = match kept {
                Some(_) => "push on a kept connection",
                None => "push on a new connection",
            };
            let started = Instant::now();
            let outcome = self.push_once(pusher, &request, kept.take());
            self.ledger.took(started.elapsed());
            match outcome {
                Ok((answer, connection)) => {
                    self.ledger.answered(who, pusher, &answer);
                    kept = (keeps_connection && !answer.ends_connection).then_some(connection);
                    if number == 0 {
                        thread::sleep(PAUSE_DURATION);
                    }
                }
                Err(why) => {
                    self.ledger.unanswered(who, why);
                    thread::sleep(RETRY_DURATION);
                }
            }
        }
    }

    fn push_once(
        &self,
        pusher: &Pusher,
        request: &str,
        kept: Option<Connection>,
    ) -> Result<(Answer, Connection), NoAnswer> {
        let opened = kept.map_or_else(|| Connection::open(self.program.address), Ok);
        let mut connection = opened?;
        pusher.sent.fetch_add(1, SeqCst);
        let answer = connection.round_trip(request.as_bytes())?;
        Ok((answer, connection))
    }

    /// Checks all the time.
    fn scrape(&self) {
        let address = self.program.address;
        while !self.is_over.load(SeqCst) {
            let acknowledged = self.ledger.acknowledged();
            match get(address, "/metrics") {
                Ok(sums) => self.ledger.check(&acknowledged, &sums),
                Err(why) => {
                    self.ledger.unanswered("scrape", why);
                    thread::sleep(RETRY_DURATION);
                }
            }
            self.note_own_metrics();
        }
    }

    fn note_own_metrics(&self) {
        let kills = self.ledger.kills.load(SeqCst);
        match get(self.program.address, "/-/metrics") {
            Ok(page) if kills == self.ledger.kills.load(SeqCst) => {
                self.ledger.note_own_metrics(kills, &page);
            }
            // It is not known which of two processes has answered.
            Ok(_) => {}
            Err(why) => self.ledger.unanswered("own metrics", why),
        }
    }

    /// Reads a page in the end.
    fn get(&self, path: &str) -> Result<String, String> {
        for _ in 0..TRIES_MAX {
            match get(self.program.address, path) {
                Ok(page) => return Ok(page),
                Err(why) => self.ledger.unanswered("last scrape", why),
            }
            thread::sleep(RETRY_DURATION);
        }
        Err(format!("{path} is not to be had in the end"))
    }

    // --- The row ---

    /// What must not be at all, and what must be for the run to have shown something.
    fn look_at_totals(&self) {
        let (ledger, own) = (&self.ledger, self.ledger.own_metrics());
        let refused = ledger.refused_connections.load(SeqCst);
        if !self.mode.has(Event::Kill) && refused > 0 {
            ledger.fault(format!("{refused} connections were refused"));
        }
        let breaks = ledger.breaks.load(SeqCst);
        if !self.mode.has(Event::Kill) && breaks > 0 {
            ledger.fault(format!("{breaks} hand-overs have cut requests off"));
        }
        if ledger.acknowledged().contains(&0) {
            ledger.fault("a pusher has never been answered");
        }
        if self.mode.has(Event::Kill) && ledger.kills.load(SeqCst) == 0 {
            ledger.fault("it was never killed");
        }
        if self.mode.has(Event::HandOver) && own.hand_overs == 0 {
            ledger.fault("it has never handed over");
        }
        if self.mode.treatment == Treatment::Replaced && ledger.total(|pusher| &pusher.refused) == 0
        {
            ledger.fault("no push was refused while another file was at the journal's path");
        }
        if self.mode.comment_bytes > 0 && own.compactions == 0 {
            ledger.fault("the journal was never compacted");
        }
        if self.mode.sender == Sender::WithKeys {
            self.look_at_accounts();
        }
        if self.program.log().contains("panicked") {
            ledger.fault("a thread has panicked");
        }
    }

    fn report(&self) {
        let (ledger, own) = (&self.ledger, self.ledger.own_metrics());
        let slowest_start = self.slowest_start_milliseconds.load(SeqCst);
        let slowest = ledger.slowest_milliseconds.load(SeqCst);
        let journal_megabytes = own.journal_bytes >> 20;
        let not_handed_over = self.program.log().matches("not handed over").count();
        eprintln!(
            "  slowest start {slowest_start} ms, slowest push {slowest} ms, longest journal \
             {journal_megabytes} MiB, {not_handed_over} hand-overs failed"
        );
        eprintln!("  {}", ledger.troubles());
        let cells = [
            ledger.total(|pusher| &pusher.sent),
            ledger.total(|pusher| &pusher.acknowledged),
            ledger.kills.load(SeqCst),
            own.hand_overs,
            own.compactions,
            ledger.refused_connections.load(SeqCst),
            ledger.broken_connections.load(SeqCst),
            ledger.total(|pusher| &pusher.refused),
            ledger.repeats.load(SeqCst),
            ledger.removals.load(SeqCst),
            ledger.scrapes.load(SeqCst),
            ledger.lost.load(SeqCst),
            ledger.doubled.load(SeqCst),
        ];
        let cells = cells.map(|cell| cell.to_string());
        println!("| {} | {} |", self.mode.name, cells.join(" | "));
    }
}
