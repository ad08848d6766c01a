//! Pushes the numbers twice with the crate `prometheus` and its feature `push`, whose one format is
//! protobuf: `rust-prometheus URL NUMBERS JOB`

mod numbers;

use numbers::{Error, Number};
use prometheus::{CounterVec, GaugeVec, HistogramOpts, HistogramVec, Opts, Registry};
use std::collections::HashMap;

fn registry(numbers: &[Number]) -> Result<Registry, Error> {
    let jobs = CounterVec::new(Opts::new("interop_jobs_total", "Jobs done."), &["queue"])?;
    let level = GaugeVec::new(Opts::new("interop_level", "Level."), &["place"])?;
    let seconds = HistogramOpts::new("interop_job_seconds", "Seconds.");
    let seconds = HistogramVec::new(seconds.buckets(vec![0.5, 1.0, 2.5]), &["route"])?;
    for Number { kind, label, value } in numbers {
        match kind.as_str() {
            "counter" => jobs.with_label_values(&[label]).inc_by(*value),
            "gauge" => level.with_label_values(&[label]).set(*value),
            _ => seconds.with_label_values(&[label]).observe(*value),
        }
    }
    let registry = Registry::new();
    registry.register(Box::new(jobs))?;
    registry.register(Box::new(level))?;
    registry.register(Box::new(seconds))?;
    Ok(registry)
}

fn main() -> Result<(), Error> {
    let arguments = numbers::arguments()?;
    let registry = registry(&arguments.numbers)?;
    let (job, url) = (&arguments.job, &arguments.url);
    for _ in 0..2 {
        let families = registry.gather();
        if job.ends_with("add") {
            prometheus::push_add_metrics(job, HashMap::new(), url, families, None)?;
        } else {
            prometheus::push_metrics(job, HashMap::new(), url, families, None)?;
        }
    }
    Ok(())
}
