//! The log of a running gateway: who was refused what, at what cost, and in which format.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::process::Stdio;
use std::time::Instant;

use rustix::net::sockopt::set_socket_send_buffer_size;
use rustix::process::Signal;

use crate::running_gateway::{RunningGateway, command, scratch_folder, unstamped, wait_until};

/// Sends bytes and waits for a response with this code.
#[track_caller]
fn send(gateway: &RunningGateway, bytes: &[u8], code: u16) {
    let mut connection = gateway.connect();
    connection.send_bytes(bytes);
    assert_eq!(connection.reply("POST").code, code);
}

/// The next line about a request begins so.
#[track_caller]
fn check(gateway: &RunningGateway, line: &str) {
    let found = gateway.wait_for_line(" sender=");
    assert!(found.starts_with(line), "{found}");
}

/// Each names the sender, the path and the reason, and no query.
#[test]
fn refusals_are_logged() {
    let gateway = RunningGateway::start(&["-max-series=1"]);
    let of = "sender=127.0.0.1 method=POST path=/metrics";
    assert_eq!(
        gateway.push("/metrics/job/a?key=secret", "x 1\nx 1\n").code,
        400
    );
    let repeated = "line 2: the series `x{job=";
    let line = gateway.wait_for_whole_line("push refused");
    let expected = format!("push refused {of}/job/a status=400 reason=\"{repeated}");
    assert!(line.contains("Z WARN "), "{line}");
    assert!(unstamped(&line).starts_with(&expected), "{line}");
    assert_eq!(gateway.push("/metrics", "x 1\ny 1\n").code, 429);
    check(&gateway, &format!("push refused {of} status=429 reason="));
    assert_eq!(gateway.get("/nowhere?a").code, 404);
    let line = gateway.wait_for_whole_line("/nowhere");
    let of = "request refused sender=127.0.0.1 method=GET path=/nowhere status=404";
    assert!(line.contains(&format!("Z INFO {of}")), "{line}");
    assert_eq!(gateway.request("HEAD", "/metrics/x", "", b"").code, 405);
    let of = "request refused sender=127.0.0.1 method=HEAD path=/metrics/x status=405";
    check(&gateway, &format!("{of} reason=\"Method Not Allowed\""));
}

/// Those of the gate, too: what can be shown of a request is shown.
#[test]
fn refusals_of_the_gate_are_logged() {
    let gateway = RunningGateway::start(&["-max-body-bytes=1000", "-head-timeout=1s"]);
    let of = "sender=127.0.0.1 method=POST path=/metrics";
    send(
        &gateway,
        b"POST /metrics/job/b HTTP/1.1\r\nContent-Length: 1001\r\n\r\n",
        413,
    );
    let reason = "the body is longer than 1000 bytes (-max-body-bytes)";
    check(
        &gateway,
        &format!("push refused {of}/job/b status=413 reason=\"{reason}\""),
    );
    send(
        &gateway,
        b"POST /metrics/\x1b[31m\xe2\x80\xae\xff HTTP/1.1\r\n\r\n",
        400,
    );
    check(
        &gateway,
        &format!("request refused {of}/\\u{{1b}}[31m\\u{{202e}}\\xff status=400 reason="),
    );
    let head = format!(
        "POST /metrics/{} HTTP/1.1\r\na: {}\r\n\r\n",
        "c".repeat(300),
        "b".repeat(33_000)
    );
    send(&gateway, head.as_bytes(), 431);
    let path = format!(
        "{}... status=431 reason=",
        "c".repeat(200 - "/metrics/...".len())
    );
    check(&gateway, &format!("request refused {of}/{path}"));
    // What is no request line at all is not shown: it may be a body, or a secret.
    send(&gateway, b"Secret: hidden-0123456789\r\n\r\n", 400);
    let line = gateway.wait_for_line("status=400");
    assert!(
        !line.contains("hidden") && !line.contains("Secret"),
        "{line}"
    );
    // Also on a connection that was pushed by before.
    let mut connection = gateway.connect();
    connection.send("POST", "/metrics/job/d", "", b"");
    assert_eq!(connection.reply("POST").code, 200);
    connection.send_bytes(b"POST /metrics/job/e HTTP/1.1\r\nContent-Le");
    assert_eq!(connection.reply("POST").code, 408);
    let reason = "the head did not arrive within 1 s (-head-timeout)";
    check(
        &gateway,
        &format!("request refused {of}/job/e status=408 reason=\"{reason}\""),
    );
    let mut connection = gateway.begin_push(100, b"x");
    connection.end_output();
    assert_eq!(connection.reply("POST").code, 400);
    check(
        &gateway,
        &format!("push refused {of} status=400 reason=\"the connection ended"),
    );
}

