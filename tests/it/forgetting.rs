//! Series that are forgotten: by requests, and since nobody pushes them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use prometheus_aggregation_gateway::aggregate::Ages;
use prometheus_aggregation_gateway::gateway::{Gateway, PushRequest};
use prometheus_aggregation_gateway::parse::Format;
use prometheus_aggregation_gateway::rules::Rules;
use prometheus_aggregation_gateway::senders::Replaced;
use rustix::process::Signal;

use crate::journal::{START, scrape};
use crate::memory_disk::MemoryDisk;
use crate::running_gateway::{RunningGateway, scratch_folder};

const SERIES: &str = "# TYPE a gauge\na{job=\"x\"} 1\na{instance=\"i\",job=\"x\"} 2\n\
                      # TYPE b counter\nb{job=\"y\"} 3\n";

fn delete(gateway: &RunningGateway, path: &str) -> u16 {
    gateway.request("DELETE", path, "", b"").code
}

#[test]
fn labels_and_families_are_deleted_by_requests() {
    let folder = scratch_folder();
    let journal = folder.path().join("sums").display().to_string();
    let flags = [
        "-enable-admin-api",
        "-journal",
        &journal,
        "-crontab",
        "@daily",
    ];
    let gateway = RunningGateway::start(&flags);
    let announced = gateway.push("/metrics", SERIES).body;
    // As in Pushgateway's answers, nothing tells whether there was something.
    assert_eq!(delete(&gateway, "/metrics/job/z"), 202);
    assert_eq!(delete(&gateway, "/metrics/job@base64/eA"), 202);
    assert_eq!(gateway.scrape(), "# TYPE b counter\nb{job=\"y\"} 3\n");
    gateway.push(
        "/metrics",
        "# TYPE a counter\na{instance=\"i\",job=\"x\"} 2\na{job=\"x\"} 4\n",
    );
    assert_eq!(delete(&gateway, "/metrics/job/x/instance/i"), 202);
    let after = "# TYPE a counter\na{job=\"x\"} 4\n# TYPE b counter\nb{job=\"y\"} 3\n";
    assert_eq!(gateway.scrape(), after);
    for (path, line) in [
        (
            "/metrics",
            "expected a label behind the push path, such as /job/some_job: ",
        ),
        (
            "/metrics/job",
            "path: expected /<label>/<value> pairs, `job` has no value",
        ),
    ] {
        let refused = gateway.request("DELETE", path, "", b"");
        assert_eq!(refused.code, 400, "{path}");
        assert!(refused.body.starts_with(line), "{path}: {}", refused.body);
    }
    let wipe = |target: &str| gateway.request("PUT", target, "", b"").code;
    assert_eq!(wipe("/api/v1/admin/wipe?family=b"), 202);
    for wrong in [
        "family=%ff",
        "family",
        "family=",
        "famly=a",
        "family=zz&x",
        "x#family=zz",
    ] {
        let target = format!("/api/v1/admin/wipe?{wrong}");
        assert_eq!(wipe(&target), 400, "{wrong}");
    }
    assert_eq!(gateway.scrape(), "# TYPE a counter\na{job=\"x\"} 4\n");
    gateway.push("/metrics", "# TYPE b gauge\nb 1\n");
    // A start finds the same.
    gateway.signal(Signal::KILL);
    drop(gateway);
    let gateway = RunningGateway::start(&flags);
    assert_eq!(
        gateway.scrape(),
        "# TYPE a counter\na{job=\"x\"} 4\n# TYPE b gauge\nb 1\n"
    );
    assert_eq!(
        gateway.request("PUT", "/api/v1/admin/wipe", "", b"").code,
        202
    );
    assert_eq!(gateway.scrape(), "");
    assert_eq!(gateway.push("/metrics", SERIES).body, announced);
    let requests = "aggregation_gateway_http_requests_total{handler=\"admin\",code=\"202\"}";
    assert_eq!(gateway.own_metric(requests), 1.0);
}

#[test]
fn nothing_is_deleted_without_the_flag() {
    let gateway = RunningGateway::start(&[]);
    gateway.push("/metrics", SERIES);
    for (path, allow) in [
        ("/metrics", "GET, HEAD, POST, PUT, OPTIONS"),
        ("/metrics/job/x", "POST, PUT, OPTIONS"),
    ] {
        let reply = gateway.request("DELETE", path, "", b"");
        let line = "DELETE is off here; -enable-admin-api enables it";
        assert_eq!((reply.code, reply.body.trim_end()), (405, line));
        assert_eq!(reply.header("Allow"), Some(allow));
    }
    let refused = gateway.request("PUT", "/api/v1/admin/wipe", "", b"");
    assert_eq!(refused.code, 404);
    assert_eq!(
        refused.body,
        "the admin API is off here; -enable-admin-api enables it\n"
    );
    assert_eq!(
        gateway.request("GET", "/api/v1/admin/wipe", "", b"").code,
        405
    );
    assert_eq!(
        gateway.scrape(),
        SERIES.replace(
            "job=\"x\"} 1\na{instance=\"i\",job=\"x\"} 2",
            "instance=\"i\",job=\"x\"} 2\na{job=\"x\"} 1"
        )
    );
}

