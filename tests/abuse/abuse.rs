//! Abuses a gateway in every way of a list, and looks what that does to a client that does nothing
//! wrong.
//!
//! Usage: `abuse GATEWAY [ATTACK...]`. For each attack the program GATEWAY is started on a free
//! port of the loopback address. Prints the rows of the table of which `scripts/abuse` prints the
//! head; what else is worth knowing is on stderr. Exit status: 1 if a law is broken.
//!
//! The laws. While it lasts: 99 of 100 pushes and scrapes of the honest client are answered within
//! a second (ten times what is wanted, since machines are noisy); or, where descriptors, threads or
//! memory are exhausted, not more than some memory is taken. Afterwards: it answers as quickly as
//! ever, soon; it is the same process; each acknowledged push shows once and each refused one does
//! not; nothing of what the attackers sent shows that was no push; and stderr has not been flooded.

mod attacks;
mod client;
mod gateway;
mod honest;
mod latencies;
mod target;

use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use attacks::{ATTACKS, Attack, DEADLINE_FLAGS, Kind, Promise};
use client::Connection;
use gateway::{Gateway, NotStarted, descriptors, memory_mebibytes};
use honest::{Honest, value};
use target::{Deadlines, LAWFUL_SERIES, Target};

/// The honest client gives up an attempt after this.
const PATIENCE: Duration = Duration::from_secs(5);

/// Ten times as wide as what is wanted.
const LATENCY_MAX: Duration = Duration::from_secs(1);

/// Afterwards, an answer within this is one as ever.
const RECOVERED_LATENCY_MAX: Duration = Duration::from_millis(100);

/// Twice what is wanted.
const RECOVERY_MAX: Duration = Duration::from_secs(10);

const STDERR_LINES_MAX: u64 = 60;
const MEBIBYTES_MAX: u64 = 600;

/// How long to wait before the next try.
const RETRY_DURATION: Duration = Duration::from_millis(20);

const SETTLING_LOOKS_MAX: usize = 100;

const SAMPLE_INTERVAL: Duration = Duration::from_millis(20);

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [program, names @ ..] = arguments.as_slice() else {
        panic!("usage: abuse GATEWAY [ATTACK...]");
    };
    for name in names {
        let is_known = ATTACKS.iter().any(|attack| attack.name == name);
        assert!(is_known, "no such attack: {name}");
    }
    raise_descriptors();
    let program = Path::new(program);
    let deadlines = deadlines_of(program);
    let is_wanted = |attack: &&Attack| names.is_empty() || names.iter().any(|n| n == attack.name);
    let (mut made, mut failed) = (0, 0);
    for attack in ATTACKS.iter().filter(is_wanted) {
        made += 1;
        let broken = make(attack, program, deadlines);
        for law in &broken {
            eprintln!("{}: BROKEN LAW: {law}", attack.name);
        }
        failed += usize::from(!broken.is_empty());
    }
    if failed == 0 {
        return ExitCode::SUCCESS;
    }
    eprintln!("{failed} of {made} attacks broke a law");
    ExitCode::FAILURE
}

/// For thousands of connections, here and in the gateway.
fn raise_descriptors() {
    let hard = getrlimit(Resource::Nofile).maximum;
    let raised = Rlimit {
        current: hard,
        maximum: hard,
    };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        eprintln!("the limit of descriptors is left as it is: {error}");
    }
}

fn deadlines_of(program: &Path) -> Deadlines {
    let mut command = Command::new(program);
    let output = command.arg("-help").stdin(Stdio::null()).output();
    let output = output.expect("the program can be run");
    let help = [output.stdout, output.stderr].concat();
    if String::from_utf8_lossy(&help).contains("-head-timeout") {
        Deadlines::Known
    } else {
        Deadlines::Unknown
    }
}

