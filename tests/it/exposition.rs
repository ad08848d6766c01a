//! What a scrape is answered with, by its Accept field.

use prometheus_aggregation_gateway::http::exposition::Exposition;

use crate::random::Random;

const TEXT: Exposition = Exposition::Text;
const QUOTED: Exposition = Exposition::QuotedText;
const PROTOBUF: Exposition = Exposition::Protobuf;
const UTF8_PROTOBUF: Exposition = Exposition::Utf8Protobuf;

/// What Prometheus 3 sends by default, and with protobuf enabled.
pub const PROMETHEUS_3: &str = "application/openmetrics-text;version=1.0.0;\
    escaping=allow-utf-8;q=0.6,\
    application/openmetrics-text;version=0.0.1;q=0.5,\
    text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
pub const PROMETHEUS_3_PROTOBUF: &str = "application/vnd.google.protobuf;\
    proto=io.prometheus.client.MetricFamily;encoding=delimited;escaping=allow-utf-8;q=0.7,\
    application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
    application/openmetrics-text;version=0.0.1;q=0.5,\
    text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
/// The same with `metric_name_validation_scheme: legacy`.
pub const PROMETHEUS_3_LEGACY: &str = "application/openmetrics-text;version=1.0.0;\
    escaping=underscores;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,\
    text/plain;version=1.0.0;escaping=underscores;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
/// What Prometheus 2 sends.
pub const PROMETHEUS_2: &str = "application/openmetrics-text;version=1.0.0,\
    application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";

/// What Prometheus 2 sends with `--enable-feature=native-histograms`.
pub const PROMETHEUS_2_PROTOBUF: &str = "application/vnd.google.protobuf;\
    proto=io.prometheus.client.MetricFamily;encoding=delimited,\
    application/openmetrics-text;version=1.0.0;q=0.8,\
    application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";

const UTF8: &str = "text/plain;version=1.0.0;escaping=allow-utf-8";

#[track_caller]
fn check(accept: &str, expected: Exposition) {
    assert_eq!(
        Exposition::accepted(Some(accept.as_bytes())),
        expected,
        "{accept}"
    );
}

#[test]
fn scrapers() {
    check(PROMETHEUS_3, QUOTED);
    check(PROMETHEUS_3_PROTOBUF, UTF8_PROTOBUF);
    check(PROMETHEUS_2_PROTOBUF, PROTOBUF);
    // Of protobuf, versions above 3.0 do not say whether they take such names.
    let silent = |accept: &str| accept.replacen("delimited;escaping=allow-utf-8", "delimited", 1);
    check(&silent(PROMETHEUS_3_PROTOBUF), UTF8_PROTOBUF);
    let legacy = silent(PROMETHEUS_3_PROTOBUF).replace("allow-utf-8", "underscores");
    check(&legacy, PROTOBUF);
    check(PROMETHEUS_3_LEGACY, TEXT);
    check(&PROMETHEUS_3.replace("allow-utf-8", "dots"), TEXT);
    check(&PROMETHEUS_3.replace("allow-utf-8", "values"), TEXT);
    check(PROMETHEUS_2, TEXT);
    // curl, VictoriaMetrics, a browser.
    check("*/*", TEXT);
    check("text/plain;version=0.0.4;q=1,*/*;q=0.1", TEXT);
    check(
        "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
        TEXT,
    );
    assert_eq!(Exposition::accepted(None), TEXT);
}

/// The field of its own content type asks for an exposition again.
#[test]
fn content_types() {
    assert_eq!(
        TEXT.content_type(),
        "text/plain; version=0.0.4; charset=utf-8"
    );
    let quoted = "text/plain; version=1.0.0; charset=utf-8; escaping=allow-utf-8";
    assert_eq!(QUOTED.content_type(), quoted);
    let protobuf = "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; \
                    encoding=delimited";
    assert_eq!(PROTOBUF.content_type(), protobuf);
    let utf8_protobuf = format!("{protobuf}; escaping=allow-utf-8");
    assert_eq!(UTF8_PROTOBUF.content_type(), utf8_protobuf);
    for exposition in [TEXT, QUOTED, PROTOBUF, UTF8_PROTOBUF] {
        check(exposition.content_type(), exposition);
    }
}

