//! The table of all flags, and the help text made from it.

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
        help: "where to listen: HOST:PORT, :PORT for all addresses, or unix:PATH; may be repeated",
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
        name: "push-token-file",
        value: "FILE",
        default: "",
        help: "tokens, one a line, for pushes and for senders that leave; read when it changes",
    },
    Flag {
        name: "scrape-token-file",
        value: "FILE",
        default: "",
        help: "tokens for the rest but health: scrapes, /, /-/metrics, /api/v1/*, DELETE of series",
    },
    Flag {
        name: "gauge",
        value: "NAME=MODE",
        default: "",
        help: "merge gauges of this name by sum, last, max or min; * at an end; may be repeated",
    },
    Flag {
        name: "drop-label",
        value: "NAME",
        default: "",
        help: "drop this label before series are merged; * at an end; may be repeated",
    },
    Flag {
        name: "keep-summaries",
        value: "",
        default: "",
        help: "add up _sum and _count of summaries, which are discarded otherwise",
    },
    Flag {
        name: "native-buckets",
        value: "NUMBER",
        default: "160",
        help: "buckets of a native histogram; one with more becomes coarser; 0: classic ones only",
    },
    Flag {
        name: "push-times",
        value: "",
        default: "",
        help: "set push_time_seconds, with the labels of its path, at each push",
    },
    Flag {
        name: "sender-label",
        value: "NAME",
        default: "",
        help: "path label that names a sender: its pushes are totals; their increase is added",
    },
    Flag {
        name: "sender-timeout",
        value: "DURATION",
        default: "5m",
        help: "remove the gauges of senders that have not pushed for this long",
    },
    Flag {
        name: "sender-memory",
        value: "DURATION",
        default: "7d",
        help: "forget senders that have not pushed for this long; their next push is added in full",
    },
    Flag {
        name: "max-sender-series",
        value: "NUMBER",
        default: "1000000",
        help: "values remembered of all senders; if none is silent, a push beyond it gets 429",
    },
    Flag {
        name: "expire-after",
        value: "DURATION",
        default: "",
        help: "delete series that no push has updated for this long; at least 10s",
    },
    Flag {
        name: "enable-admin-api",
        value: "",
        default: "",
        help: "let DELETE remove series, and PUT /api/v1/admin/wipe everything or one family",
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
        help: "web pages that may read responses to pushes: *, none, or origins with commas",
    },
    Flag {
        name: "max-body-bytes",
        value: "BYTES",
        default: "16M",
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
        name: "max-idempotency-keys",
        value: "NUMBER",
        default: "1000000",
        help: "keys in 10 minutes; each is remembered for 10 to 20; more within one minute: 429",
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
        help: "how long a client may take to read a response, as a whole",
    },
    Flag {
        name: "idle-timeout",
        value: "DURATION",
        default: "2m",
        help: "how long a connection is kept between two requests",
    },
    Flag {
        name: "log-format",
        value: "FORMAT",
        default: "text",
        help: "format of the log on stderr: text or json",
    },
    Flag {
        name: "log-level",
        value: "LEVEL",
        default: "info",
        help: "least serious events that are logged: error, warn, info or debug",
    },
    Flag {
        name: "trusted-proxy",
        value: "ADDRESS",
        default: "",
        help: "a proxy that names senders in the log: an address, 10.0.0.0/8 or unix; may repeat",
    },
    Flag {
        name: "check",
        value: "",
        default: "",
        help: "say ok, or what is wrong with the flags and the files that they name, and exit",
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

/// The help text before and after the table.
const USAGE: &str = "\
Adds up pushed Prometheus metrics, until a scheduled reset if there is one; Prometheus scrapes
the sums at /metrics.

Usage: prometheus-aggregation-gateway [-FLAG VALUE | -FLAG=VALUE]...

";
const NOTATION: &str = "
Flags have one dash or two. BYTES: 65536, 64K, 16MiB (powers of 1024). NUMBER: 5000, 1e6.
DURATION: 90s, 2m, 1h30m, 1d, or a number of seconds.

Each setting can come from the environment as well, PAG_LISTEN for -listen; the flag overrides it.
Where a flag may be repeated, commas or line feeds stand between values there; where it takes none,
the variable is true or false.
";

/// The help text does not get wider, in characters.
const COLUMNS_MAX: usize = 100;

/// The help text.
#[must_use]
pub fn help() -> String {
    let widths = FLAGS
        .iter()
        .map(|flag| flag.name.len() + flag.value.len() + "  - ".len());
    let indent = widths.max().unwrap_or(0) + "  ".len();
    let mut text = USAGE.to_owned();
    for Flag {
        name,
        value,
        default,
        help,
    } in FLAGS
    {
        let mut line = format!("{:<indent$}", format!("  -{name} {value}"));
        let default = match *default {
            "" => String::new(),
            default => format!("(default {default})"),
        };
        for word in help
            .split(' ')
            .chain([&*default])
            .filter(|word| !word.is_empty())
        {
            if line.len() + word.len() > COLUMNS_MAX {
                text += line.trim_end();
                text.push('\n');
                line = " ".repeat(indent);
            }
            line += word;
            line.push(' ');
        }
        text += line.trim_end();
        text.push('\n');
    }
    text + NOTATION
}
