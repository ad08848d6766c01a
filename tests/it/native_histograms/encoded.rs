//! Native histograms as protobuf messages, in the ways that senders write them.

use super::model::Model;
use crate::random::Random;
use crate::random::encoded::{bytes, double, integer, varint};

/// How a message says its counts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Counts {
    Integers,
    Floats,
}

/// The fields of a native histogram in any order, numbers packed or not. Empty buckets and spans
/// may stand between others, and one span may be several.
pub fn fields(random: &mut Random, model: &Model, counts: Counts) -> Vec<Vec<u8>> {
    let parts = model.parts();
    // An observation that is in no bucket is NaN, and so is the sum then.
    let in_buckets = model.buckets.iter().flat_map(|side| side.values());
    let is_whole = model.zero_count + in_buckets.sum::<f64>() == model.count;
    let sum = if is_whole { model.sum } else { f64::NAN };
    let mut fields = vec![
        double(2, sum),
        double(6, parts.zero_threshold),
        integer(5, zigzag(parts.schema.into())),
    ];
    match counts {
        Counts::Integers => {
            fields.push(integer(1, model.count as u64));
            fields.push(integer(7, model.zero_count as u64));
        }
        Counts::Floats => {
            fields.push(double(4, model.count));
            fields.push(double(8, model.zero_count));
        }
    }
    fields.push(side(random, &parts.negative, 9, counts));
    fields.push(side(random, &parts.positive, 12, counts));
    random.shuffle(&mut fields);
    fields
}

/// The spans and the numbers of one sign; the field of the spans is the first of three.
fn side(random: &mut Random, buckets: &[(i64, f64)], field: u64, counts: Counts) -> Vec<u8> {
    let mut spans: Vec<(i64, u64)> = Vec::new();
    let mut all = Vec::new();
    let mut next = 0;
    for &(index, count) in buckets {
        let gap = index - next;
        if !spans.is_empty() && gap <= 2 && random.percent(70) {
            // Empty buckets take less room than another span.
            all.extend((0..gap).map(|_| 0.0));
            if let Some(last) = spans.last_mut() {
                last.1 += gap as u64 + 1;
            }
        } else {
            spans.push((gap, 1));
            if random.percent(10) {
                spans.push((0, 0));
            }
        }
        all.push(count);
        next = index + 1;
    }
    if spans.is_empty() && field == 12 {
        // Without any span it could be a classic one.
        spans.push((0, 0));
    }
    let spans = spans.iter().map(|(offset, length)| {
        let span = [integer(1, zigzag(*offset)), integer(2, *length)].concat();
        bytes(field, &span)
    });
    let mut message = spans.collect::<Vec<_>>().concat();
    let is_packed = random.percent(50);
    let numbers: Vec<Vec<u8>> = match counts {
        Counts::Integers => {
            let mut before = 0;
            let delta = |count: &f64| {
                let count = *count as i64;
                let delta = count - std::mem::replace(&mut before, count);
                varint(zigzag(delta))
            };
            all.iter().map(delta).collect()
        }
        Counts::Floats => all
            .iter()
            .map(|count| count.to_le_bytes().to_vec())
            .collect(),
    };
    let (field, wire) = match counts {
        Counts::Integers => (field + 1, 0),
        Counts::Floats => (field + 2, 1),
    };
    if is_packed {
        message.extend(bytes(field, &numbers.concat()));
    } else {
        for number in numbers {
            message.extend(varint(field << 3 | wire));
            message.extend(number);
        }
    }
    message
}

pub fn zigzag(number: i64) -> u64 {
    (number << 1 ^ number >> 63) as u64
}

/// A family with one histogram, of these fields and labels.
pub fn body(name: &str, labels: &[(&str, &str)], fields: &[Vec<u8>]) -> Vec<u8> {
    let labels = labels
        .iter()
        .map(|(name, value)| {
            let label = [bytes(1, name.as_bytes()), bytes(2, value.as_bytes())];
            bytes(1, &label.concat())
        })
        .collect::<Vec<_>>();
    let metric = [labels.concat(), bytes(7, &fields.concat())].concat();
    let family = [bytes(1, name.as_bytes()), integer(3, 4), bytes(4, &metric)].concat();
    [varint(family.len() as u64), family].concat()
}

/// The fields of classic buckets: bounds and cumulative counts.
pub fn classic(buckets: &[(f64, u64)]) -> Vec<Vec<u8>> {
    let bucket =
        |&(bound, count): &(f64, u64)| bytes(3, &[integer(1, count), double(2, bound)].concat());
    buckets.iter().map(bucket).collect()
}
