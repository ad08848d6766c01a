//! Mixes of honest clients, as many and as quick as they can be: nobody is refused, and all is
//! counted.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use super::client::Connection;
use super::gateway::{Confinement, Gateway, NotStarted, threads};
use super::honest::value;

const CLIENTS: [usize; 4] = [1, 2, 32, 256];

/// About so many bytes in each body.
const BODIES: [(&str, usize); 4] = [
    ("70 B", 70),
    ("3.7 kB", 3_700),
    ("64 kB", 64_000),
    ("1.3 MB", 1_300_000),
];

/// Between two scrapes.
const SCRAPE_INTERVAL: Duration = Duration::from_millis(100);

/// Threads are counted from then on: those of the start are there, and all clients are connected.
const WARM_UP: Duration = Duration::from_millis(300);

const SAMPLE_INTERVAL: Duration = Duration::from_millis(10);

/// With 256 clients, 330 MB of bodies are ahead of one's own.
const PATIENCE: Duration = Duration::from_secs(60);

const THREADS_MAX: usize = 20;

const SERIES: &str = "mixed_total{client=\"all\",job=\"mix\"}";

/// Runs all mixes, each for so long, and prints their table. Gives how many there were, and how
/// many broke a law.
pub fn run(program: &Path, duration: Duration) -> (usize, usize) {
    println!(
        "| clients | body | pushes | pushes/s | push p50 ms | push p99 ms | scrapes \
         | scrape p50 ms | scrape p99 ms | refused | threads | seconds |\n\
         |--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|"
    );
    let (mut made, mut failed) = (0, 0);
    for clients in CLIENTS {
        for (name, bytes) in BODIES {
            made += 1;
            let broken = match mix(program, clients, name, &body(bytes), duration) {
                Ok(broken) => broken,
                Err(why) => vec![why],
            };
            for law in &broken {
                eprintln!("{clients} clients, {name}: BROKEN LAW: {law}");
            }
            failed += usize::from(!broken.is_empty());
        }
    }
    (made, failed)
}

/// A counter that all clients add to, and other series up to about so many bytes.
fn body(bytes: usize) -> String {
    let mut body = String::from("# TYPE mixed_total counter\nmixed_total{client=\"all\"} 1\n");
    for number in 0.. {
        let before = body.len();
        // A String takes whatever is written.
        let _ = writeln!(body, "mixed_others{{number=\"{number}\",method=\"GET\"}} 1");
        if body.len() > bytes {
            body.truncate(before);
            break;
        }
    }
    body
}

/// What one client saw.
#[derive(Default)]
struct Seen {
    latencies: Vec<Duration>,
    refused: u64,
    first_refusal: Option<String>,
}

impl Seen {
    fn merge(&mut self, other: Seen) {
        self.latencies.extend(other.latencies);
        self.refused += other.refused;
        self.first_refusal = self.first_refusal.take().or(other.first_refusal);
    }

    /// The latency that so many of a hundred requests do not exceed, in milliseconds.
    fn percentile(&mut self, percent: usize) -> String {
        self.latencies.sort_unstable();
        let at = (self.latencies.len() * percent).div_ceil(100);
        let found = at.checked_sub(1).and_then(|at| self.latencies.get(at));
        found.map_or("?".to_owned(), |latency| {
            format!("{:.2}", latency.as_secs_f64() * 1_000.0)
        })
    }
}

/// Sends a request again and again on one connection, until it is over.
fn repeat(
    address: SocketAddr,
    request: &[u8],
    pause: Duration,
    start: &Barrier,
    is_over: &AtomicBool,
) -> Seen {
    let mut seen = Seen::default();
    let mut kept = Connection::open(address, PATIENCE).ok();
    start.wait();
    while !is_over.load(SeqCst) {
        let started = Instant::now();
        let opened = kept
            .take()
            .map_or_else(|| Connection::open(address, PATIENCE), Ok);
        let answer = opened.and_then(|mut connection| {
            let answer = connection.round_trip(request)?;
            kept = (!answer.ends_connection).then_some(connection);
            Ok(answer)
        });
        let refusal = match answer {
            Ok(answer) if answer.code == 200 => {
                seen.latencies.push(started.elapsed());
                thread::sleep(pause);
                continue;
            }
            Ok(answer) => format!("{}: {}", answer.code, answer.body.trim_end()),
            Err(error) => error.to_string(),
        };
        seen.refused += 1;
        seen.first_refusal.get_or_insert(refusal);
    }
    seen
}

/// The least and the most threads that the gateway had.
struct Threads {
    least: AtomicUsize,
    most: AtomicUsize,
}