/// A series goes after its silence, not before, and with the last one its family; one that is
/// pushed stays. A kill does not make the silence longer.
#[test]
fn silent_series_expire() {
    let folder = scratch_folder();
    let journal = folder.path().join("sums").display().to_string();
    let flags = ["-expire-after", "10s", "-journal", &journal];
    let gateway = RunningGateway::start(&flags);
    gateway.push("/metrics", "# HELP a Text.\n# TYPE a counter\na 1\n");
    gateway.push("/metrics", "b{c=\"1\"} 1\nb{c=\"2\"} 1\n");
    gateway.signal(Signal::KILL);
    drop(gateway);
    let begin = Instant::now();
    let gateway = RunningGateway::start(&flags);
    let all = gateway.scrape();
    let left = "# TYPE b untyped\nb{c=\"2\"} ";
    let mut touches = 1;
    while gateway.scrape().contains("a 1") {
        assert!(begin.elapsed() < Duration::from_secs(60), "it does not go");
        gateway.push("/metrics", "b{c=\"2\"} 1\n");
        touches += 1;
        std::thread::yield_now();
    }
    assert!(begin.elapsed() >= Duration::from_secs(10), "{all}");
    assert_eq!(gateway.scrape(), format!("{left}{touches}\n"));
    gateway.wait_for_line("expired: 1 family, 2 series");
    let expired = gateway.own_metric("aggregation_gateway_series_expired_total");
    assert_eq!(expired, 2.0);
    gateway.signal(Signal::KILL);
    drop(gateway);
    let gateway = RunningGateway::start(&flags);
    assert_eq!(gateway.scrape(), format!("{left}{touches}\n"));
    drop(gateway);
    assert_eq!(
        RunningGateway::start(&["-journal", &journal]).scrape(),
        format!("{left}{touches}\n"),
        "without the flag they stay"
    );
}

/// Ages that could not begin anew at the start do so before a hand-over: only that image knows.
#[test]
fn ages_that_are_due_are_handed_over() {
    let disk = MemoryDisk::with(b"");
    let opened = || {
        let rules = Rules::new(Vec::new(), Vec::new(), Ages::Kept);
        let opened = Gateway::open(Arc::new(disk.clone()), &disk.file(), rules, START);
        opened.unwrap().0
    };
    let push = PushRequest {
        replaced: Replaced::Families,
        labels: "",
        key: None,
        format: Format::Text,
        body: b"a 1\n",
        time_millis: 1_000_000,
    };
    opened().push(&push).unwrap();
    let gateway = opened();
    disk.fill_up(disk.bytes().len());
    gateway.restart_ages(2_000_000);
    disk.fill_up(usize::MAX);
    gateway.sync_journal().unwrap();
    gateway.close(|| panic!("it has a journal")).unwrap();
    let gateway = opened();
    gateway.expire(2_009_000, 10).unwrap();
    assert_eq!(scrape(&gateway), "# TYPE a untyped\na 1\n");
    gateway.expire(2_011_000, 10).unwrap();
    assert_eq!(scrape(&gateway), "");
}

#[test]
fn a_short_silence_is_refused() {
    let output = crate::running_gateway::command(&["-expire-after", "9s"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let stderr = String::from_utf8(output.stderr).unwrap();
    let line = "flag -expire-after: expected at least 10s, found `9s`\n";
    assert!(stderr.ends_with(line), "{stderr}");
}

/// Deletions are made one by one; those that wait for their turn keep no worker from other pages.
#[test]
fn deletions_leave_workers_to_others() {
    let gateway = RunningGateway::start(&["-enable-admin-api"]);
    let series: String = (0..100_000)
        .map(|number| format!("a{{b=\"{number}\"}} 1\n"))
        .collect();
    assert_eq!(gateway.push("/metrics", &series).code, 200);
    let mut deletions: Vec<_> = (0..40).map(|_| gateway.connect()).collect();
    for (number, connection) in deletions.iter_mut().enumerate() {
        connection.send("DELETE", &format!("/metrics/b/{number}"), "", b"");
    }
    let left = gateway.own_metric("aggregation_gateway_series");
    assert!(left > 100_000.0 - 20.0, "the page waited: {left} are left");
    for connection in &mut deletions {
        assert_eq!(connection.reply("DELETE").code, 202);
    }
    assert_eq!(gateway.scrape().lines().count(), 1 + 100_000 - 40);
}
