//! Clients that keep the gateway waiting, or send what has no end: each is refused or closed, and
//! nobody waits for them. Deadlines are a second here; that they have passed is waited for.

use std::time::{Duration, Instant};

use crate::http::{SOME, gateway_with_some};
use crate::running_gateway::{Connection, RunningGateway, wait_until};

const PUSH: &str = "POST /metrics HTTP/1.1\r\nContent-Length: 7\r\n\r\nsome 1\n";

fn closed(gateway: &RunningGateway, reason: &str) -> f64 {
    let series = "aggregation_gateway_connections_closed_total";
    gateway.own_metric(&format!("{series}{{reason=\"{reason}\"}}"))
}

/// Waits until the gateway has closed so many connections for this reason, and for no other.
#[track_caller]
fn check_closed(gateway: &RunningGateway, count: usize, reason: &str) {
    wait_until(|| closed(gateway, reason) >= count as f64);
    let reasons = [
        "head",
        "body",
        "answer",
        "idle",
        "crowded",
        "malformed",
        "slow_sender",
        "slow_reader",
        "backend",
    ];
    for other in reasons.iter().filter(|other| **other != reason) {
        assert_eq!(closed(gateway, other), 0.0, "{other}");
    }
    assert_eq!(closed(gateway, reason), count as f64);
    assert_eq!(gateway.push("/metrics", "some 1\n").code, 200);
    gateway.assert_is_idle();
}

fn begun(gateway: &RunningGateway, bytes: &str) -> Connection {
    let mut connection = gateway.connect();
    connection.send_bytes(bytes.as_bytes());
    connection
}

/// A connection that never sends anything is closed without a word; a part of a head gets one.
#[test]
fn heads_that_do_not_end() {
    let gateway = RunningGateway::start(&["-head-timeout", "1s"]);
    let start = Instant::now();
    let mut silent = gateway.connect();
    let mut kept = gateway.connect();
    kept.send("GET", "/-/healthy", "", b"");
    assert_eq!(kept.reply("GET").code, 200);
    let mut late = vec![kept];
    late.extend(["GET", "GET / HTTP/1.1\r\nA: b\r\n", "\r"].map(|head| begun(&gateway, head)));
    // Empty lines alone are no part of a request.
    let mut empty_lines = begun(&gateway, "\r\n\r\n");
    late[0].send_bytes(b"GET /metr");
    for connection in &mut late {
        let reply = connection.reply("GET");
        let line = "the head did not arrive within 1 s (-head-timeout)\n";
        assert_eq!((reply.code, reply.body.as_str()), (408, line));
        assert_eq!(connection.read_to_end(), b"");
    }
    for connection in [&mut silent, &mut empty_lines] {
        assert_eq!(connection.read_to_end(), b"");
    }
    assert!(start.elapsed() >= Duration::from_secs(1));
    assert_eq!(closed(&gateway, "idle"), 2.0);
    assert_eq!(closed(&gateway, "head"), 4.0);
    gateway.assert_is_idle();
}

#[test]
fn bodies_that_do_not_end() {
    let gateway = gateway_with_some(&["-body-timeout", "1s"]);
    let chunked = "POST /metrics HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n7\r\nsome";
    let mut late = [
        gateway.begin_push(5000, b"some 1\n"),
        begun(&gateway, chunked),
        begun(
            &gateway,
            "POST /metrics HTTP/1.1\r\nContent-Length: 9\r\n\r\nsome",
        ),
    ];
    for connection in &mut late {
        let reply = connection.reply("POST");
        let line = "the body did not arrive within 1 s (-body-timeout)\n";
        assert_eq!((reply.code, reply.body.as_str()), (408, line));
    }
    // What comes too late is not taken for a request.
    for connection in &mut late {
        let _ = connection.try_send_bytes(PUSH.as_bytes());
    }
    assert_eq!(gateway.scrape(), SOME);
    let too_slow = "aggregation_gateway_pushes_total{result=\"too_slow\"}";
    assert_eq!(gateway.own_metric(too_slow), 3.0);
    check_closed(&gateway, 3, "body");
}

/// So much that no socket holds a scrape of it.
#[track_caller]
fn fill(gateway: &RunningGateway) {
    let lines: Vec<String> = (0..200_000)
        .map(|n| format!("a_{n:040}{{l=\"{n:040}\"}} 1\n"))
        .collect();
    for part in lines.chunks(100_000) {
        assert_eq!(gateway.push("/metrics", &part.concat()).code, 200);
    }
}

/// Of a half-closed connection as well, which reads as it likes otherwise.
#[test]
fn responses_that_are_not_read() {
    let gateway = RunningGateway::start(&["-answer-timeout", "1s"]);
    fill(&gateway);
    let mut connections: Vec<Connection> = (0..20).map(|_| gateway.connect()).collect();
    for (number, connection) in (0..).zip(&mut connections) {
        connection.send("GET", "/metrics", "", b"");
        match number % 3 {
            0 => connection.send("GET", "/metrics", "", b""),
            1 => connection.end_output(),
            _ => {}
        }
    }
    check_closed(&gateway, 20, "answer");
}

