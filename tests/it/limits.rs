//! The limits that protect memory: what is beyond them is refused whole, what is known goes on
//! counting, and what was acknowledged is read again whatever they are.

use prometheus_aggregation_gateway::aggregate::Aggregate;
use prometheus_aggregation_gateway::gateway::{Gateway, Limits, Refusal, WrittenBy};
use prometheus_aggregation_gateway::grouping_key::GroupingKey;
use prometheus_aggregation_gateway::label_limits::LabelLimits;
use prometheus_aggregation_gateway::parse::{Format, parse};
use prometheus_aggregation_gateway::rules::Rules;
use rustix::process::Signal;

use crate::http::{SOME, check_refusal, gateway_with_some};
use crate::journal::{START, reopened, scrape};
use crate::memory_disk::MemoryDisk;
use crate::push_text::PushText;
use crate::random::{Random, push};
use crate::rules::open_by;
use crate::running_gateway::{RunningGateway, scratch_folder};
use crate::strict;

fn series_at_most(series_max: usize) -> Limits {
    Limits {
        series_max,
        ..Limits::default()
    }
}

fn labels_at_most(labels_max: usize, bytes_max: usize) -> Limits {
    let labels = LabelLimits {
        labels_max,
        bytes_max,
    };
    Limits {
        labels,
        ..Limits::default()
    }
}

/// Adds a push; how many series that makes was told before, and whether there is room for them.
#[track_caller]
fn add(aggregate: &mut Aggregate, path: &str, body: &str) {
    let key = GroupingKey::from_path(path).unwrap();
    let push = parse(Format::Text, body.as_bytes(), &key, LabelLimits::NONE).unwrap();
    let before = aggregate.size().series;
    let checked = aggregate.check(&push).unwrap();
    let new = aggregate.new_series(&checked);
    let has_room = [before + new, (before + new).saturating_sub(1)]
        .map(|series_max| aggregate.check_room(&checked, series_max).is_ok());
    assert_eq!(has_room, [true, new == 0], "{body}");
    aggregate.merge(&checked, 0);
    assert_eq!(aggregate.size().series, before + new, "{body}");
}

#[test]
fn new_series_are_foretold() {
    for seed in 0..300 {
        let mut random = Random::new(seed);
        let mut aggregate = Aggregate::default();
        for _ in 0..20 {
            let path = *random.pick(&["", "", "job/a", "job/b/zone/c"]);
            add(&mut aggregate, path, &push(&mut random).text);
        }
    }
}

/// Beyond one leaf of the store, where an index knows the series.
#[test]
fn new_series_among_many_are_foretold() {
    for seed in 0..10 {
        let mut random = Random::new(seed);
        let mut aggregate = Aggregate::default();
        for _ in 0..10 {
            let mut body = String::from("# TYPE h histogram\n");
            let first = random.below(3000);
            for number in first..first + 1 + random.below(1500) {
                body += &format!("x{{a=\"{number}\"}} 1\nf{number} 1\n");
                let bound = random.below(3);
                body += &format!("h_bucket{{a=\"{number}\",le=\"{bound}\"}} 1\n");
            }
            add(&mut aggregate, "", &body);
        }
    }
}

/// The bounds of a known histogram by their values, whatever is counted there.
#[test]
fn new_buckets_are_foretold() {
    let mut aggregate = Aggregate::default();
    let mut check = |body: &str, new: usize| {
        let body = format!("# TYPE h histogram\n{body}");
        let before = aggregate.size().series;
        add(&mut aggregate, "", &body);
        assert_eq!(aggregate.size().series - before, new, "{body}");
    };
    check("h_sum 1\n", 3);
    check("h_bucket{le=\"+Inf\"} 0\n", 0);
    check("h_bucket{le=\"1\"} 0\nh_bucket{le=\"2\"} 0\n", 2);
    check(
        "h_bucket{le=\"1.0\"} 1\nh_bucket{le=\"1.5\"} 1\nh_count 4\n",
        1,
    );
    check("h_bucket{le=\"1e0\"} 1\nh_bucket{le=\"1.50\"} 1\n", 0);
    check("h_bucket{le=\"3\"} NaN\nh_count 4\n", 0);
    check("h_bucket{a=\"b\",le=\"1\"} 0\n", 4);
    check("", 0);
}

