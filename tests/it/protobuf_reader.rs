//! A second reader of delimited protobuf, which knows nothing of the gateway's own: to the text
//! that says the same. It takes what `render` writes, and panics at anything else.
//!
//! Fuzz targets share this file.

use std::fmt::Write;

use prometheus_aggregation_gateway::number;

/// A family; of several messages of one name, which follow each other, one.
#[derive(Debug, Default, PartialEq)]
pub struct Family {
    pub name: String,
    pub help: String,
    pub kind: u64,
    pub metrics: Vec<Metric>,
}

/// One series.
#[derive(Debug, Default, PartialEq)]
pub struct Metric {
    pub labels: Vec<(String, String)>,
    /// Of the message of its value: its number, and of that the value, the count, the sum.
    pub field: u64,
    pub value: f64,
    pub count: f64,
    pub sum: f64,
    /// Bounds and cumulative counts.
    pub buckets: Vec<(f64, f64)>,
    /// Milliseconds since 1970.
    pub start: Option<u64>,
    pub native: Option<Native>,
}

/// The native part of a histogram: indexes of buckets and their own counts.
#[derive(Debug, Default, PartialEq)]
pub struct Native {
    pub schema: i64,
    pub zero_threshold: f64,
    pub zero_count: f64,
    pub negative: Vec<(i64, f64)>,
    pub positive: Vec<(i64, f64)>,
}

enum Value<'a> {
    Integer(u64),
    Double(f64),
    Bytes(&'a [u8]),
}

impl<'a> Value<'a> {
    fn bytes(self) -> &'a [u8] {
        match self {
            Value::Bytes(bytes) => bytes,
            _ => panic!("a message is expected"),
        }
    }

    fn text(self) -> String {
        let text = std::str::from_utf8(self.bytes());
        text.expect("texts are UTF-8").to_owned()
    }

    fn integer(self) -> u64 {
        match self {
            Value::Integer(integer) => integer,
            _ => panic!("an integer is expected"),
        }
    }

    fn double(self) -> f64 {
        match self {
            Value::Double(double) => double,
            _ => panic!("a double is expected"),
        }
    }
}

fn varint(bytes: &mut &[u8]) -> u64 {
    let mut number = 0u64;
    for shift in (0..70).step_by(7) {
        let (&first, rest) = bytes.split_first().expect("a varint has an end");
        *bytes = rest;
        number |= u64::from(first & 0x7f) << shift;
        if first < 0x80 {
            assert!(first > 0 || shift == 0, "a varint is as short as it can be");
            return number;
        }
    }
    panic!("a varint is too long");
}

fn taken<'a>(bytes: &mut &'a [u8], length: usize) -> &'a [u8] {
    let (taken, rest) = bytes.split_at_checked(length).expect("it is not cut off");
    *bytes = rest;
    taken
}

fn fields(mut message: &[u8]) -> Vec<(u64, Value<'_>)> {
    let mut fields = Vec::new();
    while !message.is_empty() {
        let key = varint(&mut message);
        let value = match key & 7 {
            0 => Value::Integer(varint(&mut message)),
            1 => {
                let bytes = taken(&mut message, 8);
                Value::Double(f64::from_le_bytes(bytes.try_into().unwrap()))
            }
            2 => {
                let length = varint(&mut message);
                Value::Bytes(taken(&mut message, length as usize))
            }
            other => panic!("wire type {other}"),
        };
        fields.push((key >> 3, value));
    }
    fields
}

/// All families of an exposition.
pub fn read(mut bytes: &[u8]) -> Vec<Family> {
    let mut families: Vec<Family> = Vec::new();
    while !bytes.is_empty() {
        let length = varint(&mut bytes) as usize;
        let family = family(taken(&mut bytes, length));
        assert!(!family.metrics.is_empty(), "a family has a series");
        match families.last_mut().filter(|last| last.name == family.name) {
            Some(last) => {
                assert_eq!((last.kind, &last.help), (family.kind, &family.help));
                last.metrics.extend(family.metrics);
            }
            None => families.push(family),
        }
    }
    families
}

