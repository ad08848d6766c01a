//! A reader that accepts everything proves nothing: scrapes that `strict` must refuse.

use crate::strict::read;

/// A scrape and its message each; ` | ` is a line feed.
const REFUSED: &str = r#"
# TYPE a gauge | a 1 |  => line 3: blank line
# EOF => line 1: a comment that is not HELP or TYPE
a 1 => line 1: sample before any TYPE
# HELP a x | a 1 => line 2: HELP of `a` is not followed by its TYPE
# TYPE a gauge => line 1: `a` has no samples
# TYPE b gauge | b 1 | # TYPE a gauge => line 3: `a` is not sorted after `b`
# TYPE a gauge | a 1 | # TYPE b gauge | b 1 | # TYPE a gauge => line 5: family `a` is split in two
# TYPE a gauge | a 1 1395066363000 => line 2: a timestamp or more after the value
# TYPE a gauge | a{b=""} 1 => line 2: label `b` is empty
# TYPE a gauge | a{d="c",b="d"} 1 => line 2: label `b` is not sorted after `d`
# TYPE a gauge | a{b="c",b="d"} 1 => line 2: label `b` twice
# TYPE a gauge | a{b="\t"} 1 => line 2: escape `\t`
# TYPE a gauge | a{"b"="c"} 1 => line 2: quotes around `b`
# TYPE a gauge | a NaN => line 2: the value is NaN
# TYPE a gauge | a -0 => line 2: negative zero
# TYPE a gauge | a 1.0 => line 2: `1.0` is not how 1 is written
# TYPE a counter | a -1 => line 2: `a` is negative
# TYPE a gauge | a 1 | a 1 => line 3: series {} twice
# TYPE a gauge | a{b="c"} 1 | a 1 => line 3: series {} is not sorted after {b="c"}
# TYPE h histogram | h_bucket{le="1"} 1 | h_sum 1 => line 3: Sum in the place of Bucket
# TYPE h histogram | h_bucket{le="+Inf"} 1 => line 2: `h` ends before its Sum
# TYPE h histogram | h_bucket{le="10"} 1 | h_bucket{le="9"} 1 => line 3: `le` 9 does not rise
# TYPE h histogram | h_bucket{le="1"} 2 | h_bucket{le="2"} 1 => line 3: the count falls to 1
"#;

#[test]
fn what_breaks_a_rule_is_refused() {
    for case in REFUSED.trim().lines() {
        let (lines, message) = case.split_once(" => ").expect("a case has a message");
        let scrape = format!("{}\n", lines.replace(" | ", "\n"));
        assert_eq!(read(&scrape), Err(message.to_owned()), "of {scrape:?}");
    }
}
