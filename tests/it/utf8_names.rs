//! Names beyond the alphabet over HTTP: pushed, scraped in quotes and with underscores, merged by
//! the rules of flags, deleted, kept.

use rustix::process::Signal;

use crate::exposition::{PROMETHEUS_2, PROMETHEUS_3, PROMETHEUS_3_LEGACY};
use crate::running_gateway::{Reply, RunningGateway, scratch_folder};
use crate::strict;

const QUOTED_TYPE: &str = "text/plain; version=1.0.0; charset=utf-8; escaping=allow-utf-8";
const TEXT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

const BODY: &str = "# HELP \"http.requests\" Requests.\n# TYPE \"http.requests\" counter\n\
    {\"http.requests\",\"http.method\"=\"GET\",code=\"200\"} 2\n\
    # TYPE plain gauge\nplain{\"k8s.pod\"=\"a\"} 1\n";

#[track_caller]
fn scrape(gateway: &RunningGateway, method: &str, accept: &str) -> Reply {
    let reply = gateway.request(method, "/metrics", &format!("Accept: {accept}\r\n"), b"");
    assert_eq!((reply.code, reply.header("Vary")), (200, Some("Accept")));
    reply
}

#[track_caller]
fn quoted(gateway: &RunningGateway) -> String {
    let reply = scrape(gateway, "GET", PROMETHEUS_3);
    strict::read(&reply.body).expect("it is valid");
    reply.body
}

#[track_caller]
fn escaped(gateway: &RunningGateway) -> String {
    let reply = scrape(gateway, "GET", PROMETHEUS_2);
    strict::read_escaped(&reply.body).expect("it is valid");
    reply.body
}

#[track_caller]
fn push(gateway: &RunningGateway, path: &str, body: &str) {
    let reply = gateway.push(path, body);
    assert_eq!(reply.code, 200, "{}", reply.body);
}

#[test]
fn scrapes() {
    let gateway = RunningGateway::start(&[]);
    push(&gateway, "/metrics/job/x", BODY);
    push(&gateway, "/metrics/job/x", BODY);
    let in_quotes = "# HELP \"http.requests\" Requests.\n# TYPE \"http.requests\" counter\n\
        {\"http.requests\",\"http.method\"=\"GET\",code=\"200\",job=\"x\"} 4\n\
        # TYPE plain gauge\nplain{\"k8s.pod\"=\"a\",job=\"x\"} 2\n";
    let with_underscores = "# HELP http_requests Requests.\n# TYPE http_requests counter\n\
        http_requests{code=\"200\",http_method=\"GET\",job=\"x\"} 4\n\
        # TYPE plain gauge\nplain{job=\"x\",k8s_pod=\"a\"} 2\n";
    for (accept, content_type, body) in [
        (PROMETHEUS_3, QUOTED_TYPE, in_quotes),
        (PROMETHEUS_3_LEGACY, TEXT_TYPE, with_underscores),
        (PROMETHEUS_2, TEXT_TYPE, with_underscores),
        ("*/*", TEXT_TYPE, with_underscores),
        ("\tgarbage\u{e4}", TEXT_TYPE, with_underscores),
    ] {
        let reply = scrape(&gateway, "GET", accept);
        assert_eq!(reply.header("Content-Type"), Some(content_type), "{accept}");
        assert_eq!(reply.body, body, "{accept}");
        let head = scrape(&gateway, "HEAD", accept);
        assert_eq!(head.header("Content-Type"), Some(content_type), "{accept}");
        assert_eq!(head.body, "");
    }
    // Without the field, and with two of them, of which the first counts.
    assert_eq!(gateway.get("/metrics").body, with_underscores);
    let two = format!("accept: {PROMETHEUS_3}\r\nAccept: */*\r\n");
    assert_eq!(
        gateway.request("GET", "/metrics", &two, b"").body,
        in_quotes
    );
    // Scrapes of both kinds that wait for the same view.
    let mut connections = [(); 8].map(|()| gateway.connect());
    for (at, connection) in connections.iter_mut().enumerate() {
        let accept = [PROMETHEUS_3, PROMETHEUS_2][at % 2];
        connection.send("GET", "/metrics", &format!("Accept: {accept}\r\n"), b"");
    }
    for (at, connection) in connections.iter_mut().enumerate() {
        let expected = [in_quotes, with_underscores][at % 2];
        assert_eq!(connection.reply("GET").body, expected);
    }
}