/// A gateway with room for so many series is one without limits, but for the pushes that it
/// refuses; those it refuses whole, for the reason that it gives, and no others.
#[test]
fn pushes_of_more_series_are_refused_whole() {
    let (mut refused, mut known) = (0, 0);
    for seed in 0..200 {
        let mut random = Random::new(seed);
        let series_max = 10 + random.below(60);
        let gateway = Gateway::default().with_limits(series_at_most(series_max));
        for _ in 0..20 {
            let body = push(&mut random).text;
            let before = scrape(&gateway);
            let unlimited = Gateway::default();
            unlimited.push_text("", before.as_bytes()).unwrap();
            unlimited.push_text("", body.as_bytes()).unwrap();
            let series = unlimited.size().series;
            match gateway.push_text("", body.as_bytes()) {
                Ok(_) => {
                    assert!(series <= series_max, "seed {seed}: {series}");
                    assert_eq!(scrape(&gateway), scrape(&unlimited), "seed {seed}");
                    known += usize::from(series == series_max);
                }
                Err(refusal) => {
                    let line = format!(
                        "the push would make {series} series, more than {series_max} \
                         (-max-series); series that are known go on counting"
                    );
                    assert_eq!(refusal.to_string(), line, "seed {seed}");
                    assert!(series > series_max);
                    assert_eq!(scrape(&gateway), before, "seed {seed}");
                    refused += 1;
                }
            }
        }
    }
    assert!(refused > 100 && known > 10, "{refused} {known}");
}

#[test]
fn what_conflicts_is_told_so_without_room() {
    let gateway = Gateway::default().with_limits(series_at_most(1));
    gateway.push_text("", b"# TYPE a counter\na 1\n").unwrap();
    let refusal = gateway.push_text("", b"# TYPE a gauge\na 1\na{b=\"c\"} 1\n");
    assert!(matches!(refusal, Err(Refusal::Conflict(_))), "{refusal:?}");
    // What makes no series takes no room.
    for body in ["# TYPE b counter\n", "b NaN\n", "# TYPE s summary\ns 1\n"] {
        gateway.push_text("", body.as_bytes()).unwrap();
    }
    gateway.reset(0, 0).unwrap();
    gateway.push_text("", b"# TYPE a gauge\na 1\n").unwrap();
}

#[track_caller]
fn check_labels(limits: Limits, path: &str, body: &str, expected: Result<(), &str>) {
    let gateway = Gateway::default().with_limits(limits);
    let refusal = gateway.push_text(path, body.as_bytes()).err();
    if let Some(refusal) = &refusal {
        assert!(refusal.is_beyond_label_limits(), "{refusal:?}");
    }
    let found = refusal.map(|refusal| refusal.to_string());
    assert_eq!(found.as_deref(), expected.err(), "{path} {body}");
}

/// The labels of the path count as those of the body, each name once, without the empty ones.
#[test]
fn labels_of_the_path_count() {
    let check = |path: &str, labels: &str, expected| {
        let body = format!("ok 1\nx{{{labels}}} 1\n");
        check_labels(labels_at_most(3, 1000), path, &body, expected);
        let body = format!("ok 1\n\t x{{ {labels} }} 1 1\n");
        check_labels(labels_at_most(3, 1000), path, &body, expected);
    };
    let beyond = Err("line 2: `x` has 4 labels, at most 3 are read here (-max-labels)");
    check("", "a=\"1\",b=\"2\",c=\"3\"", Ok(()));
    check("", "a=\"1\",b=\"2\",c=\"3\",d=\"4\"", beyond);
    check("", "a=\"1\",b=\"2\",c=\"3\",d=\"\",e=\"\"", Ok(()));
    check("", "a=\"\\\"\",b=\"=\",c=\",x=\\\",\\\\\"", Ok(()));
    check("job/x/zone/z", "a=\"1\"", Ok(()));
    check("job/x/zone/z", "a=\"1\",b=\"2\"", beyond);
    check("job/x/zone/z", "a=\"1\",job=\"2\"", Ok(()));
    check("job/x/b//c//", "a=\"1\",b=\"2\",c=\"3\"", Ok(()));
    check("job/x/b//c//", "a=\"1\",b=\"2\",d=\"3\",e=\"4\"", beyond);
    let path = Err("path: it has 4 labels, at most 3 are read here (-max-labels)");
    check("a/1/b/2/c/3/e//", "", Ok(()));
    check("a/1/b/2/c/3/d/4", "", path);
}

