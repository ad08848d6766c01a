//! Cases of the strict reader: for each of its rules a scrape that is refused with the message of
//! this rule, so that a rule taken out of `strict` makes a case here fail.

use crate::strict::{Family, Sample, read};

/// Each line of `cases` is a scrape and its message, parted by ` => `. A ` | ` in a scrape is a
/// line feed; `start` comes before it, and a line feed after it.
#[track_caller]
fn refused(start: &str, cases: &str) {
    for case in cases
        .lines()
        .map(str::trim_start)
        .filter(|case| !case.is_empty())
    {
        let (lines, message) = case.split_once(" => ").expect("a case has a message");
        refused_as_is(&format!("{start}{}\n", lines.replace(" | ", "\n")), message);
    }
}

#[track_caller]
fn refused_as_is(scrape: &str, message: &str) {
    match read(scrape) {
        Err(found) => assert_eq!(found, message, "of {scrape:?}"),
        Ok(_) => panic!("accepted {scrape:?}, which is wrong: {message}"),
    }
}

#[track_caller]
fn accepted(scrape: &str) -> Vec<Family> {
    read(scrape).unwrap_or_else(|cause| panic!("{cause}, in\n{scrape}"))
}

#[test]
fn lines() {
    refused_as_is("# TYPE a gauge\na 1", "line 2: no line feed");
    refused_as_is("\n", "line 1: blank line");
    refused_as_is("# TYPE a gauge\n\na 1\n", "line 2: blank line");
    refused_as_is("# TYPE a gauge\n \t\na 1\n", "line 2: blank line");
    refused_as_is("# TYPE a gauge\na{b=\"\0\"} 1\n", "line 2: NUL");
    refused_as_is("# HELP a \0\n# TYPE a gauge\na 1\n", "line 1: NUL");
    let cause = "line 1: carriage return at the end";
    refused_as_is("# HELP a text\r\n# TYPE a gauge\na 1\n", cause);
    refused_as_is("# TYPE a gauge\r\na 1\n", cause);
    refused_as_is("a 1\r\n", cause);
    refused(
        "",
        "
        # EOF => line 1: a comment that is not HELP or TYPE
        #TYPE a gauge | a 1 => line 1: a comment that is not HELP or TYPE
        #  TYPE a gauge | a 1 => line 1: a comment that is not HELP or TYPE
        # type a gauge | a 1 => line 1: a comment that is not HELP or TYPE
        ",
    );
}

#[test]
fn help() {
    refused(
        "",
        r#"
        # HELP a | # TYPE a gauge | a 1 => line 1: HELP of `a` without text
        # HELP a  | # TYPE a gauge | a 1 => line 1: HELP of `a` without text
        # HELP a  x | # TYPE a gauge | a 1 => line 1: HELP of `a` begins with a blank
        # HELP a x\t | # TYPE a gauge | a 1 => line 1: escape `\t`
        # HELP a x\" | # TYPE a gauge | a 1 => line 1: escape `\"`
        # HELP a x\ | # TYPE a gauge | a 1 => line 1: escape `\ `
        # HELP a-b x | # TYPE a gauge | a 1 => line 1: metric name `a-b`
        # HELP  a x | # TYPE a gauge | a 1 => line 1: no metric name
        # HELP a x | a 1 => line 2: HELP of `a` is not followed by its TYPE
        # HELP a x | # TYPE b gauge | b 1 => line 2: HELP of `a` is not followed by its TYPE
        # HELP a x | # HELP a x => line 2: HELP of `a` is not followed by its TYPE
        # HELP a x => line 1: HELP of `a` is the last line
        # TYPE a gauge | # HELP a x | a 1 => line 2: HELP of `a` comes after its TYPE
        # TYPE a gauge | a 1 | # HELP a x => line 3: HELP of `a` comes after its TYPE
        "#,
    );
    let tab = "# HELP a \tx\n# TYPE a gauge\na 1\n";
    refused_as_is(tab, "line 1: HELP of `a` begins with a blank");
}