/// What becomes one is left out of scrapes with underscores, and a metric says how much.
#[test]
fn collisions() {
    let gateway = RunningGateway::start(&[]);
    let counts = |families: f64, series: f64| {
        let metric = |name: &str| gateway.own_metric(&format!("aggregation_gateway_{name}"));
        assert_eq!(metric("scrape_omitted_families"), families);
        assert_eq!(metric("scrape_omitted_series"), series);
    };
    push(&gateway, "/metrics", "{\"http.requests_total\"} 1\n");
    counts(0.0, 0.0);
    assert_eq!(
        escaped(&gateway),
        "# TYPE http_requests_total untyped\nhttp_requests_total 1\n"
    );
    counts(0.0, 0.0);
    // A stranger's name blocks nobody.
    push(
        &gateway,
        "/metrics",
        "# TYPE http_requests_total counter\nhttp_requests_total 2\n",
    );
    push(
        &gateway,
        "/metrics",
        "a{\"x.y\"=\"1\",x_y=\"2\"} 3\na{\"x.y\"=\"1\"} 4\n",
    );
    let with_underscores = "# TYPE a untyped\na{x_y=\"1\"} 4\n\
        # TYPE http_requests_total counter\nhttp_requests_total 2\n";
    assert_eq!(escaped(&gateway), with_underscores);
    counts(1.0, 2.0);
    let in_quotes = "# TYPE a untyped\na{\"x.y\"=\"1\"} 4\na{\"x.y\"=\"1\",x_y=\"2\"} 3\n\
        # TYPE \"http.requests_total\" untyped\n{\"http.requests_total\"} 1\n\
        # TYPE http_requests_total counter\nhttp_requests_total 2\n";
    assert_eq!(quoted(&gateway), in_quotes);
    counts(1.0, 2.0);
}

/// Names conflict as they are, not as they are escaped.
#[test]
fn conflicts() {
    let gateway = RunningGateway::start(&[]);
    let histogram = "# TYPE \"my.h\" histogram\n{\"my.h_bucket\",le=\"+Inf\"} 1\n";
    push(&gateway, "/metrics", histogram);
    for name in ["my.h_bucket", "my.h_sum", "my.h_count"] {
        let reply = gateway.push("/metrics", &format!("{{\"{name}\"}} 1\n"));
        let expected =
            format!("the name `{name}` is taken: the stored histogram `my.h` exposes it\n");
        assert_eq!((reply.code, reply.body), (400, expected));
    }
    push(
        &gateway,
        "/metrics",
        "my_h_bucket 1\n{\"my-h_bucket\"} 1\n{\"other.h_sum\"} 1\n",
    );
    let reply = gateway.push("/metrics", &histogram.replace("my.h", "other.h"));
    let expected =
        "the histogram `other.h` would expose the name `other.h_sum`, which is stored already\n";
    assert_eq!((reply.code, reply.body.as_str()), (400, expected));
    let reply = gateway.push("/metrics", "# TYPE \"my.h\" counter\n{\"my.h\"} 1\n");
    assert_eq!(reply.code, 400);
}

/// Flags name metrics and labels as they are, without quotes and escapes.
#[test]
fn flags() {
    let flags = [
        "-gauge",
        "my.metric=last",
        "-gauge",
        "q\"=max",
        "-gauge",
        "b\\*=min",
        "-gauge",
        "a=b.c=last",
        "-drop-label",
        "pod.name",
        "-drop-label",
        "*\"",
    ];
    let gateway = RunningGateway::start(&flags);
    let gauge = |name: &str, labels: &str, value: i32| {
        push(
            &gateway,
            "/metrics",
            &format!("# TYPE \"{name}\" gauge\n{{\"{name}\"{labels}}} {value}\n"),
        );
    };
    for value in [5, 3] {
        gauge(
            "my.metric",
            ",\"pod.name\"=\"x\",\"pod.names\"=\"y\"",
            value,
        );
        gauge("q\\\"", ",\"l\\\"\"=\"x\"", value);
        gauge("b\\\\x", "", value);
        gauge("a=b.c", "", value);
        gauge("sum.of", "", value);
    }
    let expected = "# TYPE \"a=b.c\" gauge\n{\"a=b.c\"} 3\n# TYPE \"b\\\\x\" gauge\n{\"b\\\\x\"} 3\n\
        # TYPE \"my.metric\" gauge\n{\"my.metric\",\"pod.names\"=\"y\"} 3\n\
        # TYPE \"q\\\"\" gauge\n{\"q\\\"\"} 5\n# TYPE \"sum.of\" gauge\n{\"sum.of\"} 8\n";
    assert_eq!(quoted(&gateway), expected);
}