impl Threads {
    fn watch(&self, process: u32, is_over: &AtomicBool) {
        thread::sleep(WARM_UP);
        while !is_over.load(SeqCst) {
            let count = threads(process);
            self.least.fetch_min(count, SeqCst);
            self.most.fetch_max(count, SeqCst);
            thread::sleep(SAMPLE_INTERVAL);
        }
    }
}

/// Runs one mix and prints its row. Gives the broken laws.
fn mix(
    program: &Path,
    clients: usize,
    name: &str,
    body: &str,
    duration: Duration,
) -> Result<Vec<String>, String> {
    let gateway = Gateway::start(program, "127.0.0.1:0", &[], Confinement::None);
    let mut gateway =
        gateway.map_err(|(NotStarted::NotPossible(why) | NotStarted::Failed(why))| why)?;
    let length = body.len();
    let push =
        format!("POST /metrics/job/mix HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n");
    let push = push + body;
    let scrape = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n";
    let (is_over, start) = (AtomicBool::new(false), Barrier::new(clients + 2));
    let counted = Threads {
        least: AtomicUsize::new(usize::MAX),
        most: AtomicUsize::new(0),
    };
    let address = gateway.address;
    let started = Instant::now();
    let run = || repeat(address, push.as_bytes(), Duration::ZERO, &start, &is_over);
    let (mut pushes, mut scrapes) = thread::scope(|scope| {
        let clients: Vec<_> = (0..clients).map(|_| scope.spawn(run)).collect();
        let scraper = scope.spawn(|| repeat(address, scrape, SCRAPE_INTERVAL, &start, &is_over));
        start.wait();
        scope.spawn(|| counted.watch(gateway.process(), &is_over));
        thread::sleep(duration);
        is_over.store(true, SeqCst);
        let mut pushes = Seen::default();
        for client in clients {
            pushes.merge(client.join().unwrap_or_default());
        }
        (pushes, scraper.join().unwrap_or_default())
    });
    let elapsed = started.elapsed();
    gateway.assert_runs()?;
    let mut connection = Connection::open(address, PATIENCE).map_err(|error| error.to_string())?;
    let page = connection
        .round_trip(scrape)
        .map_err(|error| error.to_string())?;
    let (least, most) = (counted.least.into_inner(), counted.most.into_inner());
    let refused = pushes.refused + scrapes.refused;
    println!(
        "| {clients} | {name} | {} | {} | {} | {} | {} | {} | {} | {refused} | {least} to {most} \
         | {:.1} |",
        pushes.latencies.len(),
        pushes.latencies.len() as u128 * 1_000 / elapsed.as_millis(),
        pushes.percentile(50),
        pushes.percentile(99),
        scrapes.latencies.len(),
        scrapes.percentile(50),
        scrapes.percentile(99),
        elapsed.as_secs_f64(),
    );
    Ok(broken_laws(
        &pushes,
        &scrapes,
        &page.body,
        body,
        least..=most,
    ))
}

fn broken_laws(
    pushes: &Seen,
    scrapes: &Seen,
    page: &str,
    body: &str,
    threads: std::ops::RangeInclusive<usize>,
) -> Vec<String> {
    let mut broken = Vec::new();
    for (what, seen) in [("pushes", pushes), ("scrapes", scrapes)] {
        if let Some(why) = &seen.first_refusal {
            broken.push(format!("{} {what} refused, the first: {why}", seen.refused));
        }
    }
    let acknowledged = pushes.latencies.len() as u64;
    let is_wrong =
        |line: &&str| line.starts_with("mixed_") && !line.ends_with(&format!("}} {acknowledged}"));
    if pushes.refused == 0
        && let Some(wrong) = page.lines().find(is_wrong)
    {
        broken.push(format!("after {acknowledged} pushes: {wrong}"));
    }
    // A push that was cut off may have been merged.
    let shown = value(page, SERIES);
    if !(acknowledged..=acknowledged + pushes.refused).contains(&shown) {
        broken.push(format!(
            "{shown} pushes show, {acknowledged} were acknowledged"
        ));
    }
    let series = |text: &str| {
        text.lines()
            .filter(|line| line.starts_with("mixed_"))
            .count()
    };
    if series(page) != series(body) {
        broken.push(format!(
            "{} series show, {} were pushed",
            series(page),
            series(body)
        ));
    }
    if *threads.end() > THREADS_MAX || threads.start() != threads.end() {
        let (least, most) = (threads.start(), threads.end());
        broken.push(format!("it had {least} to {most} threads"));
    }
    broken
}
