//! The labels that the path of a push puts on its samples, and paths that are refused.

use crate::http::{SOME, check_refusal, gateway_with_some};
use crate::running_gateway::RunningGateway;

#[track_caller]
fn check(path: &str, body: &str, series: &str) {
    let gateway = RunningGateway::start(&[]);
    let reply = gateway.push(&format!("/metrics{path}"), &format!("{body} 1\n"));
    assert_eq!((reply.code, reply.body.as_str()), (200, "{}"));
    assert_eq!(
        gateway.scrape(),
        format!("# TYPE some untyped\n{series} 1\n")
    );
}

#[test]
fn path_labels() {
    check("/job/x", "some", r#"some{job="x"}"#);
    check("/job/x/", "some", r#"some{job="x"}"#);
    check("/job/x/instance/y", "some", r#"some{instance="y",job="x"}"#);
    check(
        "/instance/y/",
        "some{a=\"1\"}",
        r#"some{a="1",instance="y"}"#,
    );
    // The path wins over the body.
    check(
        "/job/x",
        r#"some{job="of the body",z="1"}"#,
        r#"some{job="x",z="1"}"#,
    );
    // %-encoding is undone after the split; a plus sign is no blank.
    check("/job/a%2Fb%20c+d", "some", r#"some{job="a/b c+d"}"#);
    check("/job/%C3%BC%0A%22%5C", "some", r#"some{job="ü\n\"\\"}"#);
    check("/%6Aob/x", "some", r#"some{job="x"}"#);
}

#[test]
fn path_labels_of_any_text() {
    // base64, padded or not; the URL-safe alphabet; the empty value takes the label away.
    check(
        "/job@base64/L3Zhci90bXA=",
        "some",
        r#"some{job="/var/tmp"}"#,
    );
    check("/job@base64/L3Zhci90bXA", "some", r#"some{job="/var/tmp"}"#);
    check(
        "/job@base64/L3Zhci90bXA%3D",
        "some",
        r#"some{job="/var/tmp"}"#,
    );
    check("/job@base64/Pz8_Pj4-", "some", r#"some{job="???>>>"}"#);
    check(
        "/job/x/instance@base64/=",
        r#"some{instance="y"}"#,
        r#"some{job="x"}"#,
    );
    check(
        "/job/x/instance/",
        r#"some{instance="y"}"#,
        r#"some{job="x"}"#,
    );
    check("/job/x/", "some", r#"some{job="x"}"#);
    // Names of any text, which curl's scrape gets with underscores.
    check("/job/x/U__a_2e_b/y", "some", r#"some{a_b="y",job="x"}"#);
    check("/job/x/U__a_22__5C_/y", "some", r#"some{a__="y",job="x"}"#);
    check("/job/x/U__a__b/y", "some", r#"some{a_b="y",job="x"}"#);
    check(
        "/job/x/U__a_zz_b/y",
        "some",
        r#"some{U__a_zz_b="y",job="x"}"#,
    );
    check(
        "/job/x/U__a_D800_/y",
        "some",
        r#"some{U__a_D800_="y",job="x"}"#,
    );
    check("/job/x/U__/y", "some", r#"some{U__="y",job="x"}"#);
    // As they are, which is what Go's client sends.
    check("/job/x/gr.oup/y", "some", r#"some{gr_oup="y",job="x"}"#);
    check("/job/x/%C3%A9@base64/eQ", "some", r#"some{_="y",job="x"}"#);
    check("/job/x/1/y", "some", r#"some{_="y",job="x"}"#);
    // Padding of any length.
    check("/job@base64/YQ=", "some", r#"some{job="a"}"#);
    check("/job@base64/YWFh====", "some", r#"some{job="aaa"}"#);
    check(
        "/job/x/instance//zone/z",
        "some",
        r#"some{job="x",zone="z"}"#,
    );
}

#[track_caller]
fn check_path_refusal(path: &str, line: &str) {
    let gateway = gateway_with_some(&[]);
    let reply = gateway.push(&format!("/metrics{path}"), SOME);
    assert_eq!(reply.header("Access-Control-Allow-Origin"), Some("*"));
    check_refusal(&gateway, &reply, 400, line);
}

#[test]
fn path_labels_refused() {
    check_path_refusal(
        "/job",
        "path: expected /<label>/<value> pairs, `job` has no value",
    );
    check_path_refusal("/job/", "path: the job name is empty");
    check_path_refusal(
        "/job/x/y",
        "path: expected /<label>/<value> pairs, `y` has no value",
    );
    check_path_refusal("/job//a/b", "path: the job name is empty");
    check_path_refusal("/job@base64/=", "path: the job name is empty");
    check_path_refusal("/job/a/job/b", "path: the label `job` is given twice");
    let expected = "path: expected a label name (UTF-8 text without NUL and `@`), found";
    check_path_refusal("/job/x//", &format!("{expected} nothing"));
    check_path_refusal("//job/x", &format!("{expected} nothing"));
    check_path_refusal("/job@base65/eA", &format!("{expected} `job@base65`"));
    check_path_refusal("/%00/x", &format!("{expected} `\\0`"));
    check_path_refusal(
        "/__a/x",
        "path: label names that begin with `__` are reserved, found `__a`",
    );
    check_path_refusal("/a/1/U__a/2", "path: the label `a` is given twice");
    check_path_refusal(
        "/U______a/x",
        "path: label names that begin with `__` are reserved, found `__a`",
    );
    check_path_refusal(
        "/__name__/x",
        "path: label names that begin with `__` are reserved, found `__name__`",
    );
    check_path_refusal(
        "/U__le/1",
        "path: the label `le` belongs to the buckets of histograms",
    );
    check_path_refusal(
        "/le/1",
        "path: the label `le` belongs to the buckets of histograms",
    );
    check_path_refusal(
        "/job/%",
        "path: expected two hexadecimal digits after `%`, found `%`",
    );
    check_path_refusal(
        "/job/a%2",
        "path: expected two hexadecimal digits after `%`, found `a%2`",
    );
    check_path_refusal(
        "/job/%gg",
        "path: expected two hexadecimal digits after `%`, found `%gg`",
    );
    check_path_refusal(
        "/job/%+1",
        "path: expected two hexadecimal digits after `%`, found `%+1`",
    );
    check_path_refusal(
        "/job/%ff",
        "path: the value of label `job` is not valid UTF-8",
    );
    let long = "x".repeat(4090);
    let too_long = "path: its labels take more than 4096 bytes";
    check_path_refusal(&format!("/job/{long}"), too_long);
    check_path_refusal(
        "/job/%00",
        "path: the value of label `job` contains a NUL byte",
    );
}

#[test]
fn path_labels_not_in_base64_are_refused() {
    let expected = "path: expected URL-safe base64 (RFC 4648 section 5), found";
    check_path_refusal("/job@base64/a", &format!("{expected} `a`"));
    check_path_refusal("/job@base64/ab+d", &format!("{expected} `ab+d`"));
    check_path_refusal("/job@base64/Y=Q=", &format!("{expected} `Y=Q=`"));
}
