//! Pushes the numbers twice with the crate `prometheus-client`, which writes OpenMetrics and leaves
//! the push to its user: `rust-client URL NUMBERS JOB`

mod numbers;

use numbers::{Error, Number};
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::AtomicU64;

const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

type Labels = [(&'static str, String); 1];

fn registry(numbers: &[Number]) -> Registry {
    let jobs = Family::<Labels, Counter<f64, AtomicU64>>::default();
    let level = Family::<Labels, Gauge<f64, AtomicU64>>::default();
    let seconds =
        Family::<Labels, Histogram>::new_with_constructor(|| Histogram::new([0.5, 1.0, 2.5]));
    for Number { kind, label, value } in numbers {
        match kind.as_str() {
            "counter" => {
                _ = jobs
                    .get_or_create(&[("queue", label.clone())])
                    .inc_by(*value)
            }
            "gauge" => _ = level.get_or_create(&[("place", label.clone())]).set(*value),
            _ => seconds
                .get_or_create(&[("route", label.clone())])
                .observe(*value),
        }
    }
    let mut registry = Registry::default();
    registry.register("interop_jobs", "Jobs done", jobs);
    registry.register("interop_level", "Level", level);
    registry.register("interop_job_seconds", "Seconds", seconds);
    registry
}

fn push(url: &str, job: &str, body: &str) -> Result<(), Error> {
    let address = url
        .strip_prefix("http://")
        .ok_or("not an address of http")?;
    let mut connection = TcpStream::connect(address)?;
    write!(
        connection,
        "POST /metrics/job/{job} HTTP/1.1\r\nHost: {address}\r\nContent-Type: {CONTENT_TYPE}\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )?;
    let mut response = String::new();
    connection.read_to_string(&mut response)?;
    if response.starts_with("HTTP/1.1 200 ") {
        return Ok(());
    }
    Err(response
        .lines()
        .last()
        .unwrap_or("no response")
        .to_owned()
        .into())
}

fn main() -> Result<(), Error> {
    let arguments = numbers::arguments()?;
    let registry = registry(&arguments.numbers);
    for _ in 0..2 {
        let mut body = String::new();
        encode(&mut body, &registry)?;
        push(&arguments.url, &arguments.job, &body)?;
    }
    Ok(())
}
