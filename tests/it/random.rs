//! Random pushes from a small universe of families, and what each of them adds as plain data.
//!
//! - The same seed gives the same pushes, on every machine.
//! - Every push is accepted, in any order and beside any other: a family has one type and one HELP
//!   throughout, and no name is a sample of another family.
//! - All finite values are whole and small, so that sums are exact whatever their order.
//! - A push is spelled in every way that issue 3 accepts; the model never sees the spelling.
//! - What the rules leave open is left out: a family or series of which every sample is skipped,
//!   HELP or TYPE alone for a family that has samples elsewhere, a blank behind a HELP text, `-0`
//!   for a counter, `_count` below the buckets without a `+Inf`, `le` outside of buckets.
//! - Where neither `+Inf` nor `_count` is there, both are what the highest bucket says, or 0.

pub mod broken;
pub mod encoded;
pub mod model;
mod spelling;

use model::{BOUNDS, Histogram, INFINITE, Model, label_text};
use spelling::{help_line, join, noise, sample, spell, type_line};

/// splitmix64: small, quick, and as random as a test needs.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Random {
        Random(seed)
    }

    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number from 0 up to, not including, `end`, which is not 0.
    pub fn below(&mut self, end: usize) -> usize {
        (self.bits() % end as u64) as usize
    }

    pub fn between(&mut self, first: i64, last: i64) -> i64 {
        first + self.below((last - first + 1) as usize) as i64
    }

    pub fn percent(&mut self, chance: usize) -> bool {
        self.below(100) < chance
    }

    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }

    pub fn shuffle<T>(&mut self, list: &mut [T]) {
        for end in (1..list.len()).rev() {
            list.swap(end, self.below(end + 1));
        }
    }
}

/// A valid body, and what it adds.
pub struct Push {
    pub text: String,
    pub model: Model,
}

/// A random push that has to be accepted.
pub fn push(random: &mut Random) -> Push {
    let (lines, model) = lines(random);
    let texts = lines.into_iter().map(|line| line.text.into_bytes());
    let body = join(random, texts.collect());
    let text = String::from_utf8(body).expect("lines that are strings make a string");
    Push { text, model }
}

/// One line of a body, without its end.
pub struct Line {
    pub text: String,
    pub repeated: Repeated,
}

/// What a second copy of a line further down makes of a valid body.
#[derive(Clone, Copy, PartialEq)]
pub enum Repeated {
    Refused,
    /// Nothing, or something that the rules leave open.
    Open,
}

type Labels = &'static [(&'static str, &'static str)];

struct Universal {
    name: &'static str,
    kind: &'static str,
    help: &'static str,
}

const fn family(name: &'static str, kind: &'static str, help: &'static str) -> Universal {
    Universal { name, kind, help }
}

/// The names sort differently by letter case, `:` and `_`; some look like a part of a histogram
/// that is not there.
const FAMILIES: [Universal; 13] = [
    family("Z_total", "counter", "Upper case sorts first."),
    family(
        "a:recorded",
        "gauge",
        "ünïcode → 雪, \"quoted\", {braces}, # and = too",
    ),
    family("build_count", "counter", "No histogram has this count."),
    family("build_sum", "gauge", ""),
    family(
        "build_bucket",
        "untyped",
        "back\\slash, line\nfeed, both\\\n\\n",
    ),
    family("load", "gauge", "x"),
    family("load1", "untyped", ""),
    family("load_average", "counter", "\\"),
    family(
        "latency_seconds",
        "histogram",
        "How long it took, in seconds.",
    ),
    family(
        "size_bucket",
        "histogram",
        "Its buckets are size_bucket_bucket.",
    ),
    family("_empty", "histogram", ""),
    family("rpc_seconds", "summary", "Discarded."),
    family("rpc_count", "summary", ""),
];

/// Never sampled: HELP and TYPE alone.
const DECLARED: [&str; 3] = ["declared", "declared_too", "declared:three"];

/// Different as series, each without empty values and sorted by name. In the order of their text,
/// `"x "` comes before `"x"`; `zone` sorts after `le`.
const LABEL_SETS: [Labels; 14] = [
    &[],
    &[("a", "x")],
    &[("a", "x ")],
    &[("a", "x!")],
    &[("a", "x,b=\"y\"")],
    &[("a", "x"), ("b", "y")],
    &[("b", "back\\slash\\n")],
    &[("b", "quote\"d\\")],
    &[("b", "line\nfeed\n")],
    &[("Path", "/{id}?a=b,c"), ("zone", "# no } comment")],
    &[("_x", " "), ("job", "ünïcode → 雪")],
    &[("a", "tab\tand\rreturn")],
    &[("A", "1"), ("_", "2"), ("a", "3"), ("z", "+Inf")],
    &[("quantile_", "0.5"), ("zone", "z")],
];

/// The lines of a random valid body in their order, and what they add.
pub fn lines(random: &mut Random) -> (Vec<Line>, Model) {
    let mut model = Model::default();
    let mut queues = Vec::new();
    for family in &FAMILIES {
        if random.percent(35) {
            queues.push(family_lines(random, family, &mut model));
        }
    }
    for name in DECLARED {
        if random.percent(10) {
            queues.push(declaration(random, name));
        }
    }
    random.shuffle(&mut queues);
    let mut lines = if random.percent(50) {
        queues.into_iter().flatten().collect()
    } else {
        interleave(random, queues)
    };
    for _ in 0..random.below(4) {
        let at = random.below(lines.len() + 1);
        lines.insert(at, open(noise(random)));
    }
    (lines, model)
}

