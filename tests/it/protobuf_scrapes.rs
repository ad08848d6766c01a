//! Scrapes as protobuf: they say what the text says, whoever reads them.

use prometheus_aggregation_gateway::aggregate::{Aggregate, Series, View};
use prometheus_aggregation_gateway::grouping_key::GroupingKey;
use prometheus_aggregation_gateway::label_limits::LabelLimits;
use prometheus_aggregation_gateway::metric::NativeBuckets;
use prometheus_aggregation_gateway::number;
use prometheus_aggregation_gateway::parse::{Format, parse};
use prometheus_aggregation_gateway::render::{
    Cursor, Encoding, NameStyle, render, whole, whole_text,
};
use prometheus_aggregation_gateway::rules::{Rules, Summaries};
use rustix::process::Signal;

use crate::cases;
use crate::exposition::{PROMETHEUS_2_PROTOBUF, PROMETHEUS_3, PROMETHEUS_3_PROTOBUF};
use crate::laws::float_push;
use crate::native_histograms::encoded::{Counts, body, classic, fields};
use crate::native_histograms::model::random_model;
use crate::protobuf_reader::{self, Family, Native, read};
use crate::random::{Random, push};
use crate::running_gateway::RunningGateway;
use crate::tokens::{Files, SCRAPE, bearer};

const SEQUENCES: u64 = 200;

/// Adds a body by rules that keep summaries, if it is accepted.
fn add(aggregate: &mut Aggregate, format: Format, body: &[u8]) {
    let key = GroupingKey::default();
    let Ok(mut push) = parse(format, body, &key, LabelLimits::NONE) else {
        return;
    };
    let rules = Rules::default().with_summaries(Summaries::Kept);
    rules.apply(&mut push);
    if let Ok(checked) = aggregate.check(&push) {
        aggregate.merge(&checked, 0);
    }
}

fn of_text(body: &str) -> Aggregate {
    let mut aggregate = Aggregate::default();
    add(&mut aggregate, Format::Text, body.as_bytes());
    aggregate
}

fn text(view: &View) -> String {
    String::from_utf8(whole_text(view)).expect("a scrape is UTF-8")
}

fn protobuf(view: &View) -> Vec<u8> {
    whole(view, Encoding::Protobuf, NameStyle::Quoted)
}

/// The same with the counts of summaries as integers: there is no field for fractions of them.
fn rounded(text: &str) -> String {
    let mut summary = None;
    let rounded = text.split_inclusive('\n').map(|line| {
        if let Some(declared) = line.strip_prefix("# TYPE ") {
            let name = declared.strip_suffix(" summary\n");
            summary = name.map(|name| format!("{}_count", name.trim_matches('"')));
        }
        let name = line.trim_start_matches("{\"");
        match (&summary, line.rsplit_once(' ')) {
            (Some(count), Some((series, value))) if name.starts_with(count) => {
                let value: f64 = value.trim_end().parse().expect("a number");
                format!("{series} {}\n", number::written(value.round()))
            }
            _ => line.to_owned(),
        }
    });
    rounded.collect()
}

fn natives_of(families: Vec<Family>) -> Vec<Native> {
    let metrics = families.into_iter().flat_map(|family| family.metrics);
    metrics.filter_map(|metric| metric.native).collect()
}

/// The native histograms that are exposed, in order.
fn natives_stored(view: &View) -> Vec<Native> {
    let mut natives = Vec::new();
    for (_, family) in view.families() {
        let Series::Histograms(histograms) = &family.series else {
            continue;
        };
        for native in histograms
            .iter()
            .filter_map(|(_, histogram)| histogram.native())
        {
            let side = |buckets: &NativeBuckets| {
                let buckets = buckets
                    .iter()
                    .map(|(index, count)| (i64::from(index), count));
                buckets.collect()
            };
            natives.push(Native {
                schema: native.schema().into(),
                zero_threshold: native.zero_threshold(),
                zero_count: native.zero_count(),
                negative: side(native.negative()),
                positive: side(native.positive()),
            });
        }
    }
    natives
}

/// Two readers make the same of it: one of the tests, and that of pushes.
#[track_caller]
fn check(aggregate: &Aggregate) {
    let view = aggregate.view();
    let (expected, scrape) = (rounded(&text(&view)), protobuf(&view));
    let families = read(&scrape);
    assert_eq!(protobuf_reader::text(&families), expected);
    assert_eq!(natives_of(families), natives_stored(&view));
    let mut again = Aggregate::default();
    add(&mut again, Format::Protobuf, &scrape);
    assert_eq!(text(&again.view()), expected, "pushed again");
    assert_eq!(protobuf(&again.view()), scrape);
}

