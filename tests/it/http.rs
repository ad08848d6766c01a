//! The HTTP table, over real sockets: every route, its status, its headers, its exact words.

use crate::running_gateway::{Reply, RunningGateway};

pub const SOME: &str = "# TYPE some counter\nsome 1\n";

/// A refusal is one line of plain text, readable across origins, and changes nothing.
#[track_caller]
pub fn check_refusal(gateway: &RunningGateway, reply: &Reply, code: u16, line: &str) {
    assert_eq!(
        (reply.code, reply.body.as_str()),
        (code, format!("{line}\n").as_str())
    );
    assert_eq!(
        reply.header("Content-Type"),
        Some("text/plain; charset=utf-8")
    );
    assert_eq!(gateway.scrape(), SOME);
}

/// A gateway that holds [`SOME`].
#[track_caller]
pub fn gateway_with_some(flags: &[&str]) -> RunningGateway {
    let gateway = RunningGateway::start(flags);
    assert_eq!(gateway.push("/metrics", SOME).code, 200);
    gateway
}

#[test]
fn push_is_answered_with_json() {
    let gateway = RunningGateway::start(&[]);
    for (method, path) in [
        ("POST", "/metrics"),
        ("POST", "/metrics/"),
        ("PUT", "/metrics"),
        ("PUT", "/metrics/"),
        ("POST", "/metrics?a=b"),
        ("POST", "http://localhost:9091/metrics"),
    ] {
        let reply = gateway.request(method, path, "", SOME.as_bytes());
        assert_eq!(
            (reply.code, reply.body.as_str()),
            (200, "{}"),
            "{method} {path}"
        );
        assert_eq!(reply.header("Content-Type"), Some("application/json"));
        assert_eq!(reply.header("Access-Control-Allow-Origin"), Some("*"));
    }
    assert_eq!(gateway.scrape(), "# TYPE some counter\nsome 6\n");
}

#[test]
fn any_content_type_is_text() {
    let gateway = RunningGateway::start(&[]);
    for content_type in [
        "Content-Type: text/plain; version=0.0.4\r\n",
        "Content-Type: application/x-www-form-urlencoded\r\n",
        "Content-Type: application/octet-stream\r\nContent-Encoding: identity\r\n",
    ] {
        let reply = gateway.request("POST", "/metrics", content_type, SOME.as_bytes());
        assert_eq!(reply.code, 200, "{content_type}");
    }
    assert_eq!(gateway.scrape(), "# TYPE some counter\nsome 3\n");
}

#[test]
fn preflight() {
    let gateway = RunningGateway::start(&["-cors", "https://app.example"]);
    for path in ["/metrics", "/metrics/", "/metrics/job/x"] {
        let asked = "Origin: https://app.example\r\nAccess-Control-Request-Method: PUT\r\n\
                     Access-Control-Request-Headers: content-type, traceparent\r\n";
        let reply = gateway.request("OPTIONS", path, asked, b"");
        assert_eq!((reply.code, reply.body.as_str()), (204, ""), "{path}");
        let cors = |name| reply.header(&format!("Access-Control-{name}"));
        assert_eq!(cors("Allow-Origin"), Some("https://app.example"));
        assert_eq!(cors("Allow-Methods"), Some("POST, PUT, OPTIONS"));
        assert_eq!(
            cors("Allow-Headers"),
            Some("*, Authorization, Idempotency-Key")
        );
        assert_eq!(cors("Max-Age"), Some("86400"));
    }
}