/// Any number of them costs the log a few lines, and each is counted.
#[test]
fn a_flood_of_refusals_is_a_few_lines() {
    let mut gateway = RunningGateway::start(&[]);
    let started = Instant::now();
    let mut connection = gateway.connect();
    for _ in 0..500 {
        connection.send_bytes(&b"POST /metrics HTTP/1.1\r\nContent-Length: 1\r\n\r\n{".repeat(4));
        for _ in 0..4 {
            assert_eq!(connection.reply("POST").code, 400);
        }
    }
    // Nobody else is logged after that.
    gateway.signal(Signal::TERM);
    gateway.wait();
    let seconds = started.elapsed().as_secs_f64();
    let lines = gateway.remaining_lines();
    let refused = lines
        .iter()
        .filter(|line| line.contains("push refused "))
        .count();
    let counts = lines
        .iter()
        .filter_map(|line| line.strip_prefix("more requests refused count="));
    let counts: Vec<usize> = counts.map(|count| count.parse().unwrap()).collect();
    assert_eq!(refused + counts.iter().sum::<usize>(), 2_000, "{lines:?}");
    let all = (refused + counts.len()) as f64;
    assert!(all <= 12.0 + 10.0 * seconds, "{all} lines in {seconds} s");
}

#[test]
fn a_trusted_proxy_names_the_sender() {
    let gateway =
        RunningGateway::start(&["-trusted-proxy=10.0.0.0/8", "-trusted-proxy", "127.0.0.1"]);
    let push = |fields: &str| gateway.request("POST", "/metrics", fields, b"{").code;
    let forwarded = "X-Forwarded-For: 1.1.1.1, 192.0.2.7\r\nx-forwarded-FOR:10.2.2.2\r\n";
    assert_eq!(push(forwarded), 400);
    check(&gateway, "push refused sender=192.0.2.7 ");
    assert_eq!(push(""), 400);
    check(&gateway, "push refused sender=127.0.0.1 ");
    let gateway = RunningGateway::start(&[]);
    assert_eq!(
        gateway.request("POST", "/metrics", forwarded, b"{").code,
        400
    );
    check(&gateway, "push refused sender=127.0.0.1 ");
}

#[test]
fn deletions_are_logged() {
    let gateway = RunningGateway::start(&["-enable-admin-api"]);
    let body = "a{g=\"1\"} 1\na{g=\"2\"} 1\nb{g=\"1\"} 1\nc 1\n";
    assert_eq!(gateway.push("/metrics", body).code, 200);
    let delete = |method: &str, path: &str| {
        let reply = gateway.request(method, path, "", b"");
        assert_eq!((reply.code, reply.header("Removed")), (202, None));
    };
    delete("DELETE", "/metrics/g/1");
    let line = gateway.wait_for_whole_line("deleted");
    let expected = "series deleted sender=127.0.0.1 path=/metrics/g/1 families=1 series=2";
    assert!(line.contains("Z INFO "), "{line}");
    assert_eq!(unstamped(&line), expected);
    delete("PUT", "/api/v1/admin/wipe?family=c");
    let wipe = "sender=127.0.0.1 path=/api/v1/admin/wipe";
    let expected = format!("family deleted {wipe} family=c families=1 series=1");
    assert_eq!(gateway.wait_for_line("deleted"), expected);
    delete("PUT", "/api/v1/admin/wipe");
    let expected = format!("everything deleted {wipe} families=1 series=1");
    assert_eq!(gateway.wait_for_line("deleted"), expected);
    assert_eq!(gateway.request("DELETE", "/metrics", "", b"").code, 400);
    check(
        &gateway,
        "request refused sender=127.0.0.1 method=DELETE path=/metrics status=400",
    );
}

