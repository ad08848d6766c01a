//! Lines of the log, and how many there may be: without a process.

use std::time::Duration;

use prometheus_aggregation_gateway::log::{
    LINES_PER_SECOND_MAX, Level, Limiter, LogEvent, LogFormat, Stamp, Style, Verdict, printable,
};
use prometheus_aggregation_gateway::overview::RefusedRequest;
use prometheus_aggregation_gateway::process::Usage;
use prometheus_aggregation_gateway::status::{REFUSALS_MAX, Refusals};

use crate::random::Random;

const TEXT: Style = Style {
    format: LogFormat::Text,
    stamp: Stamp::Time,
};

#[track_caller]
fn check(style: Style, event: &LogEvent, time_millis: u64, line: &str) {
    assert_eq!(style.line(event, time_millis), line);
}

#[test]
fn an_event_is_one_line() {
    let event = LogEvent::new(Level::Warn, "push refused")
        .with_text("sender", "192.0.2.7")
        .with_text("path", "/metrics/job/a b")
        .with_number("status", 400)
        .with_text("reason", "line 1: \"\\x\"")
        .with_text("empty", "");
    let fields = "sender=192.0.2.7 path=\"/metrics/job/a b\" status=400 \
                  reason=\"line 1: \\\"\\\\x\\\"\" empty=\"\"";
    let millis = 1_795_719_956_123;
    let line = format!("2026-11-26T19:05:56.123Z WARN push refused {fields}");
    check(TEXT, &event, millis, &line);
    let of_systemd = Style {
        stamp: Stamp::Priority,
        ..TEXT
    };
    let line = format!("<4>push refused {fields}");
    check(of_systemd, &event, millis, &line);
    let json = Style {
        format: LogFormat::Json,
        ..TEXT
    };
    let object = "\"level\":\"warn\",\"message\":\"push refused\",\"sender\":\"192.0.2.7\",\
                  \"path\":\"/metrics/job/a b\",\"status\":400,\
                  \"reason\":\"line 1: \\\"\\\\x\\\"\",\"empty\":\"\"}";
    let line = format!("{{\"time\":\"2026-11-26T19:05:56.123Z\",{object}");
    check(json, &event, millis, &line);
    let json_of_systemd = Style {
        stamp: Stamp::Priority,
        ..json
    };
    check(json_of_systemd, &event, millis, &format!("<4>{{{object}"));
    for (level, line) in [
        (Level::Error, "1970-01-01T00:00:00.000Z ERROR x"),
        (Level::Info, "1970-01-01T00:00:00.000Z INFO x"),
        (Level::Debug, "1970-01-01T00:00:00.000Z DEBUG x"),
    ] {
        check(TEXT, &LogEvent::new(level, "x"), 0, line);
    }
}

/// Against the calendar of another library, leap years and the ends of months included.
#[test]
fn times_are_those_of_the_calendar() {
    let mut random = Random::new(7);
    let days = (0..40_000).map(|day| day * 86_400_000);
    let others = (0..10_000).map(|_| random.below(253_402_300_800) as u64 * 1000 + 7);
    for millis in days.chain(others) {
        let time = chrono::DateTime::from_timestamp_millis(millis.cast_signed()).unwrap();
        let expected = time.format("%Y-%m-%dT%H:%M:%S%.3fZ INFO x").to_string();
        assert_eq!(
            TEXT.line(&LogEvent::new(Level::Info, "x"), millis),
            expected
        );
    }
}

/// Nobody can write a second line, or change how a terminal shows the first.
#[test]
fn lines_are_printable() {
    #[track_caller]
    fn check(input: &[u8], bytes_max: usize, expected: &str) {
        assert_eq!(printable(input, bytes_max), expected);
    }
    check(b"a \"b\" 'c' \\", 99, "a \"b\" 'c' \\");
    check("grüße 😀".as_bytes(), 99, "grüße 😀");
    check(b"a\r\nb\0\x1b[31m\x7f", 99, "a\\r\\nb\\0\\u{1b}[31m\\u{7f}");
    check(
        "a\u{202e}b\u{2028}\u{9b}\u{feff}".as_bytes(),
        99,
        "a\\u{202e}b\\u{2028}\\u{9b}\\u{feff}",
    );
    check(b"a\xffb\xc3", 99, "a\\xffb\\xc3");
    check(b"abcdef", 6, "abcdef");
    check(b"abcdefg", 6, "abc...");
    check("abü\u{202e}".as_bytes(), 6, "ab...");
    check(b"", 0, "");
    let mut random = Random::new(11);
    for _ in 0..2_000 {
        let bytes: Vec<u8> = (0..random.below(60))
            .map(|_| random.below(256) as u8)
            .collect();
        let bytes_max = 3 + random.below(60);
        let text = printable(&bytes, bytes_max);
        assert!(text.len() <= bytes_max, "{text}");
        assert_eq!(printable(text.as_bytes(), usize::MAX), text);
        let event = LogEvent::new(Level::Info, String::from_utf8_lossy(&bytes).into_owned());
        let event = event.with_text("text", String::from_utf8_lossy(&bytes));
        for format in [LogFormat::Text, LogFormat::Json] {
            let line = Style { format, ..TEXT }.line(&event, 0);
            assert!(!line.contains(char::is_control), "{line}");
        }
    }
}

