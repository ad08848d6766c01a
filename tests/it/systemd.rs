//! What systemd is told.

use std::io::ErrorKind::Interrupted;
use std::os::unix::net::UnixDatagram;
use std::process::Stdio;

use rustix::process::Signal;

use crate::running_gateway::{PATIENCE, RunningGateway, command, scratch_folder};

#[test]
fn systemd_is_told() {
    let folder = scratch_folder();
    let path = folder.path().join("notify");
    let socket = UnixDatagram::bind(&path).expect("the folder is ours");
    let patience = Some(PATIENCE);
    socket.set_read_timeout(patience).expect("it is not zero");
    let next = || {
        let mut message = [0; 1000];
        // A machine that was stopped for a moment interrupts what has a timeout (signal(7)).
        let received = std::iter::repeat_with(|| socket.recv(&mut message))
            .find(|received| !matches!(received, Err(error) if error.kind() == Interrupted));
        let length = received.expect("it goes on").expect("it is told in time");
        String::from_utf8_lossy(&message[..length]).into_owned()
    };
    let wait_for = |line: &str| while !next().lines().any(|found| found == line) {};
    let mut gateway = command(&["-listen", "127.0.0.1:0"]);
    let gateway = gateway.env("NOTIFY_SOCKET", &path).stderr(Stdio::piped());
    let mut gateway = RunningGateway::of(gateway.spawn().expect("the binary was built"));
    assert_eq!(next(), "READY=1");
    wait_for("WATCHDOG=1");
    gateway.signal(Signal::HUP);
    wait_for("RELOADING=1");
    wait_for("READY=1");
    assert_eq!(gateway.push("/metrics", "some 1\n").code, 200);
    wait_for("STATUS=1 family, 1 series");
    gateway.signal(Signal::TERM);
    wait_for("STOPPING=1");
    assert_eq!(gateway.wait().code(), Some(0));
}