#[test]
fn kind() {
    refused(
        "",
        "
        # TYPE a | a 1 => line 1: type `` of `a`
        # TYPE a Gauge | a 1 => line 1: type `Gauge` of `a`
        # TYPE a gauge  | a 1 => line 1: type `gauge ` of `a`
        # TYPE a  gauge | a 1 => line 1: type ` gauge` of `a`
        # TYPE a unknown | a 1 => line 1: type `unknown` of `a`
        # TYPE a Summary | a_sum 1 | a_count 1 => line 1: type `Summary` of `a`
        # TYPE 1a gauge | 1a 1 => line 1: digit first in `1a`
        # TYPE \u{e4} gauge | \u{e4} 1 => line 1: metric name `\u{e4}`
        ",
    );
}

#[test]
fn families() {
    refused(
        "",
        r#"
        a 1 => line 1: sample before any TYPE
        # TYPE a gauge => line 1: `a` has no samples
        # TYPE a gauge | # TYPE b gauge | b 1 => line 2: `a` has no samples
        # TYPE a gauge | # HELP b x | # TYPE b gauge | b 1 => line 2: `a` has no samples
        # TYPE a gauge | a 1 | # TYPE a gauge | a 2 => line 3: TYPE of `a` comes after its TYPE
        # TYPE a gauge | # TYPE a counter | a 2 => line 2: TYPE of `a` comes after its TYPE
        # TYPE b gauge | b 1 | # TYPE a gauge | a 1 => line 3: `a` is not sorted after `b`
        # TYPE a gauge | a 1 | # TYPE Z gauge | Z 1 => line 3: `Z` is not sorted after `a`
        # TYPE a_ gauge | a_ 1 | # TYPE a1 gauge | a1 1 => line 3: `a1` is not sorted after `a_`
        # TYPE a gauge | b 1 => line 2: `b` is no sample of gauge `a`
        # TYPE a gauge | a_sum 1 => line 2: `a_sum` is no sample of gauge `a`
        # TYPE a counter | a_count 1 => line 2: `a_count` is no sample of counter `a`
        # TYPE a untyped | a_bucket 1 => line 2: `a_bucket` is no sample of untyped `a`
        # TYPE a histogram | a 1 => line 2: `a` is no sample of histogram `a`
        # TYPE a histogram | a_total 1 => line 2: `a_total` is no sample of histogram `a`
        "#,
    );
    refused(
        "# TYPE a gauge\na 1\n# TYPE b gauge\nb 1\n",
        r#"
        # TYPE a gauge | a{b="c"} 1 => line 5: family `a` is split in two
        # HELP a x | # TYPE a gauge | a{b="c"} 1 => line 5: family `a` is split in two
        a{b="c"} 1 => line 5: `a` is no sample of gauge `b`
        "#,
    );
}

#[test]
fn families_beside_a_histogram() {
    refused(
        "# TYPE h histogram\nh_bucket{le=\"+Inf\"} 1\nh_sum 1\nh_count 1\n\
         # TYPE h_a gauge\nh_a 1\n",
        "
        # TYPE h_bucket gauge => line 7: `h_bucket` is a sample of a histogram beside it
        # TYPE h_count counter => line 7: `h_count` is a sample of a histogram beside it
        # HELP h_sum x | # TYPE h_sum gauge => line 7: `h_sum` is a sample of a histogram beside it
        ",
    );
    accepted(
        "# TYPE h histogram\nh_bucket{le=\"+Inf\"} 1\nh_sum 1\nh_count 1\n\
         # TYPE h_bucket_sum gauge\nh_bucket_sum 1\n# TYPE hh_sum gauge\nhh_sum 1\n",
    );
    accepted("# TYPE g gauge\ng 1\n# TYPE g_count counter\ng_count 1\n");
}