/// The longest text of a series, wherever it stands; escapes are a part of it.
#[test]
fn long_labels_are_refused() {
    fn accept(path: &str, body: &str) {
        check_labels(labels_at_most(64, 4), path, body, Ok(()));
    }
    fn refuse(path: &str, body: &str, what: &str) {
        let line = format!("{what}, at most 4 are read here (-max-label-bytes)");
        check_labels(labels_at_most(64, 4), path, body, Err(&line));
    }
    accept("job1/1234", "name{abcd=\"1234\",b=\"1234\"} 1\n");
    accept("", "# HELP name Longer.\n# TYPE name gauge\n");
    let name = "has 5 bytes in its name";
    refuse("", "name1 1\n", &format!("line 1: `name1` {name}"));
    refuse("", "# HELP name1 x\n", &format!("line 1: `name1` {name}"));
    let histogram = "# TYPE h histogram\nh_sum 1\n";
    refuse("", histogram, &format!("line 2: `h_sum` {name}"));
    let value = "line 2: `x` has 5 bytes in the value of the label `b`";
    refuse("", "y 1\nx{a=\"1\",b=\"12345\",c=\"1\"} 1\n", value);
    refuse("job/x", "y 1\n x{c=\"1\",b=\"12345\"} NaN\n", value);
    refuse("", "y 1\nx{b=\"123\\n\"} 1\n", value);
    accept("b/1", "y 1\nx{b=\"12345\"} 1\n");
    let name = "line 1: `x` has 5 bytes in the name of the label `abcde`";
    refuse("", "x{abcde=\"1\"} 1\n", name);
    accept("", "x{abcde=\"\"} 1\n");
    let value = "path: it has 5 bytes in the value of the label `job`";
    refuse("job/12345", "", value);
    refuse("job/123%22", "", value);
    let name = "path: it has 5 bytes in the name of the label `abcde`";
    refuse("abcde/1", "", name);
    accept("abcde//", "");
}

/// As they stand in a label set: escaped, in quotes, with a comma.
#[test]
fn a_path_has_at_most_4096_bytes_of_labels() {
    let path = |value_bytes: usize| format!("job/{}%0A", "x".repeat(value_bytes - 1));
    let value_bytes = 4096 - "job=\"\\\",".len();
    let key = GroupingKey::from_path(&path(value_bytes)).unwrap();
    assert_eq!(key.length(), 4096);
    let error = GroupingKey::from_path(&path(value_bytes + 1)).unwrap_err();
    let line = "path: its labels take more than 4096 bytes";
    assert_eq!(error.to_string(), line);
}