/// Of a list, the request's own origin is echoed: browsers take no list.
#[test]
fn origins_of_a_list() {
    let gateway = RunningGateway::start(&["-cors", "https://a.example, https://b.example:8443"]);
    #[track_caller]
    fn check(gateway: &RunningGateway, origin: &str, allowed: Option<&str>) {
        let origin = format!("Origin: {origin}\r\n");
        let too_long = format!("{origin}Content-Length: 1000000000\r\n");
        let push = |headers: &str| {
            let mut connection = gateway.connect();
            let head = format!("POST /metrics HTTP/1.1\r\n{headers}\r\n");
            connection.send_bytes(head.as_bytes());
            connection.reply("POST")
        };
        // Accepted by a worker, refused by one, refused by the gate.
        for (reply, code) in [
            (gateway.request("POST", "/metrics", &origin, b""), 200),
            (gateway.request("POST", "/metrics", &origin, b"a{"), 400),
            (push(&too_long), 413),
        ] {
            assert_eq!(reply.code, code);
            assert_eq!(reply.header("Access-Control-Allow-Origin"), allowed);
            assert_eq!(reply.header("Vary"), Some("Origin"));
        }
    }
    for origin in ["https://a.example", "https://b.example:8443"] {
        check(&gateway, origin, Some(origin));
    }
    for origin in ["https://c.example", "https://b.example", "null", ""] {
        check(&gateway, origin, None);
    }
    let scrape = gateway.request("GET", "/metrics", "Origin: https://a.example\r\n", b"");
    assert_eq!(scrape.header("Access-Control-Allow-Origin"), None);
}

#[test]
fn no_cors_header_when_the_flag_is_empty() {
    let gateway = RunningGateway::start(&["-cors", ""]);
    let reply = gateway.push("/metrics", SOME);
    assert_eq!(reply.code, 200);
    assert_eq!(reply.header("Access-Control-Allow-Origin"), None);
}

#[test]
fn scrape_is_text_and_head_is_its_head() {
    let gateway = gateway_with_some(&[]);
    let get = gateway.get("/metrics");
    assert_eq!((get.code, get.body.as_str()), (200, SOME));
    assert_eq!(
        get.header("Content-Type"),
        Some("text/plain; version=0.0.4; charset=utf-8")
    );
    // No page of another origin reads the sums.
    assert_eq!(get.header("Access-Control-Allow-Origin"), None);
    let head = gateway.request("HEAD", "/metrics", "", b"");
    assert_eq!((head.code, head.body.as_str()), (200, ""));
    // How long it would be is not rendered for that (RFC 9110 section 9.3.2).
    assert_eq!(head.header("Content-Length"), None);
    assert_eq!(head.header("Transfer-Encoding"), None);
}

/// A long scrape comes in chunks, whole; for a client that knows none, it ends with the connection.
#[test]
fn a_long_scrape_is_whole() {
    // From one piece to many; with 8190 lines and that of the type, the first is just full.
    const COUNTS: [usize; 6] = [1, 100, 8189, 8190, 8191, 50_000];
    let gateway = RunningGateway::start(&[]);
    for (pushed, count) in COUNTS.into_iter().enumerate() {
        // Those that were there before count one more with each push.
        let sum = |number: usize| 1 + COUNTS[..pushed].iter().filter(|&&it| number < it).count();
        let line = |number: usize, value: usize| format!("x{{a=\"{number:06}\"}} {value}\n");
        let body: String = (0..count).map(|number| line(number, 1)).collect();
        assert_eq!(gateway.push("/metrics", &body).code, 200);
        let lines = (0..count).map(|number| line(number, sum(number)));
        let expected = "# TYPE x untyped\n".to_owned() + &lines.collect::<String>();
        let mut connection = gateway.connect();
        for _ in 0..2 {
            connection.send("GET", "/metrics", "TE: identity\r\n", b"");
            assert!(connection.reply("GET").body == expected, "{count} series");
        }
        connection.send_bytes(b"GET /metrics HTTP/1.0\r\n\r\n");
        let reply = String::from_utf8(connection.read_to_end()).expect("it is text");
        let (head, body) = reply.split_once("\r\n\r\n").expect("it has a head");
        assert!(!head.contains("Transfer-Encoding"), "{head}");
        assert!(head.contains("Connection: close"), "{head}");
        assert!(body == expected, "{count} series");
    }
}

/// More than the sockets of a connection hold, in one push.
fn long_body(lines: usize) -> String {
    let filler = "x".repeat(70);
    (0..lines)
        .map(|number| format!("x{{a=\"{filler}{number:06}\"}} 1\n"))
        .collect()
}

