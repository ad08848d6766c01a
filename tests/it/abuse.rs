//! Clients that keep the gateway waiting, or send what has no end: each is hung up on, and nobody
//! waits behind it. Deadlines are a second here; that they have passed is waited for, not timed.

use std::time::{Duration, Instant};

use prometheus_aggregation_gateway::server::{Panicked, surviving};

use crate::http::{SOME, gateway_with_some};
use crate::running_gateway::{Connection, RunningGateway, wait_until};

const PUSH: &str = "POST /metrics HTTP/1.1\r\nContent-Length: 7\r\n\r\nsome 1\n";

fn hung_up(gateway: &RunningGateway, reason: &str) -> f64 {
    let series = "aggregation_gateway_connections_hung_up_total";
    gateway.own_metric(&format!("{series}{{reason=\"{reason}\"}}"))
}

/// Waits until the gateway has ended all of these, for this reason and no other.
#[track_caller]
fn check_ended(gateway: &RunningGateway, connections: Vec<Connection>, reason: &str) {
    let count = connections.len();
    for mut connection in connections {
        connection.read_to_end();
    }
    let reasons = ["head", "body", "answer", "idle", "crowded", "flood"];
    for other in reasons.iter().filter(|other| **other != reason) {
        assert_eq!(hung_up(gateway, other), 0.0, "{other}");
    }
    assert!(hung_up(gateway, reason) >= f64::from(u32::try_from(count).expect("a few")));
    assert_eq!(gateway.push("/metrics", "some 1\n").code, 200);
}

#[test]
fn heads_that_do_not_end() {
    let gateway = RunningGateway::start(&["-head-timeout", "1s"]);
    let begun = Instant::now();
    let half = |head: &str| {
        let mut connection = gateway.connect();
        connection.send_bytes(head.as_bytes());
        connection
    };
    let mut kept = gateway.connect();
    kept.send("GET", "/-/healthy", "", b"");
    assert_eq!(kept.reply("GET").code, 200);
    // Some time after the answer: before that, it is as good as idle.
    for byte in b"GET /metr" {
        assert_eq!(gateway.get("/-/healthy").code, 200);
        kept.send_bytes(&[*byte]);
    }
    // A TLS hello has no line end, a short body is read with the head.
    let short_body = half("POST /metrics HTTP/1.1\r\nContent-Length: 9\r\n\r\nsome");
    let heads = ["", "GET", "GET / HTTP/1.1\r\nA: b\r\n", "\x16\x03\x01"].map(half);
    let connections = [kept, short_body].into_iter().chain(heads).collect();
    check_ended(&gateway, connections, "head");
    gateway.assert_is_idle();
    assert!(begun.elapsed() >= Duration::from_secs(1));
}