/// They are deleted by their labels and by their names, and all of them survive an end and a
/// hand-over.
#[test]
fn deleted_and_kept() {
    let folder = scratch_folder();
    let journal = folder.path().join("journal");
    let journal = journal.to_str().expect("it is ours");
    let flags = ["-enable-admin-api", "-journal", journal];
    let gateway = RunningGateway::start(&flags);
    push(
        &gateway,
        "/metrics/job/x/U__pod_2e_name/p",
        "{\"a.b\"} 1\n{\"c\\\"d\\n\"} 2\nplain 3\n",
    );
    push(&gateway, "/metrics/job/x", "{\"a.b\"} 4\n{\"e f\"} 5\n");
    let deleted = gateway.request("DELETE", "/metrics/U__pod_2e_name/p", "", b"");
    assert_eq!(deleted.code, 202);
    let left = "# TYPE \"a.b\" untyped\n{\"a.b\",job=\"x\"} 4\n\
        # TYPE \"e f\" untyped\n{\"e f\",job=\"x\"} 5\n";
    assert_eq!(quoted(&gateway), left);
    push(&gateway, "/metrics/U__pod_2e_name/p", "{\"c\\\"d\\n\"} 2\n");
    for family in ["e%20f", "c%22d%0A", "a_b"] {
        let wiped = gateway.request(
            "PUT",
            &format!("/api/v1/admin/wipe?family={family}"),
            "",
            b"",
        );
        assert_eq!(wiped.code, 202);
    }
    let left = "# TYPE \"a.b\" untyped\n{\"a.b\",job=\"x\"} 4\n";
    assert_eq!(quoted(&gateway), left);
    push(&gateway, "/metrics/U__pod_2e_name/p", BODY);
    push(
        &gateway,
        "/metrics",
        "{\"c\\\"d\\n\\\\\",\"\\\"\"=\"\\n\"} 0.5\n",
    );
    let (before, before_escaped) = (quoted(&gateway), escaped(&gateway));
    gateway.signal(Signal::HUP);
    gateway.wait_for_line(" has taken over");
    assert_eq!(
        (quoted(&gateway), escaped(&gateway)),
        (before.clone(), before_escaped.clone())
    );
    drop(gateway);
    // Once from the records, once from the snapshot that other rules have made.
    for more in [&[][..], &["-gauge", "x=last"], &[]] {
        let gateway = RunningGateway::start(&[&flags, more].concat());
        assert_eq!(
            (quoted(&gateway), escaped(&gateway)),
            (before.clone(), before_escaped.clone())
        );
    }
}

/// In memory as well.
#[test]
fn handed_over() {
    let gateway = RunningGateway::start(&[]);
    push(&gateway, "/metrics/job/x", BODY);
    push(&gateway, "/metrics/job/x", "{\"a\\\\\"} 1\n");
    let before = quoted(&gateway);
    gateway.signal(Signal::HUP);
    gateway.wait_for_line(" has taken over");
    assert_eq!(quoted(&gateway), before);
}

/// A scrape of many pieces, which begin within families whose names are escaped.
#[test]
fn long_scrapes() {
    let gateway = RunningGateway::start(&[]);
    let (mut body, mut expected) = (String::new(), String::new());
    for family in 10..60 {
        body.push_str(&format!("# TYPE \"f.{family}\" counter\n"));
        expected.push_str(&format!("# TYPE f_{family} counter\n"));
        for series in 100..500 {
            body.push_str(&format!("{{\"f.{family}\",\"l.m\"=\"{series}\"}} 1\n"));
            expected.push_str(&format!("f_{family}{{l_m=\"{series}\"}} 1\n"));
            // These are the same with underscores.
            body.push_str(&format!("{{\"f.{family}\",\"l:m\"=\"{series}\"}} 2\n"));
        }
    }
    push(&gateway, "/metrics", &body);
    assert!(expected.len() > 2 * (128 << 10));
    let reply = scrape(&gateway, "GET", PROMETHEUS_2);
    assert_eq!(reply.header("Transfer-Encoding"), Some("chunked"));
    assert!(reply.body == expected, "{}", reply.body.len());
    assert_eq!(
        gateway.own_metric("aggregation_gateway_scrape_omitted_series"),
        20_000.0
    );
    let quoted = quoted(&gateway);
    assert_eq!(quoted.lines().count(), body.lines().count());
    let again = RunningGateway::start(&[]);
    push(&again, "/metrics", &quoted);
    assert!(scrape(&again, "GET", PROMETHEUS_3).body == quoted);
}
