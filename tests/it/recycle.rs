//! A front end that cannot be mended is begun anew, in the same process and without losing a count;
//! and what systemd is told of it.

use std::os::unix::net::UnixDatagram;
use std::process::{Command, Stdio};

use rustix::process::Signal;

use crate::running_gateway::{
    Connection, PATIENCE, RunningGateway, command, program, scratch_folder,
};

const RECYCLES: &str = "aggregation_gateway_recycles_total";

/// The HTTP library never lets go of these: four make a front end of ten connections worthless.
#[test]
fn abandoned_connections() {
    let folder = scratch_folder();
    let journal = folder.path().join("sums");
    let journal = journal.to_str().expect("it is ours");
    for flags in [&[][..], &["-journal", journal]] {
        let flags = [&["-max-connections", "16"], flags].concat();
        let gateway = RunningGateway::start(&flags);
        for request in [
            "GET / HTTP/2.0\r\n\r\n",
            "POST /metrics HTTP/1.1\r\nContent-Length: 1000000000000\r\n\r\n",
        ] {
            let before = gateway.own_metric(&format!("{RECYCLES}{{reason=\"abandoned\"}}"));
            for _ in 0..5 {
                assert_eq!(gateway.push("/metrics", "some 1\n").code, 200);
                let mut connection = gateway.connect();
                connection.send_bytes(request.as_bytes());
            }
            gateway.wait_for_line("has taken over");
            let now = gateway.own_metric(&format!("{RECYCLES}{{reason=\"abandoned\"}}"));
            assert_eq!(now, before + 1.0);
            gateway.assert_is_idle();
        }
        assert_eq!(gateway.scrape(), "# TYPE some untyped\nsome 10\n");
    }
}

/// A few more connections than descriptors end the accepting of any.
#[test]
fn descriptors_run_out() {
    let program = program();
    let mut shell = Command::new("sh");
    shell.args([
        "-c",
        "ulimit -n 80; exec \"$0\" -listen 127.0.0.1:0",
        &program,
    ]);
    let shell = shell.stdin(Stdio::null()).stderr(Stdio::piped()).spawn();
    let gateway = RunningGateway::of(shell.expect("there is a shell"));
    assert_eq!(gateway.push("/metrics", "some 1\n").code, 200);
    let connections: Vec<Connection> = (0..100).map(|_| gateway.connect()).collect();
    gateway.wait_for_line("has taken over");
    drop(connections);
    assert_eq!(gateway.push("/metrics", "some 1\n").code, 200);
    assert_eq!(gateway.scrape(), "# TYPE some untyped\nsome 2\n");
    let recycles = gateway.own_metric(&format!("{RECYCLES}{{reason=\"accept\"}}"));
    assert!(recycles >= 1.0);
}

#[test]
fn systemd_is_told() {
    let folder = scratch_folder();
    let path = folder.path().join("notify");
    let socket = UnixDatagram::bind(&path).expect("the folder is ours");
    let patience = Some(PATIENCE);
    socket.set_read_timeout(patience).expect("it is not zero");
    let next = || {
        let mut message = [0; 1000];
        let length = socket.recv(&mut message).expect("it is told in time");
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
    wait_for("STATUS=1 families, 1 series");
    gateway.signal(Signal::TERM);
    wait_for("STOPPING=1");
    assert_eq!(gateway.wait().code(), Some(0));
}