#[test]
fn a_half_closed_connection_is_answered() {
    let gateway = RunningGateway::start(&[]);
    let mut connection = begun(&gateway, &PUSH.repeat(3));
    connection.end_output();
    for _ in 0..3 {
        assert_eq!(connection.reply("POST").code, 200);
    }
    assert_eq!(connection.read_to_end(), b"");
    // One that ends within a request is told so.
    let mut connection = begun(&gateway, &PUSH[..PUSH.len() - 1]);
    connection.end_output();
    let reply = connection.reply("POST");
    let line = "the connection ended within the request\n";
    assert_eq!((reply.code, reply.body.as_str()), (400, line));
    assert_eq!(gateway.scrape(), "# TYPE some untyped\nsome 3\n");
}

/// Who sends and goes has pushed, be it by a farewell or by a reset.
#[test]
fn requests_of_clients_that_are_gone_are_carried_out() {
    let gateway = RunningGateway::start(&[]);
    for _ in 0..50 {
        drop(begun(&gateway, &PUSH.repeat(2)));
    }
    wait_until(|| gateway.scrape() == "# TYPE some untyped\nsome 100\n");
    gateway.assert_is_idle();
}

/// What is sent ahead of a response that is not read takes nothing from others.
#[test]
fn nobody_waits_for_requests_sent_ahead() {
    let gateway = RunningGateway::start(&["-answer-timeout", "1s"]);
    fill(&gateway);
    let ahead = "HEAD /metrics HTTP/1.1\r\n\r\n".repeat(600);
    for _ in 0..3 {
        let mut connection = gateway.connect();
        connection.send("GET", "/metrics", "", b"");
        connection.send_bytes(ahead.as_bytes());
        assert_eq!(gateway.push("/metrics", "some 1\n").code, 200);
        // Until it is closed, since it does not read.
        while connection.try_send_bytes(ahead.as_bytes()).is_ok() {}
    }
    check_closed(&gateway, 3, "answer");
}

#[test]
fn connections_that_are_not_used() {
    let gateway = RunningGateway::start(&["-idle-timeout", "1s"]);
    let mut connection = gateway.connect();
    connection.send("GET", "/-/healthy", "", b"");
    assert_eq!(connection.reply("GET").code, 200);
    assert_eq!(connection.read_to_end(), b"");
    check_closed(&gateway, 1, "idle");
}

/// The oldest idle connections make room for new ones; where all are used, new ones are closed, but
/// never left waiting.
#[test]
fn too_many_connections() {
    let gateway = RunningGateway::start(&["-max-connections", "10"]);
    let mut old: Vec<Connection> = (0..5).map(|_| gateway.connect()).collect();
    let mut in_use: Vec<Connection> = (0..5).map(|_| gateway.begin_push(7, b"some")).collect();
    let new: Vec<Connection> = (0..5).map(|_| gateway.begin_push(7, b"some")).collect();
    for connection in &mut old {
        assert_eq!(connection.read_to_end(), b"");
    }
    in_use.extend(new);
    assert_eq!(gateway.connect().read_to_end(), b"");
    for connection in &mut in_use {
        connection.send_bytes(b" 1\n");
        assert_eq!(connection.reply("POST").code, 200);
    }
    assert_eq!(gateway.scrape(), "# TYPE some untyped\nsome 10\n");
    assert!(closed(&gateway, "crowded") >= 6.0);
}

/// When the system has no more descriptors, nobody is cut off, and it recovers by itself.
#[test]
fn descriptors_run_out() {
    let program = crate::running_gateway::program();
    let mut shell = std::process::Command::new("sh");
    shell.args([
        "-c",
        "ulimit -n 100; exec \"$0\" -listen 127.0.0.1:0",
        &program,
    ]);
    let shell = shell.stdin(std::process::Stdio::null());
    let shell = shell.stderr(std::process::Stdio::piped()).spawn();
    let gateway = RunningGateway::of(shell.expect("there is a shell"));
    let mut in_use = gateway.begin_push(7, b"some");
    let connections: Vec<Connection> = (0..200).map(|_| gateway.connect()).collect();
    assert_eq!(gateway.push("/metrics", "some 1\n").code, 200);
    in_use.send_bytes(b" 1\n");
    assert_eq!(in_use.reply("POST").code, 200);
    drop(connections);
    assert_eq!(gateway.scrape(), "# TYPE some untyped\nsome 2\n");
}

