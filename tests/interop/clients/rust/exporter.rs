//! Pushes the numbers twice with the crate `metrics-exporter-prometheus`: `rust-exporter URL
//! NUMBERS JOB`
//!
//! It pushes all it has at an interval, for as long as the process runs, and tells nobody. So this
//! ends the process when the gateway shows the sum of two pushes, long before a third one is due.
//! Its counters count in whole numbers, and leave out a fraction.

mod numbers;

use metrics::{counter, describe_counter, describe_gauge, describe_histogram};
use metrics::{gauge, histogram};
use metrics_exporter_prometheus::PrometheusBuilder;
use numbers::{Error, Number};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

const INTERVAL: Duration = Duration::from_secs(2);
const DEADLINE: Duration = Duration::from_secs(20);

fn record(numbers: &[Number]) {
    describe_counter!("interop_jobs_total", "Jobs done.");
    describe_gauge!("interop_level", "Level.");
    describe_histogram!("interop_job_seconds", "Seconds.");
    for Number { kind, label, value } in numbers {
        let label = label.clone();
        match kind.as_str() {
            "counter" if value.fract() != 0.0 => {}
            "counter" => counter!("interop_jobs_total", "queue" => label).increment(*value as u64),
            "gauge" => gauge!("interop_level", "place" => label).set(*value),
            _ => histogram!("interop_job_seconds", "route" => label).record(*value),
        }
    }
}

fn scrape(url: &str) -> Result<String, Error> {
    let address = url
        .strip_prefix("http://")
        .ok_or("not an address of http")?;
    let mut connection = TcpStream::connect(address)?;
    write!(
        connection,
        "GET /metrics HTTP/1.0\r\nHost: {address}\r\n\r\n"
    )?;
    let mut page = String::new();
    connection.read_to_string(&mut page)?;
    Ok(page)
}

/// Returns when the gateway shows twice what was observed.
fn wait_for_two_pushes(url: &str, job: &str, observations: usize) -> Result<(), Error> {
    let (begin, job) = (Instant::now(), format!("job=\"{job}\""));
    while begin.elapsed() < DEADLINE {
        let counts = scrape(url)?
            .lines()
            .filter(|line| line.starts_with("interop_job_seconds_count") && line.contains(&job))
            .filter_map(|line| line.rsplit(' ').next()?.parse::<usize>().ok())
            .sum::<usize>();
        if counts >= 2 * observations {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Err(format!("no sum of two pushes within {DEADLINE:?}").into())
}

fn main() -> Result<(), Error> {
    let arguments = numbers::arguments()?;
    let (url, job) = (&arguments.url, &arguments.job);
    rustls::crypto::ring::default_provider()
        .install_default()
        .map_err(|_| "there is a provider already")?;
    PrometheusBuilder::new()
        .with_push_gateway(
            format!("{url}/metrics/job/{job}"),
            INTERVAL,
            None,
            None,
            true,
        )?
        .set_buckets(&[0.5, 1.0, 2.5])?
        .install()?;
    record(&arguments.numbers);
    let observations = arguments
        .numbers
        .iter()
        .filter(|number| number.kind == "histogram");
    wait_for_two_pushes(url, job, observations.count())
}
