//! The many ways to write a line: everything that issue 3 accepts and that means the same.
//!
//! Blanks between tokens, labels in any order, empty labels, `{}`, a comma after the last label,
//! timestamps, letter case of types, numbers with sign, point or exponent, and each kind of line
//! end. No blank goes behind a HELP text, since there it might belong to the text.

use super::Random;
use super::model::escape;

/// Label names that no label set has, for labels with an empty value.
const EMPTY: [&str; 3] = ["c", "_empty", "zz"];

/// Lines that mean nothing.
const NOISE: [&str; 14] = [
    "",
    "",
    " ",
    "\t \t",
    "#",
    "# ",
    "#comment",
    "# just a comment, \"quoted\" {or=\"not\"",
    "# EOF",
    "# HELPER load x",
    "# TYPES load x",
    "# help load in lower case is a comment",
    "# type load nothing",
    " # \u{96ea}",
];

const TIMESTAMPS: [&str; 5] = [
    "0",
    "-1",
    "1395066363000",
    "-3982045",
    "9223372036854775807",
];

pub fn noise(random: &mut Random) -> String {
    (*random.pick(&NOISE)).to_owned()
}

pub fn help_line(random: &mut Random, name: &str, help: &str) -> String {
    let text = help.replace('\\', "\\\\").replace('\n', "\\n");
    let mut line = gap(random) + "#" + &blank(random) + "HELP" + &blank(random) + name;
    if !text.is_empty() {
        line += &blank(random);
        line += &text;
    }
    line
}

pub fn type_line(random: &mut Random, name: &str, kind: &str) -> String {
    let kind = if kind == "untyped" {
        *random.pick(&["untyped", "unknown"])
    } else {
        kind
    };
    let kind = match random.below(10) {
        0 => kind.to_uppercase(),
        1 => kind[..1].to_uppercase() + &kind[1..],
        2 => kind[..2].to_owned() + &kind[2..].to_uppercase(),
        _ => kind.to_owned(),
    };
    let start = gap(random) + "#" + &blank(random) + "TYPE" + &blank(random);
    start + name + &blank(random) + &kind + &gap(random)
}

pub fn sample(random: &mut Random, name: &str, labels: &[(&str, &str)], value: &str) -> String {
    let mut labels = labels.to_vec();
    if random.percent(15) {
        labels.push((*random.pick(&EMPTY), ""));
    }
    random.shuffle(&mut labels);
    let mut line = gap(random) + name + &gap(random);
    if !labels.is_empty() || random.percent(20) {
        line += "{";
        for (index, label) in labels.iter().enumerate() {
            line += if index == 0 { "" } else { "," };
            line += &spell_label(random, label);
        }
        line += if !labels.is_empty() && random.percent(15) {
            ","
        } else {
            ""
        };
        line += &(gap(random) + "}");
    }
    line += &(blank(random) + value);
    if random.percent(15) {
        line += &blank(random);
        line += *random.pick(&TIMESTAMPS);
    }
    line + &gap(random)
}

fn spell_label(random: &mut Random, (name, value): &(&str, &str)) -> String {
    let start = gap(random) + name + &gap(random) + "=" + &gap(random);
    start + "\"" + &escape(value) + "\"" + &gap(random)
}

/// Writes a whole number in one of the ways that mean just this number.
pub fn spell(random: &mut Random, value: i64) -> String {
    match random.below(20) {
        0 => format!("{value}.0"),
        1 => format!("{value}."),
        2 => format!("{value}e0"),
        3 => format!("{value}00E-2"),
        4 if value % 10 == 0 && value != 0 => format!("{}e+1", value / 10),
        5 if value >= 0 => format!("+{value}"),
        6 if value >= 0 => format!("00{value}"),
        7 if value > 0 && value < 10 => format!(".{value}e1"),
        _ => value.to_string(),
    }
}

/// Ends each line with LF, with CRLF, or now so, now so; the last one may have no end.
pub fn join(random: &mut Random, lines: Vec<Vec<u8>>) -> Vec<u8> {
    let carriage_returns = *random.pick(&[0, 0, 0, 50, 100]);
    let last = lines.len();
    let last_ends = random.percent(80);
    let mut body = Vec::new();
    for (index, line) in lines.into_iter().enumerate() {
        body.extend(line);
        if index + 1 < last || last_ends {
            let end = if random.percent(carriage_returns) {
                "\r\n"
            } else {
                "\n"
            };
            body.extend(end.as_bytes());
        }
    }
    body
}

/// Blanks where there may be none.
fn gap(random: &mut Random) -> String {
    let blanks = if random.percent(90) {
        ""
    } else {
        *random.pick(&[" ", "\t", "  ", " \t"])
    };
    blanks.to_owned()
}

/// Blanks where there has to be one.
fn blank(random: &mut Random) -> String {
    let blanks = if random.percent(90) {
        " "
    } else {
        *random.pick(&["\t", "  ", " \t "])
    };
    blanks.to_owned()
}