/// As a strict reader counts labels: a push is refused when, and only when, one of its series has
/// more.
#[test]
fn labels_are_counted_exactly() {
    let mut refused = 0;
    for seed in 0..1000 {
        let mut random = Random::new(seed);
        let body = push(&mut random).text;
        let path = *random.pick(&["", "job/a", "quarter/b/job/c"]);
        let unlimited = Gateway::default();
        let merged = unlimited.push_text(path, body.as_bytes()).unwrap();
        if merged.skipped != Default::default() {
            // What was left out does not show in a scrape.
            continue;
        }
        let families = strict::read(&scrape(&unlimited)).unwrap();
        let samples = families.iter().flat_map(|family| &family.samples);
        let labels = samples.map(|sample| {
            let others = sample.labels.iter().filter(|(name, _)| name != "le");
            others.count()
        });
        let most = labels.max().unwrap_or(0);
        for labels_max in 1..6 {
            let gateway = Gateway::default().with_limits(labels_at_most(labels_max, 1000));
            let outcome = gateway.push_text(path, body.as_bytes());
            let is_of_path = path.split('/').count() / 2 > labels_max;
            assert_eq!(outcome.is_err(), most > labels_max || is_of_path, "{body}");
            refused += usize::from(outcome.is_err());
        }
    }
    assert!(refused > 100, "{refused}");
}

/// What was acknowledged is read again with whatever flags, counts on, and is rewritten.
#[test]
fn a_journal_is_read_whatever_the_limits() {
    let disk = MemoryDisk::with(b"");
    let before = reopened(&disk);
    let known = "# TYPE x counter\nx{a=\"1\",b=\"22\"} 1\n";
    before.push_text("job/y/zone/z", known.as_bytes()).unwrap();
    let simple = "# TYPE y gauge\ny{a=\"1\"} 1\n";
    before.push_text("", simple.as_bytes()).unwrap();
    let limits = Limits {
        series_max: 1,
        ..labels_at_most(1, 1)
    };
    for round in 2..5 {
        let gateway = reopened(&disk).with_limits(limits);
        assert_eq!(scrape(&gateway), scrape(&reopened(&disk)));
        gateway.push_text("", simple.as_bytes()).unwrap();
        let sums = format!(
            "# TYPE x counter\nx{{a=\"1\",b=\"22\",job=\"y\",zone=\"z\"}} 1\n\
             # TYPE y gauge\ny{{a=\"1\"}} {round}\n"
        );
        assert_eq!(scrape(&gateway), sums);
        let new = gateway.push_text("", b"y{a=\"2\"} 1\n").unwrap_err();
        let line = "the push would make 3 series, more than 1 (-max-series); series that are \
                    known go on counting";
        assert_eq!(new.to_string(), line);
        let labels = gateway
            .push_text("job/y/zone/z", known.as_bytes())
            .unwrap_err();
        assert!(labels.is_beyond_label_limits(), "{labels}");
        // What is refused is not in the journal.
        assert_eq!(scrape(&reopened(&disk)), sums);
        // Once out of a snapshot.
        if round == 3 {
            gateway.push_text("", known.as_bytes()).unwrap_err();
            let unlimited = gateway.with_limits(Limits::default());
            let long = format!("#{}\n", "#".repeat(2 << 20));
            unlimited
                .push_text("", (long + "z NaN\n").as_bytes())
                .unwrap();
            assert!(unlimited.compact_journal().unwrap());
            assert_eq!(scrape(&unlimited), sums);
        }
    }
}

const PUSHES: &str = "aggregation_gateway_pushes_total";

