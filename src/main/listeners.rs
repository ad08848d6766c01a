//! The sockets that clients connect to: bound here, passed by systemd, or handed over.

use std::io;
use std::os::fd::OwnedFd;

use prometheus_aggregation_gateway::build;
use prometheus_aggregation_gateway::listen::{self, ListenAddress, Listener, LocalAddress};

use super::plan::Plan;
use super::{Failure, PROGRAM, logger, system};

/// The port that Pushgateway and this gateway listen on if nothing is said.
const PUSHGATEWAY_PORT: &str = ":9091";

/// Binds the addresses, unless systemd has bound sockets for this process: then it takes these.
pub fn bind(addresses: &[ListenAddress]) -> Result<Vec<Listener>, Failure> {
    let inherited = listen::from_systemd();
    let inherited = inherited.map_err(|error| system(format!("socket activation: {error}")))?;
    if !inherited.is_empty() {
        return Ok(inherited);
    }
    let bound = addresses.iter().map(|address| {
        let bound = address.listen();
        bound.map_err(|error| system(cannot_listen(address, &error)))
    });
    bound.collect()
}

/// Takes over the listening sockets of another image of the program.
pub fn adopt(sockets: Vec<OwnedFd>) -> Result<Vec<Listener>, Failure> {
    let adopted = sockets.into_iter().map(listen::adopt);
    adopted.collect::<io::Result<_>>().map_err(system)
}

fn cannot_listen(address: &ListenAddress, error: &io::Error) -> String {
    let hint = match error.kind() {
        io::ErrorKind::AddrInUse if address.to_string().ends_with(PUSHGATEWAY_PORT) => {
            "; another process listens there, a Pushgateway perhaps, which has the same port: \
             choose another one with -listen"
        }
        io::ErrorKind::AddrInUse => {
            "; another process listens there: choose another address with -listen"
        }
        io::ErrorKind::PermissionDenied => {
            "; choose a port from 1024, or a path that may be written, with -listen"
        }
        io::ErrorKind::AddrNotAvailable => {
            "; this machine does not have the address: choose another one with -listen"
        }
        _ => "",
    };
    format!("cannot listen on {address}: {error}{hint}")
}

/// Says where it listens, what the schedule will do, and how to push a first sample.
pub fn announce(listeners: &[Listener], push_path: &str, plan: Option<&Plan>) {
    let version = build::VERSION;
    let mut first = None;
    for listener in listeners {
        let (address, url) = described(listener);
        logger::info(format!("{PROGRAM} {version} listens on {address}"));
        first.get_or_insert(url);
    }
    match plan {
        None => logger::info("no -crontab: no scheduled reset"),
        Some(plan) => {
            plan.announce();
            plan.warn_of_large_steps();
        }
    }
    let url = first.unwrap_or_default();
    logger::info(format!(
        "push: echo 'some_metric 3.14' | curl --data-binary @- {url}{push_path}/job/some_job"
    ));
    logger::info(format!("scrape: curl {url}/metrics"));
}

/// An address as a person reads it, and as curl takes it.
fn described(listener: &Listener) -> (String, String) {
    match listener.local_address() {
        Ok(LocalAddress::Internet(address)) if address.ip().is_unspecified() => {
            let families = if address.is_ipv6() {
                "IPv6 and IPv4"
            } else {
                "IPv4"
            };
            let port = address.port();
            let shown = format!(":{port} ({families})");
            (shown, format!("http://localhost:{port}"))
        }
        Ok(LocalAddress::Internet(address)) => (address.to_string(), format!("http://{address}")),
        Ok(LocalAddress::Unix(path)) => {
            let path = path.display();
            let url = format!("--unix-socket {path} http://localhost");
            (format!("unix:{path}"), url)
        }
        Err(error) => (error.to_string(), "http://localhost".to_owned()),
    }
}
