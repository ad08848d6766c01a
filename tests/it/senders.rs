//! Cumulative senders: the number that is exposed is the number that happened.

use rustix::process::Signal;

use crate::running_gateway::{RunningGateway, scratch_folder, wait_until};
use crate::tokens::{Files, PUSH, bearer};

const FLAG: [&str; 2] = ["-sender-label", "instance"];

fn gateway(flags: &[&str]) -> RunningGateway {
    RunningGateway::start(&[&FLAG, flags].concat())
}

/// Pushes as a sender of this name.
#[track_caller]
fn push(gateway: &RunningGateway, method: &str, sender: &str, body: &str) {
    let path = format!("/metrics/instance/{sender}");
    let reply = gateway.request(method, &path, "", body.as_bytes());
    assert_eq!(reply.code, 200, "{}", reply.body);
}

#[track_caller]
fn push_open_metrics(gateway: &RunningGateway, sender: &str, body: &str) {
    let path = format!("/metrics/instance/{sender}");
    let headers = "Content-Type: application/openmetrics-text; version=1.0.0\r\n";
    let reply = gateway.request("POST", &path, headers, body.as_bytes());
    assert_eq!(reply.code, 200, "{}", reply.body);
}

#[test]
fn counters_add_what_they_grew_by() {
    let gateway = gateway(&[]);
    let pushes = [
        ("a", 3, 3),
        ("a", 5, 5),
        ("b", 2, 7),
        ("a", 6, 8),
        ("a", 1, 9),
    ];
    for (sender, value, sum) in pushes {
        push(
            &gateway,
            "POST",
            sender,
            &format!("# TYPE c counter\nc {value}\n"),
        );
        assert_eq!(gateway.scrape(), format!("# TYPE c counter\nc {sum}\n"));
    }
    // What comes without the label is an increment.
    gateway.push("/metrics", "# TYPE c counter\nc 1\n");
    gateway.push("/metrics/job/x", "# TYPE c counter\nc 1\n");
    let sums = "# TYPE c counter\nc 10\nc{job=\"x\"} 1\n";
    assert_eq!(gateway.scrape(), sums);
    // A retry is free.
    push(&gateway, "POST", "a", "# TYPE c counter\nc 1\n");
    assert_eq!(gateway.scrape(), sums);
}

/// Other labels of the path are stored, and tell senders apart.
#[test]
fn the_whole_path_names_a_sender() {
    let gateway = gateway(&[]);
    for (path, value) in [
        ("job/x/instance/a", 3),
        ("instance/a/job/x", 4),
        ("instance/a", 4),
    ] {
        gateway.push(
            &format!("/metrics/{path}"),
            &format!("# TYPE c counter\nc{{instance=\"body\"}} {value}\n"),
        );
    }
    assert_eq!(gateway.scrape(), "# TYPE c counter\nc 4\nc{job=\"x\"} 4\n");
    // An empty value names none.
    gateway.push("/metrics/instance/", "# TYPE c counter\nc 4\n");
    assert_eq!(gateway.scrape(), "# TYPE c counter\nc 8\nc{job=\"x\"} 4\n");
}

#[test]
fn start_times_tell_restarts_from_late_pushes() {
    let gateway = gateway(&[]);
    let body = |name: &str, value: u32, start: u32| {
        format!("# TYPE {name} counter\n{name}_total {value}\n{name}_created {start}\n# EOF\n")
    };
    for (value, start) in [(5, 1), (7, 2)] {
        push_open_metrics(&gateway, "x", &body("a", value, start));
    }
    for value in [5, 7, 5, 8] {
        push_open_metrics(&gateway, "x", &body("b", value, 1));
    }
    let sums = "# TYPE a_total counter\na_total 12\n# TYPE b_total counter\nb_total 8\n";
    assert_eq!(gateway.scrape(), sums);
    let series =
        |what: &str| gateway.own_metric(&format!("aggregation_gateway_sender_series_{what}_total"));
    assert_eq!((series("restarted"), series("late")), (1.0, 1.0));
}