/// These bytes and no others.
#[test]
fn bytes() {
    #[track_caller]
    fn check_bytes(body: &str, hexadecimal: &str) {
        let aggregate = of_text(body);
        let scrape = protobuf(&aggregate.view());
        let written: String = scrape.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(written, hexadecimal);
        check(&aggregate);
    }
    check_bytes(
        "# TYPE hits_total counter\nhits_total{a=\"b\"} 2\n",
        "230a0a686974735f746f74616c180022130a060a01611201621a09090000000000000040",
    );
    check_bytes(
        "# TYPE temp gauge\ntemp -1.5\n",
        "150a0474656d701801220b120909000000000000f8bf",
    );
    check_bytes("u 4\n", "120a01751803220b2a09090000000000001040");
    check_bytes(
        "# TYPE s summary\ns_count 3\ns_sum 1.5\n",
        "140a01731802220d220b080311000000000000f83f",
    );
    // Of these counts, one is an integer and one is not.
    check_bytes(
        "# HELP h H.\n# TYPE h histogram\nh_bucket{le=\"1\"} 0.5\nh_bucket{le=\"+Inf\"} 2\n\
         h_sum 7.5\nh_count 2\n",
        "3b0a01681202482e180422303a2e0802110000000000001e40\
         1a14080121000000000000e03f11000000000000f03f1a0b080211000000000000f07f",
    );
}

/// What is scraped is what the text says, for any pushes.
#[test]
fn random_scrapes() {
    for seed in 0..SEQUENCES {
        let mut random = Random::new(seed);
        let mut aggregate = Aggregate::default();
        for _ in 0..5 {
            add(
                &mut aggregate,
                Format::Text,
                push(&mut random).text.as_bytes(),
            );
            check(&aggregate);
        }
    }
    for seed in 0..SEQUENCES {
        let mut random = Random::new(seed);
        let mut aggregate = Aggregate::default();
        for _ in 0..5 {
            let body = float_push(&mut random);
            add(&mut aggregate, Format::Text, body.as_bytes());
        }
        check(&aggregate);
    }
    for case in cases::paths("accept", "prom") {
        let mut aggregate = Aggregate::default();
        add(&mut aggregate, Format::Text, &std::fs::read(case).unwrap());
        check(&aggregate);
    }
}

/// Native histograms: of any senders, of client libraries, beside classic buckets and without,
/// incomplete ones and ones of floats.
#[test]
fn native_histograms() {
    for case in cases::paths("protobuf", "pb") {
        let mut aggregate = Aggregate::default();
        add(
            &mut aggregate,
            Format::Protobuf,
            &std::fs::read(case).unwrap(),
        );
        check(&aggregate);
    }
    let mut shown = 0;
    for seed in 0..SEQUENCES {
        let mut random = Random::new(seed);
        let mut aggregate = Aggregate::default();
        for _ in 0..6 {
            let model = random_model(&mut random);
            let counts = *random.pick(&[Counts::Integers, Counts::Floats]);
            let mut fields = fields(&mut random, &model, counts);
            if random.percent(50) {
                fields.extend(classic(&[(1.0, 0), (2.0, 0)]));
            }
            let value = *random.pick(&["1", "2", "3"]);
            let body = body("h", &[("a", value)], &fields);
            add(&mut aggregate, Format::Protobuf, &body);
            if random.percent(10) {
                let classic = format!("# TYPE h histogram\nh_count{{a=\"{value}\"}} 1\n");
                add(&mut aggregate, Format::Text, classic.as_bytes());
            }
            check(&aggregate);
            shown += natives_stored(&aggregate.view()).len();
        }
    }
    assert!(shown > 1000, "{shown}");
}

/// Texts with all that is escaped in text, numbers at their limits, lengths of one byte and more.
#[test]
fn odd_scrapes() {
    check(&of_text(""));
    let help = "# HELP a Back\\\\slash, \"quotes\", line\\nfeed.\n";
    let labels = "b=\"\\\\\\\"\\n\",\"c.d\\\\\\\"\\n\"=\"\u{96ea}\"";
    check(&of_text(&format!("{help}a{{{labels}}} 1\n")));
    check(&of_text("{\"a\\\\\\\"\\n.b\",c=\"d\"} -0.1\n"));
    for length in [100, 127, 128, 129, 16_383, 16_384, 70_000] {
        check(&of_text(&format!("a{{b=\"{}\"}} 1\n", "x".repeat(length))));
    }
    for count in [
        0.0,
        0.25,
        1e15,
        9_007_199_254_740_992.0,
        9_007_199_254_740_994.0,
        1.8e19,
        f64::MAX,
        5e-324,
    ] {
        check(&of_text(&format!("# TYPE a counter\na {count}\n")));
        let buckets = format!("h_bucket{{le=\"-1\"}} {count}\nh_bucket{{le=\"+Inf\"}} {count}\n");
        check(&of_text(&format!(
            "# TYPE h histogram\n{buckets}h_sum -{count}\nh_count {count}\n"
        )));
    }
    // The count of a summary has no field for fractions.
    let summary = |count: &str| format!("# TYPE s summary\ns_sum 0.5\ns_count {count}\n");
    let families = read(&protobuf(&of_text(&summary("2.75")).view()));
    assert_eq!(families[0].metrics[0].count, 3.0);
    assert_eq!(families[0].metrics[0].sum, 0.5);
    check(&of_text(&summary("9007199254740994")));
}

