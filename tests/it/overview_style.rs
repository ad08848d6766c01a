//! The status page's style sheet and script: that the policy names their hashes, and that the
//! colours of its texts can be told from what is behind them.

use std::collections::BTreeMap;

use prometheus_aggregation_gateway::overview::html::{CONTENT_SECURITY_POLICY, SCRIPT, STYLE};

use crate::sha256::{base64, sha256};

#[test]
fn the_policy_allows_this_style_and_this_script() {
    let hash = |text: &str| format!("'sha256-{}'", base64(&sha256(text.as_bytes())));
    let expected = format!(
        "default-src 'none'; style-src {}; script-src {}; img-src data:; form-action 'self'; \
         base-uri 'none'; frame-ancestors 'none'",
        hash(STYLE),
        hash(SCRIPT)
    );
    assert_eq!(CONTENT_SECURITY_POLICY, expected);
}

/// Nothing is fetched, and nothing closes the element early.
#[test]
fn they_are_whole() {
    for text in [STYLE, SCRIPT] {
        for part in ["</", "url(", "@import", "http", "innerHTML", "eval"] {
            assert!(!text.contains(part), "{part}");
        }
    }
}

/// Foreground, background, and the least contrast: 4.5 for texts, 3 for drawings (Web Content
/// Accessibility Guidelines 2.1, criteria 1.4.3 and 1.4.11).
const PAIRS: &[(&str, &str, f64)] = &[
    ("ink", "bg", 4.5),
    ("ink", "card", 4.5),
    ("ink", "hover", 4.5),
    ("ink", "soft", 4.5),
    ("quiet", "bg", 4.5),
    ("quiet", "card", 4.5),
    ("quiet", "hover", 4.5),
    ("accent", "bg", 4.5),
    ("accent", "card", 4.5),
    ("accent", "hover", 4.5),
    ("card", "accent", 4.5),
    ("fine", "soft", 4.5),
    ("bad", "badsoft", 4.5),
    ("bad", "card", 4.5),
    ("warn", "card", 3.0),
    ("r2", "card", 3.0),
    ("r3", "card", 3.0),
    ("r4", "card", 3.0),
    ("r5", "card", 3.0),
    ("focus", "bg", 3.0),
    ("focus", "card", 3.0),
];

#[test]
fn contrast() {
    let (light, rest) = STYLE
        .split_once("@media (prefers-color-scheme: dark)")
        .expect("it has both");
    let (dark, _) = rest.split_once("* {").expect("rules follow");
    for (theme, colours) in [("light", colours(light)), ("dark", colours(dark))] {
        for (front, back, least) in PAIRS {
            let contrast = ratio(luminance(colours[front]), luminance(colours[back]));
            assert!(
                contrast >= *least,
                "{theme}: {front} on {back}: {contrast:.2}"
            );
        }
    }
}

fn colours(style: &str) -> BTreeMap<&str, u32> {
    style
        .split(';')
        .filter_map(|declaration| {
            let (_, variable) = declaration.split_once("--")?;
            let (name, value) = variable.split_once(": #")?;
            Some((name, u32::from_str_radix(value, 16).expect("six digits")))
        })
        .collect()
}

fn luminance(colour: u32) -> f64 {
    let part = |shift: u32| {
        let part = f64::from(colour >> shift & 255) / 255.0;
        if part <= 0.04045 {
            part / 12.92
        } else {
            ((part + 0.055) / 1.055).powf(2.4)
        }
    };
    0.2126 * part(16) + 0.7152 * part(8) + 0.0722 * part(0)
}

fn ratio(one: f64, other: f64) -> f64 {
    (one.max(other) + 0.05) / (one.min(other) + 0.05)
}
