//! Abuses a gateway in every way of a list, and measures what that does to clients that do nothing
//! wrong.
//!
//! Usage: `abuse GATEWAY [ATTACK...]` or `abuse GATEWAY mixes [SECONDS]`. For each attack, or each
//! mix of honest clients, the program GATEWAY is started on a free port of the loopback address.
//! Prints a table; what else is worth knowing is on stderr. Exit status: 1 if a law is
//! broken.
//!
//! The laws of an attack, beside an honest client that pushes, reads pages and scrapes:
//!
//! - None of its requests is refused or fails. 99 of 100 pushes, and of pages, and of scrapes, take
//!   at most 100 ms. Where all views of the sums are taken by slow readers, no scrape waits longer
//!   than 2.5 s for its first byte. None of this holds where the system itself lacks descriptors,
//!   threads or disk.
//! - No connection that somebody else keeps open is closed, unless the gateway has no more.
//! - The gateway takes a bounded amount of memory and at most 20 threads, and stays one process.
//! - Afterwards it soon answers within 100 ms. Each acknowledged push shows once, each refused one
//!   does not, nor does anything that an attacker sent that is no push.
//! - Stderr is not flooded.

mod attacks;
mod bystanders;
mod client;
mod gateway;
mod honest;
mod latencies;
mod mixes;
mod outcome;
mod scraper;
mod sockets;
mod target;

use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process, setrlimit};

use attacks::{ATTACKS, Attack, BASELINE};
use bystanders::Bystanders;
use client::Connection;
use gateway::{Gateway, NotStarted, descriptors, memory_mebibytes, threads};
use honest::{Honest, Scrapes};
use outcome::{Baseline, Outcome, Pages, RECOVERED_LATENCY_MAX, RECOVERY_MAX};
use scraper::Scraper;
use target::{Deadlines, Target};

/// An honest client gives up an attempt after this.
const PATIENCE: Duration = Duration::from_secs(5);

/// A gateway that takes more is killed, to spare the machine.
const SPARED_MEBIBYTES: u64 = 3_072;

/// How long to wait before the next try.
const RETRY_DURATION: Duration = Duration::from_millis(20);

const SETTLING_LOOKS_MAX: usize = 100;

const SAMPLE_INTERVAL: Duration = Duration::from_millis(20);

const USAGE: &str = "usage: abuse GATEWAY [ATTACK...] | abuse GATEWAY mixes [SECONDS]";

const HEAD: &str = "\
| attack | seconds | attempts | push p99 ms | x | push worst ms | page p99 ms | x | scrape p99 ms \
| refused | cut off | recovery ms | stderr lines | threads | peak MiB | descriptors left | lost \
| doubled |
|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [program, names @ ..] = arguments.as_slice() else {
        panic!("{USAGE}");
    };
    raise_descriptors();
    let program = Path::new(program);
    let (made, failed) = match names {
        [name, seconds @ ..] if name == "mixes" => {
            let seconds = seconds.first().map_or(Ok(10), |seconds| seconds.parse());
            mixes::run(program, Duration::from_secs(seconds.expect(USAGE)))
        }
        names => attack(program, names),
    };
    if failed == 0 {
        return ExitCode::SUCCESS;
    }
    eprintln!("{failed} of {made} broke a law");
    ExitCode::FAILURE
}

