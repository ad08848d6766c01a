//! Bodies that have to be refused, and bytes that only have to do no harm.
//!
//! - A broken body is a valid one with one mistake out of a list taken from issue 3, "Refused":
//!   the lines of the mistake stand in their order, but anywhere among the valid ones.
//! - Most mistakes are about a family `broken`, which no valid push has: what a refused push left
//!   behind is seen by that name. The others repeat a line of the valid body.

use super::spelling::join;
use super::{Random, Repeated, lines, push};

/// A body that has to be refused, and why.
pub struct Broken {
    pub body: Vec<u8>,
    pub cause: &'static str,
}

/// A valid body with one mistake in it.
pub fn broken(random: &mut Random) -> Broken {
    let valid = lines(random).0;
    let repeatable = |index: &usize| valid[*index].repeated == Repeated::Refused;
    let repeatable: Vec<usize> = (0..valid.len()).filter(repeatable).collect();
    let mut texts: Vec<_> = valid
        .iter()
        .map(|line| line.text.clone().into_bytes())
        .collect();
    if !repeatable.is_empty() && random.percent(15) {
        let line = *random.pick(&repeatable);
        let at = line + 1 + random.below(texts.len() - line);
        texts.insert(at, texts[line].clone());
        let cause = "a sample line twice";
        return Broken {
            body: join(random, texts),
            cause,
        };
    }
    let (cause, mistake) = *random.pick(MISTAKES);
    let mut at = 0;
    for line in mistake.split(|byte| *byte == b'\n') {
        at += random.below(texts.len() - at + 1);
        texts.insert(at, line.to_vec());
        at += 1;
    }
    Broken {
        body: join(random, texts),
        cause,
    }
}

/// Structural characters and words of the format in a heap.
pub fn hostile(random: &mut Random) -> Vec<u8> {
    let length = random.below(200);
    let piece = |_| random.pick(PIECES).to_vec();
    (0..length).flat_map(piece).collect()
}

/// A valid body with a few bytes replaced, taken away or put in; it may be valid still.
pub fn damaged(random: &mut Random) -> Vec<u8> {
    let mut body = push(random).text.into_bytes();
    for _ in 0..random.below(4) + 1 {
        let from = random.below(body.len() + 1);
        let to = (from + random.below(3)).min(body.len());
        let piece = if random.percent(70) {
            *random.pick(PIECES)
        } else {
            b""
        };
        body.splice(from..to, piece.iter().copied());
    }
    body
}

const PIECES: &[&[u8]] = &[
    b"{",
    b"}",
    b"\"",
    b"\\",
    b",",
    b"=",
    b"#",
    b" ",
    b"\t",
    b"\n",
    b"\n",
    b"\r",
    b"\r\n",
    b"_",
    b":",
    b"0",
    b"1",
    b"-",
    b"+",
    b".",
    b"e",
    b"x",
    b"a",
    b"le",
    b"le=\"1\"",
    b"{\"a.b\"",
    b"\"a.b\"=\"",
    b"# TYPE \"a.b\" ",
    b"{a=\"b\"}",
    b"x 1\n",
    b"x_bucket",
    b"_sum",
    b"_count",
    b"Inf",
    b"NaN",
    b"# TYPE ",
    b"# HELP ",
    b"counter\n",
    b"histogram\n",
    b"# TYPE x histogram\n",
    b"__name__",
    b"\0",
    b"\xff",
    b"\xc3",
    b"\xe2\x86\x92",
    b"\xef\xbb\xbf",
    b"\x7f",
    b"\xc2\xa0",
    b"1e999",
    b"9223372036854775808",
    b"0x1p-2",
];

