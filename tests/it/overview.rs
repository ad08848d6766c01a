//! The status page of a running gateway: its routes, its fields, what it shows.

use rustix::process::Signal;

use crate::http::check_refusal;
use crate::http::gateway_with_some;
use crate::running_gateway::{RunningGateway, scratch_folder, wait_until};
use crate::strict_html::Html;
use crate::strict_json::Json;

const PATHS: [&str; 2] = ["/", "/api/v1/status"];

#[test]
fn it_is_answered_to_get_and_head_alone() {
    let gateway = gateway_with_some(&[]);
    for path in PATHS {
        for target in [
            path.to_owned(),
            format!("{path}?q=a&x=y#z"),
            format!("/{path}"),
        ] {
            let reply = gateway.get(&target);
            assert_eq!(reply.code, 200, "{target}");
            let head = gateway.request("HEAD", &target, "", b"");
            assert_eq!((head.code, head.body.as_str()), (200, ""));
            assert!(
                head.header("Content-Length")
                    .is_some_and(|length| length != "0")
            );
            assert_eq!(head.header("Content-Type"), reply.header("Content-Type"));
        }
        for method in ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"] {
            let reply = gateway.request(method, path, "", b"");
            assert_eq!(reply.header("Allow"), Some("GET, HEAD"), "{method} {path}");
            let line = format!("method `{method}` is not known here; expected one of GET, HEAD");
            check_refusal(&gateway, &reply, 405, &line);
        }
        let reply = gateway.get(&format!("{path}?page=0"));
        let line = "page: expected a number from 1 on, found `0`";
        check_refusal(&gateway, &reply, 400, line);
    }
    assert_eq!(gateway.get("/api/v1/status/").code, 404);
    let counted = "aggregation_gateway_http_requests_total{handler=\"overview\",code=\"200\"}";
    assert_eq!(gateway.own_metric(counted), 12.0);
}

/// Pushes may go to the root; the page is still there.
#[test]
fn pushes_may_have_the_same_path() {
    let gateway = RunningGateway::start(&["-push-path", "/"]);
    assert_eq!(gateway.push("/", "x 1\n").code, 200);
    assert!(gateway.get("/").body.contains(">x</bdi>"));
}

#[test]
fn its_fields_forbid_what_it_does_not_need() {
    let gateway = RunningGateway::start(&[]);
    for path in PATHS {
        let reply = gateway.get(path);
        for (field, value) in [
            ("Cache-Control", "no-store"),
            ("Cross-Origin-Resource-Policy", "same-origin"),
            ("Referrer-Policy", "no-referrer"),
            ("X-Content-Type-Options", "nosniff"),
        ] {
            assert_eq!(reply.header(field), Some(value), "{path}");
        }
        assert_eq!(reply.header("Access-Control-Allow-Origin"), None);
    }
    let page = gateway.get("/");
    let policy = page.header("Content-Security-Policy");
    assert!(policy.is_some_and(|policy| policy.starts_with("default-src 'none'; ")));
    assert_eq!(page.header("X-Frame-Options"), Some("DENY"));
    assert_eq!(
        page.header("Content-Type"),
        Some("text/html; charset=utf-8")
    );
    let json = gateway.get("/api/v1/status");
    assert_eq!(json.header("Content-Type"), Some("application/json"));
}