#[test]
fn gauges_are_the_sum_over_live_senders() {
    let gateway = gateway(&["-sender-timeout", "2s"]);
    let body = |value: u32| format!("# TYPE g gauge\ng {value}\n");
    let with_ordinary = |value: u32| format!("# TYPE g gauge\ng {}\n", value + 5);
    gateway.push("/metrics", &body(5));
    for (sender, value, sum) in [("a", 4, 4), ("b", 2, 6), ("a", 1, 3)] {
        push(&gateway, "POST", sender, &body(value));
        assert_eq!(gateway.scrape(), with_ordinary(sum));
    }
    wait_until(|| {
        push(&gateway, "POST", "a", &body(1));
        gateway.scrape() == with_ordinary(1)
    });
    let live = |state: &str| {
        gateway.own_metric(&format!("aggregation_gateway_senders{{state=\"{state}\"}}"))
    };
    // A gauge alone is not remembered any longer.
    assert_eq!((live("live"), live("withdrawn")), (1.0, 0.0));
    push(&gateway, "POST", "b", &body(3));
    assert_eq!(gateway.scrape(), with_ordinary(4));
    wait_until(|| gateway.scrape() == with_ordinary(0));
}

#[test]
fn histograms_may_leave_out_empty_buckets() {
    let gateway = gateway(&[]);
    let head = "# TYPE h histogram\n";
    for body in [
        "h_bucket{le=\"1\"} 3\nh_bucket{le=\"+Inf\"} 3\nh_sum 3\nh_count 3\n",
        "h_bucket{le=\"1\"} 3\nh_bucket{le=\"5\"} 4\nh_bucket{le=\"+Inf\"} 4\nh_sum 7\nh_count 4\n",
    ] {
        push(&gateway, "POST", "a", &format!("{head}{body}"));
    }
    let sums = "h_bucket{le=\"1\"} 3\nh_bucket{le=\"5\"} 4\nh_bucket{le=\"+Inf\"} 4\n\
                h_sum 7\nh_count 4\n";
    assert_eq!(gateway.scrape(), format!("{head}{sums}"));
    // Without a sum, or with NaN among the counts, what is left out is as before.
    for body in [
        "h_bucket{le=\"1\"} 4\nh_bucket{le=\"5\"} 5\nh_bucket{le=\"+Inf\"} 5\nh_count 5\n",
        "h_bucket{le=\"1\"} 4\nh_bucket{le=\"5\"} NaN\nh_bucket{le=\"+Inf\"} 5\nh_sum 9\n\
         h_count 5\n",
        "h_bucket{le=\"1\"} 4\nh_bucket{le=\"5\"} 5\nh_bucket{le=\"+Inf\"} 5\nh_sum 8\nh_count 5\n",
    ] {
        push(&gateway, "POST", "a", &format!("{head}{body}"));
    }
    let sums = "h_bucket{le=\"1\"} 4\nh_bucket{le=\"5\"} 5\nh_bucket{le=\"+Inf\"} 5\n\
                h_sum 8\nh_count 5\n";
    assert_eq!(gateway.scrape(), format!("{head}{sums}"));
}

#[test]
fn kept_summaries_add_what_they_grew_by() {
    let gateway = gateway(&["-keep-summaries", "-push-times"]);
    let head = "# TYPE s summary\n";
    for (sum, count) in [(3, 2), (5, 3), (5, 3), (1, 1)] {
        let quantile = "s{quantile=\"0.5\"} 1\n";
        let body = format!("{head}{quantile}s_sum {sum}\ns_count {count}\n");
        push(&gateway, "POST", "a", &body);
    }
    let scrape = gateway.scrape();
    assert!(
        scrape.ends_with(&format!("{head}s_sum 6\ns_count 4\n")),
        "{scrape}"
    );
    // The label of the sender is not stored there, either.
    assert!(scrape.contains("\npush_time_seconds "), "{scrape}");
}

#[test]
fn baselines_are_those_of_series_as_sent() {
    let gateway = gateway(&["-drop-label", "pod"]);
    let head = "# TYPE a counter\n";
    push(
        &gateway,
        "POST",
        "x",
        &format!("{head}a{{pod=\"1\"}} 5\na{{pod=\"2\"}} 3\n"),
    );
    push(&gateway, "POST", "x", &format!("{head}a{{pod=\"1\"}} 6\n"));
    assert_eq!(gateway.scrape(), format!("{head}a 9\n"));
    // Each gauge is a contribution of its own.
    let head = "# TYPE g gauge\n";
    push(
        &gateway,
        "PUT",
        "y",
        &format!("{head}g{{pod=\"1\"}} 5\ng{{pod=\"2\"}} 3\n"),
    );
    push(&gateway, "PUT", "y", &format!("{head}g{{pod=\"2\"}} 2\n"));
    assert!(gateway.scrape().ends_with("# TYPE g gauge\ng 2\n"));
}