#[test]
fn senders_that_leave_are_logged() {
    let gateway = RunningGateway::start(&["-sender-label", "pod"]);
    assert_eq!(
        gateway.request("DELETE", "/metrics/pod/a", "", b"").code,
        202
    );
    let expected = "sender left sender=127.0.0.1 path=/metrics/pod/a";
    assert_eq!(gateway.wait_for_line("left"), expected);
}

#[test]
fn clients_of_unix_sockets_have_a_name() {
    let folder = scratch_folder();
    let path = folder.path().join("x.sock");
    let listen = format!("unix:{}", path.display());
    let gateway = RunningGateway::start(&["-listen", &listen, "-trusted-proxy", "unix"]);
    gateway.wait_for_line(&format!(" listens on {listen}"));
    let mut connection = UnixStream::connect(&path).expect("it listens");
    let mut refused = |field: &str| {
        let request = format!("POST /metrics HTTP/1.1\r\nContent-Length: 1\r\n{field}\r\n{{");
        connection.write_all(request.as_bytes()).unwrap();
    };
    refused("");
    check(&gateway, "push refused sender=unix method=POST ");
    refused("X-Forwarded-For: 192.0.2.7\r\n");
    check(&gateway, "push refused sender=192.0.2.7 method=POST ");
}

#[test]
fn less_serious_events_are_left_out() {
    let mut gateway = RunningGateway::start(&["-log-level", "info", "-log-format=json"]);
    assert_eq!(gateway.push("/metrics/job/a", "{").code, 400);
    let line = gateway.wait_for_whole_line("refused");
    let parts = line.split_once("Z\",\"level\":\"warn\",");
    let (time, rest) = parts.expect("it is an object");
    assert!(time.starts_with("{\"time\":\"2"), "{line}");
    let fields =
        "\"sender\":\"127.0.0.1\",\"method\":\"POST\",\"path\":\"/metrics/job/a\",\"status\":400";
    let expected = format!("\"message\":\"push refused\",{fields},\"reason\":\"");
    assert!(
        rest.starts_with(&expected) && rest.ends_with("\"}"),
        "{line}"
    );
    let address = gateway.address.to_string();
    gateway.signal(Signal::TERM);
    gateway.wait();
    let mut gateway = command(&["-listen", &address, "-log-level=warn"]);
    let mut gateway = RunningGateway::watch(gateway.stderr(Stdio::piped()).spawn().unwrap());
    gateway.address = address.parse().unwrap();
    wait_until(|| std::net::TcpStream::connect(gateway.address).is_ok());
    assert_eq!(gateway.push("/metrics", "{").code, 400);
    gateway.signal(Signal::TERM);
    assert_eq!(gateway.wait().code(), Some(0));
    let lines = gateway.remaining_lines();
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].starts_with("push refused "), "{lines:?}");
}

/// systemd knows the time of a line, and wants its priority (sd-daemon(3)).
#[test]
fn lines_for_systemd_have_a_priority() {
    let folder = scratch_folder();
    let path = folder.path().join("stderr");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for (is_journal, format, expected) in [
        (true, "text", "<3>cannot listen on "),
        (
            true,
            "json",
            "<3>{\"level\":\"error\",\"message\":\"cannot listen on ",
        ),
        (false, "json", "{\"time\":\"2"),
    ] {
        let stderr = File::create(&path).unwrap();
        let metadata = stderr.metadata().unwrap();
        let inode = metadata.ino() + u64::from(!is_journal);
        let mut gateway = command(&["-listen", &address, "-log-format", format]);
        gateway.env("JOURNAL_STREAM", format!("{}:{inode}", metadata.dev()));
        assert_eq!(gateway.stderr(stderr).status().unwrap().code(), Some(1));
        let text = fs::read_to_string(&path).unwrap();
        assert!(
            text.starts_with(expected) && text.lines().count() == 1,
            "{text}"
        );
    }
}

