//! Flags to a [`Config`], and the help text, from one table.
//!
//! Invariant: what is in a `Config` can be used as it is. Flags are written the Go way, with one
//! dash or two, `-name value` or `-name=value`. Reads no environment, prints nothing.

mod flags;
mod values;

use std::ffi::OsString;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use pico_args::Arguments;

pub use self::flags::{FLAGS, Flag, help};
use self::values::{
    cors, dropped_label, file, gauge_rule, number, push_path, silence, timeout, workers,
};
use crate::excerpt::Excerpt;
use crate::listen::ListenAddress;
use crate::probe::Page;
use crate::rules::{Ages, PushTimes, Rules, Summaries};

/// What the process is to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Serve.
    Run(Config),
    /// Tell whether that would be possible.
    Check(Config),
    /// Print the next resets of a schedule.
    Next(Preview),
    /// Ask for a page, and tell whether it is answered.
    Probe(Page),
    /// Print the help text.
    Help,
    /// Print the version.
    Version,
}

/// The settings of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Where to listen.
    pub listen: ListenAddress,
    /// The origins whose pages may see responses to pushes: none, `*` alone for all, or a list.
    pub cors: Vec<String>,
    /// Begins with a slash and does not end in one; empty for the root.
    pub push_path: String,
    /// When to clear the aggregate, if ever.
    pub crontab: Option<String>,
    /// The file that pushes and resets are kept in, if any.
    pub journal: Option<PathBuf>,
    /// How pushes are merged.
    pub rules: Rules,
    /// How long a series may be silent, if it is not to stay for ever.
    pub expire_after: Option<Duration>,
    /// The tokens of those who may push, if not anyone may; a name without a slash is one of
    /// systemd's credentials.
    pub push_token_file: Option<PathBuf>,
    /// The tokens of those who may read and take away what is stored; the same.
    pub scrape_token_file: Option<PathBuf>,
    /// True if series can be deleted by requests.
    pub has_admin_api: bool,
    /// The longest body that is read, in bytes.
    pub body_bytes_max: usize,
    /// The most series in total.
    pub series_max: usize,
    /// The most labels of one series.
    pub labels_max: usize,
    /// The longest metric name, label name or label value, in bytes.
    pub label_bytes_max: usize,
    /// The most idempotency keys in a generation.
    pub keys_max: usize,
    /// Threads that answer requests.
    pub workers: NonZeroUsize,
    /// How many connections may be open; as many as the system allows if not said.
    pub connections_max: Option<usize>,
    /// Memory for what clients have sent and not read, in bytes; a part of the machine's if not
    /// said.
    pub buffered_bytes_max: Option<usize>,
    /// How long the head of a request may take.
    pub head_timeout: Duration,
    /// How long a body may take.
    pub body_timeout: Duration,
    /// How long an answer may take.
    pub answer_timeout: Duration,
    /// How long a connection is kept between two requests.
    pub idle_timeout: Duration,
}

/// Which resets of a schedule to print.
#[derive(Clone, Debug, PartialEq)]
pub struct Preview {
    /// The schedule.
    pub crontab: String,
    /// How many resets.
    pub resets: NonZeroUsize,
    /// The instant they come after, as written (RFC 3339); none is now.
    pub after: Option<String>,
}

/// Reads the arguments behind the program's name.
///
/// # Errors
/// One line that says which argument is wrong and what was expected.
pub fn read(arguments: impl IntoIterator<Item = OsString>) -> Result<Command, String> {
    let arguments = arguments.into_iter().flat_map(as_pico_args_knows_it);
    let mut arguments = Arguments::from_vec(arguments.collect());
    if arguments.contains("--help") || arguments.contains("-h") {
        return Ok(Command::Help);
    }
    if arguments.contains("--version") {
        return Ok(Command::Version);
    }
    let config = config(&mut arguments)?;
    let probe = given(&mut arguments, "--probe", str::parse)?;
    let check = arguments.contains("--check");
    let next = given(&mut arguments, "--next", number)?;
    let after = given(&mut arguments, "--after", |instant| Ok(instant.to_owned()))?;
    if let Some(argument) = arguments.finish().first() {
        return Err(unexpected(&argument.to_string_lossy()));
    }
    if let Some(page) = probe {
        return Ok(Command::Probe(page));
    }
    match (next, config.crontab, after) {
        (None, crontab, None) => {
            let config = Config { crontab, ..config };
            Ok(if check {
                Command::Check(config)
            } else {
                Command::Run(config)
            })
        }
        (Some(resets), Some(crontab), after) => Ok(Command::Next(Preview {
            crontab,
            resets,
            after,
        })),
        (Some(_), None, _) => Err("flag -next needs -crontab".to_owned()),
        (None, _, Some(_)) => Err("flag -after needs -next".to_owned()),
    }
}