fn family(message: &[u8]) -> Family {
    let mut family = Family::default();
    for (number, value) in fields(message) {
        match number {
            1 => family.name = value.text(),
            2 => family.help = value.text(),
            3 => family.kind = value.integer(),
            4 => family.metrics.push(metric(value.bytes())),
            other => panic!("field {other} of a family"),
        }
    }
    let field = [3, 2, 4, 5, 7][family.kind as usize];
    assert!(family.metrics.iter().all(|metric| metric.field == field));
    family
}

fn metric(message: &[u8]) -> Metric {
    let mut metric = Metric::default();
    for (number, value) in fields(message) {
        let message = value.bytes();
        match number {
            1 => {
                let mut label = (String::new(), String::new());
                for (number, value) in fields(message) {
                    match number {
                        1 => label.0 = value.text(),
                        2 => label.1 = value.text(),
                        other => panic!("field {other} of a label"),
                    }
                }
                metric.labels.push(label);
            }
            2..=5 | 7 => {
                assert_eq!(metric.field, 0, "a metric has one value");
                metric.field = number;
                metric.read_value(message);
            }
            other => panic!("field {other} of a metric"),
        }
    }
    metric
}

/// What a native part is made of on the wire.
#[derive(Default)]
struct Wire {
    schema: i64,
    zero_threshold: f64,
    zero_count: f64,
    /// Of negative and of positive buckets: offsets and lengths.
    spans: [Vec<(i64, u64)>; 2],
    deltas: [Vec<i64>; 2],
    counts: [Vec<f64>; 2],
}

fn zigzag(number: u64) -> i64 {
    (number >> 1) as i64 ^ -((number & 1) as i64)
}

impl Wire {
    fn read(&mut self, number: u64, value: Value<'_>) {
        match number {
            5 => self.schema = zigzag(value.integer()),
            6 => self.zero_threshold = value.double(),
            7 => self.zero_count = value.integer() as f64,
            8 => self.zero_count = value.double(),
            9 | 12 => {
                let mut span = (0, 0);
                for (number, value) in fields(value.bytes()) {
                    match number {
                        1 => span.0 = zigzag(value.integer()),
                        2 => span.1 = value.integer(),
                        other => panic!("field {other} of a span"),
                    }
                }
                self.spans[usize::from(number == 12)].push(span);
            }
            10 | 13 => {
                let mut packed = value.bytes();
                while !packed.is_empty() {
                    let delta = zigzag(varint(&mut packed));
                    self.deltas[usize::from(number == 13)].push(delta);
                }
            }
            11 | 14 => {
                let (doubles, rest) = value.bytes().as_chunks();
                assert!(rest.is_empty());
                let doubles = doubles.iter().map(|double| f64::from_le_bytes(*double));
                self.counts[usize::from(number == 14)].extend(doubles);
            }
            other => panic!("field {other} of a histogram"),
        }
    }

    /// What Prometheus makes of it, and what it refuses with the whole scrape.
    fn native(&self, count: f64, is_float: bool) -> Option<Native> {
        if self.spans.iter().all(Vec::is_empty) {
            assert!(self.zero_count == 0.0 && self.zero_threshold == 0.0);
            return None;
        }
        let [negative, positive] = [0, 1].map(|side| {
            let mut running = 0;
            let whole = self.deltas[side].iter().map(|delta| {
                running += delta;
                running as f64
            });
            let whole: Vec<f64> = whole.collect();
            let counts = if is_float { &self.counts[side] } else { &whole };
            let of_other_kind = if is_float {
                whole.len()
            } else {
                self.counts[side].len()
            };
            assert_eq!(of_other_kind, 0, "counts are integers or floats");
            let (mut indexes, mut next) = (Vec::new(), 0);
            for (number, (offset, length)) in self.spans[side].iter().enumerate() {
                assert!(number == 0 || *offset > 0, "spans do not touch");
                next += offset;
                indexes.extend((next..).take(*length as usize));
                next += *length as i64;
            }
            assert_eq!(indexes.len(), counts.len());
            indexes
                .into_iter()
                .zip(counts.iter().copied())
                .collect::<Vec<_>>()
        });
        let in_buckets = negative.iter().chain(&positive).map(|bucket| bucket.1);
        let total = in_buckets.fold(self.zero_count, |total, count| total + count);
        assert!(is_float || total == count, "{total} of {count}");
        Some(Native {
            schema: self.schema,
            zero_threshold: self.zero_threshold,
            zero_count: self.zero_count,
            negative,
            positive,
        })
    }
}

