//! Texts are compared and sorted as std compares and sorts them, whatever they begin and end with.

use prometheus_aggregation_gateway::text_order::{order, sort_by_text};

use crate::random::Random;

/// Texts that begin alike in many ways, some of which end where others go on with zeros.
fn texts(random: &mut Random) -> Vec<String> {
    let parts = [
        "",
        "\0",
        "\0\0\0\0\0\0\0\0\0",
        "a",
        "b",
        "\u{e4}",
        "host=\"web-",
        "code=\"200\",path=\"/items/",
    ];
    let length = random.below(200);
    let text = |random: &mut Random| -> String {
        let length = random.below(12);
        (0..length).map(|_| *random.pick(&parts)).collect()
    };
    let texts: Vec<String> = (0..length).map(|_| text(random)).collect();
    let longest = "x".repeat(random.below(300));
    texts
        .iter()
        .map(|text| longest.clone() + text)
        .chain(texts.iter().take(50).cloned())
        .collect()
}

#[test]
fn the_order_is_that_of_bytes() {
    for seed in 0..300 {
        let texts = texts(&mut Random::new(seed));
        for (one, other) in texts.iter().zip(texts.iter().rev()) {
            assert_eq!(order(one, other), one.cmp(other), "{one:?} {other:?}");
        }
        let mut numbers: Vec<usize> = (0..texts.len()).collect();
        Random::new(seed).shuffle(&mut numbers);
        sort_by_text(&mut numbers, |number| &texts[number]);
        let sorted: Vec<&String> = numbers.iter().map(|&number| &texts[number]).collect();
        let mut expected: Vec<&String> = texts.iter().collect();
        expected.sort();
        assert!(sorted == expected, "seed {seed}");
        numbers.sort_unstable();
        assert!(numbers.into_iter().eq(0..texts.len()), "seed {seed}");
    }
}

/// However long texts go on alike, that takes no stack.
#[test]
fn long_texts_that_end_one_after_the_other() {
    let texts: Vec<String> = (0..2000).map(|length| "x".repeat(length * 8)).collect();
    let mut numbers: Vec<usize> = (0..texts.len()).rev().collect();
    numbers.swap(3, 1000);
    sort_by_text(&mut numbers, |number| &texts[number]);
    assert!(numbers.into_iter().eq(0..texts.len()));
}