#[test]
fn samples() {
    refused(
        "# TYPE a gauge\n",
        r#"
        a => line 2: no space before the value
        a  => line 2: no value
        a  1 => line 2: blanks around the value
        a 1  => line 2: blanks around the value
        a 1 1395066363000 => line 2: a timestamp or more after the value
        a 1 # {} 1 => line 2: a timestamp or more after the value
        a{b="c"}1 => line 2: no space before the value
        a{b="c"}  1 => line 2: blanks around the value
        a {b="c"} 1 => line 2: a timestamp or more after the value
        a{} 1 => line 2: no `=` in a label
        a{b} 1 => line 2: no `=` in a label
        a{b="c",} 1 => line 2: no `=` in a label
        a{b="c" ,d="e"} 1 => line 2: neither `,` nor `}` after a label
        a{b="c"d="e"} 1 => line 2: neither `,` nor `}` after a label
        a{b="c" 1 => line 2: neither `,` nor `}` after a label
        a{b="c" } 1 => line 2: neither `,` nor `}` after a label
        a{b="c", d="e"} 1 => line 2: label name ` d`
        a{b ="c"} 1 => line 2: label name `b `
        a{b= "c"} 1 => line 2: label value without quotes
        a{b='c'} 1 => line 2: label value without quotes
        a{b="c} 1 => line 2: label value is not closed
        a{b="c\"} 1 => line 2: label value is not closed
        a{b="\t"} 1 => line 2: escape `\t`
        a{b="\'"} 1 => line 2: escape `\'`
        "#,
    );
    let header = "# TYPE a gauge\n";
    refused_as_is(&format!("{header} a 1\n"), "line 2: no metric name");
    refused_as_is(&format!("{header}a\t1\n"), "line 2: metric name `a\t1`");
    refused_as_is(
        &format!("{header}a 1\t\n"),
        "line 2: blanks around the value",
    );
    let stamped = format!("{header}a 1\t1395066363000\n");
    refused_as_is(&stamped, "line 2: a timestamp or more after the value");
}

#[test]
fn labels() {
    refused(
        "# TYPE a gauge\n",
        r#"
        a{="c"} 1 => line 2: no label name
        a{b:c="d"} 1 => line 2: label name `b:c`
        a{b-c="d"} 1 => line 2: label name `b-c`
        a{ä="d"} 1 => line 2: label name `ä`
        a{1b="d"} 1 => line 2: digit first in label `1b`
        a{__name__="a"} 1 => line 2: label `__name__`
        a{b=""} 1 => line 2: label `b` is empty
        a{b="c",b="c"} 1 => line 2: label `b` twice
        a{b="c",b="d"} 1 => line 2: label `b` twice
        a{d="c",b="d"} 1 => line 2: label `b` is not sorted after `d`
        a{b="c",B="d"} 1 => line 2: label `B` is not sorted after `b`
        a{le="1",b="d"} 1 => line 2: label `b` is not sorted after `le`
        "#,
    );
}

/// Reads a gauge with the value as written, gives the message or the value.
fn gauge(text: &str) -> Result<f64, String> {
    let families = read(&format!("# TYPE a gauge\na {text}\n"))?;
    let sample = &families[0].samples[0];
    assert_eq!(sample.text, text);
    Ok(sample.value)
}

#[test]
fn values() {
    for text in "x 0x10 1_000 1,5 1e --1 \u{661}".split(' ') {
        assert_eq!(
            gauge(text),
            Err(format!("line 2: `{text}` is not a number"))
        );
    }
    for text in ["+Inf", "-Inf", "NaN"] {
        assert_eq!(gauge(text), Err(format!("line 2: the value is {text}")));
    }
    for text in ["-0", "-0.0", "-1e-400"] {
        assert_eq!(gauge(text), Err("line 2: negative zero".to_owned()));
    }
    refused("# TYPE a counter\n", "a -1 => line 2: `a` is negative");
    refused("# TYPE a counter\n", "a -0.5 => line 2: `a` is negative");
    accepted("# TYPE a untyped\na -1\n");
}

#[test]
fn numbers_are_canonical() {
    let canonical = "0 1 -1 100 0.5 5e-1 -0.1 9007199254740991 5e-324 9007199254740992 \
                     9.007199254740992e15 1.7976931348623157e308 0.000001 1e300";
    for text in canonical.split(' ') {
        assert_eq!(gauge(text), Ok(text.parse().expect(text)));
    }
    let others = "+1 01 1.0 1. 1e0 1e3 10e2 .5 0.50 5.0e-1 5E-1 0.10000000000000001 \
                  9007199254740991.0 9.007199254740991e15 9007199254740993 9.007199254740992e+15 \
                  1e400 1e-400 +inf Inf inf infinity nan";
    for text in others.split(' ') {
        let message = gauge(text).expect_err(text);
        let start = format!("line 2: `{text}` is not how ");
        assert!(message.starts_with(&start), "{message}");
    }
}

#[test]
fn series() {
    refused(
        "# TYPE a gauge\n",
        r#"
        a 1 | a 1 => line 3: series {} twice
        a{b="c"} 1 | a{b="c"} 2 => line 3: series {b="c"} twice
        a{b="c"} 1 | a 1 => line 3: series {} is not sorted after {b="c"}
        a{b="c"} 1 | a{b="d"} 1 | a{b="c"} 1 => line 4: series {b="c"} is not sorted after {b="d"}
        a{b="c"} 1 | a{b="c "} 1 => line 3: series {b="c "} is not sorted after {b="c"}
        "#,
    );
    // The order is that of the text as written: a space is less than the closing quote.
    let sorted = [
        "",
        "{b=\"c \"}",
        "{b=\"c\"}",
        "{b=\"c\",d=\"e\"}",
        "{c=\"d\"}",
    ];
    let lines = sorted.map(|labels| format!("a{labels} 1\n")).concat();
    accepted(&format!("# TYPE a gauge\n{lines}"));
}

#[test]
fn parts_of_a_histogram() {
    refused(
        "# TYPE h histogram\n",
        r#"
        h_bucket{le="1"} 1 => line 2: `h` ends before its Bucket
        h_bucket{le="1"} 1 | h_sum 1 | h_count 1 => line 3: Sum in the place of Bucket
        h_sum 1 | h_count 1 => line 2: Sum in the place of Bucket
        h_bucket{le="+Inf"} 1 => line 2: `h` ends before its Sum
        h_bucket{le="+Inf"} 1 | h_count 1 | h_sum 1 => line 3: Count in the place of Sum
        h_bucket{le="+Inf"} 1 | h_bucket{le="+Inf"} 1 => line 3: Bucket in the place of Sum
        h_bucket{le="+Inf"} 1 | h_bucket{le="1"} 1 => line 3: Bucket in the place of Sum
        h_bucket{le="+Inf"} 1 | h_sum 1 => line 3: `h` ends before its Count
        h_bucket{le="+Inf"} 1 | h_sum 1 | # TYPE i gauge => line 4: `h` ends before its Count
        h_bucket{le="+Inf"} 1 | h_sum 1 | h_sum 1 => line 4: Sum in the place of Count
        h_bucket{le="+Inf"} 1 | h_sum 1 | h_count 1 | h_count 1 => line 5: series {} twice
        h_bucket{le="+Inf"} +Inf => line 2: the value is +Inf
        h_bucket{le="+Inf"} 1 | h_sum NaN => line 3: the value is NaN
        h_bucket{le="+Inf"} 1 | h_sum 1 | h_count -1 => line 4: `h_count` is negative
        h_bucket{le="1"} -2 => line 2: `h_bucket` is negative
        "#,
    );
}

#[test]
fn buckets() {
    refused(
        "# TYPE h histogram\n",
        r#"
        h_bucket{le="1"} 1 | h_bucket{le="1"} 1 => line 3: `le` 1 does not rise
        h_bucket{le="10"} 1 | h_bucket{le="9"} 1 => line 3: `le` 9 does not rise
        h_bucket{le="1"} 2 | h_bucket{le="2"} 1 => line 3: the count falls to 1
        h_bucket{le="1"} 2 | h_bucket{le="+Inf"} 1 => line 3: the count falls to 1
        h_bucket 1 => line 2: `le` is not the last label
        h_bucket{a="b"} 1 => line 2: `le` is not the last label
        h_bucket{le="1",z="b"} 1 => line 2: `le` is not the last label
        h_bucket{le="1",le="1"} 1 => line 2: a label `le` too many
        h_bucket{le="+Inf"} 1 | h_sum{le="+Inf"} 1 => line 3: a label `le` too many
        h_bucket{le="1.0"} 1 => line 2: `1.0` is not how 1 is written
        h_bucket{le="Inf"} 1 => line 2: `Inf` is not how inf is written
        h_bucket{le="x"} 1 => line 2: `x` is not a number
        h_bucket{le="-0"} 1 => line 2: negative zero
        h_bucket{le="NaN"} 1 => line 2: `le` is NaN
        h_bucket{le=""} 1 => line 2: label `le` is empty
        h_bucket{b="b",a="b",le="1"} 1 => line 2: label `a` is not sorted after `b`
        "#,
    );
}

#[test]
fn series_of_a_histogram() {
    refused(
        "# TYPE h histogram\n",
        r#"
        h_bucket{a="1",le="1"} 1 | h_sum 1 => line 3: series {a="1"} ends before its Bucket
        h_bucket{a="1",le="+Inf"} 1 | h_sum 1 => line 3: series {a="1"} ends before its Sum
        "#,
    );
    refused(
        "# TYPE h histogram\nh_bucket{a=\"2\",le=\"0.5\"} 1\nh_bucket{a=\"2\",le=\"+Inf\"} 1\n\
         h_sum{a=\"2\"} 1\nh_count{a=\"2\"} 1\n",
        r#"
        h_bucket{a="1",le="1"} 1 => line 6: series {a="1"} is not sorted after {a="2"}
        h_bucket{a="2",le="1"} 1 => line 6: series {a="2"} twice
        h_bucket{a="3",le="5e-1"} 1 => line 6: `le` is spelled `0.5` and `5e-1`
        "#,
    );
}

#[test]
fn reads_what_is_written() {
    assert_eq!(accepted(""), []);
    let families = accepted(
        "# HELP a back\\\\slash\\nfeed \"quoted\" \u{96ea} \n# TYPE a counter\n\
         a{B=\"x\\\\y\\nz\\\"\",b=\" {}=, # \"} 0.5\n\
         # TYPE h histogram\nh_bucket{z=\"1\",le=\"-Inf\"} 0\nh_bucket{z=\"1\",le=\"0.5\"} 1\n\
         h_bucket{z=\"1\",le=\"+Inf\"} 3\nh_sum{z=\"1\"} -4.5\nh_count{z=\"1\"} 2\n",
    );
    let help = "back\\slash\nfeed \"quoted\" \u{96ea} ";
    assert_eq!(families[0].help.as_deref(), Some(help));
    assert_eq!([&*families[0].name, &*families[0].kind], ["a", "counter"]);
    let labels = [("B", "x\\y\nz\""), ("b", " {}=, # ")];
    assert_eq!(families[0].samples, [sample("a", &labels, 0.5, "0.5")]);
    assert_eq!([&*families[1].name, &*families[1].kind], ["h", "histogram"]);
    assert_eq!(families[1].help, None);
    let histogram = [
        sample("h_bucket", &[("z", "1"), ("le", "-Inf")], 0.0, "0"),
        sample("h_bucket", &[("z", "1"), ("le", "0.5")], 1.0, "1"),
        sample("h_bucket", &[("z", "1"), ("le", "+Inf")], 3.0, "3"),
        sample("h_sum", &[("z", "1")], -4.5, "-4.5"),
        sample("h_count", &[("z", "1")], 2.0, "2"),
    ];
    assert_eq!(families[1].samples, histogram);
}

fn sample(name: &str, labels: &[(&str, &str)], value: f64, text: &str) -> Sample {
    let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    Sample {
        name: name.to_owned(),
        labels: labels.iter().map(own).collect(),
        value,
        text: text.to_owned(),
    }
}