#[test]
fn it_shows_what_is_there() {
    let folder = scratch_folder();
    let journal = folder.path().join("journal").display().to_string();
    let flags = [
        "-crontab",
        "0 0 1 1 *",
        "-journal",
        &journal,
        "-expire-after",
        "1h",
    ];
    let gateway = RunningGateway::start(&flags);
    let body =
        "# HELP seen Things seen.\n# TYPE seen counter\nseen{kind=\"a\"} 2\nseen{kind=\"b\"} 3.5\n";
    assert_eq!(gateway.push("/metrics/job/test", body).code, 200);
    assert_eq!(
        gateway.push("/metrics", "# TYPE seen gauge\nseen 1\n").code,
        400
    );
    assert_eq!(gateway.push("/metrics", "no sample\n").code, 400);

    let html = gateway.get("/?family=seen").body;
    let texts = Html::read(&html).texts.into_iter();
    let texts: Vec<_> = texts.filter(|text| !text.is_empty()).collect();
    let texts = texts.join("|");
    for text in [
        "Aggregation gateway",
        env!("CARGO_PKG_VERSION"),
        "Next reset",
        "Every push is kept",
        "Things seen.",
        "kind|=|a",
        "3.5",
        "conflict |1",
        "invalid |1",
        "of at most 1,000,000",
    ] {
        assert!(texts.contains(text), "{text}: {texts}");
    }

    let json = Json::read(&gateway.get("/api/v1/status?family=seen").body);
    assert_eq!(json.at(&["version"]).text(), env!("CARGO_PKG_VERSION"));
    assert_eq!(json.at(&["series"]), &Json::Number(2.0));
    assert_eq!(json.at(&["pushes", "accepted"]), &Json::Number(1.0));
    assert_eq!(json.at(&["journal", "trouble"]), &Json::Null);
    let minutes = json.at(&["pushes_of_minutes", "accepted"]).array();
    assert_eq!(minutes.len(), 60);
    let opened = json.at(&["opened_family"]);
    assert_eq!(opened.at(&["type"]).text(), "counter");
    let Json::Number(pushed) = opened.at(&["last_push_timestamp_seconds"]) else {
        panic!("{opened:?}");
    };
    assert!(*pushed > 1.7e9);
    let series = opened.at(&["series_list"]).array();
    let values: Vec<_> = series
        .iter()
        .map(|one| one.at(&["value"]).clone())
        .collect();
    assert_eq!(values, [Json::Number(2.0), Json::Number(3.5)]);
    assert_eq!(series[0].at(&["labels", "job"]).text(), "test");
    assert_eq!(json.at(&["family_list"]).array().len(), 1);

    let none = gateway.get("/?family=none").body;
    assert!(
        Html::read(&none)
            .texts
            .join("")
            .contains("No family is called none")
    );
}

#[test]
fn senders_are_counted() {
    let gateway = RunningGateway::start(&["-sender-label", "instance"]);
    let body = "# TYPE busy gauge\nbusy 2\n# TYPE done counter\ndone 5\n";
    for instance in ["a", "b"] {
        let path = format!("/metrics/job/x/instance/{instance}");
        assert_eq!(gateway.push(&path, body).code, 200);
    }
    let json = Json::read(&gateway.get("/api/v1/status?family=busy").body);
    assert_eq!(json.at(&["senders", "live"]), &Json::Number(2.0));
    assert_eq!(json.at(&["senders", "remembered"]), &Json::Number(2.0));
    let series = json.at(&["opened_family", "series_list"]).array();
    assert_eq!(series[0].at(&["value"]), &Json::Number(4.0));
    assert_eq!(
        json.at(&["opened_family", "label_sets"]),
        &Json::Number(1.0)
    );
    assert!(gateway.get("/").body.contains("<h2 id=\"senders\">"));
}

/// The last hour goes on over a hand-over.
#[test]
fn a_hand_over_keeps_the_last_hour() {
    let gateway = gateway_with_some(&[]);
    let accepted = || {
        let json = Json::read(&gateway.get("/api/v1/status").body);
        let minutes = json.at(&["pushes_of_minutes", "accepted"]).array();
        let count = |minute: &Json| match minute {
            Json::Number(count) => *count,
            other => panic!("{other:?}"),
        };
        minutes.iter().map(count).sum::<f64>()
    };
    assert_eq!(accepted(), 1.0);
    gateway.signal(Signal::HUP);
    wait_until(|| gateway.own_metric("aggregation_gateway_hand_overs_total") == 1.0);
    assert_eq!(accepted(), 1.0);
    assert_eq!(gateway.push("/metrics", "some 1\n").code, 200);
    assert_eq!(accepted(), 2.0);
}