/// Heads and lines without an end are refused when they are too long.
#[test]
fn floods() {
    let gateway = RunningGateway::start(&[]);
    for (start, more, code) in [
        ("GET / HTTP/1.1\r\nA: ", "a", 431),
        ("GET / HTTP/1.1\r\n", "a: b\r\n", 431),
        ("GET /", "a", 414),
        ("", "\r\n", 400),
        (
            "POST /metrics HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
            "0",
            400,
        ),
        (
            "POST /metrics HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n",
            "a: b\r\n",
            400,
        ),
    ] {
        let mut connection = begun(&gateway, start);
        connection.send_bytes(more.repeat(1 + 100_000 / more.len()).as_bytes());
        assert_eq!(connection.reply("POST").code, code, "{start}{more}");
        assert_eq!(connection.read_to_end(), b"");
    }
    assert_eq!(gateway.push("/metrics", "some 1\n").code, 200);
    assert_eq!(closed(&gateway, "malformed"), 6.0);
}

/// Who pushes a lot is not taken for anybody else.
#[test]
fn heavy_senders_are_served() {
    let gateway = RunningGateway::start(&[]);
    let long = format!("some 1\n#{}\n", "x".repeat(1_000_000));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            let (mut connection, long) = (gateway.connect(), &long);
            scope.spawn(move || {
                for _ in 0..50 {
                    connection.send("POST", "/metrics", "", long.as_bytes());
                    assert_eq!(connection.reply("POST").code, 200);
                }
            });
        }
    });
    assert_eq!(gateway.scrape(), "# TYPE some untyped\nsome 200\n");
}

/// No worker waits for a client.
#[test]
fn nobody_waits_for_slow_clients() {
    let gateway = RunningGateway::start(&[]);
    // All threads are there when it answers.
    assert_eq!(gateway.get("/-/healthy").code, 200);
    let threads = gateway.threads();
    let mut slow: Vec<Connection> = (0..40).map(|_| gateway.begin_push(7, b"some")).collect();
    assert_eq!(gateway.get("/-/healthy").code, 200);
    let mut fast = gateway.begin_push(2000, b"");
    fast.send_bytes(&[b"some 1\n", "#".repeat(1993).as_bytes()].concat());
    assert_eq!(fast.reply("POST").code, 200);
    assert_eq!(gateway.scrape(), "# TYPE some untyped\nsome 1\n");
    assert!(gateway.threads() <= threads.min(20));
    for connection in &mut slow {
        connection.send_bytes(b" 1\n");
        assert_eq!(connection.reply("POST").code, 200);
    }
    assert_eq!(gateway.scrape(), "# TYPE some untyped\nsome 41\n");
}

/// Bodies beyond the budget of memory wait for those that are nearer to their end, and slow ones
/// make room; short pushes go on, and nobody else is refused.
#[test]
fn memory_is_bounded() {
    let flags = [
        "-max-buffered-bytes",
        "8000000",
        "-max-body-bytes",
        "4000000",
    ];
    let gateway = RunningGateway::start(&flags);
    let body = format!("some 1\n#{}", "x".repeat(3_000_000));
    let half = &body.as_bytes()[..1_500_000];
    let before = gateway.peak_memory_bytes();
    let mut stalled: Vec<Connection> = (0..8)
        .map(|_| {
            let mut connection = gateway.begin_push(body.len(), b"");
            let _ = connection.try_send_bytes(&half[..200_000]);
            connection
        })
        .collect();
    for connection in &mut stalled {
        let connection_half = &half[200_000..];
        connection.set_write_timeout(Duration::from_millis(200));
        let _ = connection.try_send_bytes(connection_half);
    }
    assert_eq!(gateway.push("/metrics", "some 1\n").code, 200);
    assert_eq!(gateway.push("/metrics", &body).code, 200);
    let taken = gateway.peak_memory_bytes() - before;
    assert!(
        taken < 24_000_000,
        "{taken} bytes for a budget of 8,000,000"
    );
    assert!(closed(&gateway, "slow_sender") >= 1.0);
    assert_eq!(gateway.scrape(), "# TYPE some untyped\nsome 2\n");
    drop(stalled);
    gateway.assert_is_idle();
}

/// Many short requests that stall use up what is kept for short ones: they have to go as well.
#[test]
fn stalled_short_requests_make_room() {
    let flags = [
        "-max-buffered-bytes",
        "2000000",
        "-max-body-bytes",
        "100000",
    ];
    let gateway = RunningGateway::start(&flags);
    let head = format!("GET /{} HTTP/1.1\r\n", "a".repeat(15_000));
    let body = "#".repeat(50_000);
    let stalled: Vec<Connection> = (0..60)
        .map(|number| match number % 2 {
            0 => gateway.begin_push(60_000, body.as_bytes()),
            _ => begun(&gateway, &head),
        })
        .collect();
    for _ in 0..20 {
        assert_eq!(gateway.push("/metrics", "some 1\n").code, 200);
    }
    assert!(closed(&gateway, "slow_sender") >= 1.0);
    assert_eq!(gateway.scrape(), "# TYPE some untyped\nsome 20\n");
    drop(stalled);
    gateway.assert_is_idle();
    let buffered = "aggregation_gateway_used{resource=\"buffered_bytes\"}";
    // The request by which that is asked for.
    assert!(gateway.own_metric(buffered) < 1_000.0);
}