#[test]
fn put_replaces_everything_and_post_families() {
    let gateway = gateway(&[]);
    let g = "# TYPE g gauge\ng{a=\"1\"} 1\ng{a=\"2\"} 2\n";
    let h = "# TYPE h gauge\nh 4\n";
    push(
        &gateway,
        "PUT",
        "a",
        &format!("{g}{h}# TYPE c counter\nc 3\n"),
    );
    push(&gateway, "POST", "a", "# TYPE g gauge\ng{a=\"2\"} 3\n");
    let rest = "# TYPE c counter\nc 3\n# TYPE g gauge\ng{a=\"2\"} 3\n";
    assert_eq!(gateway.scrape(), format!("{rest}{h}"));
    push(&gateway, "PUT", "a", "# TYPE g gauge\ng{a=\"2\"} 3\n");
    assert_eq!(gateway.scrape(), rest);
    push(&gateway, "PUT", "a", "");
    assert_eq!(gateway.scrape(), "# TYPE c counter\nc 3\n");
    // What is not sent keeps its baseline.
    push(&gateway, "PUT", "a", "# TYPE c counter\nc 4\n");
    assert_eq!(gateway.scrape(), "# TYPE c counter\nc 4\n");
}

#[test]
fn a_sender_leaves_by_delete() {
    let gateway = gateway(&["-enable-admin-api"]);
    let body = "# TYPE c counter\nc 3\n# TYPE g gauge\ng 2\n";
    push(&gateway, "POST", "a", body);
    push(&gateway, "POST", "b", "# TYPE g gauge\ng 1\n");
    let delete = |path: &str| gateway.request("DELETE", path, "", b"").code;
    for _ in 0..2 {
        assert_eq!(delete("/metrics/instance/a"), 202);
        assert_eq!(
            gateway.scrape(),
            "# TYPE c counter\nc 3\n# TYPE g gauge\ng 1\n"
        );
    }
    push(&gateway, "POST", "a", body);
    assert_eq!(
        gateway.scrape(),
        "# TYPE c counter\nc 6\n# TYPE g gauge\ng 3\n"
    );
    assert_eq!(
        gateway.own_metric("aggregation_gateway_sender_numbers"),
        5.0
    );
    // The wipe takes the gauges too; baselines stay.
    assert_eq!(
        gateway.request("PUT", "/api/v1/admin/wipe", "", b"").code,
        202
    );
    assert_eq!(gateway.scrape(), "");
    push(
        &gateway,
        "POST",
        "a",
        "# TYPE c counter\nc 4\n# TYPE g gauge\ng 2\n",
    );
    assert_eq!(
        gateway.scrape(),
        "# TYPE c counter\nc 1\n# TYPE g gauge\ng 2\n"
    );
}

#[test]
fn no_flag_is_needed_to_leave() {
    let gateway = gateway(&[]);
    let delete = |path: &str| gateway.request("DELETE", path, "", b"").code;
    assert_eq!(delete("/metrics/job/x/instance/a"), 202);
    assert_eq!(delete("/metrics/job/x"), 405);
}

/// A sender may take away what it may push.
#[test]
fn a_push_token_lets_a_sender_leave() {
    let files = Files::new();
    let [push, scrape] = ["push", "scrape"].map(|name| files.path(name).display().to_string());
    let gateway = gateway(&["-push-token-file", &push, "-scrape-token-file", &scrape]);
    let delete = |path: &str, headers: &str| gateway.request("DELETE", path, headers, b"").code;
    let token = &bearer(PUSH);
    assert_eq!(delete("/metrics/instance/a", token), 202);
    assert_eq!(delete("/metrics/instance/a", ""), 401);
    assert_eq!(delete("/metrics/job/a", token), 401);
}