/// Mistakes by cause: lines which, added to a valid body in this order, have it refused.
#[rustfmt::skip]
const MISTAKES: &[(&str, &[u8])] = &[
    ("no value", b"broken"),
    ("no value", b"broken "),
    ("no value", b"broken{a=\"b\"}"),
    ("junk after the timestamp", b"broken 1 2 3"),
    ("junk after the timestamp", b"broken 1 2 # {} 3"),
    ("the timestamp is not a number", b"broken 1 x"),
    ("not a number", b"broken x"),
    ("not a number", b"broken 1.2.3"),
    ("not a number", b"broken 1e"),
    ("not a number", b"broken --1"),
    ("not a number", b"broken 1,5"),
    ("not a number", b"broken \"1\""),
    ("hex number", b"broken 0x10"),
    ("hex float", b"broken 0x1p-2"),
    ("`_` in a number", b"broken 1_000"),
    ("metric name", b"9broken 1"),
    ("metric name", b"bro-ken 1"),
    ("metric name", b"bro.ken 1"),
    ("metric name", b"br\xc3\xb6ken 1"),
    ("metric name", b"broken\xc2\xa01 1"),
    ("metric name", b"{a=\"b\"} 1"),
    ("metric name", b"# TYPE 9broken counter"),
    ("metric name", b"# HELP bro-ken x"),
    ("label name", b"broken{9a=\"b\"} 1"),
    ("label name", b"broken{a:b=\"c\"} 1"),
    ("label name", b"broken{a-b=\"c\"} 1"),
    ("label name", b"broken{\xc3\xa4=\"c\"} 1"),
    ("label name", b"broken{=\"c\"} 1"),
    ("second name", b"{\"broken\",\"broken\"} 1"),
    ("name outside braces", b"\"broken\" 1"),
    ("unknown escape in a name", b"{\"bro\\ken\"} 1"),
    ("NUL in a name", b"{\"bro\0ken\"} 1"),
    ("metric name", b"{\"\"} 1"),
    ("second name", b"broken{\"broken\"} 1"),
    ("label name", b"broken{\"\"=\"c\"} 1"),
    ("reserved label name", b"broken{\"__a.b\"=\"c\"} 1"),
    ("unknown escape in a name", b"broken{\"a\\q\"=\"c\"} 1"),
    ("unclosed name", b"broken{\"a=\"c\"} 1"),
    ("label without value", b"broken{a} 1"),
    ("label without value", b"broken{a=} 1"),
    ("label without quotes", b"broken{a=b} 1"),
    ("label without quotes", b"broken{a='b'} 1"),
    ("unclosed brace", b"broken{ 1"),
    ("unclosed brace", b"broken{"),
    ("unclosed brace", b"broken{a=\"b\" 1"),
    ("unclosed brace", b"broken{a=\"b\","),
    ("closed twice", b"broken{a=\"b\"}} 1"),
    ("unclosed quote", b"broken{a=\"b} 1"),
    ("unclosed quote", b"broken{a=\"b\\\"} 1"),
    ("line feed in a label value", b"broken{a=\"b\nc\"} 1"),
    ("missing comma", b"broken{a=\"b\" c=\"d\"} 1"),
    ("missing comma", b"broken{a=\"b\"c=\"d\"} 1"),
    ("doubled comma", b"broken{a=\"b\",,c=\"d\"} 1"),
    ("doubled comma", b"broken{a=\"b\",,} 1"),
    ("leading comma", b"broken{,a=\"b\"} 1"),
    ("leading comma", b"broken{,} 1"),
    ("invalid UTF-8 in a label value", b"broken{a=\"\xff\"} 1"),
    ("invalid UTF-8 in a label value", b"broken{a=\"\xed\xa0\x80\"} 1"),
    ("invalid UTF-8 in a label value", b"broken{a=\"\xc3\"} 1"),
    ("invalid UTF-8 in HELP", b"# HELP broken \xc0\x80"),
    ("NUL in a label value", b"broken{a=\"\0\"} 1"),
    ("NUL in HELP", b"# HELP broken \0"),
    ("label twice", b"broken{a=\"b\",a=\"b\"} 1"),
    ("label twice", b"broken{a=\"b\",\"a\"=\"c\"} 1"),
    ("label twice", b"broken{\"a.b\"=\"b\",\"a.b\"=\"c\"} 1"),
    ("series twice", b"broken 1\n{\"broken\"} 1"),
    ("label twice", b"broken{a=\"b\",c=\"d\",a=\"e\"} 1"),
    ("label `__name__`", b"broken{__name__=\"broken\"} 1"),
    ("series twice", b"broken 1\nbroken 2"),
    ("series twice", b"broken 1 1\nbroken 1 2"),
    ("series twice", b"broken{a=\"b\",c=\"d\"} 1\nbroken{c=\"d\",a=\"b\"} 1"),
    ("series twice", b"broken 1\nbroken{} 1"),
    ("series twice", b"broken{a=\"\"} 1\nbroken 1"),
    ("series twice", b"broken{a=\"b\",c=\"\"} 1\nbroken{d=\"\",a=\"b\"} 1"),
    ("series twice", b"# TYPE broken histogram\nbroken_sum 1\nbroken_sum 1"),
    ("series twice", b"# TYPE broken histogram\nbroken_count 1\nbroken_count 1"),
    ("bucket twice",
        b"# TYPE broken histogram\nbroken_bucket{le=\"1\"} 1\nbroken_bucket{le=\"1.0\"} 1"),
    ("bucket twice",
        b"# TYPE broken histogram\nbroken_bucket{le=\"0\"} 1\nbroken_bucket{le=\"-0\"} 1"),
    ("bucket twice",
        b"# TYPE broken histogram\nbroken_bucket{le=\"+Inf\"} 1\nbroken_bucket{le=\"Inf\"} 1"),
    ("bucket twice",
        b"# TYPE broken histogram\nbroken_bucket{a=\"b\",le=\"1\"} 1\n\
        broken_bucket{le=\"1e0\",a=\"b\"} 1"),
    ("second TYPE", b"# TYPE broken counter\n# TYPE broken gauge\nbroken 1"),
    ("second TYPE", b"# TYPE broken untyped\n# TYPE broken counter\nbroken 1"),
    ("TYPE after samples", b"broken 1\n# TYPE broken gauge"),
    ("TYPE after samples", b"broken{a=\"b\"} 1\n# TYPE broken untyped"),
    ("TYPE after samples", b"broken_bucket{le=\"1\"} 1\n# TYPE broken histogram\nbroken_count 1"),
    ("unknown type", b"# TYPE broken widget"),
    ("unknown type", b"# TYPE broken counter x"),
    ("bucket without le", b"# TYPE broken histogram\nbroken_bucket 1"),
    ("bucket without le", b"# TYPE broken histogram\nbroken_bucket{a=\"b\"} 1"),
    ("bucket without le", b"# TYPE broken histogram\nbroken_bucket{le=\"\"} 1"),
    ("le is not a number", b"# TYPE broken histogram\nbroken_bucket{le=\"x\"} 1"),
    ("le is not a number", b"# TYPE broken histogram\nbroken_bucket{le=\" 1\"} 1"),
    ("le is not a number", b"# TYPE broken histogram\nbroken_bucket{le=\"0x1\"} 1"),
    ("le is NaN", b"# TYPE broken histogram\nbroken_bucket{le=\"NaN\"} 1"),
    ("bare name of a histogram", b"# TYPE broken histogram\nbroken 1"),
    ("bare name of a histogram",
        b"# TYPE broken histogram\nbroken_bucket{le=\"+Inf\"} 1\nbroken{a=\"b\"} 1"),
    ("counts fall",
        b"# TYPE broken histogram\nbroken_bucket{le=\"1\"} 3\nbroken_bucket{le=\"2\"} 2\n\
        broken_count 3"),
    ("counts fall",
        b"# TYPE broken histogram\nbroken_bucket{le=\"10\"} 2\nbroken_bucket{le=\"9\"} 3"),
    ("counts fall",
        b"# TYPE broken histogram\nbroken_bucket{le=\"+Inf\"} 2\nbroken_bucket{le=\"1\"} 3"),
    ("negative counter", b"# TYPE broken counter\nbroken -1"),
    ("negative counter", b"# TYPE broken counter\nbroken{a=\"b\"} 1\nbroken{a=\"c\"} -1e-300"),
    ("negative bucket",
        b"# TYPE broken histogram\nbroken_bucket{le=\"1\"} -1\nbroken_bucket{le=\"+Inf\"} 1"),
    ("negative count", b"# TYPE broken histogram\nbroken_count -1"),
    ("part of a histogram",
        b"# TYPE broken histogram\nbroken_bucket{le=\"+Inf\"} 1\n# TYPE broken_count counter\n\
        broken_count 1"),
    ("part of a histogram",
        b"# TYPE broken histogram\nbroken_bucket{le=\"+Inf\"} 1\n# TYPE broken_sum gauge\n\
        broken_sum 1"),
    ("part of a histogram",
        b"# TYPE broken_count counter\nbroken_count 1\n# TYPE broken histogram\n\
        broken_bucket{le=\"+Inf\"} 1"),
    ("part of a histogram", b"broken_bucket 1\n# TYPE broken histogram\nbroken_sum 1"),
];
