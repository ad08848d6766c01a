//! What the system says of the process, by the names that all client libraries give it
//! (Prometheus, "Writing client libraries", process metrics).

use std::fmt::{self, Display, Write};

use super::Status;
use crate::build::{COMMIT, VERSION};
use crate::process::Usage;

impl Status {
    /// What the system does not say is left out.
    pub(super) fn write_standard(&self, usage: &Usage, to: &mut String) -> fmt::Result {
        let help = "Version and commit of the running binary; the value is always 1.";
        let labels = format!("version=\"{VERSION}\",commit=\"{COMMIT}\"");
        let name = "aggregation_gateway_build_info";
        write_head(to, name, "gauge", help)?;
        writeln!(to, "{name}{{{labels}}} 1")?;
        let help = "Unix time at which the process started, in seconds.";
        let start = self.start_time_seconds;
        write(to, "start_time_seconds", "gauge", help, Some(start))?;
        let help = "Total CPU time of the process, user and system, in seconds.";
        let cpu = usage.cpu_duration.map(|duration| duration.as_secs_f64());
        write(to, "cpu_seconds_total", "counter", help, cpu)?;
        let help = "Number of open file descriptors.";
        write(to, "open_fds", "gauge", help, usage.descriptors)?;
        let help = "Maximum number of open file descriptors.";
        write(to, "max_fds", "gauge", help, usage.descriptors_max)?;
        let help = "Virtual memory size in bytes.";
        let bytes = usage.virtual_memory_bytes;
        write(to, "virtual_memory_bytes", "gauge", help, bytes)?;
        let help = "Resident memory size in bytes.";
        let bytes = usage.resident_memory_bytes;
        write(to, "resident_memory_bytes", "gauge", help, bytes)?;
        let help = "Number of threads.";
        write(to, "threads", "gauge", help, usage.threads)
    }
}

fn write(
    to: &mut String,
    name: &str,
    metric_type: &str,
    help: &str,
    value: Option<impl Display>,
) -> fmt::Result {
    let Some(value) = value else {
        return Ok(());
    };
    let name = format!("process_{name}");
    write_head(to, &name, metric_type, help)?;
    writeln!(to, "{name} {value}")
}

fn write_head(to: &mut String, name: &str, metric_type: &str, help: &str) -> fmt::Result {
    writeln!(to, "# HELP {name} {help}\n# TYPE {name} {metric_type}")
}