#[test]
fn the_budget_holds_two_bodies() {
    let flags = ["-max-buffered-bytes", "1999", "-max-body-bytes", "1000"];
    let output = crate::running_gateway::command(&flags).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let line = "flag -max-buffered-bytes: 1999 is less than twice -max-body-bytes, which is 1000";
    assert!(String::from_utf8_lossy(&output.stderr).contains(line));
}

/// What stands behind a message of which nobody knows where it ends is not taken for a request.
#[test]
fn nothing_behind_an_ambiguous_message_is_merged() {
    let gateway = gateway_with_some(&[]);
    let head = "POST /metrics HTTP/1.1\r\n";
    for headers in [
        "Content-Length: abc\r\n",
        "Content-Length: 5, 5\r\n",
        "Content-Length: 0\r\nContent-Length: 7\r\n",
        "Transfer-Encoding: gzip\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 7\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding:\r\n chunked\r\n",
        "Content-Length:\x0b 7\r\n",
        "A: b\nContent-Length: 7\r\n",
    ] {
        let chunks = if headers.contains("chunked") {
            "0\r\n\r\n"
        } else {
            ""
        };
        let message = format!("{head}{headers}\r\n{chunks}{}", PUSH.repeat(20));
        let mut connection = begun(&gateway, &message);
        assert!(matches!(connection.reply("POST").code, 400 | 501));
        assert_eq!(connection.read_to_end(), b"");
    }
    gateway.assert_is_idle();
    assert_eq!(gateway.scrape(), SOME);
}

/// But what stands behind a clear one is, in its order.
#[test]
fn pipelined_pushes_are_merged_in_order() {
    let gateway = RunningGateway::start(&[]);
    let mut connection = gateway.connect();
    for _ in 0..20 {
        // The second is refused if it comes first: the family would be untyped and have a sum.
        let first =
            "POST /metrics HTTP/1.1\r\nContent-Length: 26\r\n\r\n# TYPE a counter\na 1\n####";
        let second = "POST /metrics HTTP/1.1\r\nContent-Length: 5\r\n\r\na -1\n";
        connection.send_bytes(format!("{first}\n{second}").repeat(5).as_bytes());
        for _ in 0..5 {
            assert_eq!(connection.reply("POST").code, 200);
            assert_eq!(connection.reply("POST").code, 400);
        }
    }
    assert_eq!(gateway.scrape(), "# TYPE a counter\na 100\n");
}

#[test]
fn reset_connections_make_no_noise() {
    let mut gateway = RunningGateway::start(&[]);
    for _ in 0..500 {
        let mut connection = gateway.connect();
        let _ = connection.try_send_bytes(PUSH.as_bytes());
        connection.reset();
    }
    assert_eq!(gateway.get("/-/healthy").code, 200);
    gateway.signal(rustix::process::Signal::TERM);
    assert_eq!(gateway.wait().code(), Some(0));
    let lines = gateway.remaining_lines();
    assert!(
        !lines.iter().any(|line| line.contains("panic")),
        "{lines:?}"
    );
    assert!(lines.len() <= 6, "{lines:?}");
}

#[test]
fn limits_are_shown_with_their_use() {
    let gateway = RunningGateway::start(&["-max-connections", "77", "-max-series", "5"]);
    assert_eq!(gateway.push("/metrics", "a 1\nb 1\n").code, 200);
    let limit = |of: &str| gateway.own_metric(&format!("aggregation_gateway_limit{{{of}}}"));
    let used = |of: &str| gateway.own_metric(&format!("aggregation_gateway_used{{{of}}}"));
    assert_eq!(limit("resource=\"connections\""), 77.0);
    assert_eq!(limit("resource=\"series\""), 5.0);
    assert_eq!(limit("resource=\"workers\""), 4.0);
    assert_eq!(used("resource=\"series\""), 2.0);
    assert!(used("resource=\"threads\"") > 0.0);
    for resource in ["descriptors", "memory_bytes", "connections"] {
        let resource = format!("resource=\"{resource}\"");
        assert!(used(&resource) > 0.0, "{resource}");
        assert!(limit(&resource) >= used(&resource), "{resource}");
    }
    for resource in ["body_bytes", "labels", "label_bytes", "buffered_bytes"] {
        let resource = format!("resource=\"{resource}\"");
        assert!(limit(&resource) > 0.0, "{resource}");
    }
}