/// Merges the lists at random, each in its own order.
fn interleave(random: &mut Random, lists: Vec<Vec<Line>>) -> Vec<Line> {
    let mut lists: Vec<_> = lists.into_iter().map(Vec::into_iter).collect();
    let mut merged = Vec::new();
    while !lists.is_empty() {
        let from = random.below(lists.len());
        match lists[from].next() {
            Some(line) => merged.push(line),
            None => drop(lists.swap_remove(from)),
        }
    }
    merged
}

/// HELP, TYPE and samples of one family: TYPE before the samples, HELP anywhere.
fn family_lines(random: &mut Random, family: &Universal, model: &mut Model) -> Vec<Line> {
    let mut label_sets = LABEL_SETS;
    random.shuffle(&mut label_sets);
    let label_sets = &label_sets[..1 + random.below(4)];
    let mut lines = Vec::new();
    for labels in label_sets {
        match family.kind {
            "histogram" => lines.extend(histogram(random, family, labels, model)),
            "summary" => lines.extend(summary(random, family, labels)),
            _ => lines.push(number(random, family, labels, model)),
        }
    }
    let plain = ["counter", "gauge", "untyped"].contains(&family.kind);
    if plain && random.percent(15) {
        let value = *random.pick(&["NaN", "+Inf", "Inf", "nan", "+inf"]);
        let labels = [("skipped", "yes")];
        lines.push(open(sample(random, family.name, &labels, value)));
    }
    random.shuffle(&mut lines);

    let typed = !plain || random.percent(70);
    if typed {
        lines.insert(0, open(type_line(random, family.name, family.kind)));
    }
    if family.kind != "summary" {
        model.kind(family.name, if typed { family.kind } else { "untyped" });
    }
    if random.percent(70) {
        let anywhere = random.below(lines.len() + 1);
        let at = *random.pick(&[0, 0, 0, anywhere]);
        lines.insert(at, open(help_line(random, family.name, family.help)));
        model.help(family.name, family.help);
    }
    lines
}

fn declaration(random: &mut Random, name: &str) -> Vec<Line> {
    let kind = *random.pick(&["counter", "gauge", "histogram", "summary", "untyped"]);
    let mut lines = vec![
        open(type_line(random, name, kind)),
        open(help_line(random, name, "Alone.")),
    ];
    random.shuffle(&mut lines);
    lines.truncate(1 + random.below(2));
    lines
}

fn refused(text: String) -> Line {
    let repeated = Repeated::Refused;
    Line { text, repeated }
}

fn open(text: String) -> Line {
    let repeated = Repeated::Open;
    Line { text, repeated }
}

fn number(random: &mut Random, family: &Universal, labels: Labels, model: &mut Model) -> Line {
    let least = if family.kind == "counter" { 0 } else { -20 };
    let value = random.between(least, 40) * *random.pick(&[1, 1, 1, 1000, 1_000_000_000]);
    model.number(family.name, &label_text(labels), value);
    let mut spelled = spell(random, value);
    if value == 0 && family.kind != "counter" && random.percent(50) {
        spelled = "-0".to_owned();
    }
    refused(sample(random, family.name, labels, &spelled))
}

/// The lines of one series of a histogram, with some of them left out.
fn histogram(
    random: &mut Random,
    family: &Universal,
    labels: Labels,
    model: &mut Model,
) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut added = Histogram::default();
    let mut cumulative = 0;
    for bound in 0..INFINITE {
        if random.percent(40) {
            let own = random.between(0, 3);
            cumulative += own;
            added.own_counts.insert(bound, own);
            lines.push(bucket(random, family, labels, bound, cumulative));
        }
    }
    // Both, one or none; what is not there is taken from the other, or from the other buckets.
    let (infinite, count) = (random.percent(70), random.percent(70));
    let beyond = random.between(0, if infinite || count { 3 } else { 0 });
    added.own_counts.insert(INFINITE, beyond);
    added.count = cumulative + beyond;
    if infinite {
        lines.push(bucket(random, family, labels, INFINITE, added.count));
    }
    if count {
        if infinite && random.percent(15) {
            added.count = random.between(0, 20);
        }
        let spelled = spell(random, added.count);
        let name = format!("{}_count", family.name);
        lines.push(refused(sample(random, &name, labels, &spelled)));
    }
    let name = format!("{}_sum", family.name);
    if lines.is_empty() || random.percent(70) {
        added.sum = random.between(-50, 500);
        let spelled = spell(random, added.sum);
        lines.push(refused(sample(random, &name, labels, &spelled)));
    } else if random.percent(30) {
        let skipped = *random.pick(&["NaN", "+Inf", "-Inf"]);
        lines.push(open(sample(random, &name, labels, skipped)));
    }
    model.histogram(family.name, &label_text(labels), &added);
    lines
}

fn bucket(
    random: &mut Random,
    family: &Universal,
    labels: Labels,
    bound: usize,
    cumulative: i64,
) -> Line {
    let mut labels = labels.to_vec();
    labels.push(("le", *random.pick(BOUNDS[bound])));
    let spelled = spell(random, cumulative);
    let name = format!("{}_bucket", family.name);
    refused(sample(random, &name, &labels, &spelled))
}

/// A summary adds nothing, whatever it says.
fn summary(random: &mut Random, family: &Universal, labels: Labels) -> Vec<Line> {
    let mut lines = Vec::new();
    for quantile in ["0.5", "0.9", "1"] {
        if random.percent(50) {
            let mut labels = labels.to_vec();
            labels.push(("quantile", quantile));
            let value = *random.pick(&["NaN", "0.25", "1e-7", "12"]);
            lines.push(open(sample(random, family.name, &labels, value)));
        }
    }
    for part in ["sum", "count"] {
        let name = format!("{}_{part}", family.name);
        lines.push(open(sample(random, &name, labels, "7.5")));
    }
    lines
}
