//! Reads the flags, binds, starts the threads, waits for a signal, ends.
//!
//! Exit status: 0 after SIGTERM or SIGINT, and when all was printed; 1 when the system refuses what
//! it needs, such as the address; 2 for a wrong flag, schedule or time zone.

use std::fmt::Display;
use std::io::{self, Write};
use std::net::TcpListener;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use prometheus_aggregation_gateway::cli::{self, Command, Config, Preview};
use prometheus_aggregation_gateway::excerpt::Excerpt;
use prometheus_aggregation_gateway::gateway::Gateway;
use prometheus_aggregation_gateway::schedule::{self, LocalZone, Schedule, SystemClock, Zone};
use prometheus_aggregation_gateway::server::pool::{Census, wake_forgotten};
use prometheus_aggregation_gateway::server::{self, Site};
use prometheus_aggregation_gateway::status::Status;
use rustix::net::Shutdown;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

/// musl's allocator maps memory anew for every long body: a quarter of the time of a bulk push.
#[cfg(target_env = "musl")]
#[global_allocator]
static ALLOCATOR: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;

const PROGRAM: &str = env!("CARGO_PKG_NAME");

/// How long requests in flight are waited for at the end.
const FINISH_DURATION_MAX: Duration = Duration::from_secs(5);

/// Why the process ends before its time: the line for stderr, and the exit status.
struct Failure {
    line: String,
    status: u8,
}

fn usage(line: impl Display) -> Failure {
    Failure {
        line: line.to_string(),
        status: 2,
    }
}

fn system(line: impl Display) -> Failure {
    Failure {
        line: line.to_string(),
        status: 1,
    }
}

/// What the main thread waits for.
enum Event {
    Signal(i32),
    AcceptEnded(io::Error),
}

/// When the aggregate is cleared.
struct Plan {
    expression: String,
    schedule: Schedule,
    zone: LocalZone,
    /// The first reset is the first after this.
    since: DateTime<Utc>,
}

fn main() -> ExitCode {
    let outcome = match cli::read(std::env::args_os().skip(1)) {
        Ok(Command::Help) => print(&cli::help()),
        Ok(Command::Version) => print(&format!("{PROGRAM} {}\n", env!("CARGO_PKG_VERSION"))),
        Ok(Command::Next(preview)) => print_next(&preview),
        Ok(Command::Run(config)) => run(config),
        Err(line) => Err(usage(line)),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure { line, status }) => {
            log(&format!("{PROGRAM}: {line}"));
            ExitCode::from(status)
        }
    }
}

fn run(config: Config) -> Result<(), Failure> {
    let started = Utc::now();
    let plan = config.crontab.as_deref();
    let plan = plan.map(|crontab| plan_of(crontab, started)).transpose()?;
    let (events, happened) = mpsc::channel();
    watch_signals(events.clone())?;

    let cannot_listen = |error| system(format!("cannot listen on {}: {error}", config.listen));
    let listener = config.listen.listen().map_err(cannot_listen)?;
    let acceptor = Arc::new(listener.try_clone().map_err(cannot_listen)?);
    let before = Census::take();
    let http = Arc::new(server::accept(listener).map_err(cannot_listen)?);
    let site = Arc::new(Site {
        gateway: Gateway::default(),
        status: Status::new(),
        cors: config.cors,
        push_path: config.push_path,
        body_bytes_max: config.body_bytes_max,
    });
    announce(&acceptor, &site.push_path, plan.as_ref());
    let stop_schedule = plan
        .map(|plan| keep_schedule(plan, Arc::clone(&site)))
        .transpose()?;
    let own_threads = config.workers.get() + usize::from(stop_schedule.is_some());
    let working = start_workers(config.workers.get(), &http, &site, &events)?;
    drop(events);
    if let Some(before) = before {
        let (listener, idle) = (Arc::clone(&acceptor), before.with_threads(own_threads + 1));
        spawn("wake forgotten", move || wake_forgotten(&listener, idle))?;
    }

    let outcome = wait_for_end(&happened);
    finish(&acceptor, &http, config.workers.get(), &working);
    drop(stop_schedule);
    outcome
}

fn wait_for_end(happened: &Receiver<Event>) -> Result<(), Failure> {
    let name = match happened.recv() {
        Ok(Event::Signal(SIGTERM)) => "SIGTERM",
        Ok(Event::Signal(_)) => "SIGINT",
        Ok(Event::AcceptEnded(error)) => {
            return Err(system(format!("accepting connections has failed: {error}")));
        }
        Err(mpsc::RecvError) => return Err(system("all threads have ended")),
    };
    log(&format!("{name}: finishing the requests in flight"));
    Ok(())
}

fn plan_of(expression: &str, since: DateTime<Utc>) -> Result<Plan, Failure> {
    let schedule = Schedule::parse(expression, since).map_err(usage)?;
    let zone = LocalZone::from_environment().map_err(usage)?;
    Ok(Plan {
        expression: expression.to_owned(),
        schedule,
        zone,
        since,
    })
}

/// Prints the next resets, one a line in local time, or the word never.
fn print_next(preview: &Preview) -> Result<(), Failure> {
    let after = match &preview.after {
        None => Utc::now(),
        Some(after) => DateTime::parse_from_rfc3339(after)
            .map_err(|_| {
                let found = Excerpt::of(after);
                usage(format!(
                    "flag -after: expected an instant such as 2026-03-29T00:59:30Z, found {found}"
                ))
            })?
            .to_utc(),
    };
    let Plan { schedule, zone, .. } = plan_of(&preview.crontab, after)?;
    let next = schedule
        .occurrences(after, &zone)
        .take(preview.resets.get());
    let mut lines = next.map(|next| local_time(next, &zone)).peekable();
    if lines.peek().is_none() {
        return print("never\n");
    }
    lines.try_for_each(|line| print(&format!("{line}\n")))
}

