//! What holds for every push, not only for the cases: over random pushes whose sums are whole.

use std::path::PathBuf;

use prometheus_aggregation_gateway::aggregate::View;
use prometheus_aggregation_gateway::gateway::Gateway;
use prometheus_aggregation_gateway::grouping_key::GroupingKey;
use prometheus_aggregation_gateway::label_limits::LabelLimits;
use prometheus_aggregation_gateway::parse::{Format, parse};
use prometheus_aggregation_gateway::render::{Cursor, Encoding, NameStyle, render, whole_text};

use crate::cases;
use crate::push_text::PushText;
use crate::random::broken::{broken, damaged, hostile};
use crate::random::model::Model;
use crate::random::{Random, push};
use crate::strict;

const SEQUENCES: u64 = 200;

#[track_caller]
fn accept(gateway: &Gateway, body: &[u8]) {
    if let Err(error) = gateway.push_text("", body) {
        panic!("{error}\n{}", String::from_utf8_lossy(body));
    }
}

/// The scrape, which a strict reader has found valid.
#[track_caller]
fn scrape(gateway: &Gateway) -> String {
    let scrape = String::from_utf8(gateway.scrape()).expect("a scrape is UTF-8");
    if let Err(error) = strict::read(&scrape) {
        panic!("{error}\n{scrape}");
    }
    scrape
}

/// Random pushes add up to what a plain model of them says, in whatever order they come.
#[test]
fn sums_are_the_models_in_any_order() {
    for seed in 0..SEQUENCES {
        let mut random = Random::new(seed);
        let mut pushes: Vec<_> = (0..20).map(|_| push(&mut random)).collect();
        let mut model = Model::default();
        pushes.iter().for_each(|push| model.add(&push.model));
        for _ in 0..3 {
            let gateway = Gateway::default();
            pushes
                .iter()
                .for_each(|push| accept(&gateway, push.text.as_bytes()));
            assert_eq!(scrape(&gateway), model.scrape(), "seed {seed}");
            random.shuffle(&mut pushes);
        }
    }
}

/// Parts that were added up elsewhere can be added up again, as whole numbers are associative.
#[test]
fn merging_is_associative() {
    for seed in 0..SEQUENCES {
        let mut random = Random::new(seed);
        let (all, left, right) = (Gateway::default(), Gateway::default(), Gateway::default());
        for part in [&left, &right] {
            for _ in 0..5 {
                let push = push(&mut random);
                accept(&all, push.text.as_bytes());
                accept(part, push.text.as_bytes());
            }
        }
        let joined = Gateway::default();
        accept(&joined, &right.scrape());
        accept(&joined, &left.scrape());
        assert_eq!(scrape(&joined), scrape(&all), "seed {seed}");
    }
}

/// What is rendered is read back as the same, byte for byte.
#[test]
fn render_then_parse_is_the_identity() {
    #[track_caller]
    fn check(gateway: &Gateway) {
        let before = scrape(gateway);
        let again = Gateway::default();
        accept(&again, before.as_bytes());
        assert_eq!(scrape(&again), before);
    }
    for seed in 0..SEQUENCES {
        let mut random = Random::new(seed);
        let gateway = Gateway::default();
        (0..5).for_each(|_| accept(&gateway, push(&mut random).text.as_bytes()));
        check(&gateway);
    }
    for case in cases::paths("accept", "prom") {
        let gateway = Gateway::default();
        accept(&gateway, &std::fs::read(case).unwrap());
        check(&gateway);
    }
    // Any floats: fractions whose sums are rounded, and counts beyond 2^53.
    for seed in 0..SEQUENCES {
        let mut random = Random::new(seed);
        let gateway = Gateway::default();
        for _ in 0..5 {
            accept(&gateway, float_push(&mut random).as_bytes());
        }
        check(&gateway);
    }
}

/// An exposition is the same text, however short the pieces in which it is rendered: each of them
/// begins where the one before ended, be that within a family, a histogram or a leaf of the store.
/// A piece exceeds its length by at most the end of a histogram and the head of a family.
#[test]
fn pieces_of_any_length_make_the_same_exposition() {
    let expositions = |view: &View, piece_bytes: usize| {
        let (mut text, mut from) = (Vec::new(), Some(Cursor::default()));
        while let Some(cursor) = from {
            let mut piece = Vec::new();
            from = render(
                view,
                Encoding::Text,
                NameStyle::Quoted,
                cursor,
                &mut piece,
                piece_bytes,
            );
            let is_piece = piece.len() >= piece_bytes && piece.ends_with(b"\n");
            assert!(is_piece || from.is_none(), "a piece ends too early");
            let lines: Vec<&[u8]> = piece.split_inclusive(|&byte| byte == b'\n').collect();
            let before_its_end = lines[..lines.len().saturating_sub(4)].concat();
            assert!(before_its_end.len() < piece_bytes, "a piece ends too late");
            text.extend(piece);
        }
        text
    };
    for seed in 0..SEQUENCES {
        let mut random = Random::new(seed);
        let gateway = Gateway::default();
        (0..5).for_each(|_| accept(&gateway, push(&mut random).text.as_bytes()));
        let many: String = (0..300).map(|n| format!("many{{n=\"{n}\"}} 1\n")).collect();
        let bounds = (0..300).map(|n| format!("wide_bucket{{le=\"{n}\"}} {n}\n"));
        let bounds: String = bounds.collect();
        let wide = format!("# TYPE wide histogram\n{bounds}wide_count 300\nwide_sum 1\n");
        accept(&gateway, many.as_bytes());
        accept(&gateway, wide.as_bytes());
        let view = gateway.view();
        let whole = whole_text(&view);
        for piece_bytes in [
            1,
            1 + random.below(100),
            1 + random.below(whole.len()),
            whole.len(),
        ] {
            assert_eq!(
                expositions(&view, piece_bytes),
                whole,
                "seed {seed}, {piece_bytes} bytes"
            );
        }
    }
}