impl Metric {
    fn read_value(&mut self, message: &[u8]) {
        let mut wire = Wire::default();
        let mut is_float = false;
        for (number, value) in fields(message) {
            is_float |= match (self.field, number, &value) {
                (7, 4 | 8, Value::Double(count)) => *count > 0.0,
                _ => false,
            };
            match (self.field, number) {
                (2 | 3 | 5, 1) => self.value = value.double(),
                (4 | 7, 1) => self.count = value.integer() as f64,
                (4 | 7, 2) => self.sum = value.double(),
                (7, 3) => self.buckets.push(bucket(value.bytes())),
                (7, 4) => self.count = value.double(),
                (3, 3) | (4, 4) | (7, 15) => self.start = Some(timestamp(value.bytes())),
                (7, _) => wire.read(number, value),
                (field, other) => panic!("field {other} of {field} of a metric"),
            }
        }
        self.native = wire.native(self.count, is_float);
    }
}

fn bucket(message: &[u8]) -> (f64, f64) {
    let (mut bound, mut count) = (0.0, 0.0);
    for (number, value) in fields(message) {
        match number {
            1 => count = value.integer() as f64,
            2 => bound = value.double(),
            4 => count = value.double(),
            other => panic!("field {other} of a bucket"),
        }
    }
    (bound, count)
}

fn timestamp(message: &[u8]) -> u64 {
    let mut millis = 0;
    for (number, value) in fields(message) {
        match number {
            1 => millis += value.integer() * 1000,
            2 => millis += value.integer() / 1_000_000,
            other => panic!("field {other} of a timestamp"),
        }
    }
    millis
}

/// The same as exposition text, with names beyond the alphabet in quotes.
pub fn text(families: &[Family]) -> String {
    let mut text = String::new();
    for family in families {
        let name = quoted(&family.name, true);
        if !family.help.is_empty() {
            let help = family.help.replace('\\', "\\\\").replace('\n', "\\n");
            writeln!(text, "# HELP {name} {help}").unwrap();
        }
        let kind = ["counter", "gauge", "summary", "untyped", "histogram"][family.kind as usize];
        writeln!(text, "# TYPE {name} {kind}").unwrap();
        for metric in &family.metrics {
            if matches!(metric.field, 2 | 3 | 5) {
                sample(&mut text, &family.name, metric, None, metric.value);
                continue;
            }
            for &(bound, count) in &metric.buckets {
                let bucket = format!("{}_bucket", family.name);
                sample(&mut text, &bucket, metric, Some(bound), count);
            }
            for (suffix, value) in [("sum", metric.sum), ("count", metric.count)] {
                let name = format!("{}_{suffix}", family.name);
                sample(&mut text, &name, metric, None, value);
            }
        }
    }
    text
}

fn sample(text: &mut String, name: &str, metric: &Metric, bound: Option<f64>, value: f64) {
    let mut labels: Vec<String> = Vec::new();
    let name = quoted(name, true);
    if name.starts_with('"') {
        labels.push(name.clone());
    } else {
        text.push_str(&name);
    }
    for (name, value) in &metric.labels {
        labels.push(format!("{}=\"{}\"", quoted(name, false), escaped(value)));
    }
    if let Some(bound) = bound {
        labels.push(format!("le=\"{}\"", number::written(bound)));
    }
    if !labels.is_empty() {
        write!(text, "{{{}}}", labels.join(",")).unwrap();
    }
    writeln!(text, " {}", number::written(value)).unwrap();
}

/// A name of a metric, or of a label, in quotes if it needs them.
fn quoted(name: &str, is_metric: bool) -> String {
    let is_inside = |(at, character): (usize, char)| {
        character.is_ascii_alphabetic()
            || character == '_'
            || (character == ':' && is_metric)
            || (character.is_ascii_digit() && at > 0)
    };
    if name.chars().enumerate().all(is_inside) {
        name.to_owned()
    } else {
        format!("\"{}\"", escaped(name))
    }
}

fn escaped(text: &str) -> String {
    let text = text.replace('\\', "\\\\").replace('"', "\\\"");
    text.replace('\n', "\\n")
}
