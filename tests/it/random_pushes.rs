//! Random pushes that are all alike prove nothing: what must come among them.

use std::collections::BTreeSet;

use crate::random::broken::{broken, damaged, hostile};
use crate::random::{Random, push};

#[test]
fn the_generators_are_varied() {
    let mut random = Random::new(7);
    let bodies: String = (0..300).map(|_| push(&mut random).text).collect();
    for piece in [
        "\r\n",
        "{}",
        "\",}",
        "=\"\"",
        "# EOF",
        "\\n",
        "\\\\",
        "\\\"",
        "le=\"1e0\"",
        " 0\n",
        "NaN",
        "\t",
        "COUNTER",
        "unknown",
        "1395066363000",
        "_sum",
        "-0",
        "_bucket{",
        "quantile=\"",
    ] {
        assert!(bodies.contains(piece), "{piece:?} never comes");
    }
    let mut causes = BTreeSet::new();
    for _ in 0..5000 {
        let broken = broken(&mut random);
        assert!(!broken.body.is_empty(), "{}", broken.cause);
        causes.insert(broken.cause);
    }
    assert!(causes.len() > 40, "{causes:?}");
    let lengths: BTreeSet<_> = (0..1000).map(|_| hostile(&mut random).len()).collect();
    assert!(lengths.len() > 100, "{lengths:?}");
    let damaged: BTreeSet<_> = (0..100).map(|_| damaged(&mut random)).collect();
    assert!(damaged.len() > 90, "damage makes no difference");
}
