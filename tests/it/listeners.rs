//! Where it listens: several addresses, sockets at paths, sockets of systemd.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::process::Signal;

use crate::running_gateway::{PATIENCE, RunningGateway, command, program, scratch_folder};

/// One request at a path.
#[track_caller]
fn get(path: &Path, target: &str) -> String {
    let mut stream = UnixStream::connect(path).expect("it listens");
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let request = format!("GET {target} HTTP/1.0\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut reply = String::new();
    stream.read_to_string(&mut reply).unwrap();
    reply
}

#[track_caller]
fn push(path: &Path) {
    let mut stream = UnixStream::connect(path).expect("it listens");
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let request = b"POST /metrics HTTP/1.0\r\nContent-Length: 4\r\n\r\nx 1\n";
    stream.write_all(request).unwrap();
    let mut reply = String::new();
    stream.read_to_string(&mut reply).unwrap();
    assert!(reply.starts_with("HTTP/1.0 200 OK\r\n"), "{reply}");
}

#[track_caller]
fn hand_over(gateway: &RunningGateway) {
    gateway.signal(Signal::HUP);
    gateway.wait_for_line(" has taken over");
}

/// All of them serve, before and after a hand-over, and the file of a socket stays.
#[test]
fn several_addresses() {
    let folder = scratch_folder();
    let path = folder.path().join("x.sock");
    let unix = format!("unix:{}", path.display());
    let more = ["-listen", "127.0.0.1:0", "-listen", &unix];
    let mut gateway = RunningGateway::start(&more);
    let second = gateway.wait_for_line(" listens on 127.0.0.1:");
    let port = second
        .rsplit_once(':')
        .and_then(|(_, port)| port.parse().ok());
    let port: u16 = port.expect("it is a number");
    gateway.wait_for_line(&format!(" listens on {unix}"));
    let first = gateway.address;
    let inode = |path: &Path| {
        use std::os::unix::fs::MetadataExt;
        fs::metadata(path).expect("it is there").ino()
    };
    let before = inode(&path);
    let mut idle = UnixStream::connect(&path).unwrap();
    idle.set_read_timeout(Some(PATIENCE)).unwrap();
    for _ in 0..3 {
        for port in [first.port(), port] {
            gateway.address.set_port(port);
            assert_eq!(gateway.push("/metrics", "x 1\n").code, 200);
        }
        push(&path);
        idle.write_all(b"GET /-/healthy HTTP/1.1\r\n\r\n").unwrap();
        let mut status = [0; 15];
        idle.read_exact(&mut status).unwrap();
        assert_eq!(&status, b"HTTP/1.1 200 OK");
        let mut rest = [0; 4096];
        while !rest.ends_with(b"true}") {
            let length = idle.read(&mut rest).unwrap();
            if rest[..length].ends_with(b"true}") {
                break;
            }
        }
        hand_over(&gateway);
    }
    assert_eq!(inode(&path), before);
    assert_eq!(gateway.scrape(), "# TYPE x untyped\nx 9\n");
    gateway.signal(Signal::TERM);
    assert_eq!(gateway.wait().code(), Some(0));
    assert!(UnixStream::connect(&path).is_err());
}

/// A socket that nobody listens at is what a killed process leaves; anything else stays.
#[test]
fn what_is_at_a_path() {
    let folder = scratch_folder();
    let path = folder.path().join("x.sock");
    let unix = format!("unix:{}", path.display());
    for _ in 0..2 {
        // Dropping it kills it.
        let process = command(&["-listen", &unix]).stderr(Stdio::piped()).spawn();
        let gateway = RunningGateway::watch(process.expect("it was built"));
        gateway.wait_for_line("scrape: curl --unix-socket ");
        push(&path);
        assert!(get(&path, "/metrics").ends_with("\r\n\r\n# TYPE x untyped\nx 1\n"));
        drop(gateway);
        assert!(path.exists());
    }
    let refused = |unix: &str, line: &str| {
        let output = command(&["-listen", unix]).output().expect("it was built");
        let stderr = String::from_utf8(output.stderr).expect("it is text");
        let line = format!("prometheus-aggregation-gateway: cannot listen on {unix}: {line}");
        assert!(stderr.starts_with(&line), "{stderr}");
        assert_eq!(output.status.code(), Some(1));
    };
    fs::remove_file(&path).unwrap();
    let other = UnixListener::bind(&path).unwrap();
    refused(&unix, "Address ");
    UnixStream::connect(&path).expect("it is the other one's");
    drop(other);
    fs::remove_file(&path).unwrap();
    fs::write(&path, "precious").unwrap();
    refused(&unix, "what is there is no socket\n");
    assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
    refused("unix:/no/such/folder/x", "No such file or directory");
    let long = format!("unix:/{}", "x".repeat(107));
    let output = command(&["-listen", &long]).output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.contains("flag -listen: expected unix:PATH, a path of at most 107 bytes"));
    assert_eq!(output.status.code(), Some(2));
}

/// systemd passes them from descriptor 3 on (sd_listen_fds(3)); -listen has no effect then.
#[test]
fn several_sockets_of_systemd() {
    let folder = scratch_folder();
    let path = folder.path().join("x.sock");
    let unix = UnixListener::bind(&path).unwrap();
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = tcp.local_addr().unwrap();
    let activate =
        "exec 3<&0 4<&1 0</dev/null 1>&2; LISTEN_PID=$$ LISTEN_FDS=2 exec \"$1\" -listen :1";
    let mut shell = Command::new("sh");
    let shell = shell.args(["-c", activate, "sh", &program()]);
    let shell = shell
        .stdin(std::os::fd::OwnedFd::from(tcp))
        .stdout(std::os::fd::OwnedFd::from(unix));
    let process = shell.stderr(Stdio::piped()).spawn();
    let gateway = RunningGateway::of(process.expect("there is a shell"));
    assert_eq!(gateway.address, address);
    for _ in 0..2 {
        assert_eq!(gateway.push("/metrics", "x 1\n").code, 200);
        push(&path);
        hand_over(&gateway);
    }
    assert_eq!(gateway.scrape(), "# TYPE x untyped\nx 4\n");
}
