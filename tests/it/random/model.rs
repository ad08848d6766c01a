//! What pushes add, as plain data, and the sums of it: the arithmetic of DESIGN section 6 done in
//! the plainest way, on whole numbers.
//!
//! - A histogram keeps for each upper bound the observations that the pushes counted at that very
//!   bound, not below it; cumulative counts exist only in the scrape.
//! - Adding is adding number by number: it commutes and is associative.
//! - `scrape` writes what the gateway has to write, byte for byte.

use std::collections::BTreeMap;
use std::fmt::Write;

/// The upper bounds of all histograms, rising, each in several spellings. The first is canonical.
pub const BOUNDS: [&[&str]; 9] = [
    &["-1", "-1.0", "-1e0", "-01"],
    &["0", "0.0", "-0", "+0", "0e5"],
    &["0.25", ".25", "25e-2", "0.250"],
    &["1", "1.0", "1e0", "+1", "1."],
    &["2.5", "25e-1", "2.50", "+2.5"],
    &["9", "9.0", "9e0", "09"],
    &["10", "1e1", "1E1", "10."],
    &["1000000", "1e6", "1e+06", "1000000.0"],
    &["+Inf", "Inf", "inf", "+inf"],
];

/// The index of the bound `+Inf`.
pub const INFINITE: usize = BOUNDS.len() - 1;

/// A family name and the text of a label set: `a="b",c="d"`, sorted, escaped, nothing empty.
pub type Key = (String, String);

/// What one push adds, or many.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Model {
    /// `untyped` until a push says more. No summaries: nothing of them is kept.
    pub kinds: BTreeMap<String, &'static str>,
    /// Never empty. Of all families that were pushed.
    pub helps: BTreeMap<String, &'static str>,
    /// Counters, gauges and untyped.
    pub numbers: BTreeMap<Key, i64>,
    pub histograms: BTreeMap<Key, Histogram>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Histogram {
    /// By the index of the upper bound: what was counted above the bound before it.
    pub own_counts: BTreeMap<usize, i64>,
    pub sum: i64,
    pub count: i64,
}

impl Model {
    pub fn add(&mut self, other: &Model) {
        for (family, kind) in &other.kinds {
            self.kind(family, kind);
        }
        for (family, help) in &other.helps {
            self.help(family, help);
        }
        for ((family, labels), value) in &other.numbers {
            self.number(family, labels, *value);
        }
        for ((family, labels), histogram) in &other.histograms {
            self.histogram(family, labels, histogram);
        }
    }

    pub fn kind(&mut self, family: &str, kind: &'static str) {
        let known = self.kinds.entry(family.to_owned()).or_insert("untyped");
        if kind != "untyped" {
            *known = kind;
        }
    }

    pub fn help(&mut self, family: &str, help: &'static str) {
        if !help.is_empty() {
            self.helps.entry(family.to_owned()).or_insert(help);
        }
    }

    pub fn number(&mut self, family: &str, labels: &str, value: i64) {
        let key = (family.to_owned(), labels.to_owned());
        *self.numbers.entry(key).or_default() += value;
    }

    pub fn histogram(&mut self, family: &str, labels: &str, added: &Histogram) {
        let key = (family.to_owned(), labels.to_owned());
        let total = self.histograms.entry(key).or_default();
        for (bound, own_count) in &added.own_counts {
            *total.own_counts.entry(*bound).or_default() += own_count;
        }
        total.sum += added.sum;
        total.count += added.count;
    }

    /// The scrape of a gateway that holds this and nothing else.
    pub fn scrape(&self) -> String {
        let mut scrape = String::new();
        for (family, kind) in &self.kinds {
            let samples = match *kind {
                "histogram" => self.histogram_samples(family),
                _ => self.number_samples(family),
            };
            if let Some(help) = self.helps.get(family) {
                let help = help.replace('\\', "\\\\").replace('\n', "\\n");
                scrape.push_str(&format!("# HELP {family} {help}\n"));
            }
            scrape.push_str(&format!("# TYPE {family} {kind}\n{samples}"));
        }
        scrape
    }

    fn number_samples(&self, family: &str) -> String {
        let mut samples = String::new();
        for ((name, labels), value) in &self.numbers {
            if name == family {
                write_sample(&mut samples, name, labels, *value);
            }
        }
        samples
    }

    fn histogram_samples(&self, family: &str) -> String {
        let mut samples = String::new();
        for ((name, labels), histogram) in &self.histograms {
            if name != family {
                continue;
            }
            let mut cumulative = 0;
            for (bound, own_count) in &histogram.own_counts {
                cumulative += own_count;
                let comma = if labels.is_empty() { "" } else { "," };
                let labels = format!("{labels}{comma}le=\"{}\"", BOUNDS[*bound][0]);
                write_sample(&mut samples, &format!("{name}_bucket"), &labels, cumulative);
            }
            write_sample(&mut samples, &format!("{name}_sum"), labels, histogram.sum);
            write_sample(
                &mut samples,
                &format!("{name}_count"),
                labels,
                histogram.count,
            );
        }
        samples
    }
}

fn write_sample(to: &mut String, name: &str, labels: &str, value: i64) {
    let braced = if labels.is_empty() {
        String::new()
    } else {
        format!("{{{labels}}}")
    };
    writeln!(to, "{name}{braced} {value}").expect("a string takes everything");
}

/// The text of a label set, of which no value is empty.
pub fn label_text(labels: &[(&str, &str)]) -> String {
    let mut labels = labels.to_vec();
    labels.sort();
    let texts = labels
        .iter()
        .map(|(name, value)| format!("{name}=\"{}\"", escape(value)));
    texts.collect::<Vec<_>>().join(",")
}

/// Escapes a label value.
pub fn escape(value: &str) -> String {
    value
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}
