//! Flags and variables that are not ours: which one was meant, perhaps.

use super::flags::FLAGS;
use super::given::{VARIABLE_PREFIX, variable_name};
use crate::excerpt::Excerpt;

/// A name with more differences than this is another name.
const DIFFERENCES_MAX: usize = 2;

/// A longer name is compared with nothing: the comparison takes time that grows with its square.
const NAME_BYTES_MAX: usize = 64;

/// A part of a name shorter than this says nothing.
const PART_BYTES_MIN: usize = 4;

/// Flags of other programs that do what this one does (prometheus/pushgateway,
/// zapier/prom-aggregation-gateway), and names that are common for such things, with what to do
/// instead.
const OTHERS: &[(&str, &str)] = &[
    ("web.listen-address", "use -listen"),
    (
        "web.telemetry-path",
        "scrapes are at /metrics, pushes at -push-path",
    ),
    (
        "web.route-prefix",
        "-push-path moves pushes; for the rest, use a reverse proxy",
    ),
    ("web.external-url", "leave it out, it is not needed"),
    ("web.enable-lifecycle", "leave it out and send SIGTERM"),
    ("web.enable-admin-api", "use -enable-admin-api"),
    (
        "web.config.file",
        "use -push-token-file and -scrape-token-file, and a reverse proxy for TLS",
    ),
    (
        "web.systemd-socket",
        "leave it out: sockets that systemd passes are taken",
    ),
    ("persistence.file", "use -journal"),
    (
        "persistence.interval",
        "leave it out: -journal keeps each push before it is acknowledged",
    ),
    (
        "push.disable-consistency-check",
        "leave it out: a push that contradicts the sums is always refused",
    ),
    ("apiListen", "use -listen"),
    (
        "lifecycleListen",
        "leave it out: /-/healthy, /-/ready and /-/metrics are at -listen",
    ),
    (
        "AuthUsers",
        "use -push-token-file: any user, and the token as password",
    ),
    ("gaugeBehavior", "use -gauge '*=last' or -gauge '*=sum'"),
    (
        "metricBatchSize",
        "leave it out: each push is merged at once",
    ),
    ("port", "use -listen :PORT"),
    ("address", "use -listen"),
    ("addr", "use -listen"),
    ("bind", "use -listen"),
    ("host", "use -listen HOST:PORT"),
    ("socket", "use -listen unix:PATH"),
    (
        "config",
        "there is no configuration file: use flags or variables such as PAG_LISTEN",
    ),
    (
        "config.file",
        "there is no configuration file: use flags or variables such as PAG_LISTEN",
    ),
    ("cron", "use -crontab"),
    ("schedule", "use -crontab"),
    ("storage", "use -journal"),
    ("data-dir", "use -journal"),
    ("ttl", "use -expire-after"),
    ("v", "use -version"),
];

/// One line about a flag that there is not; `flag` is as written, without its value.
pub fn unknown_flag(flag: &str) -> String {
    let found = Excerpt::of(flag);
    let name = letters(flag);
    let of_others = OTHERS.iter().find(|(other, _)| letters(other) == name);
    match (of_others, nearest(&name)) {
        (Some((_, advice)), _) => format!("unknown flag {found}: {advice}; see -help"),
        (None, Some(meant)) => format!("unknown flag {found}: did you mean -{meant}? See -help"),
        (None, None) => format!("unknown flag {found}; see -help"),
    }
}

/// One line about an argument that is no flag.
pub fn unexpected_argument(argument: &str) -> String {
    let found = Excerpt::of(argument);
    match nearest(&letters(argument)) {
        Some(meant) => {
            format!("unexpected argument {found}: did you mean -{meant}? See -help")
        }
        None => format!("unexpected argument {found}; see -help"),
    }
}

/// One line about a variable that begins like ours. What is in it is not shown.
pub fn unknown_variable(name: &str) -> String {
    let found = Excerpt::of(name);
    let flag = name.strip_prefix(VARIABLE_PREFIX).unwrap_or(name);
    match nearest(&letters(flag)) {
        Some(meant) if variable_name(meant) == name => {
            format!("variable {found} has no effect: -{meant} is a command, not a setting")
        }
        Some(meant) => {
            let meant = variable_name(meant);
            format!("variable {found} has no effect: did you mean {meant}?")
        }
        None => format!("variable {found} has no effect: no flag has this name; see -help"),
    }
}

/// The letters and digits of a name: `maxSeries`, `max_series` and `--max.series` are one.
fn letters(name: &str) -> String {
    let letters = name.chars().filter(char::is_ascii_alphanumeric);
    letters.map(|letter| letter.to_ascii_lowercase()).collect()
}

/// The name of the flag that was meant, if one is near.
fn nearest(name: &str) -> Option<&'static str> {
    if name.len() > NAME_BYTES_MAX {
        return None;
    }
    let differences = FLAGS.iter().map(|flag| {
        let known = letters(flag.name);
        (differences(name.as_bytes(), known.as_bytes()), flag.name)
    });
    let (count, meant) = differences.min()?;
    // Two of four letters make another word.
    if count <= DIFFERENCES_MAX && count * 3 <= name.len() {
        return Some(meant);
    }
    let is_part = |known: &String| name.len() >= PART_BYTES_MIN && known.contains(name);
    let mut longer = FLAGS.iter().filter(|flag| is_part(&letters(flag.name)));
    let only = longer.next()?;
    longer.next().is_none().then_some(only.name)
}

/// How many letters to insert, leave out, replace or exchange with the next one (the optimal string
/// alignment distance).
fn differences(from: &[u8], to: &[u8]) -> usize {
    let mut two_above: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=to.len()).collect();
    for (i, &letter) in (1..).zip(from) {
        let mut next = vec![i];
        for (j, &other) in (1..).zip(to) {
            let replaced = above[j - 1] + usize::from(letter != other);
            let mut least = replaced.min(above[j] + 1).min(next[j - 1] + 1);
            if i > 1 && j > 1 && letter == to[j - 2] && from[i - 2] == other {
                least = least.min(two_above[j - 2] + 1);
            }
            next.push(least);
        }
        two_above = std::mem::replace(&mut above, next);
    }
    above[to.len()]
}
