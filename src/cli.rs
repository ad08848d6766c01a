//! Flags to a [`Config`], and the help text, from one table.
//!
//! Invariant: what is in a `Config` can be used as it is. Flags are written the Go way, with one
//! dash or two, `-name value` or `-name=value`. Reads no environment, prints nothing.

use std::ffi::OsString;
use std::fmt::Write;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use pico_args::Arguments;

use crate::duration::whole_seconds;
use crate::excerpt::Excerpt;
use crate::listen::ListenAddress;
use crate::probe::Page;

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
    /// The longest body that is read, in bytes.
    pub body_bytes_max: usize,
    /// The most series in total.
    pub series_max: usize,
    /// The most labels of one series.
    pub labels_max: usize,
    /// The longest metric name, label name or label value, in bytes.
    pub label_bytes_max: usize,
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

/// A flag as the help text shows it.
pub struct Flag {
    /// Without its dash.
    pub name: &'static str,
    /// What stands for its value; empty when it takes none.
    pub value: &'static str,
    /// What it is without being given; empty for nothing.
    pub default: &'static str,
    /// One line.
    pub help: &'static str,
}

/// Every flag there is.
pub const FLAGS: &[Flag] = &[
    Flag {
        name: "listen",
        value: "ADDRESS",
        default: ":9091",
        help: "where to listen: HOST:PORT, or :PORT for all addresses, IPv6 and IPv4",
    },
    Flag {
        name: "crontab",
        value: "EXPRESSION",
        default: "",
        help: "when to clear the aggregate: five crontab fields, @hourly ..., or @every 90s",
    },
    Flag {
        name: "next",
        value: "NUMBER",
        default: "",
        help: "print the next resets of -crontab, one a line in local time, and exit",
    },
    Flag {
        name: "after",
        value: "INSTANT",
        default: "",
        help: "with -next: print those after this instant (RFC 3339) instead of now",
    },
    Flag {
        name: "journal",
        value: "FILE",
        default: "",
        help: "keep pushes and resets in this file, so that the sums outlive the process",
    },
    Flag {
        name: "push-path",
        value: "PATH",
        default: "/metrics/",
        help: "where to push to; labels may follow it: PATH/job/x/instance/y",
    },
    Flag {
        name: "cors",
        value: "ORIGINS",
        default: "*",
        help: "whose pages may see responses to pushes: *, or origins with commas; empty for none",
    },
    Flag {
        name: "max-body-bytes",
        value: "BYTES",
        default: "16777216",
        help: "the longest body of a push; a longer one is refused with 413",
    },
    Flag {
        name: "max-series",
        value: "NUMBER",
        default: "1000000",
        help: "series in total; a push that would make more is refused with 429",
    },
    Flag {
        name: "max-labels",
        value: "NUMBER",
        default: "64",
        help: "labels of one series, those of the path included; beyond it: 400",
    },
    Flag {
        name: "max-label-bytes",
        value: "BYTES",
        default: "4096",
        help: "the longest metric name, label name or label value (else 400); HELP is cut there",
    },
    Flag {
        name: "workers",
        value: "NUMBER",
        default: "4",
        help: "threads that merge and render; at least 3 are started",
    },
    Flag {
        name: "max-connections",
        value: "NUMBER",
        default: "",
        help: "open connections; beyond it the oldest idle ones are closed (default: by ulimit -n)",
    },
    Flag {
        name: "max-buffered-bytes",
        value: "BYTES",
        default: "",
        help: "memory for requests and unread responses (default: 1/4 of all, up to 512 MiB)",
    },
    Flag {
        name: "head-timeout",
        value: "DURATION",
        default: "10s",
        help: "how long the head of a request may take to arrive, as a whole; then it gets 408",
    },
    Flag {
        name: "body-timeout",
        value: "DURATION",
        default: "30s",
        help: "how long a body may take to arrive, as a whole; then it is refused with 408",
    },
    Flag {
        name: "answer-timeout",
        value: "DURATION",
        default: "30s",
        help: "how long an answer may take to be read, as a whole",
    },
    Flag {
        name: "idle-timeout",
        value: "DURATION",
        default: "2m",
        help: "how long a connection is kept between two requests",
    },
    Flag {
        name: "check",
        value: "",
        default: "",
        help: "say ok if the flags and the journal's format are right, or what is not, and exit",
    },
    Flag {
        name: "probe",
        value: "URL",
        default: "",
        help: "exit with 0 if http://HOST:PORT/-/healthy, or another page, answers 200, else 1",
    },
    Flag {
        name: "version",
        value: "",
        default: "",
        help: "print the version and exit",
    },
    Flag {
        name: "help",
        value: "",
        default: "",
        help: "print this text and exit",
    },
];