#[test]
fn what_was_untyped_and_is_a_counter_goes_on() {
    let gateway = gateway(&[]);
    push(&gateway, "POST", "a", "u 5\n");
    push(&gateway, "POST", "b", "u 2\n");
    assert_eq!(gateway.scrape(), "# TYPE u untyped\nu 7\n");
    push(&gateway, "POST", "c", "# TYPE u counter\nu 1\n");
    push(&gateway, "POST", "a", "u 6\n");
    push(&gateway, "PUT", "b", "");
    assert_eq!(gateway.scrape(), "# TYPE u counter\nu 9\n");
    push(&gateway, "POST", "b", "u 4\n");
    assert_eq!(gateway.scrape(), "# TYPE u counter\nu 11\n");
}

/// The journal, a hand-over and a kill change nothing, and a refused push neither.
#[test]
fn senders_outlive_the_process() {
    let folder = scratch_folder();
    let journal = folder.path().join("sums").display().to_string();
    let flags = ["-journal", &journal, "-max-sender-series", "9"];
    let body = |value: u32| {
        format!(
            "# TYPE c counter\nc {value}\n# TYPE g gauge\ng {value}\n# TYPE h histogram\n\
             h_bucket{{le=\"1\"}} {value}\nh_bucket{{le=\"+Inf\"}} {value}\nh_count {value}\n"
        )
    };
    let sums = |value: u32, gauge: u32| {
        format!(
            "# TYPE c counter\nc {value}\n# TYPE g gauge\ng {gauge}\n# TYPE h histogram\n\
             h_bucket{{le=\"1\"}} {value}\nh_bucket{{le=\"+Inf\"}} {value}\nh_sum 0\n\
             h_count {value}\n"
        )
    };
    let mut running = gateway(&flags);
    push(&running, "POST", "a", &body(3));
    push(&running, "POST", "b", "# TYPE g gauge\ng 1\n");
    let full = running.push("/metrics/instance/c", "# TYPE c counter\nc 1\n");
    assert_eq!(full.code, 429);
    assert_eq!(
        full.body,
        "11 numbers of senders would be remembered, of 9 (-max-sender-series), and none of a \
         sender that is silent for -sender-timeout\n"
    );
    running.signal(Signal::HUP);
    running.wait_for_line("has taken over");
    push(&running, "POST", "a", &body(4));
    assert_eq!(running.scrape(), sums(4, 5));
    running.signal(Signal::KILL);
    running.wait();
    let running = gateway(&flags);
    assert_eq!(running.scrape(), sums(4, 5));
    push(&running, "POST", "a", &body(6));
    push(&running, "PUT", "b", "# TYPE g gauge\ng 2\n");
    assert_eq!(running.scrape(), sums(6, 8));
}

#[test]
fn without_a_journal_a_line_warns() {
    let running = gateway(&[]);
    running.wait_for_line(
        "-sender-label without -journal: when the process is lost, the next push of each \
         live sender counts whole again",
    );
}

#[test]
fn the_flags_make_sense_together() {
    for (flags, line) in [
        (
            &["-sender-timeout", "1m"][..],
            "flag -sender-timeout needs -sender-label",
        ),
        (
            &["-sender-memory", "1m"],
            "flag -sender-memory needs -sender-label",
        ),
        (
            &["-max-sender-series", "1"],
            "flag -max-sender-series needs -sender-label",
        ),
        (
            &["-sender-label", "le"],
            "flag -sender-label: `le` tells the buckets or quantiles of a series apart, not \
             senders",
        ),
        (
            &["-sender-label", "a-b"],
            "flag -sender-label: expected a label name (letters, digits, _, no digit first, no __ \
             first), found `a-b`",
        ),
        (
            &["-sender-label", "pod", "-drop-label", "p*"],
            "flag -drop-label: p* would drop pod, which -sender-label takes off anyway",
        ),
        (
            &["-sender-label", "pod", "-sender-memory", "1m"],
            "flag -sender-memory: expected at least -sender-timeout, which is 300 s, found 60 s",
        ),
    ] {
        let output = crate::running_gateway::command(flags).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{flags:?}");
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(stderr, format!("prometheus-aggregation-gateway: {line}\n"));
    }
}