/// Whoever reads slowly delays nobody, and sees the sums as they were when it asked.
#[test]
fn a_scrape_that_nobody_reads_delays_nobody() {
    const LINES: usize = 180_000;
    let gateway = RunningGateway::start(&["-workers", "2"]);
    let body = long_body(LINES);
    assert_eq!(gateway.push("/metrics", &body).code, 200);
    let mut slow = gateway.connect();
    slow.send("GET", "/metrics", "", b"");
    // It has begun, and fills what the sockets hold.
    assert_eq!(slow.exactly(8), b"HTTP/1.1");
    for _ in 0..3 {
        assert_eq!(gateway.push("/metrics", &body).code, 200);
    }
    let sums = |scrape: &str, sum: &str| {
        let ending = format!("\"}} {sum}");
        let lines = scrape.lines().filter(|line| line.ends_with(&ending));
        assert_eq!(lines.count(), LINES);
    };
    sums(&gateway.scrape(), "4");
    // It has not been answered in full before: nothing could hold so much.
    sums(&slow.reply("GET").body, "1");
}

/// A scrape takes the memory of some pieces of its text, for each worker that has made one: less
/// than 2 MiB of 15.
#[test]
#[cfg(target_os = "linux")]
fn a_scrape_takes_no_memory_of_its_own() {
    let gateway = RunningGateway::start(&[]);
    assert_eq!(gateway.push("/metrics", &long_body(180_000)).code, 200);
    let length = gateway.scrape().len();
    let before = gateway.begin_peak_memory();
    for _ in 0..5 {
        assert_eq!(gateway.scrape().len(), length);
    }
    let grown = gateway.peak_memory_bytes().saturating_sub(before);
    assert!(
        length > 14 << 20 && grown < 2 << 20,
        "{grown} bytes for {length}"
    );
}

#[test]
fn health() {
    let gateway = RunningGateway::start(&[]);
    for path in ["/-/healthy", "/-/ready"] {
        let reply = gateway.get(path);
        assert_eq!(
            (reply.code, reply.body.as_str()),
            (200, "{\"alive\": true}")
        );
        assert_eq!(reply.header("Content-Type"), Some("application/json"));
    }
}

#[test]
fn wrong_methods_and_paths() {
    let gateway = gateway_with_some(&[]);
    let check = |method: &str, path: &str, allow: &str| {
        let reply = gateway.request(method, path, "", b"");
        let line = format!("method `{method}` is not known here; expected one of {allow}");
        check_refusal(&gateway, &reply, 405, &line);
        assert_eq!(reply.header("Allow"), Some(allow));
    };
    check("PATCH", "/metrics", "GET, HEAD, POST, PUT, OPTIONS");
    check("GET", "/metrics/job/x", "POST, PUT, OPTIONS");
    check("GET", "/metrics/", "POST, PUT, OPTIONS");
    check("POST", "/-/healthy", "GET, HEAD");
    check("OPTIONS", "/-/ready", "GET, HEAD");
    check("PUT", "/-/metrics", "GET, HEAD");
    for (method, path) in [
        ("GET", "/metricsx"),
        ("POST", "/push"),
        ("GET", "/-/"),
        ("BREW", "/x"),
    ] {
        let reply = gateway.request(method, path, "", b"");
        check_refusal(
            &gateway,
            &reply,
            404,
            "not found; push to /metrics/, scrape /metrics, look at /",
        );
    }
}

#[test]
fn another_push_path() {
    let gateway = RunningGateway::start(&["-push-path", "/push/here/"]);
    assert_eq!(gateway.push("/push/here", SOME).code, 200);
    assert_eq!(gateway.push("/push/here/", SOME).code, 200);
    assert_eq!(gateway.push("/push/here/job/x", SOME).code, 200);
    let reply = gateway.push("/metrics", SOME);
    assert_eq!(
        (reply.code, reply.header("Allow")),
        (405, Some("GET, HEAD"))
    );
    assert_eq!(gateway.push("/push", SOME).code, 404);
    assert_eq!(
        gateway.scrape(),
        "# TYPE some counter\nsome 2\nsome{job=\"x\"} 1\n"
    );
}

