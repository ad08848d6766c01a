//! What is refused, and what is said about it.

use chrono::{DateTime, Utc};
use prometheus_aggregation_gateway::schedule::{CrontabError, Schedule};

use super::brute_force::Random;

const MESSAGE_BYTES_MAX: usize = 300;

fn parse(expression: &str) -> Result<Schedule, CrontabError> {
    Schedule::parse(expression, DateTime::<Utc>::UNIX_EPOCH)
}

#[track_caller]
fn refusal(expression: &str) -> String {
    match parse(expression) {
        Ok(_) => panic!("accepted: {expression:?}"),
        Err(error) => error.to_string(),
    }
}

#[track_caller]
fn assert_one_short_line(message: &str) {
    assert!(message.starts_with("crontab: "), "{message}");
    assert!(
        message.len() <= MESSAGE_BYTES_MAX,
        "{} bytes: {message}",
        message.len()
    );
    assert!(
        message.bytes().all(|byte| (b' '..=b'~').contains(&byte)),
        "{message:?}"
    );
}

#[test]
fn shared_bad_expressions_are_refused() {
    for expression in include_str!("../data/crontab/cron_bad.txt").lines() {
        assert_one_short_line(&refusal(expression));
    }
}

#[test]
fn messages_are_exact() {
    for (index, row) in include_str!("../data/crontab/bad.tsv").lines().enumerate() {
        let (expression, message) = row.rsplit_once('\t').expect("expression TAB message");
        assert_eq!(
            refusal(expression),
            message,
            "row {}: {expression:?}",
            index + 1
        );
    }
}

#[test]
fn long_or_unprintable_input_makes_one_short_line() {
    for odd in [
        "x",
        "\n",
        "\u{1b}[31m",
        "\u{663}",
        "\u{10ffff}",
        "\"",
        "\\",
        "*",
        "-",
        "/",
        ",",
        "1",
    ] {
        let odd = odd.repeat(5000);
        for expression in [
            odd.clone(),
            format!("{odd} * * * *"),
            format!("* * * {odd} *"),
            format!("* * * * */{odd}"),
            format!("* * * * 5-{odd}"),
            format!("* * * * * {odd}"),
            format!("TZ={odd}"),
            format!("@{odd}"),
            format!("@every {odd}"),
        ] {
            if let Err(error) = parse(&expression) {
                assert_one_short_line(&error.to_string());
            }
        }
    }
}

const PIECES: [&str; 38] = [
    "*",
    "*",
    "*",
    "?",
    "/",
    "-",
    ",",
    " ",
    " ",
    " ",
    " ",
    "\t",
    "\n",
    "\0",
    "@",
    "@every ",
    "@daily",
    "TZ=",
    "0",
    "1",
    "5",
    "7",
    "9",
    "31",
    "59",
    "60",
    "99999999999",
    "mon",
    "sun",
    "JAN",
    "h",
    "m",
    "s",
    ".",
    "L",
    "#",
    "\u{b5}s",
    "\u{1f980}",
];

#[test]
fn parse_never_panics() {
    let mut random = Random(1);
    let mut accepted = 0;
    for _ in 0..200_000 {
        let pieces = random.within(0, 12);
        let expression: String = (0..pieces)
            .map(|_| PIECES[random.within(0, 37) as usize])
            .collect();
        match parse(&expression) {
            Ok(_) => accepted += 1,
            Err(error) => assert_one_short_line(&error.to_string()),
        }
    }
    assert!(
        accepted > 100,
        "the pieces make too few expressions: {accepted}"
    );
}

/// What a file, a shell or a table of arguments leaves around an expression says nothing.
#[test]
fn blanks_and_line_ends_around_an_expression() {
    let expected = format!("{:?}", parse("*/5 1 * * *"));
    for around in [
        " */5 1 * * *\n",
        "*/5\t1\t*\t*\t*",
        "\r\n\t*/5  1 * * * \r\n",
    ] {
        assert_eq!(format!("{:?}", parse(around)), expected, "{around:?}");
    }
    assert!(parse("\n@daily\n").is_ok());
    // Line ends within it are more than one expression.
    assert_one_short_line(&refusal("*/5 * * *\n*"));
    assert_one_short_line(&refusal("*/5 * * * *\n*/6 * * * *"));
}

#[test]
fn steps_that_are_larger_than_their_range() {
    #[track_caller]
    fn check(expression: &str, expected: &[&str]) {
        let schedule = parse(expression).expect("it is valid");
        let warnings = schedule.large_steps().iter().map(ToString::to_string);
        let expected: Vec<_> = expected
            .iter()
            .map(|item| {
                let why = "its step is larger than its range; for other intervals use @every";
                format!("{item} alone: {why}")
            })
            .collect();
        assert_eq!(warnings.collect::<Vec<_>>(), expected, "{expression}");
    }
    check("*/90 * * * *", &["minute \"*/90\" is 0"]);
    check("5,?/61 * * * *\n", &["minute \"?/61\" is 0"]);
    check("30/45 * * * *", &["minute \"30/45\" is 30"]);
    check("10-20/15 * * * *", &["minute \"10-20/15\" is 10"]);
    check(
        "0 */48 */40 */18 */8",
        &[
            "hour \"*/48\" is 0",
            "day of month \"*/40\" is 1",
            "month \"*/18\" is 1",
            "day of week \"*/8\" is 0",
        ],
    );
    // As long as the range it means what it says, and an uneven one is what cron makes of it.
    for expression in [
        "*/60 */24 */31 */12 */7",
        "*/7 */5 * * *",
        "*/59 * * * *",
        "0-29/30 * * * *",
        "@every 90m",
        "@daily",
    ] {
        check(expression, &[]);
    }
}
