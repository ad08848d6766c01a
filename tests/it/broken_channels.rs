//! Channels to the workers that break.

use std::fs;
use std::net::Shutdown;
use std::os::unix::net::UnixStream;

use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};

use crate::running_gateway::{RunningGateway, wait_until};

/// When the channel to a worker breaks, those who wait for its response are cut off, and the
/// workers are replaced: everybody else is served.
#[test]
fn workers_are_replaced() {
    let gateway = RunningGateway::start(&[]);
    let mut kept = gateway.connect();
    kept.send("POST", "/metrics", "", b"some 1\n");
    assert_eq!(kept.reply("POST").code, 200);
    let threads = gateway.threads();
    let failures = "aggregation_gateway_backend_failures_total";
    for round in 1..=3 {
        assert!(break_channels(&gateway) > 0, "there are no channels");
        wait_until(|| gateway.get("/-/healthy").code == 200);
        assert_eq!(gateway.own_metric(failures), f64::from(round));
        kept.send("POST", "/metrics", "", b"some 1\n");
        assert_eq!(kept.reply("POST").code, 200);
    }
    assert_eq!(gateway.scrape(), "# TYPE some untyped\nsome 4\n");
    // Those of the broken ones end, if not at once.
    wait_until(|| gateway.threads() <= threads);
}

/// Breaks all channels of a gateway and gives how many there were: its connected Unix sockets, of
/// which the side of the HTTP library has a name. Needs the right to trace it, which its parent
/// mostly has.
#[track_caller]
fn break_channels(gateway: &RunningGateway) -> usize {
    let process = i32::try_from(gateway.id()).ok().and_then(Pid::from_raw);
    let handle = pidfd_open(process.expect("it is a process"), PidfdFlags::empty());
    let handle = handle.expect("it runs");
    let descriptors = fs::read_dir(format!("/proc/{}/fd", gateway.id()));
    let names = descriptors.expect("it runs").filter_map(Result::ok);
    let numbers = names.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let sockets = numbers.filter_map(|number| {
        let socket = pidfd_getfd(&handle, number, PidfdGetfdFlags::empty());
        socket.map(UnixStream::from).ok()
    });
    let is_named = |socket: &UnixStream| {
        let address = socket.local_addr();
        address.is_ok_and(|address| !address.is_unnamed())
    };
    // All are found before the first one breaks: those that take their place are to live.
    let channels: Vec<UnixStream> = sockets.filter(is_named).collect();
    let broken = channels
        .iter()
        .filter(|channel| channel.shutdown(Shutdown::Both).is_ok());
    broken.count()
}