#[test]
fn bodies_that_do_not_end() {
    let gateway = gateway_with_some(&["-body-timeout", "1s"]);
    let chunked = "POST /metrics HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n7\r\nsome";
    let with_length = gateway.begin_push(5000, b"some 1\n");
    let mut in_chunks = gateway.connect();
    in_chunks.send_bytes(chunked.as_bytes());
    let mut connections = vec![with_length, in_chunks];
    for connection in &mut connections {
        let reply = connection.reply("POST");
        let line = "the body did not come within 1s (-body-timeout), or 2 s while many are waited \
                    for; push it again\n";
        assert_eq!((reply.code, reply.body.as_str()), (408, line));
    }
    // What comes too late is not taken for a request.
    for connection in &mut connections {
        let _ = connection.try_send_bytes(PUSH.as_bytes());
    }
    assert_eq!(gateway.scrape(), SOME);
    let too_slow = "aggregation_gateway_pushes_total{result=\"too_slow\"}";
    assert_eq!(gateway.own_metric(too_slow), 2.0);
    check_ended(&gateway, connections, "body");
    gateway.assert_is_idle();
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

#[test]
fn answers_that_are_not_read() {
    let gateway = RunningGateway::start(&["-answer-timeout", "1s"]);
    fill(&gateway);
    let mut connections: Vec<Connection> = (0..20).map(|_| gateway.connect()).collect();
    for (number, connection) in (0..).zip(&mut connections) {
        connection.send("GET", "/metrics", "", b"");
        // A second request behind it is no excuse.
        if number % 2 == 0 {
            connection.send("GET", "/metrics", "", b"");
        }
    }
    wait_until(|| hung_up(&gateway, "answer") >= 20.0);
    check_ended(&gateway, connections, "answer");
    gateway.assert_is_idle();
}

/// Requests that wait for an answer which is not read take no workers from others.
#[test]
fn nobody_waits_behind_requests_sent_ahead() {
    let gateway = RunningGateway::start(&["-workers", "2"]);
    fill(&gateway);
    let ahead = "GET /-/healthy HTTP/1.1\r\n\r\n".repeat(600);
    for _ in 0..3 {
        let mut connection = gateway.connect();
        connection.send("GET", "/metrics", "", b"");
        connection.send_bytes(ahead.as_bytes());
        assert_eq!(gateway.push("/metrics", "some 1\n").code, 200);
        // Until it is hung up on, whatever it is that finds it out.
        while connection.try_send_bytes(ahead.as_bytes()).is_ok() {}
    }
    let recycles = "aggregation_gateway_recycles_total{reason=\"deaf\"}";
    assert_eq!(gateway.own_metric(recycles), 0.0);
    gateway.assert_is_idle();
}

#[test]
fn connections_that_are_not_used() {
    let gateway = RunningGateway::start(&["-idle-timeout", "1s"]);
    let mut connection = gateway.connect();
    connection.send("GET", "/-/healthy", "", b"");
    assert_eq!(connection.reply("GET").code, 200);
    check_ended(&gateway, vec![connection], "idle");
    gateway.assert_is_idle();
}

/// The newest are those that are about to be used.
#[test]
fn too_many_connections() {
    let gateway = RunningGateway::start(&["-max-connections", "10"]);
    let old: Vec<Connection> = (0..10).map(|_| gateway.connect()).collect();
    let mut in_use = gateway.begin_push(7, b"some");
    let new: Vec<Connection> = (0..10).map(|_| gateway.connect()).collect();
    check_ended(&gateway, old, "crowded");
    in_use.send_bytes(b" 2\n");
    assert_eq!(in_use.reply("POST").code, 200);
    assert_eq!(gateway.scrape(), "# TYPE some untyped\nsome 3\n");
    drop(new);
}

#[test]
fn floods() {
    let gateway = RunningGateway::start(&[]);
    let pipelined = "GET /-/healthy HTTP/1.1\r\n\r\n".repeat(100);
    for (start, more) in [
        ("GET / HTTP/1.1\r\nA: ", "a"),
        ("GET / HTTP/1.1\r\n", "a: b\r\n"),
        ("", pipelined.as_str()),
        (
            "POST /metrics HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
            "0",
        ),
    ] {
        let before = hung_up(&gateway, "flood");
        let mut connection = gateway.connect();
        connection.send_bytes(start.as_bytes());
        let more = more.repeat(1 + 100_000 / more.len());
        // Without reading an answer, until it is cut off.
        while connection.try_send_bytes(more.as_bytes()).is_ok() {}
        wait_until(|| hung_up(&gateway, "flood") > before);
    }
    assert_eq!(gateway.push("/metrics", "some 1\n").code, 200);
    gateway.assert_is_idle();
}

/// Who pushes a lot on one connection, one push after the other, is not taken for a flood, even if
/// some time passes between a head and its body.
#[test]
fn heavy_senders_are_not_hung_up_on() {
    let gateway = RunningGateway::start(&[]);
    let long = format!("some 1\n#{}\n", "x".repeat(1_000_000));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            let (mut connection, gateway, long) = (gateway.connect(), &gateway, &long);
            scope.spawn(move || {
                let head = format!(
                    "POST /metrics HTTP/1.1\r\nContent-Length: {}\r\n\r\n",
                    long.len()
                );
                for _ in 0..100 {
                    connection.send_bytes(head.as_bytes());
                    for _ in 0..10 {
                        assert_eq!(gateway.get("/-/healthy").code, 200);
                    }
                    connection.send_bytes(long.as_bytes());
                    assert_eq!(connection.reply("POST").code, 200);
                }
            });
        }
    });
    assert_eq!(hung_up(&gateway, "flood"), 0.0);
    assert_eq!(gateway.scrape(), "# TYPE some untyped\nsome 200\n");
}

/// Workers that wait for a client are not those that answer others.
#[test]
fn nobody_waits_behind_slow_clients() {
    let gateway = RunningGateway::start(&["-workers", "1"]);
    let mut slow: Vec<Connection> = (0..40).map(|_| gateway.begin_push(7, b"some")).collect();
    assert_eq!(gateway.get("/-/healthy").code, 200);
    let mut fast = gateway.begin_push(2000, b"");
    fast.send_bytes(&[b"some 1\n", "#".repeat(1993).as_bytes()].concat());
    assert_eq!(fast.reply("POST").code, 200);
    assert_eq!(gateway.scrape(), "# TYPE some untyped\nsome 1\n");
    let threads = gateway.threads();
    for connection in &mut slow {
        connection.send_bytes(b" 1\n");
        assert_eq!(connection.reply("POST").code, 200);
    }
    assert_eq!(gateway.scrape(), "# TYPE some untyped\nsome 41\n");
    drop(slow);
    // The workers that are not needed any more end.
    wait_until(|| gateway.threads() + 40 <= threads);
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
        "A: b\nContent-Length: 7\r\n",
    ] {
        let chunks = if headers.contains("chunked") {
            "0\r\n\r\n"
        } else {
            ""
        };
        for _ in 0..50 {
            let mut connection = gateway.connect();
            let message = format!("{head}{headers}\r\n{chunks}{}", PUSH.repeat(20));
            connection.send_bytes(message.as_bytes());
            assert_eq!(connection.reply("POST").code, 400);
            assert_eq!(connection.read_to_end(), b"");
        }
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
            "POST /metrics HTTP/1.1\r\nContent-Length: 25\r\n\r\n# TYPE a counter\na 1\n####";
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
fn a_panic_is_survived() {
    assert_eq!(surviving(|| 1), Ok(1));
    assert_eq!(
        surviving(|| panic!("as it was told")),
        Err::<(), _>(Panicked)
    );
}

/// Clients that are gone before they are accepted make the HTTP library panic.
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
    let panics = lines.iter().filter(|line| line.contains("panic")).count();
    assert!(panics <= 1, "{lines:?}");
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
    assert_eq!(used("resource=\"series\""), 2.0);
    for resource in [
        "descriptors",
        "threads",
        "memory_bytes",
        "connections",
        "workers",
    ] {
        let resource = format!("resource=\"{resource}\"");
        wait_until(|| used(&resource) > 0.0);
        assert!(limit(&resource) >= used(&resource), "{resource}");
    }
    for resource in ["body_bytes", "labels", "label_bytes"] {
        assert!(
            limit(&format!("resource=\"{resource}\"")) > 0.0,
            "{resource}"
        );
    }
}