/// The status, the line and the counter of each.
#[test]
fn refusals_over_http() {
    let flags = ["-max-series=2", "-max-labels=2", "-max-label-bytes=8"];
    let gateway = gateway_with_some(&flags);
    let room = "the push would make 4 series, more than 2 (-max-series); series that are \
                known go on counting";
    let three = "some{a=\"1\"} 1\nsome{a=\"2\"} 1\nsome{a=\"3\"} 1\n";
    check_refusal(&gateway, &gateway.push("/metrics", three), 429, room);
    let labels = "has 3 labels, at most 2 are read here (-max-labels)";
    let reply = gateway.push("/metrics", "some{a=\"1\",b=\"2\",c=\"3\"} 1\n");
    check_refusal(&gateway, &reply, 400, &format!("line 1: `some` {labels}"));
    let reply = gateway.push("/metrics/a/1/b/2/c/3", SOME);
    check_refusal(&gateway, &reply, 400, &format!("path: it {labels}"));
    let reply = gateway.push("/metrics", "some{a=\"123456789\"} 1\n");
    let line = "line 1: `some` has 9 bytes in the value of the label `a`, at most 8 are read here \
                (-max-label-bytes)";
    check_refusal(&gateway, &reply, 400, line);
    assert_eq!(reply.header("Access-Control-Allow-Origin"), Some("*"));
    let count = |result: &str| gateway.own_metric(&format!("{PUSHES}{{result=\"{result}\"}}"));
    assert_eq!(count("too_many_series"), 1.0);
    assert_eq!(count("too_many_labels"), 3.0);
    assert_eq!(count("invalid") + count("conflict"), 0.0);
    assert_eq!(gateway.push("/metrics", SOME).code, 200);
    assert_eq!(gateway.push("/metrics/job/a", SOME).code, 200);
    assert_eq!(gateway.push("/metrics/job/a", SOME).code, 200);
    assert_eq!(gateway.push("/metrics/job/b", SOME).code, 429);
    let sums = "# TYPE some counter\nsome 2\nsome{job=\"a\"} 2\n";
    assert_eq!(gateway.scrape(), sums);
}

/// Lower limits hold for the next process, but for what it takes over.
#[test]
fn limits_are_lowered_on_restart() {
    let folder = scratch_folder();
    let journal = folder.path().join("sums");
    let journal = journal.to_str().expect("it is ours");
    let body = "some{a=\"1\",b=\"22\"} 1\n";
    let mut before = RunningGateway::start(&["-journal", journal]);
    assert_eq!(before.push("/metrics/job/x", body).code, 200);
    assert_eq!(before.push("/metrics", "y 1\n").code, 200);
    before.signal(Signal::TERM);
    assert_eq!(before.wait().code(), Some(0));
    let limits = ["-max-series=1", "-max-labels=1", "-max-label-bytes=4"];
    let gateway = RunningGateway::start(&[&["-journal", journal], &limits[..]].concat());
    for (round, line) in [(1, None), (2, Some(" has taken over"))] {
        if let Some(line) = line {
            gateway.signal(Signal::HUP);
            gateway.wait_for_line(line);
        }
        assert_eq!(gateway.push("/metrics", "y 1\n").code, 200);
        assert_eq!(gateway.push("/metrics", "z 1\n").code, 429);
        assert_eq!(gateway.push("/metrics/job/x", body).code, 400);
        let sums = format!(
            "# TYPE some untyped\nsome{{a=\"1\",b=\"22\",job=\"x\"}} 1\n# TYPE y untyped\ny {}\n",
            round + 1
        );
        assert_eq!(gateway.scrape(), sums);
        let refused = gateway.own_metric(&format!("{PUSHES}{{result=\"too_many_series\"}}"));
        assert_eq!(refused, f64::from(round), "it is counted on");
    }
}

/// A HELP text is cut between characters and escapes, and no push fails for it.
#[test]
fn long_help_texts_are_cut() {
    #[track_caller]
    fn check(bytes_max: usize, text: &str, kept: &str) {
        let rules = Rules::default().with_help_bytes_max(bytes_max);
        let gateway = Gateway::in_memory(rules, START);
        let body = format!("# HELP x {text}\nx 1\n");
        let merged = gateway.push_text("", body.as_bytes()).unwrap();
        let help = match kept {
            "" => String::new(),
            kept => format!("# HELP x {kept}\n"),
        };
        let sums = format!("{help}# TYPE x untyped\nx 1\n");
        assert_eq!(scrape(&gateway), sums);
        assert_eq!(merged.cut_help_texts, u64::from(text != kept));
    }
    check(4, "abcd", "abcd");
    check(3, "abcd", "abc");
    check(3, "ab\u{fc}d", "ab");
    check(4, "ab\u{fc}d", "ab\u{fc}");
    check(3, "\u{1f600}", "");
    check(3, r"ab\\cd", "ab");
    check(4, r"ab\\cd", r"ab\\");
    check(3, r"ab\ncd", "ab");
    check(5, r"ab\\\ncd", r"ab\\");
    check(5, r"a\\\\\\b", r"a\\\\");
    check(3, "ab\rcd", "ab");
    check(4, "ab c", "ab c");
    check(3, "ab cd", "ab ");
}