/// Numbers of any magnitude: a gauge, and a histogram whose cumulative counts do not decrease.
pub fn float_push(random: &mut Random) -> String {
    let float = |random: &mut Random| loop {
        // Every other one is near 1, where additions round; the others are any float at all.
        let exponent = if random.percent(50) {
            1015 + random.bits() % 16
        } else {
            random.bits() % 2047
        };
        let float = f64::from_bits((random.bits() >> 12) | (exponent << 52));
        if float.is_finite() {
            return float;
        }
    };
    let mut counts: Vec<f64> = (0..8).map(|_| float(random)).collect();
    counts.sort_by(f64::total_cmp);
    let mut text = format!("# TYPE g gauge\ng {}\n# TYPE h histogram\n", -float(random));
    for (bound, count) in counts.iter().enumerate() {
        if random.percent(70) {
            text += &format!("h_bucket{{le=\"{bound}\"}} {count:e}\n");
        }
    }
    text + &format!("h_sum {}\n", float(random))
}

/// A refused push changes nothing; what is refused is refused for a reason, in one short line.
#[test]
fn refused_pushes_change_nothing() {
    for seed in 0..SEQUENCES * 5 {
        let mut random = Random::new(seed);
        let gateway = Gateway::default();
        accept(&gateway, push(&mut random).text.as_bytes());
        let before = scrape(&gateway);
        let broken = broken(&mut random);
        let body = String::from_utf8_lossy(&broken.body).into_owned();
        match gateway.push_text("", &broken.body) {
            Ok(_) => panic!("{} was accepted (seed {seed}):\n{body}", broken.cause),
            Err(refusal) => assert_is_one_short_line(&refusal.to_string()),
        }
        assert_eq!(scrape(&gateway), before, "seed {seed}: {}", broken.cause);
    }
}

/// Whatever the bytes: no panic, and the scrape stays valid, accepted or not.
#[test]
fn hostile_bytes_are_survived() {
    for seed in 0..SEQUENCES * 20 {
        let mut random = Random::new(seed);
        let gateway = Gateway::default();
        for body in [
            push(&mut random).text.into_bytes(),
            damaged(&mut random),
            hostile(&mut random),
        ] {
            let before = scrape(&gateway);
            if let Err(refusal) = gateway.push_text("", &body) {
                assert_is_one_short_line(&refusal.to_string());
                assert_eq!(scrape(&gateway), before, "seed {seed}");
            }
            scrape(&gateway);
        }
    }
}

/// Accepted and refused pushes in any sequence leave a valid scrape. Those that come of it are put
/// into the folder `$SCRAPES`, if there is one, for others to read.
#[test]
fn any_sequence_leaves_a_valid_scrape() {
    let folder = std::env::var_os("SCRAPES").map(PathBuf::from);
    for seed in 0..SEQUENCES {
        let mut random = Random::new(seed);
        let gateway = Gateway::default();
        for _ in 0..10 {
            let body = match random.below(4) {
                0 => broken(&mut random).body,
                1 => damaged(&mut random),
                2 => hostile(&mut random),
                _ => push(&mut random).text.into_bytes(),
            };
            // Whether it is accepted is not the question here.
            let _ = gateway.push_text("", &body);
            let scrape = scrape(&gateway);
            if let Some(folder) = &folder {
                std::fs::write(folder.join(format!("{seed}.prom")), scrape).unwrap();
            }
        }
    }
}

#[track_caller]
fn assert_is_one_short_line(message: &str) {
    let is_printable = message.chars().all(|character| !character.is_control());
    assert!(is_printable && message.len() <= 300, "{message:?}");
}

/// Bodies that look for quadratic time or deep recursion; each would take hours if there were any.
#[test]
fn long_bodies_take_linear_time() {
    let long = |unit: &str| unit.repeat((16 << 20) / unit.len()).into_bytes();
    let numbered = |write: fn(usize) -> String| {
        (0..500_000)
            .map(write)
            .collect::<Vec<String>>()
            .concat()
            .into_bytes()
    };
    let mut bodies: Vec<Vec<u8>> = [
        "x", "\"", "\\", "{", "}", ",", "#", " ", "\n", "x{a=\"", "x 1\n", "9", "\0",
    ]
    .map(long)
    .to_vec();
    bodies.push([b"x{a=\"".to_vec(), long("\\\\"), b"\"} 1\n".to_vec()].concat());
    bodies.push([b"x ".to_vec(), long("9")].concat());
    bodies.push([b"x 0.".to_vec(), long("0"), b"1\n".to_vec()].concat());
    bodies.push(
        [
            b"x{".to_vec(),
            numbered(|n| format!("a{n}=\"\",")),
            b"} 1\n".to_vec(),
        ]
        .concat(),
    );
    bodies.push(numbered(|n| format!("x{n} 1\n")));
    bodies.push(numbered(|n| format!("x{{a=\"{n}\"}} 1\n")));
    bodies.push(numbered(|n| format!("# TYPE x{n} histogram\n")));
    bodies.push(
        [
            b"# TYPE h histogram\n".to_vec(),
            numbered(|n| format!("h_bucket{{le=\"{n}\"}} 1\n")),
        ]
        .concat(),
    );
    let key = GroupingKey::default();
    for body in &bodies {
        if let Err(refusal) = parse(Format::Text, body, &key, LabelLimits::NONE) {
            assert_is_one_short_line(&refusal.to_string());
        }
    }
    let gateway = Gateway::default();
    for body in &bodies[bodies.len() - 1..] {
        accept(&gateway, body);
        accept(&gateway, body);
    }
}