#[test]
fn ranges() {
    check(UTF8, QUOTED);
    // Both parameters are needed.
    check("text/plain;version=1.0.0", TEXT);
    check("text/plain;escaping=allow-utf-8", TEXT);
    check("text/plain;version=0.0.4;escaping=allow-utf-8", TEXT);
    check("text/plain;version=1.0.1;escaping=allow-utf-8", TEXT);
    check("text/plain;version=1.0.0;escaping=underscores", TEXT);
    check(
        "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8",
        TEXT,
    );
    check("text/*;version=1.0.0;escaping=allow-utf-8", TEXT);
    check("*/*;version=1.0.0;escaping=allow-utf-8", TEXT);
    // Order, blanks, letter case, quotes, other parameters.
    check("text/plain;escaping=allow-utf-8;version=1.0.0", QUOTED);
    check("q=1;text/plain;version=1.0.0;escaping=allow-utf-8", TEXT);
    check(
        "text/plain;q=0.5;escaping=allow-utf-8;version=1.0.0",
        QUOTED,
    );
    check(
        " TEXT/Plain ;\tVERSION = 1.0.0 ; Escaping= allow-utf-8 ;",
        QUOTED,
    );
    check("text/plain;version=1.0.0;escaping=ALLOW-UTF-8", TEXT);
    check(
        "text/plain;version=\"1.0.0\";escaping=\"allow\\-utf-8\"",
        QUOTED,
    );
    check(
        "text/plain;charset=utf-8;x;;=;version=1.0.0;escaping=allow-utf-8;y=\"z\"",
        QUOTED,
    );
    // What stands in quotes separates nothing.
    check(
        "text/plain;x=\",text/plain;version=0.0.4,\";version=1.0.0;escaping=allow-utf-8",
        QUOTED,
    );
    check(
        "text/plain;x=\"\\\",\";version=1.0.0;escaping=allow-utf-8",
        QUOTED,
    );
    check(&format!("text/plain;x=\",{UTF8}"), TEXT);
}

#[test]
fn ranks() {
    let both = |utf8: &str, other: &str| format!("{UTF8}{utf8},{other}");
    // The greater weight counts, wherever it stands.
    check(&both(";q=0.2", "text/plain;version=0.0.4;q=0.1"), QUOTED);
    check(&both(";q=0.1", "text/plain;version=0.0.4;q=0.2"), TEXT);
    check(
        "text/plain;version=0.0.4;q=0.1,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.2",
        QUOTED,
    );
    check(&both(";q=0.1", "*/*;q=0.2"), TEXT);
    check(&both(";q=0.9", "*/*"), TEXT);
    check(&both(";q=0.1", "text/*;q=0.2"), TEXT);
    check(&both(";q=0.1", "text/plain;version=1.0.0;q=0.2"), TEXT);
    // Of equal weights, the more specific range counts, then the first.
    check(&both("", "*/*"), QUOTED);
    check(&format!("*/*,{UTF8}"), QUOTED);
    check(&format!("text/*,{UTF8}"), QUOTED);
    check(&both("", "text/plain"), QUOTED);
    check(&format!("text/plain,{UTF8}"), TEXT);
    // What cannot be answered counts for nothing.
    check(&both(";q=0.1", "text/html;q=0.9"), QUOTED);
    check(&both(";q=0.1", "text/plain;version=2.0.0"), QUOTED);
    check(&both(";q=0.1", "application/openmetrics-text"), QUOTED);
    // Weights: none is 1, 0 is never, more digits than three do not count.
    check(&both("", "text/plain;version=0.0.4;q=0.999"), QUOTED);
    check(&both(";q=0", "text/plain;q=0.1"), TEXT);
    check(&both(";q=0.000", ""), TEXT);
    check(&both(";q=0.3", "text/plain;q=0"), QUOTED);
    check(&both(";Q=0.3", "text/plain;q=.25"), QUOTED);
    check(
        &both(";q=\"0.3\"", "text/plain;q=0.29999999999999999999999999"),
        QUOTED,
    );
    // Of a parameter that comes twice, the last counts.
    check(&both(";escaping=dots", ""), TEXT);
    check(&both(";q=0.1;q=0.3", "text/plain;q=0.2"), QUOTED);
    // A weight that is none takes its range away.
    for weight in [
        "1.1", "2", "-0.5", "NaN", "inf", "1e0", "0x1", "0.5.5", "0,5", "\u{b2}",
    ] {
        check(&both(&format!(";q={weight}"), "text/plain;q=0.1"), TEXT);
    }
}