/// A scrape in pieces of any length says the same, though a family may be in more messages: each
/// piece begins with a message, or within the buckets of a histogram, and is too long by one series
/// at most.
#[test]
fn pieces() {
    let scrape = |view: &View, piece_bytes: usize| {
        let (mut bytes, mut from) = (Vec::new(), Some(Cursor::default()));
        let (encoding, style) = (Encoding::Protobuf, NameStyle::Quoted);
        while let Some(cursor) = from {
            let mut piece = Vec::new();
            from = render(view, encoding, style, cursor, &mut piece, piece_bytes);
            assert!(!piece.is_empty(), "a piece is empty");
            // There is room for the lengths of messages, which is given back.
            let is_full = piece.len() + 2 >= piece_bytes;
            assert!(is_full || from.is_none(), "a piece ends too early");
            assert!(piece.len() < piece_bytes + 400, "a piece ends too late");
            bytes.extend(piece);
        }
        bytes
    };
    for seed in 0..SEQUENCES / 4 {
        let mut random = Random::new(seed);
        let mut aggregate = Aggregate::default();
        for _ in 0..5 {
            add(
                &mut aggregate,
                Format::Text,
                push(&mut random).text.as_bytes(),
            );
        }
        let many: String = (0..300).map(|n| format!("many{{n=\"{n}\"}} 1\n")).collect();
        let bounds = (0..3000).map(|n| format!("wide_bucket{{le=\"{n}\"}} {n}\n"));
        let bounds: String = bounds.collect();
        let wide = format!("# TYPE wide histogram\n{bounds}wide_count 300\nwide_sum 1\n");
        add(&mut aggregate, Format::Text, many.as_bytes());
        add(&mut aggregate, Format::Text, wide.as_bytes());
        let view = aggregate.view();
        let length = protobuf(&view).len();
        for piece_bytes in [1, 1 + random.below(100), 1 + random.below(length), length] {
            let families = read(&scrape(&view, piece_bytes));
            let expected = rounded(&text(&view));
            assert!(
                protobuf_reader::text(&families) == expected,
                "seed {seed}, {piece_bytes} bytes"
            );
        }
    }
}

const PROTOBUF_TYPE: &str =
    "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited";

/// A scrape by HTTP: its content type and what it says as text.
fn scraped(gateway: &RunningGateway, accept: &str, fields: &str) -> (String, String) {
    let mut connection = gateway.connect();
    let fields = format!("Accept: {accept}\r\n{fields}");
    connection.send("GET", "/metrics", &fields, b"");
    let (reply, body) = connection.reply_and_bytes("GET");
    assert_eq!(reply.code, 200);
    assert_eq!(reply.header("Vary"), Some("Accept"));
    let content_type = reply.header("Content-Type").expect("it has a type");
    (content_type.to_owned(), protobuf_reader::text(&read(&body)))
}

/// By HTTP: with names as they are and with underscores, long ones in pieces, HEAD, tokens; and
/// after a hand-over.
#[test]
fn by_http() {
    let files = Files::new();
    let gateway = files.start(&["scrape"]);
    let token = bearer(SCRAPE);
    let mut body = "# TYPE \"a.b\" counter\n{\"a.b\"} 1\n".to_owned();
    body.extend((0..20_000).map(|n| format!("many{{n=\"{}\"}} {n}\n", 10_000 + n)));
    assert_eq!(gateway.push("/metrics/job/x", &body).code, 200);
    let accept = |accept: &str| format!("Accept: {accept}\r\n{token}");
    let in_quotes = gateway.request("GET", "/metrics", &accept(PROMETHEUS_3), b"");
    let with_underscores = gateway.request("GET", "/metrics", &token, b"");
    assert!(in_quotes.body.contains("{\"a.b\",job=\"x\"} 1\n"));
    let check = |gateway: &RunningGateway| {
        let utf8_type = format!("{PROTOBUF_TYPE}; escaping=allow-utf-8");
        let (found, text) = scraped(gateway, PROMETHEUS_3_PROTOBUF, &token);
        assert!((found, text) == (utf8_type, in_quotes.body.clone()));
        let (found, text) = scraped(gateway, PROMETHEUS_2_PROTOBUF, &token);
        let sorted = |text: &str| {
            let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
            lines.sort();
            lines
        };
        assert_eq!(found, PROTOBUF_TYPE);
        assert!(sorted(&text) == sorted(&with_underscores.body));
    };
    check(&gateway);
    let fields = accept(PROMETHEUS_2_PROTOBUF);
    let head = gateway.request("HEAD", "/metrics", &fields, b"");
    assert_eq!(
        (head.code, head.header("Content-Type")),
        (200, Some(PROTOBUF_TYPE))
    );
    assert_eq!(head.body, "");
    let without_token = format!("Accept: {PROMETHEUS_2_PROTOBUF}\r\n");
    let refused = gateway.request("GET", "/metrics", &without_token, b"");
    assert_eq!(refused.code, 401);
    // The gateway's own metrics are text.
    let own = gateway.request("GET", "/-/metrics", &fields, b"");
    assert_eq!(
        own.header("Content-Type"),
        Some("text/plain; version=0.0.4; charset=utf-8")
    );
    gateway.signal(Signal::HUP);
    gateway.wait_for_line(" has taken over");
    check(&gateway);
}
