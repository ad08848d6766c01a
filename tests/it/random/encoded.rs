//! What a push adds, written in the other formats: `OpenMetrics` and protobuf.

use super::Random;
use super::model::{BOUNDS, Histogram, Model};

/// The body in `OpenMetrics`, with what that has beyond text.
pub fn open_metrics(random: &mut Random, model: &Model) -> String {
    let mut text = String::new();
    for (family, kind) in &model.kinds {
        let (family, kind) = (family.as_str(), *kind);
        // A counter may also be declared and sampled by the whole name.
        let declared = match family.strip_suffix("_total") {
            Some(base) if kind == "counter" && random.percent(80) => base,
            _ => family,
        };
        let word = if kind == "untyped" { "unknown" } else { kind };
        let mut head = vec![format!("# TYPE {declared} {word}\n")];
        if let Some(help) = model.helps.get(family) {
            let help = help.replace('\\', "\\\\").replace('\n', "\\n");
            let help = help.replace('"', "\\\"");
            head.push(format!("# HELP {declared} {help}\n"));
        }
        random.shuffle(&mut head);
        text += &head.concat();
        for ((name, labels), value) in &model.numbers {
            if name == family {
                text += &sample(random, name, labels, *value);
                if kind == "counter" && random.percent(30) {
                    text += &sample(
                        random,
                        &format!("{declared}_created"),
                        labels,
                        1_700_000_000,
                    );
                }
            }
        }
        for ((name, labels), histogram) in &model.histograms {
            if name == family {
                text += &histogram_lines(random, name, labels, histogram);
            }
        }
    }
    if random.percent(80) {
        text += "# EOF\n";
    }
    text
}

fn sample(random: &mut Random, name: &str, labels: &str, value: i64) -> String {
    let labels = match labels {
        "" => String::new(),
        labels => format!("{{{labels}}}"),
    };
    let beyond = *random.pick(&[
        "",
        "",
        " 1520879607.789",
        " # {} 1",
        " 1 # {trace_id=\"a \\\"b\"} 0.67 1520879607.789",
    ]);
    let point = *random.pick(&["", ".0"]);
    format!("{name}{labels} {value}{point}{beyond}\n")
}

fn histogram_lines(random: &mut Random, name: &str, labels: &str, of: &Histogram) -> String {
    let mut lines = Vec::new();
    let mut cumulative = 0;
    let comma = if labels.is_empty() { "" } else { "," };
    for (bound, own) in &of.own_counts {
        cumulative += own;
        let labels = format!("le=\"{}\"{comma}{labels}", BOUNDS[*bound][0]);
        lines.push(sample(
            random,
            &format!("{name}_bucket"),
            &labels,
            cumulative,
        ));
    }
    lines.push(sample(random, &format!("{name}_sum"), labels, of.sum));
    lines.push(sample(random, &format!("{name}_count"), labels, of.count));
    if random.percent(30) {
        lines.push(sample(
            random,
            &format!("{name}_created"),
            labels,
            1_700_000_000,
        ));
    }
    random.shuffle(&mut lines);
    lines.concat()
}

/// The body in protobuf, fields and labels in any order.
pub fn protobuf(random: &mut Random, model: &Model) -> Vec<u8> {
    let mut body = Vec::new();
    for (family, kind) in &model.kinds {
        let (number, of_type) = match *kind {
            "counter" => (0, 3),
            "gauge" => (1, 2),
            "untyped" => (3, 5),
            _ => (4, 7),
        };
        let mut metrics = Vec::new();
        for ((name, labels), value) in &model.numbers {
            if name == family {
                let value = double(1, *value as f64);
                metrics.push(metric(random, labels, bytes(of_type, &value)));
            }
        }
        for ((name, labels), histogram) in &model.histograms {
            if name == family {
                let value = histogram_message(random, histogram);
                metrics.push(metric(random, labels, bytes(of_type, &value)));
            }
        }
        let mut head = vec![bytes(1, family.as_bytes())];
        if number > 0 || random.percent(50) {
            head.push(integer(3, number));
        }
        if let Some(help) = model.helps.get(family) {
            head.push(bytes(2, help.as_bytes()));
        }
        random.shuffle(&mut head);
        let metrics: Vec<u8> = metrics.iter().flat_map(|metric| bytes(4, metric)).collect();
        let at = random.below(head.len() + 1);
        head.insert(at, metrics);
        let message = head.concat();
        body.extend(varint(message.len() as u64));
        body.extend(message);
    }
    body
}

fn metric(random: &mut Random, labels: &str, value: Vec<u8>) -> Vec<u8> {
    let mut fields: Vec<Vec<u8>> = unescaped(labels)
        .iter()
        .map(|(name, value)| {
            let mut label = vec![bytes(1, name.as_bytes()), bytes(2, value.as_bytes())];
            random.shuffle(&mut label);
            bytes(1, &label.concat())
        })
        .collect();
    fields.push(value);
    if random.percent(10) {
        fields.push(integer(6, 1_520_879_607_789));
    }
    if random.percent(10) {
        fields.push(bytes(1, &bytes(1, b"empty")));
    }
    random.shuffle(&mut fields);
    fields.concat()
}

fn histogram_message(random: &mut Random, of: &Histogram) -> Vec<u8> {
    let mut fields = vec![integer(1, of.count as u64), double(2, of.sum as f64)];
    let mut cumulative = 0;
    for (bound, own) in &of.own_counts {
        cumulative += own;
        let bound: f64 = BOUNDS[*bound][0].parse().expect("a number");
        let exemplar = bytes(3, &double(2, 1.0));
        let mut bucket = vec![integer(1, cumulative as u64), double(2, bound), exemplar];
        random.shuffle(&mut bucket);
        fields.push(bytes(3, &bucket.concat()));
    }
    random.shuffle(&mut fields);
    fields.concat()
}

/// Name and value of each label of a canonical text.
fn unescaped(labels: &str) -> Vec<(String, String)> {
    let mut pairs = Vec::new();
    let mut characters = labels.chars();
    loop {
        let name: String = characters
            .by_ref()
            .take_while(|&next| next != '=')
            .collect();
        if name.is_empty() {
            return pairs;
        }
        characters.next();
        let mut value = String::new();
        while let Some(next) = characters.next().filter(|&next| next != '"') {
            match next {
                '\\' => match characters.next() {
                    Some('n') => value.push('\n'),
                    escaped => value.extend(escaped),
                },
                next => value.push(next),
            }
        }
        pairs.push((name, value));
        characters.next();
    }
}

/// A field that is a string or a message.
pub fn bytes(field: u64, value: &[u8]) -> Vec<u8> {
    [
        varint(field << 3 | 2),
        varint(value.len() as u64),
        value.to_vec(),
    ]
    .concat()
}

/// A field that is an integer.
pub fn integer(field: u64, value: u64) -> Vec<u8> {
    [varint(field << 3), varint(value)].concat()
}

/// A field that is a `double`.
pub fn double(field: u64, value: f64) -> Vec<u8> {
    [varint(field << 3 | 1), value.to_le_bytes().to_vec()].concat()
}

/// A number of any length.
pub fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}