/// Whoever reads stderr and stops reading stops nobody else.
#[test]
fn a_log_that_is_not_read_stops_nobody() {
    let (reader, stderr) = UnixStream::pair().unwrap();
    set_socket_send_buffer_size(&stderr, 1).unwrap();
    let mut gateway = command(&["-listen", "127.0.0.1:0"]);
    let process = gateway.stderr(OwnedFd::from(stderr)).spawn().unwrap();
    drop(gateway);
    let mut reader = BufReader::new(reader);
    let mut line = String::new();
    while !line.contains(" listens on ") {
        line.clear();
        reader.read_line(&mut line).unwrap();
    }
    let mut gateway = RunningGateway::unwatched(process);
    let (_, address) = line.trim_end().split_once(" listens on ").unwrap();
    gateway.address = address.parse().unwrap();
    // More than fits.
    let path = format!("/metrics/{}", "a".repeat(300));
    for _ in 0..50 {
        assert_eq!(gateway.push(&path, "{").code, 400);
    }
    assert_eq!(gateway.push("/metrics", "x 1\n").code, 200);
    gateway.signal(Signal::HUP);
    let hand_overs = "aggregation_gateway_hand_overs_total";
    wait_until(|| gateway.own_metric(hand_overs) == 1.0);
    assert_eq!(gateway.scrape(), "# TYPE x untyped\nx 1\n");
    gateway.signal(Signal::TERM);
    assert_eq!(gateway.wait().code(), Some(0));
    drop(reader);
}

/// What the gateway asks itself is no traffic.
#[test]
fn own_probes_are_not_counted() {
    let gateway = RunningGateway::start(&[]);
    let own = || {
        let page = gateway.get("/-/metrics").body;
        let lines = page.lines().filter(|line| {
            let is_ours = line.contains("handler=\"status\"") || line.contains("\"done\"");
            let is_counted =
                line.contains("http_requests_total{") || line.contains("_closed_total{");
            is_counted && !is_ours && !line.contains("\"client\"")
        });
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    let before = own();
    for path in ["/-/healthy", "/-/ready", "/metrics", "/nowhere"] {
        let url = format!("http://{}{path}", gateway.address);
        let status = command(&["-probe", &url]).stderr(Stdio::null()).status();
        assert_eq!(status.unwrap().code(), Some(i32::from(path == "/nowhere")));
    }
    assert_eq!(own(), before);
    assert_eq!(gateway.get("/-/healthy").code, 200);
    let healthy = "aggregation_gateway_http_requests_total{handler=\"healthy\",code=\"200\"}";
    assert_eq!(gateway.own_metric(healthy), 1.0);
    // A push is counted, whoever says to be a probe.
    let fields = "User-Agent: prometheus-aggregation-gateway-probe\r\n";
    assert_eq!(gateway.request("POST", "/metrics", fields, b"{").code, 400);
    let pushes = "aggregation_gateway_http_requests_total{handler=\"push\",code=\"400\"}";
    assert_eq!(gateway.own_metric(pushes), 1.0);
    check(&gateway, "push refused ");
}

/// By the names of all client libraries.
#[test]
fn the_process_is_measured() {
    let gateway = RunningGateway::start(&[]);
    assert!(gateway.own_metric("process_cpu_seconds_total") >= 0.0);
    let start = gateway.own_metric("process_start_time_seconds");
    assert_eq!(
        start,
        gateway.own_metric("aggregation_gateway_start_time_seconds")
    );
    let descriptors = gateway.own_metric("process_open_fds");
    assert!(descriptors > 10.0 && descriptors < gateway.own_metric("process_max_fds"));
    let resident = gateway.own_metric("process_resident_memory_bytes");
    assert!(resident > 500e3 && resident < gateway.own_metric("process_virtual_memory_bytes"));
    assert_eq!(
        gateway.own_metric("process_threads"),
        gateway.threads() as f64
    );
    let page = gateway.get("/-/metrics").body;
    let version = env!("CARGO_PKG_VERSION");
    let build = format!("\naggregation_gateway_build_info{{version=\"{version}\",commit=\"");
    assert!(page.contains(&build), "{page}");
    let helps = page.lines().filter_map(|line| line.strip_prefix("# HELP "));
    for help in helps.filter_map(|line| line.split_once(' ')) {
        assert!(help.1.ends_with('.'), "{help:?}");
    }
}