/// Makes an attack and prints its row. Gives the broken laws.
fn make(attack: &Attack, program: &Path, deadlines: Deadlines) -> Vec<String> {
    let flags = match (attack.kind, deadlines) {
        (Kind::Slowness, Deadlines::Known) => DEADLINE_FLAGS,
        _ => &[],
    };
    let mut gateway = match Gateway::start(program, flags, attack.confinement) {
        Ok(gateway) => gateway,
        Err(NotStarted::NotPossible(why)) => {
            eprintln!("{}: {why}", attack.name);
            return Vec::new();
        }
        Err(NotStarted::Failed(why)) => return vec![why],
    };
    let target = Target::new(gateway.address, gateway.process(), deadlines);
    let mut steady = Honest::new("steady", gateway.address, PATIENCE);
    let mut prober = Honest::new("prober", gateway.address, RECOVERED_LATENCY_MAX);
    let (is_over, is_verified) = (AtomicBool::new(false), AtomicBool::new(false));
    let peak_mebibytes = AtomicU64::new(0);
    let recovery = thread::scope(|scope| {
        scope.spawn(|| {
            while !is_verified.load(SeqCst) {
                let now = memory_mebibytes(target.process, "VmHWM");
                peak_mebibytes.fetch_max(now, SeqCst);
                thread::sleep(SAMPLE_INTERVAL);
            }
        });
        let honest = scope.spawn(|| steady.run(&is_over));
        (attack.run)(&target);
        is_over.store(true, SeqCst);
        let recovery = recovery(&mut gateway, &mut prober);
        // It has printed why, should it have panicked.
        let _ = honest.join();
        is_verified.store(true, SeqCst);
        recovery
    });
    let outcome = Outcome {
        attack,
        recovery,
        pages: pages(&mut gateway),
        descriptors_left: descriptors(gateway.process()),
        stderr: gateway.stderr(),
        peak_mebibytes: peak_mebibytes.load(SeqCst),
        steady,
        prober,
        target,
    };
    outcome.tell()
}

/// How long it takes until all is as ever.
fn recovery(gateway: &mut Gateway, prober: &mut Honest) -> Option<Duration> {
    let started = Instant::now();
    loop {
        if prober.is_answered_within(RECOVERED_LATENCY_MAX) {
            return Some(started.elapsed());
        }
        if started.elapsed() > RECOVERY_MAX || gateway.assert_runs().is_err() {
            return None;
        }
        thread::sleep(RETRY_DURATION);
    }
}

/// What a gateway says in the end.
struct Pages {
    sums: String,
    own_metrics: String,
}

fn pages(gateway: &mut Gateway) -> Result<Pages, String> {
    gateway.assert_runs()?;
    let mut pages = Pages {
        sums: page(gateway, "/metrics")?,
        own_metrics: page(gateway, "/-/metrics")?,
    };
    // What was sent and not waited for may still be merged.
    for _ in 0..SETTLING_LOOKS_MAX {
        thread::sleep(RETRY_DURATION);
        let sums = page(gateway, "/metrics")?;
        if sums == pages.sums {
            return Ok(pages);
        }
        pages.sums = sums;
    }
    Err("the sums do not settle".to_owned())
}

fn page(gateway: &Gateway, path: &str) -> Result<String, String> {
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n");
    let started = Instant::now();
    loop {
        let answer = Connection::open(gateway.address, PATIENCE)
            .and_then(|mut connection| connection.round_trip(request.as_bytes()));
        match answer {
            Ok(answer) if answer.code == 200 => return Ok(answer.body),
            _ if started.elapsed() < PATIENCE => thread::sleep(RETRY_DURATION),
            Ok(answer) => return Err(format!("{path} is answered with {}", answer.code)),
            Err(error) => return Err(format!("{path} is not to be had in the end: {error}")),
        }
    }
}

/// What came of an attack.
struct Outcome<'a> {
    attack: &'a Attack,
    recovery: Option<Duration>,
    pages: Result<Pages, String>,
    stderr: gateway::Stderr,
    peak_mebibytes: u64,
    descriptors_left: usize,
    steady: Honest,
    prober: Honest,
    target: Target,
}

