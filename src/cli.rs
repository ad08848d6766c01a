//! Flags to a [`Config`], and the help text, from one table.
//!
//! Invariant: what is in a `Config` can be used as it is. Flags are written the Go way, with one
//! dash or two, `-name value` or `-name=value`. The variables of the environment are an argument;
//! prints nothing.

mod flags;
mod given;
mod near_miss;
mod senders;
mod values;

use std::ffi::OsString;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

pub use self::flags::{FLAGS, Flag, help};
use self::given::{Given, given, repeated, repeated_or_default, switch, value};
pub use self::senders::SenderLimits;
use self::values::{
    cors, dropped_label, file, gauge_rule, number, number_or_zero, push_path, silence, size,
    timeout, workers,
};
use crate::listen::{LISTENERS_MAX, ListenAddress};
use crate::log::{Level, LogFormat};
use crate::probe::ProbeUrl;
use crate::proxy::TrustedProxy;
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
    Probe(ProbeUrl),
    /// Print the help text.
    Help,
    /// Print the version.
    Version,
}

/// The settings of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Where to listen: at all of these.
    pub listen: Vec<ListenAddress>,
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
    /// What is remembered of senders, if there are any.
    pub senders: Option<SenderLimits>,
    /// How long a series may be silent, if it is not to stay for ever.
    pub expire_after: Option<Duration>,
    /// The tokens of those who may push, if not anyone may; a name without a slash is one of
    /// systemd's credentials.
    pub push_token_file: Option<PathBuf>,
    /// The tokens of those who may read and take away what is stored; the same.
    pub scrape_token_file: Option<PathBuf>,
    /// True if series can be deleted by requests.
    pub has_admin_api: bool,
    /// How lines of the log look.
    pub log_format: LogFormat,
    /// Less serious events are not logged.
    pub log_level: Level,
    /// Proxies that say who has sent a request.
    pub trusted_proxies: Vec<TrustedProxy>,
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

/// What was asked for, and what may be wrong with how.
#[derive(Clone, Debug, PartialEq)]
pub struct Invocation {
    /// What to do.
    pub command: Command,
    /// One line each.
    pub warnings: Vec<String>,
}

/// Reads the arguments behind the program's name, and the variables of the environment.
///
/// # Errors
/// One line that says which argument or variable is wrong and what was expected.
pub fn read(
    arguments: impl IntoIterator<Item = OsString>,
    variables: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<Invocation, String> {
    let mut given = Given::new(arguments, variables);
    let told = |command| Invocation {
        command,
        warnings: Vec::new(),
    };
    if given.has("--help") || given.has("-h") {
        return Ok(told(Command::Help));
    }
    if given.has("--version") {
        return Ok(told(Command::Version));
    }
    let config = config(&mut given)?;
    let probe = given.of_command("--probe", str::parse)?;
    let has_check = given.has("--check");
    let next = given.of_command("--next", number)?;
    let after = given.of_command("--after", |instant| Ok(instant.to_owned()))?;
    let warnings = given.finish()?;
    if let Some(page) = probe {
        // A health check would say them again and again.
        return Ok(told(Command::Probe(page)));
    }
    let command = match (next, &config.crontab, after) {
        (None, _, None) if has_check => Command::Check(config),
        (None, _, None) => Command::Run(config),
        (Some(resets), Some(crontab), after) => Command::Next(Preview {
            crontab: crontab.clone(),
            resets,
            after,
        }),
        (Some(_), None, _) => return Err("flag -next needs -crontab".to_owned()),
        (None, _, Some(_)) => return Err("flag -after needs -next".to_owned()),
    };
    Ok(Invocation { command, warnings })
}

/// The settings of a run.
fn config(from: &mut Given) -> Result<Config, String> {
    let listen = repeated_or_default(from, "--listen", str::parse)?;
    if listen.len() > LISTENERS_MAX {
        return Err(format!("flag -listen: at most {LISTENERS_MAX} addresses"));
    }
    let label_bytes_max = value(from, "--max-label-bytes", size)?.get();
    let expire_after = given(from, "--expire-after", silence)?;
    let rules = rules(from, expire_after, label_bytes_max)?;
    let (rules, senders) = senders::read(from, rules)?;
    Ok(Config {
        expire_after,
        has_admin_api: switch(from, "--enable-admin-api")?,
        listen,
        cors: value(from, "--cors", cors)?,
        push_path: value(from, "--push-path", push_path)?,
        crontab: given(from, "--crontab", |expression| Ok(expression.to_owned()))?,
        journal: given(from, "--journal", file)?,
        push_token_file: given(from, "--push-token-file", file)?,
        scrape_token_file: given(from, "--scrape-token-file", file)?,
        rules,
        senders,
        log_format: value(from, "--log-format", str::parse)?,
        log_level: value(from, "--log-level", str::parse)?,
        trusted_proxies: repeated(from, "--trusted-proxy", str::parse)?,
        body_bytes_max: value(from, "--max-body-bytes", size)?.get(),
        series_max: value(from, "--max-series", number)?.get(),
        labels_max: value(from, "--max-labels", number)?.get(),
        label_bytes_max,
        keys_max: value(from, "--max-idempotency-keys", number)?.get(),
        workers: value(from, "--workers", workers)?,
        connections_max: given(from, "--max-connections", number)?.map(Into::into),
        buffered_bytes_max: given(from, "--max-buffered-bytes", size)?.map(Into::into),
        head_timeout: value(from, "--head-timeout", timeout)?,
        body_timeout: value(from, "--body-timeout", timeout)?,
        answer_timeout: value(from, "--answer-timeout", timeout)?,
        idle_timeout: value(from, "--idle-timeout", timeout)?,
    })
}

/// What the flags decide about merging.
fn rules(
    from: &mut Given,
    expire_after: Option<Duration>,
    label_bytes_max: usize,
) -> Result<Rules, String> {
    let gauges = repeated(from, "--gauge", gauge_rule)?;
    let dropped_labels = repeated(from, "--drop-label", dropped_label)?;
    let ages = match expire_after {
        Some(_) => Ages::Kept,
        None => Ages::NotKept,
    };
    let summaries = if switch(from, "--keep-summaries")? {
        Summaries::Kept
    } else {
        Summaries::Discarded
    };
    let push_times = if switch(from, "--push-times")? {
        PushTimes::Set
    } else {
        PushTimes::NotSet
    };
    let rules = Rules::new(gauges, dropped_labels, ages)
        .with_help_bytes_max(label_bytes_max)
        .with_native_buckets_max(value(from, "--native-buckets", number_or_zero)?)
        .with_summaries(summaries)
        .with_push_times(push_times);
    Ok(rules)
}