/// Within any second, however events come; and every event has its line or is counted.
#[test]
fn lines_are_few() {
    let mut random = Random::new(3);
    for gap_millis in [1, 2, 30, 150, 400, 3_000] {
        let (mut limiter, mut now_millis) = (Limiter::default(), 0);
        let (mut lines_millis, mut counted, mut events) = (Vec::new(), 0, 0);
        for _ in 0..5_000 {
            now_millis += random.below(gap_millis) as u64;
            if let Some(count) = limiter.due(now_millis) {
                lines_millis.push(now_millis);
                counted += count;
            }
            events += 1;
            if limiter.admit(now_millis) == Verdict::Line {
                counted += 1;
                lines_millis.push(now_millis);
            }
        }
        counted += limiter.end().unwrap_or(0);
        assert_eq!(counted, events);
        for lines in lines_millis.windows(LINES_PER_SECOND_MAX + 1) {
            let duration_millis = lines[LINES_PER_SECOND_MAX] - lines[0];
            assert!(duration_millis >= 1_000, "{duration_millis} ms");
        }
        if gap_millis == 3_000 {
            assert_eq!(lines_millis.len(), 5_000, "all of them");
        }
    }
}

#[test]
fn the_rest_is_counted() {
    let mut limiter = Limiter::default();
    for _ in 0..10 {
        assert_eq!(limiter.admit(5), Verdict::Line);
    }
    assert_eq!(limiter.due(5), None);
    for _ in 0..7 {
        assert_eq!(limiter.admit(1_004), Verdict::Count);
    }
    assert_eq!(limiter.due(1_004), None);
    assert_eq!(limiter.due(1_005), Some(7));
    assert_eq!(limiter.due(9_000), None);
    assert_eq!(limiter.admit(1_005), Verdict::Line);
}

#[test]
fn the_last_refusals_are_kept() {
    let refused = |code| RefusedRequest {
        time_millis: 0,
        sender: String::new(),
        method: String::new(),
        path: String::new(),
        code,
        reason: String::new(),
    };
    let refusals = Refusals::default();
    for code in 0..30 {
        refusals.add(refused(code));
    }
    let codes: Vec<u16> = refusals.latest().iter().map(|one| one.code).collect();
    let expected: Vec<u16> = (10..30).rev().collect();
    assert_eq!((codes.len(), codes), (REFUSALS_MAX, expected));
}

#[test]
fn what_the_system_says_of_a_process() {
    let stat = "7 (a) b) S 1 7 7 0 -1 4194560 99 0 0 0 123 45 0 0 20 0 1 0 3 12288 5";
    let status = "Name:\tx\nVmPeak:\t   9 kB\nVmSize:\t  12 kB\nVmRSS:\t 3 kB\nThreads:\t7\n";
    let usage = Usage::read(stat, status);
    assert_eq!(usage.cpu_duration, Some(Duration::from_millis(1_680)));
    assert_eq!(usage.virtual_memory_bytes, Some(12 * 1024));
    assert_eq!(usage.resident_memory_bytes, Some(3 * 1024));
    assert_eq!(usage.threads, Some(7));
    for stat in ["", "7 (a) S 1", "7 (a) S 1 7 7 0 -1 9 9 0 0 0 123 x"] {
        let usage = Usage::read(stat, "VmSize: many kB\nThreads: -1");
        assert_eq!(usage, Usage::default());
    }
    let now = Usage::now();
    assert!(now.descriptors.is_some_and(|number| number >= 3));
    assert!(now.descriptors <= now.descriptors_max, "{now:?}");
    assert!(now.cpu_duration.is_some());
}