impl Outcome<'_> {
    /// Prints the row, and what is worth knowing. Gives the broken laws.
    fn tell(mut self) -> Vec<String> {
        let mut broken = self.target.complaints();
        self.check_latencies(&mut broken);
        let (lost, doubled) = match self.check_sums(&mut broken) {
            Some((lost, doubled)) => (lost.to_string(), doubled.to_string()),
            None => ("?".to_owned(), "?".to_owned()),
        };
        if self.stderr.lines > STDERR_LINES_MAX {
            broken.push(format!("{} lines on stderr", self.stderr.lines));
        }
        if self.peak_mebibytes > MEBIBYTES_MAX {
            broken.push(format!("it took {} MiB of memory", self.peak_mebibytes));
        }
        let own_metrics = self.pages.as_ref().map(|pages| &pages.own_metrics);
        let recycles = own_metrics.map(|page| value(page, "aggregation_gateway_hand_overs_total"));
        let cells = [
            self.attack.name.to_owned(),
            self.target.attempts().to_string(),
            milliseconds(self.steady.pushes.p99()),
            milliseconds(self.steady.pushes.worst()),
            milliseconds(self.steady.scrapes.p99()),
            self.steady.failed.to_string(),
            recycles.map_or("?".to_owned(), |count| count.to_string()),
            self.recovery.map_or("never".to_owned(), shown),
            self.stderr.lines.to_string(),
            self.peak_mebibytes.to_string(),
            self.descriptors_left.to_string(),
            lost,
            doubled,
        ];
        println!("| {} |", cells.join(" | "));
        self.tell_more(&broken);
        broken
    }

    fn check_latencies(&self, broken: &mut Vec<String>) {
        let (pushes, scrapes) = (self.steady.pushes.p99(), self.steady.scrapes.p99());
        for (what, p99) in [("pushes", pushes), ("scrapes", scrapes)] {
            match p99 {
                _ if self.attack.promise == Promise::Recovery => {}
                Some(p99) if p99 <= LATENCY_MAX => {}
                Some(p99) => broken.push(format!("of {what}, 1 % took {p99:.1?} and longer")),
                None => broken.push(format!("there was no time for {what}")),
            }
        }
        if self.recovery.is_none_or(|recovery| recovery > RECOVERY_MAX) {
            broken.push(format!("not as ever {RECOVERY_MAX:?} after it"));
        }
    }

    /// How many acknowledged pushes do not show, and how many show that should not.
    fn check_sums(&mut self, broken: &mut Vec<String>) -> Option<(u64, u64)> {
        let sums = match &self.pages {
            Ok(pages) => &pages.sums,
            Err(why) => {
                broken.push(why.clone());
                return None;
            }
        };
        self.steady.check_each(sums);
        self.prober.check_each(sums);
        let (least, most) = self.target.lawful();
        let scraped = value(sums, LAWFUL_SERIES);
        let lawful_lost = least.saturating_sub(scraped);
        let lawful_doubled = scraped.saturating_sub(most);
        let lost = self.steady.lost + self.prober.lost + lawful_lost;
        let doubled = self.steady.doubled + self.prober.doubled + lawful_doubled;
        if lost > 0 {
            broken.push(format!("{lost} acknowledged pushes are lost"));
        }
        if doubled > 0 {
            broken.push(format!("{doubled} pushes show that should not"));
        }
        let smuggled: Vec<&str> = sums
            .lines()
            .filter(|line| line.contains("smuggled"))
            .collect();
        if !smuggled.is_empty() {
            broken.push(format!(
                "what was no push was merged: {}",
                smuggled.join(", ")
            ));
        }
        if !self.steady.has_been_acknowledged() {
            broken.push("the honest client has never been answered".to_owned());
        }
        Some((lost, doubled))
    }

    fn tell_more(&self, broken: &[String]) {
        let name = self.attack.name;
        let notes = self.target.notes();
        if !notes.is_empty() {
            eprintln!("{name}: {notes}");
        }
        if let Some(failure) = &self.steady.first_failure {
            eprintln!("{name}: the first failed request of the honest client: {failure}");
        }
        let is_flooded = self.stderr.lines > STDERR_LINES_MAX;
        if is_flooded || !broken.is_empty() {
            for line in &self.stderr.first_lines {
                eprintln!("{name}: stderr: {line}");
            }
        }
    }
}

fn milliseconds(duration: Option<Duration>) -> String {
    duration.map_or("?".to_owned(), shown)
}

fn shown(duration: Duration) -> String {
    format!("{:.1}", duration.as_secs_f64() * 1_000.0)
}