/// Makes the attacks of these names, or all. Gives how many were made, and how many broke a law.
fn attack(program: &Path, names: &[String]) -> (usize, usize) {
    for name in names {
        let is_known = ATTACKS.iter().any(|attack| attack.name == name);
        assert!(is_known, "no such attack: {name}");
    }
    let help = help_of(program);
    let is_wanted = |attack: &&Attack| names.is_empty() || names.iter().any(|n| n == attack.name);
    println!("{HEAD}");
    let (mut made, mut failed) = (0, 0);
    let mut baseline = Baseline::default();
    for attack in [&BASELINE]
        .into_iter()
        .chain(ATTACKS.iter().filter(is_wanted))
    {
        made += 1;
        let broken = make(attack, program, &help, &mut baseline);
        for law in &broken {
            eprintln!("{}: BROKEN LAW: {law}", attack.name);
        }
        failed += usize::from(!broken.is_empty());
        if !baseline.is_measured() {
            eprintln!("without an attack, the gateway answers no honest client: nothing is tried");
            break;
        }
    }
    (made, failed)
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

fn help_of(program: &Path) -> String {
    let mut command = Command::new(program);
    let output = command.arg("-help").stdin(Stdio::null()).output();
    let output = output.expect("the program can be run");
    String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
}

/// Makes an attack and prints its row. Gives the broken laws.
fn make(attack: &Attack, program: &Path, help: &str, baseline: &mut Baseline) -> Vec<String> {
    let started = Instant::now();
    let is_known = |(flag, _): &&(&str, &str)| help.contains(&format!("{flag} "));
    let known = attack.flags.iter().filter(is_known);
    let flags: Vec<&str> = known.flat_map(|&(flag, value)| [flag, value]).collect();
    let deadlines = if help.contains("-head-timeout ") {
        Deadlines::Known
    } else {
        Deadlines::Unknown
    };
    let started_gateway = Gateway::start(program, attack.listen, &flags, attack.confinement);
    let mut gateway = match started_gateway {
        Ok(gateway) => gateway,
        Err(NotStarted::NotPossible(why)) => {
            eprintln!("{}: {why}", attack.name);
            return Vec::new();
        }
        Err(NotStarted::Failed(why)) => return vec![why],
    };
    let mut steady = Honest::new("steady", gateway.address, PATIENCE);
    let mut prober = Honest::new("prober", gateway.address, RECOVERED_LATENCY_MAX);
    let mut bystanders = Bystanders::connect(gateway.address, PATIENCE);
    let mut scraper = Scraper::new(gateway.address, PATIENCE);
    let target = Target::new(gateway.address, gateway.process(), deadlines);
    let (is_over, is_verified) = (AtomicBool::new(false), AtomicBool::new(false));
    let peak = Peak::default();
    let recovery = thread::scope(|scope| {
        scope.spawn(|| peak.watch(&target, &is_verified));
        scope.spawn(|| bystanders.run(&is_over));
        if attack.scrapes == Scrapes::Apart {
            scope.spawn(|| scraper.run(&is_over));
        }
        let honest = scope.spawn(|| steady.run(&is_over, attack.scrapes));
        (attack.run)(&target);
        is_over.store(true, SeqCst);
        let recovery = recovery(&mut gateway, &mut prober, attack.scrapes);
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
        peak_mebibytes: peak.mebibytes.into_inner(),
        peak_threads: peak.threads.into_inner(),
        duration: started.elapsed(),
        steady,
        prober,
        bystanders,
        scraper,
        target,
    };
    outcome.tell(baseline)
}

/// The most that the gateway took at any time.
#[derive(Default)]
struct Peak {
    mebibytes: AtomicU64,
    threads: AtomicUsize,
}

impl Peak {
    fn watch(&self, target: &Target, is_verified: &AtomicBool) {
        let mut is_killed = false;
        while !is_verified.load(SeqCst) {
            let now = memory_mebibytes(target.process, "VmHWM");
            self.mebibytes.fetch_max(now, SeqCst);
            self.threads.fetch_max(threads(target.process), SeqCst);
            if now > SPARED_MEBIBYTES && !is_killed {
                target.complain(format!("killed by this harness at {now} MiB"));
                let process = target.process.try_into().ok().and_then(Pid::from_raw);
                // It may have ended already.
                let _ = process.map(|process| kill_process(process, Signal::KILL));
                is_killed = true;
            }
            thread::sleep(SAMPLE_INTERVAL);
        }
    }
}

/// How long it takes until all is as ever.
fn recovery(gateway: &mut Gateway, prober: &mut Honest, scrapes: Scrapes) -> Option<Duration> {
    let started = Instant::now();
    loop {
        if prober.is_answered_within(RECOVERED_LATENCY_MAX, scrapes) {
            return Some(started.elapsed());
        }
        if started.elapsed() > RECOVERY_MAX || gateway.assert_runs().is_err() {
            return None;
        }
        thread::sleep(RETRY_DURATION);
    }
}

fn pages(gateway: &mut Gateway) -> Result<Pages, String> {
    if let Err(why) = page(gateway, "/-/metrics") {
        // Why nobody answers, if that is known.
        gateway.assert_runs()?;
        return Err(why);
    }
    let mut sums = page(gateway, "/metrics")?;
    // What was sent and not waited for may still be merged.
    for _ in 0..SETTLING_LOOKS_MAX {
        thread::sleep(RETRY_DURATION);
        let now = page(gateway, "/metrics")?;
        if now == sums {
            return Ok(Pages { sums });
        }
        sums = now;
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