/// A replay comes to the same texts, and so does whoever reads a scrape.
#[test]
fn cut_help_texts_are_read_again_as_they_are() {
    let mut cut = 0;
    for seed in 0..300 {
        let mut random = Random::new(seed);
        let disk = MemoryDisk::with(b"");
        let bytes_max = 2 + random.below(20);
        let rules = Rules::default().with_help_bytes_max(bytes_max);
        let (gateway, _) = open_by(&disk, rules.clone()).unwrap();
        for number in 0..8 {
            let parts = ["a", "\u{fc}", "\u{1f600}", r"\\", r"\n", "\r", " ", "#"];
            let text: String = (0..random.below(25))
                .map(|_| *random.pick(&parts))
                .collect();
            let end = *random.pick(&["\n", "\r\n"]);
            let body =
                format!("# HELP a{number} {text}{end}a{number} 1{end}# HELP b {text}{end}b 1{end}");
            let merged = gateway.push_text("", body.as_bytes()).unwrap();
            cut += merged.cut_help_texts;
            let sums = scrape(&gateway);
            let (replayed, opened) = open_by(&disk, rules.clone()).unwrap();
            assert_eq!(opened.written_by, WrittenBy::CurrentRules);
            assert_eq!(scrape(&replayed), sums, "seed {seed}: {body:?}");
            let again = Gateway::default();
            again.push_text("", sums.as_bytes()).unwrap();
            assert_eq!(scrape(&again), sums, "seed {seed}: {body:?}");
            let help = sums.lines().filter_map(|line| line.strip_prefix("# HELP "));
            let longest = help.map(|help| help.split_once(' ').map_or(0, |(_, text)| text.len()));
            assert!(longest.max().unwrap_or(0) <= bytes_max, "{sums}");
        }
    }
    assert!(cut > 1000, "{cut}");
    let gateway = gateway_with_some(&["-max-label-bytes=8"]);
    let body = "# HELP x 123456789\nx 1\n";
    assert_eq!(gateway.push("/metrics", body).code, 200);
    let total = "aggregation_gateway_help_texts_cut_total";
    assert_eq!(gateway.own_metric(total), 1.0);
}

/// Where the system gives no memory for a body, its push is refused, and others are answered.
#[test]
fn a_body_without_memory_is_refused() {
    let flags = [
        "-max-body-bytes=1000000000",
        "-max-buffered-bytes=4000000000",
    ];
    let gateway = RunningGateway::start(&flags);
    gateway.leave_memory(64 << 20);
    let data = vec![b'#'; 1 << 20];
    for chunk in ["", "100000\r\n"] {
        let mut connection = gateway.connect();
        let framing = match chunk {
            "" => "Content-Length: 200000000",
            _ => "Transfer-Encoding: chunked",
        };
        let head = format!("POST /metrics HTTP/1.1\r\nHost: x\r\n{framing}\r\n\r\n");
        connection.send_bytes(head.as_bytes());
        // It is answered before all is sent, and what comes after that may not be taken.
        let piece = match chunk {
            "" => data.clone(),
            _ => [chunk.as_bytes(), &data, b"\r\n"].concat(),
        };
        let sent = (0..190).take_while(|_| connection.try_send_bytes(&piece).is_ok());
        let sent = sent.count();
        assert!(sent > 0);
        let reply = connection.reply("POST");
        let line = "there is no memory for the body; retry later\n";
        assert_eq!((reply.code, reply.body.as_str()), (503, line));
        assert_eq!(gateway.push("/metrics", "x 1\n").code, 200);
    }
    let refused = format!("{PUSHES}{{result=\"no_memory\"}}");
    assert_eq!(gateway.own_metric(&refused), 2.0);
    assert_eq!(gateway.scrape(), "# TYPE x untyped\nx 2\n");
}