/// Protobuf is answered only where nothing ranks before it, and what it is said to be is read here.
#[test]
fn protobuf() {
    const BARE: &str = "application/vnd.google.protobuf;encoding=delimited";
    let both = |weight: &str, other: &str| format!("{BARE}{weight},{other}");
    check(BARE, PROTOBUF);
    check(
        &BARE.to_uppercase().replace("DELIMITED", "\"delimited\""),
        PROTOBUF,
    );
    let proto = "proto=io.prometheus.client.MetricFamily";
    check(&format!("{BARE};{proto};x=y"), PROTOBUF);
    check(&format!("{BARE};escaping=allow-utf-8"), UTF8_PROTOBUF);
    check(
        &format!("{BARE};escaping=underscores,{UTF8};q=0.1"),
        PROTOBUF,
    );
    check(&both("", &format!("{UTF8};q=0.1")), UTF8_PROTOBUF);
    check(&both("", &format!("{UTF8};q=0")), PROTOBUF);
    // What it does not say to be delimited, or says to be other messages, is not answered.
    for (media_type, parameters) in [
        ("application/vnd.google.protobuf", ""),
        ("application/vnd.google.protobuf", ";encoding=text"),
        ("application/vnd.google.protobuf", ";encoding=compact-text"),
        (
            "application/vnd.google.protobuf",
            ";encoding=delimited;proto=x.Y",
        ),
        ("application/x-protobuf", ";encoding=delimited"),
        ("application/*", ";encoding=delimited"),
    ] {
        let other = format!("{media_type}{parameters}");
        check(&other, TEXT);
        check(&format!("{other},{UTF8};q=0.1"), QUOTED);
    }
    // Ranks.
    check(&both(";q=0", ""), TEXT);
    check(&both(";q=0.2", "text/plain;q=0.1"), PROTOBUF);
    check(&both(";q=0.1", "text/plain;q=0.2"), TEXT);
    check(&both(";q=0.1", &format!("{UTF8};q=0.2")), QUOTED);
    check(&both(";q=0.1", "*/*;q=0.2"), TEXT);
    check(&both("", "text/plain"), PROTOBUF);
    check(&format!("text/plain,{BARE}"), TEXT);
    check(&both("", "*/*"), PROTOBUF);
    check(&format!("*/*,{BARE}"), PROTOBUF);
    check(&format!("text/*,{BARE}"), PROTOBUF);
    // Even what is not answered may rank before it; then the text that ranks first is answered.
    let open_metrics = "application/openmetrics-text;version=1.0.0";
    check(&both(";q=0.5", &format!("{open_metrics};q=0.6")), TEXT);
    let three = format!("{open_metrics};q=0.6,{UTF8};q=0.1");
    check(&both(";q=0.5", &three), QUOTED);
    check(&both(";q=0.5", &format!("{open_metrics};q=0.4")), PROTOBUF);
    check(&both(";q=0.5", &format!("{open_metrics};q=0")), PROTOBUF);
    check(&both(";q=0.5", "text/html;q=0.6"), TEXT);
    check(&both(";q=0.5", "nonsense"), PROTOBUF);
}

/// Whatever is sent, it is answered, in time that grows with its length alone.
#[test]
fn garbage() {
    for accept in [
        "", ",", ";", "=", "/", "*", "text", "text/", "/plain", "\"", "\\", ",,;;==//", "q=1",
    ] {
        check(accept, TEXT);
    }
    assert_eq!(
        Exposition::accepted(Some(b"text/plain\xff;\xfe=\xfd")),
        TEXT
    );
    for unit in [
        ",",
        ";",
        "\"",
        "\\",
        "\"\\\"",
        "text/plain;",
        "text/plain,",
        "q=0;",
        "*/*,",
        "\u{e4}",
    ] {
        check(&unit.repeat((4 << 20) / unit.len()), TEXT);
    }
    let many = format!("{}{UTF8}", "text/plain;q=0.5,".repeat(1 << 16));
    check(&many, QUOTED);
    let mut random = Random::new(1);
    let alphabet = "text/plain;version=1.0.0;escaping=allow-utf-8,*/*;q=0.5\"\\ \t".as_bytes();
    for _ in 0..20_000 {
        let accept: Vec<u8> = (0..random.below(60))
            .map(|_| *random.pick(alphabet))
            .collect();
        let _ = Exposition::accepted(Some(&accept));
    }
}