/// The settings of a run.
fn config(arguments: &mut Arguments) -> Result<Config, String> {
    let label_bytes_max = value(arguments, "--max-label-bytes", number)?.get();
    let expire_after = given(arguments, "--expire-after", silence)?;
    Ok(Config {
        expire_after,
        has_admin_api: arguments.contains("--enable-admin-api"),
        listen: value(arguments, "--listen", str::parse)?,
        cors: value(arguments, "--cors", cors)?,
        push_path: value(arguments, "--push-path", push_path)?,
        crontab: given(arguments, "--crontab", |expression| {
            Ok(expression.to_owned())
        })?,
        journal: given(arguments, "--journal", file)?,
        push_token_file: given(arguments, "--push-token-file", file)?,
        scrape_token_file: given(arguments, "--scrape-token-file", file)?,
        rules: rules(arguments, expire_after, label_bytes_max)?,
        body_bytes_max: value(arguments, "--max-body-bytes", number)?.get(),
        series_max: value(arguments, "--max-series", number)?.get(),
        labels_max: value(arguments, "--max-labels", number)?.get(),
        label_bytes_max,
        keys_max: value(arguments, "--max-idempotency-keys", number)?.get(),
        workers: value(arguments, "--workers", workers)?,
        connections_max: given(arguments, "--max-connections", number)?.map(Into::into),
        buffered_bytes_max: given(arguments, "--max-buffered-bytes", number)?.map(Into::into),
        head_timeout: value(arguments, "--head-timeout", timeout)?,
        body_timeout: value(arguments, "--body-timeout", timeout)?,
        answer_timeout: value(arguments, "--answer-timeout", timeout)?,
        idle_timeout: value(arguments, "--idle-timeout", timeout)?,
    })
}

/// What the flags decide about merging.
fn rules(
    arguments: &mut Arguments,
    expire_after: Option<Duration>,
    label_bytes_max: usize,
) -> Result<Rules, String> {
    let gauges = repeated(arguments, "--gauge", gauge_rule)?;
    let dropped_labels = repeated(arguments, "--drop-label", dropped_label)?;
    let ages = match expire_after {
        Some(_) => Ages::Kept,
        None => Ages::NotKept,
    };
    let summaries = if arguments.contains("--keep-summaries") {
        Summaries::Kept
    } else {
        Summaries::Discarded
    };
    let push_times = if arguments.contains("--push-times") {
        PushTimes::Set
    } else {
        PushTimes::NotSet
    };
    let rules = Rules::new(gauges, dropped_labels, ages)
        .with_help_bytes_max(label_bytes_max)
        .with_summaries(summaries)
        .with_push_times(push_times);
    Ok(rules)
}

/// pico-args knows `--name value`; Go's flags are as often written `-name=value`.
fn as_pico_args_knows_it(argument: OsString) -> Vec<OsString> {
    let known = argument.to_str().and_then(|text| {
        let (flag, value) = match text.split_once('=') {
            Some((flag, value)) => (flag, Some(value)),
            None => (text, None),
        };
        let name = flag.strip_prefix("--").or(flag.strip_prefix('-'))?;
        let known = FLAGS.iter().find(|known| known.name == name)?;
        let takes_value = !known.value.is_empty();
        (takes_value || value.is_none()).then_some((name, value))
    });
    match known {
        None => vec![argument],
        Some((name, value)) => {
            let flag = format!("--{name}");
            [Some(flag.as_str()), value]
                .into_iter()
                .flatten()
                .map(OsString::from)
                .collect()
        }
    }
}

/// The value of a flag, or its default.
fn value<T>(
    arguments: &mut Arguments,
    flag: &'static str,
    read: fn(&str) -> Result<T, String>,
) -> Result<T, String> {
    if let Some(value) = given(arguments, flag, read)? {
        return Ok(value);
    }
    let default = FLAGS
        .iter()
        .find(|known| flag.strip_prefix("--") == Some(known.name));
    read(default.map_or("", |flag| flag.default))
}

/// The value of a flag, if it is given.
fn given<T>(
    arguments: &mut Arguments,
    flag: &'static str,
    read: fn(&str) -> Result<T, String>,
) -> Result<Option<T>, String> {
    let given = arguments.opt_value_from_fn(flag, read);
    given.map_err(|error| wrong_value(flag, error))
}

/// The values of a flag that may be repeated, in their order.
fn repeated<T>(
    arguments: &mut Arguments,
    flag: &'static str,
    read: fn(&str) -> Result<T, String>,
) -> Result<Vec<T>, String> {
    let given = arguments.values_from_fn(flag, read);
    given.map_err(|error| wrong_value(flag, error))
}

fn wrong_value(flag: &'static str, error: pico_args::Error) -> String {
    let flag = &flag[1..];
    match error {
        pico_args::Error::Utf8ArgumentParsingFailed { cause, .. } => {
            format!("flag {flag}: {cause}")
        }
        pico_args::Error::OptionWithoutAValue(_) => format!("flag {flag} needs a value"),
        error => format!("flag {flag}: {error}"),
    }
}

fn unexpected(argument: &str) -> String {
    let found = Excerpt::of(argument);
    let flag = argument.split('=').next().unwrap_or_default();
    let known = FLAGS
        .iter()
        .find(|known| flag.strip_prefix("--") == Some(known.name));
    let known = known.or(FLAGS
        .iter()
        .find(|known| flag.strip_prefix('-') == Some(known.name)));
    match known {
        Some(known) if known.value.is_empty() => {
            format!(
                "flag -{} takes no value and is given once, found {found}",
                known.name
            )
        }
        Some(known) => format!("flag -{} is given twice", known.name),
        None if argument.starts_with('-') => format!("unknown flag {found}; see -help"),
        None => format!("unexpected argument {found}; see -help"),
    }
}
