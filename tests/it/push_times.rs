//! `-push-times`: the gauge that says when each path was last pushed.

use prometheus_aggregation_gateway::gateway::{Accepted, Gateway, Limits, PushRequest};
use prometheus_aggregation_gateway::parse::Format;
use prometheus_aggregation_gateway::rules::Rules;

use crate::journal::{START, scrape};
use crate::memory_disk::MemoryDisk;
use crate::push_text::PushText;
use crate::rules::{open_by, rules};
use crate::running_gateway::RunningGateway;

/// Pushes to a path at a time in milliseconds; gives how many times were left out.
#[track_caller]
fn push(gateway: &Gateway, labels: &str, body: &str, time_millis: u64) -> u64 {
    let request = PushRequest {
        labels,
        key: None,
        format: Format::Text,
        body: body.as_bytes(),
        time_millis,
    };
    match gateway.push(&request) {
        Ok(Accepted::Merged(merged)) => merged.left_out_push_times,
        outcome => panic!("{outcome:?}"),
    }
}

/// The lines of the gauge.
fn times(gateway: &Gateway) -> String {
    let scrape = scrape(gateway);
    let lines = scrape
        .lines()
        .filter(|line| line.starts_with("push_time_seconds"));
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn they_are_set_and_not_merged() {
    // Whatever is said of gauges.
    let gateway = Gateway::in_memory(rules("-push-times -gauge *=min -drop-label pod"), START);
    push(&gateway, "", "a 1\n", 1500);
    let expected = "# TYPE a untyped\na 1\n\
        # HELP push_time_seconds When this was last pushed, unix time in seconds.\n\
        # TYPE push_time_seconds gauge\npush_time_seconds 1.5\n";
    assert_eq!(scrape(&gateway), expected);
    push(&gateway, "job/x/pod/1/empty@base64/=", "a 1\n", 2000);
    push(&gateway, "job/x/pod/2", "", 3250);
    push(&gateway, "job/q%22", "", 3000);
    // Time never goes back.
    push(&gateway, "", "a 1\n", 1000);
    let expected = "push_time_seconds 3.25\npush_time_seconds{job=\"q\\\"\"} 3.25\n\
        push_time_seconds{job=\"x\"} 3.25";
    assert_eq!(times(&gateway), expected);
}

#[test]
fn what_comes_again_sets_none() {
    let gateway = Gateway::in_memory(rules("-push-times"), START);
    for time_millis in [1000, 2000] {
        let request = PushRequest {
            labels: "job/x",
            key: Some(b"1"),
            format: Format::Text,
            body: b"a 1\n",
            time_millis,
        };
        gateway.push(&request).unwrap();
    }
    gateway.push_text("job/x", b"a x\n").unwrap_err();
    assert_eq!(times(&gateway), "push_time_seconds{job=\"x\"} 1");
}

#[test]
fn their_name_is_refused_in_bodies() {
    let gateway = Gateway::in_memory(rules("-push-times"), START);
    for body in [
        "push_time_seconds 1\n",
        "# TYPE push_time_seconds counter\n",
        "a 1\n# TYPE push_time_seconds summary\npush_time_seconds_sum 1\n",
    ] {
        let refused = gateway.push_text("", body.as_bytes()).unwrap_err();
        let expected = "the gateway sets push_time_seconds itself (-push-times); push it by \
                        another name";
        assert_eq!(refused.to_string(), expected, "{body}");
        assert_eq!(scrape(&gateway), "", "{body}");
    }
    let gateway = Gateway::in_memory(Rules::default(), START);
    push(&gateway, "", "push_time_seconds 1\n", 5000);
    assert_eq!(times(&gateway), "push_time_seconds 1");
}

/// No push is refused for it, and a replay leaves out the same.
#[test]
fn they_are_left_out_where_there_is_no_room() {
    let disk = MemoryDisk::with(b"");
    let limits = Limits {
        series_max: 4,
        ..Limits::default()
    };
    let open = || open_by(&disk, rules("-push-times")).unwrap().0;
    let gateway = open().with_limits(limits);
    let left_out = |labels, body, time| push(&gateway, labels, body, time);
    assert_eq!(left_out("job/x", "a 1\n", 1000), 0);
    assert_eq!(left_out("job/y", "a 1\nb 1\n", 2000), 1);
    assert_eq!(left_out("job/x", "a 2\n", 3000), 0);
    assert_eq!(left_out("job/z", "", 4000), 1);
    assert_eq!(left_out("job/y", "a 3\n", 5000), 1);
    gateway.push_text("job/y", b"c 1\n").unwrap_err();
    assert_eq!(times(&gateway), "push_time_seconds{job=\"x\"} 3");
    assert_eq!(scrape(&open()), scrape(&gateway));
}

#[test]
fn they_go_with_their_flag_and_with_silence() {
    let disk = MemoryDisk::with(b"");
    let open = |flags| {
        let (gateway, _) = open_by(&disk, rules(flags)).unwrap();
        gateway.compact_journal().unwrap();
        gateway
    };
    let gateway = open("");
    push(&gateway, "job/x", "a 1\npush_time_seconds 7\n", 1000);
    // What was pushed by that name is none of the times.
    let gateway = open("-push-times -expire-after 10s");
    assert_eq!(times(&gateway), "");
    push(&gateway, "job/y/pod/2", "b 1\n", 3000);
    push(&gateway, "job/y/pod/1", "b 1\n", 4000);
    push(&gateway, "job/z", "b 1\n", 20_000);
    // Of those that become one, the latest is told.
    let gateway = open("-push-times -expire-after 10s -drop-label pod");
    let expected = "push_time_seconds{job=\"y\"} 4\npush_time_seconds{job=\"z\"} 20";
    assert_eq!(times(&gateway), expected);
    gateway.expire(20_000, 10).unwrap();
    assert_eq!(times(&gateway), "push_time_seconds{job=\"z\"} 20");
    let gateway = open("");
    assert_eq!(times(&gateway), "");
    assert!(scrape(&gateway).contains("b{job=\"z\"} 1\n"));
    let gateway = open("-push-times");
    push(&gateway, "", "", 30_000);
    gateway.reset(40_000, 0).unwrap();
    assert_eq!(times(&gateway), "");
}

#[test]
fn what_is_left_out_is_counted() {
    let gateway = RunningGateway::start(&["-push-times", "-max-series", "1"]);
    assert_eq!(gateway.push("/metrics/job/x", "a 1\n").code, 200);
    assert_eq!(gateway.push("/metrics/job/x", "a 1\n").code, 200);
    let refused = gateway.push("/metrics", "push_time_seconds 1\n");
    assert_eq!(refused.code, 400, "{}", refused.body);
    assert_eq!(gateway.scrape(), "# TYPE a untyped\na{job=\"x\"} 2\n");
    let metrics = gateway.request("GET", "/-/metrics", "", b"").body;
    let line = "aggregation_gateway_push_times_left_out_total 2\n";
    assert!(metrics.contains(line), "{metrics}");
}