/// More threads than that are of no use, and often not to be had.
const WORKERS_MAX: usize = 1024;

/// The help text.
#[must_use]
pub fn help() -> String {
    let mut text = String::from(
        "Adds up pushed Prometheus metrics until the next scheduled reset; Prometheus scrapes the \
         sums at /metrics.\n\nUsage: prometheus-aggregation-gateway [-FLAG VALUE | -FLAG=VALUE]...\
         \n\n",
    );
    for Flag {
        name,
        value,
        default,
        help,
    } in FLAGS
    {
        let flag = format!("-{name} {value}");
        let default = match *default {
            "" => String::new(),
            default => format!(" (default {default})"),
        };
        writeln!(text, "  {flag:<22} {help}{default}").expect("a String takes what is written");
    }
    text
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
    let config = Config {
        listen: value(&mut arguments, "--listen", str::parse)?,
        cors: value(&mut arguments, "--cors", cors)?,
        push_path: value(&mut arguments, "--push-path", push_path)?,
        crontab: given(&mut arguments, "--crontab", |expression| {
            Ok(expression.to_owned())
        })?,
        journal: given(&mut arguments, "--journal", file)?,
        body_bytes_max: value(&mut arguments, "--max-body-bytes", number)?.get(),
        series_max: value(&mut arguments, "--max-series", number)?.get(),
        labels_max: value(&mut arguments, "--max-labels", number)?.get(),
        label_bytes_max: value(&mut arguments, "--max-label-bytes", number)?.get(),
        workers: value(&mut arguments, "--workers", workers)?,
        connections_max: given(&mut arguments, "--max-connections", number)?.map(Into::into),
        buffered_bytes_max: given(&mut arguments, "--max-buffered-bytes", number)?.map(Into::into),
        head_timeout: value(&mut arguments, "--head-timeout", timeout)?,
        body_timeout: value(&mut arguments, "--body-timeout", timeout)?,
        answer_timeout: value(&mut arguments, "--answer-timeout", timeout)?,
        idle_timeout: value(&mut arguments, "--idle-timeout", timeout)?,
    };
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
    arguments.opt_value_from_fn(flag, read).map_err(|error| {
        let flag = &flag[1..];
        match error {
            pico_args::Error::Utf8ArgumentParsingFailed { cause, .. } => {
                format!("flag {flag}: {cause}")
            }
            pico_args::Error::OptionWithoutAValue(_) => format!("flag {flag} needs a value"),
            error => format!("flag {flag}: {error}"),
        }
    })
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

/// Nothing, a star, or origins (RFC 6454 section 6.2) with commas or blanks between them.
fn cors(origins: &str) -> Result<Vec<String>, String> {
    let is_separator = |character: char| character == ',' || character == ' ';
    let listed = origins
        .split(is_separator)
        .filter(|origin| !origin.is_empty());
    let listed: Vec<String> = listed.map(ToOwned::to_owned).collect();
    let is_visible = |origin: &String| origin.bytes().all(|byte| byte.is_ascii_graphic());
    let has_star = listed.iter().any(|origin| origin == "*");
    if !listed.iter().all(is_visible) || (has_star && listed.len() > 1) {
        let found = Excerpt::of(origins);
        return Err(format!("expected * or an origin, found {found}"));
    }
    Ok(listed)
}

fn push_path(path: &str) -> Result<String, String> {
    let is_path_byte = |byte: u8| byte.is_ascii_graphic() && !b"?#%".contains(&byte);
    if !path.starts_with('/') || path.contains("//") || !path.bytes().all(is_path_byte) {
        let found = Excerpt::of(path);
        return Err(format!("expected a path such as /metrics/, found {found}"));
    }
    Ok(path.trim_end_matches('/').to_owned())
}

fn file(path: &str) -> Result<PathBuf, String> {
    match path {
        "" => Err("expected the path of a file".to_owned()),
        path => Ok(PathBuf::from(path)),
    }
}

fn number(text: &str) -> Result<NonZeroUsize, String> {
    let found = Excerpt::of(text);
    text.parse()
        .map_err(|_| format!("expected a whole number from 1, found {found}"))
}

fn timeout(text: &str) -> Result<Duration, String> {
    let timeout = whole_seconds(text).map(Duration::from_secs);
    timeout.map_err(|fault| format!("{}: {fault}", Excerpt::of(text)))
}

fn workers(text: &str) -> Result<NonZeroUsize, String> {
    let found = Excerpt::of(text);
    let workers = number(text)
        .ok()
        .filter(|workers| workers.get() <= WORKERS_MAX);
    workers.ok_or_else(|| format!("expected a whole number from 1 to {WORKERS_MAX}, found {found}"))
}