#[test]
fn root_as_push_path() {
    let gateway = RunningGateway::start(&["-push-path", "/"]);
    assert_eq!(gateway.push("/", SOME).code, 200);
    assert_eq!(gateway.push("/job/x", SOME).code, 200);
    assert_eq!(
        gateway.scrape(),
        "# TYPE some counter\nsome 1\nsome{job=\"x\"} 1\n"
    );
}

#[test]
fn own_metrics() {
    let gateway = gateway_with_some(&[]);
    gateway.push("/metrics", "# TYPE some gauge\nsome 1\n");
    gateway.push("/metrics", "some\n");
    gateway.push("/metrics", "some NaN\nsome{a=\"1\"} NaN\n");
    gateway.push("/metrics/job", "some 1\n");
    gateway.push(
        "/metrics",
        "# TYPE s summary\ns 1\ns_sum +Inf\n# TYPE h histogram\nh_sum -Inf\nh_count 2\n",
    );
    gateway.push("/metrics", "# TYPE h histogram\nh_bucket{le=\"1\"} 1\n");
    gateway.request("POST", "/metrics", "Content-Type: x/ProtoBuf\r\n", b"x");
    gateway.get("/nowhere");
    #[track_caller]
    fn check(gateway: &RunningGateway, series: &str, value: f64) {
        assert_eq!(
            gateway.own_metric(&format!("aggregation_gateway_{series}")),
            value,
            "{series}"
        );
    }
    check(&gateway, "pushes_total{result=\"accepted\"}", 4.0);
    check(&gateway, "pushes_total{result=\"invalid\"}", 2.0);
    check(&gateway, "pushes_total{result=\"conflict\"}", 1.0);
    check(&gateway, "pushes_total{result=\"unsupported\"}", 1.0);
    check(&gateway, "samples_merged_total", 3.0);
    check(&gateway, "samples_skipped_total{reason=\"nan\"}", 2.0);
    check(&gateway, "samples_skipped_total{reason=\"infinite\"}", 1.0);
    check(&gateway, "samples_skipped_total{reason=\"summary\"}", 2.0);
    check(&gateway, "families", 2.0);
    check(&gateway, "series", 5.0);
    check(&gateway, "resets_total", 0.0);
    check(
        &gateway,
        "http_requests_total{handler=\"push\",code=\"200\"}",
        4.0,
    );
    check(
        &gateway,
        "http_requests_total{handler=\"push\",code=\"400\"}",
        3.0,
    );
    check(
        &gateway,
        "http_requests_total{handler=\"push\",code=\"415\"}",
        1.0,
    );
    check(
        &gateway,
        "http_requests_total{handler=\"none\",code=\"404\"}",
        1.0,
    );
    check(&gateway, "push_size_bytes_count", 4.0);
    check(&gateway, "push_size_bytes_bucket{le=\"100\"}", 4.0);
    check(&gateway, "push_duration_seconds_count", 4.0);
    assert!(gateway.own_metric("aggregation_gateway_push_duration_seconds_sum") > 0.0);
    assert!(gateway.own_metric("aggregation_gateway_uptime_seconds") > 0.0);
    // Pushed and own metrics are never mixed.
    assert!(!gateway.scrape().contains("aggregation_gateway_"));
    assert!(!gateway.get("/-/metrics").body.contains("some"));
}

#[test]
fn lines_that_are_left_out_are_counted() {
    let gateway = RunningGateway::start(&[]);
    let body = "# TYPE g gaugehistogram\ng_gcount 1\n# TYPE x_total counter\nx_total 1\n\
                # TYPE x_created gauge\nx_created 1\n";
    gateway.push("/metrics", body);
    for (reason, lines) in [
        ("gauge_histogram", 1.0),
        ("created", 1.0),
        ("native_histogram", 0.0),
    ] {
        let series = format!("aggregation_gateway_samples_skipped_total{{reason=\"{reason}\"}}");
        assert_eq!(gateway.own_metric(&series), lines, "{reason}");
    }
}
