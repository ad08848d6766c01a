//! The bodies that are timed: what senders push, in the sizes that the targets name.

#![allow(dead_code)] // each of the programs that share them uses some

use std::fmt::Write;

/// One line, as a job pushes with curl.
pub const ONE_LINE: &str =
    "http_requests_total{code=\"200\",method=\"get\",path=\"/api/items\"} 1\n";

/// So many series of one counter, 67 bytes a line, in the order in which a sender made them, which
/// is not that of their bytes. `first` is the number of the first: bodies with others have others.
pub fn numbers(first: usize, series: usize) -> String {
    let mut body = String::from("# TYPE http_requests_total counter\n");
    for number in first..first + series {
        let host = format!("{}", number % 97);
        let path = format!("/items/{number}");
        let line =
            format!("http_requests_total{{code=\"200\",host=\"web-{host}\",path=\"{path}\"}} ");
        let digits = 66_usize.saturating_sub(line.len()).max(1);
        let value = 1 + number % 9;
        let _ = writeln!(body, "{line}{}", value.to_string().repeat(digits));
    }
    body
}

/// So many histograms of one family: ten bounds and `+Inf`, sum and count.
pub fn histograms(first: usize, histograms: usize) -> String {
    const BOUNDS: [&str; 11] = [
        "0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "+Inf",
    ];
    let mut body = String::from(
        "# HELP http_request_duration_seconds Time to answer.\n\
         # TYPE http_request_duration_seconds histogram\n",
    );
    for number in first..first + histograms {
        let name = "http_request_duration_seconds";
        let labels = format!("code=\"200\",path=\"/items/{number}\"");
        for (count, bound) in (1..).zip(BOUNDS) {
            let _ = writeln!(
                body,
                "{name}_bucket{{{labels},le=\"{bound}\"}} {}",
                count * 3
            );
        }
        let _ = writeln!(
            body,
            "{name}_sum{{{labels}}} 17.25\n{name}_count{{{labels}}} 33"
        );
    }
    body
}

/// What a web application pushes: 13 counters and three histograms, 55 series, 3.7 kB.
pub fn web_application() -> String {
    let mut body = String::from(
        "# HELP page_views_total Pages that were shown.\n# TYPE page_views_total counter\n",
    );
    for page in 0..13 {
        let _ = writeln!(
            body,
            "page_views_total{{app=\"shop\",page=\"/page/{page}\"}} {}",
            page + 1
        );
    }
    for name in [
        "page_load_seconds",
        "first_paint_seconds",
        "api_call_seconds",
    ] {
        let _ = writeln!(
            body,
            "# HELP {name} How long it took.\n# TYPE {name} histogram"
        );
        for (count, bound) in (1..).zip([
            "0.01", "0.05", "0.1", "0.25", "0.5", "1", "2", "2.5", "5", "10", "30", "+Inf",
        ]) {
            let _ = writeln!(
                body,
                "{name}_bucket{{app=\"shop\",browser=\"firefox\",le=\"{bound}\"}} {count}"
            );
        }
        let _ = writeln!(
            body,
            "{name}_sum{{app=\"shop\",browser=\"firefox\"}} 8.4375"
        );
        let _ = writeln!(body, "{name}_count{{app=\"shop\",browser=\"firefox\"}} 12");
    }
    body
}

/// So many series whose labels are in another order than that of their names.
pub fn unsorted(series: usize) -> String {
    let mut body = String::from("# TYPE http_requests_total counter\n");
    for number in 0..series {
        let host = number % 97;
        let _ = writeln!(
            body,
            "http_requests_total{{path=\"/items/{number}\",host=\"web-{host}\",code=\"200\"}} 1"
        );
    }
    body
}

/// The series of `numbers` in protobuf; their values are other ones.
pub fn protobuf_numbers(first: usize, series: usize) -> Vec<u8> {
    protobuf_counters(first, series, &[])
}

/// The same with the times at which they began, as Go writes them.
pub fn protobuf_numbers_with_starts(first: usize, series: usize) -> Vec<u8> {
    let time = [8, 0xd2, 0x94, 0xa4, 0xc6, 6, 16, 0x95, 0x9a, 0xef, 0x3a];
    protobuf_counters(first, series, &message(3, &time))
}

fn protobuf_counters(first: usize, series: usize, start: &[u8]) -> Vec<u8> {
    let metrics = (first..first + series).map(|number| {
        let host = format!("web-{}", number % 97);
        let path = format!("/items/{number}");
        let labels = [("code", "200"), ("host", &*host), ("path", &*path)];
        let value = [&[9][..], &1.5_f64.to_le_bytes(), start].concat();
        metric(&labels, &message(3, &value))
    });
    family("http_requests_total", &[], metrics)
}

/// The histograms of `histograms` in protobuf, without `+Inf`, as Go writes them.
pub fn protobuf_histograms(first: usize, histograms: usize) -> Vec<u8> {
    const BOUNDS: [f64; 10] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0];
    let metrics = (first..first + histograms).map(|number| {
        let path = format!("/items/{number}");
        let mut value = vec![8, 33, 17];
        value.extend(17.25_f64.to_le_bytes());
        for (count, bound) in (1..).zip(BOUNDS) {
            let bucket = [&[8, count * 3, 17][..], &bound.to_le_bytes()].concat();
            value.extend(message(3, &bucket));
        }
        metric(&[("code", "200"), ("path", &*path)], &message(7, &value))
    });
    let help_and_type = [message(2, b"Time to answer."), vec![24, 4]].concat();
    family("http_request_duration_seconds", &help_and_type, metrics)
}

fn metric(labels: &[(&str, &str)], value: &[u8]) -> Vec<u8> {
    let label = |(name, value): &(&str, &str)| {
        let pair = [message(1, name.as_bytes()), message(2, value.as_bytes())];
        message(1, &pair.concat())
    };
    [labels.iter().flat_map(label).collect(), value.to_vec()].concat()
}

fn family(name: &str, head: &[u8], metrics: impl Iterator<Item = Vec<u8>>) -> Vec<u8> {
    let mut family = [&message(1, name.as_bytes()), head].concat();
    metrics.for_each(|metric| family.extend(message(4, &metric)));
    [varint(family.len()), family].concat()
}

/// A field that is a string or a message.
fn message(field: u8, value: &[u8]) -> Vec<u8> {
    [&[field << 3 | 2][..], &varint(value.len()), value].concat()
}

#[allow(clippy::cast_possible_truncation)] // the rest is for the next byte
fn varint(mut value: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push((value % 0x80) as u8 | 0x80);
        value /= 0x80;
    }
    bytes.push((value % 0x80) as u8);
    bytes
}