fn local_time(instant: DateTime<Utc>, zone: &LocalZone) -> String {
    zone.local_time(instant).to_rfc3339()
}

/// Says where it listens, what the schedule will do, and how to push a first sample.
fn announce(listener: &TcpListener, push_path: &str, plan: Option<&Plan>) {
    let version = env!("CARGO_PKG_VERSION");
    let (address, host) = match listener.local_addr() {
        Ok(address) if address.ip().is_unspecified() => {
            let families = if address.is_ipv6() {
                "IPv6 and IPv4"
            } else {
                "IPv4"
            };
            let port = address.port();
            (format!(":{port} ({families})"), format!("localhost:{port}"))
        }
        Ok(address) => (address.to_string(), address.to_string()),
        Err(error) => (error.to_string(), "localhost".to_owned()),
    };
    log(&format!("{PROGRAM} {version} listens on {address}"));
    match plan {
        None => log("no -crontab: the sums are never cleared"),
        Some(plan) => {
            let next = next_reset(plan.schedule.next_after(plan.since, &plan.zone), &plan.zone);
            log(&format!("crontab \"{}\": {next}", plan.expression));
        }
    }
    log(&format!(
        "push: echo 'some_metric 3.14' | curl --data-binary @- \
         http://{host}{push_path}/job/some_job"
    ));
    log(&format!("scrape: curl http://{host}/metrics"));
}

fn next_reset(next: Option<DateTime<Utc>>, zone: &LocalZone) -> String {
    match next {
        Some(next) => {
            format!("next reset {} ({})", local_time(next, zone), zone.name())
        }
        None => "warning: it never fires, the sums are never cleared".to_owned(),
    }
}

/// Starts the thread that clears the aggregate; it ends when the sender is dropped.
fn keep_schedule(plan: Plan, site: Arc<Site>) -> Result<Sender<()>, Failure> {
    let (stop, stopped) = mpsc::channel();
    // The first push may come before the thread runs.
    say_next_reset(&site, plan.schedule.next_after(plan.since, &plan.zone));
    spawn("schedule", move || {
        let clock = SystemClock::new(stopped);
        let announce = |next| say_next_reset(&site, next);
        let Plan {
            schedule,
            zone,
            since,
            ..
        } = &plan;
        schedule::run(schedule, zone, &clock, *since, announce, |due| {
            let cleared = site.gateway.reset();
            site.status.count_reset(due.now.timestamp());
            say_next_reset(&site, due.next);
            let (families, series) = (cleared.families, cleared.series);
            let next = next_reset(due.next, &plan.zone);
            log(&format!(
                "reset: cleared {families} families, {series} series; {next}"
            ));
        });
    })?;
    Ok(stop)
}

/// To whoever pushes, and to whoever reads the gateway's own metrics.
fn say_next_reset(site: &Site, next: Option<DateTime<Utc>>) {
    site.status
        .set_next_reset(next.map(|next| next.timestamp()));
}

/// Starts the worker threads; the receiver is disconnected when the last of them has ended.
fn start_workers(
    workers: usize,
    http: &Arc<tiny_http::Server>,
    site: &Arc<Site>,
    events: &Sender<Event>,
) -> Result<Receiver<()>, Failure> {
    let (working, finished) = mpsc::channel();
    for number in 1..=workers {
        let (http, site) = (Arc::clone(http), Arc::clone(site));
        let (events, working) = (events.clone(), working.clone());
        spawn(&format!("worker {number}"), move || {
            if let Err(error) = server::serve(&http, &site) {
                // No receiver: the main thread is ending already.
                let _ = events.send(Event::AcceptEnded(error));
            }
            drop(working);
        })?;
    }
    Ok(finished)
}

fn watch_signals(events: Sender<Event>) -> Result<(), Failure> {
    let mut signals = Signals::new([SIGINT, SIGTERM]).map_err(system)?;
    spawn("signals", move || {
        for signal in signals.forever() {
            let _ = events.send(Event::Signal(signal));
        }
    })
}

/// Stops accepting, lets the workers finish what was queued, and waits for them for a while.
fn finish(
    acceptor: &TcpListener,
    http: &tiny_http::Server,
    workers: usize,
    working: &Receiver<()>,
) {
    // New connections are refused from here on, and tiny_http's accept(2) returns.
    let _ = rustix::net::shutdown(acceptor, Shutdown::Both);
    // Behind all queued requests; each worker takes one and ends.
    (0..workers).for_each(|_| http.unblock());
    let deadline = Instant::now() + FINISH_DURATION_MAX;
    let remaining = || deadline.saturating_duration_since(Instant::now());
    if working.recv_timeout(remaining()) == Err(RecvTimeoutError::Timeout) {
        log("requests in flight were given up after 5 s");
    }
}

fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> Result<(), Failure> {
    let thread = thread::Builder::new().name(name.to_owned()).spawn(body);
    thread
        .map(drop)
        .map_err(|error| system(format!("cannot start the thread {name}: {error}")))
}

fn print(text: &str) -> Result<(), Failure> {
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(system(format!("cannot write to stdout: {error}")))
        }
        // Who reads it has seen enough.
        Ok(()) | Err(_) => Ok(()),
    }
}

/// One line on stderr. Nobody is left to tell when that is closed.
fn log(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}
