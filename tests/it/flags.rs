//! Flags and variables as people write them: what is read, and what is said of what is not.

use std::ffi::OsString;
use std::time::Duration;

use prometheus_aggregation_gateway::cli::{self, Command, Config, Invocation};

use crate::running_gateway::command;

fn read(flags: &[&str], variables: &[(&str, &str)]) -> Result<Invocation, String> {
    let flags = flags.iter().map(OsString::from);
    let variables = variables.iter();
    let variables = variables.map(|(name, value)| (OsString::from(name), OsString::from(value)));
    cli::read(flags, variables)
}

#[track_caller]
fn config(flags: &[&str], variables: &[(&str, &str)]) -> Config {
    match read(flags, variables) {
        Ok(Invocation {
            command: Command::Run(config),
            warnings,
        }) if warnings.is_empty() => config,
        outcome => panic!("{flags:?}, {variables:?}: {outcome:?}"),
    }
}

#[track_caller]
fn refused(flags: &[&str], variables: &[(&str, &str)], line: &str) {
    assert_eq!(read(flags, variables), Err(line.to_owned()));
}

#[test]
fn sizes() {
    for (text, bytes) in [
        ("1", 1),
        ("65536", 65536),
        ("64K", 65536),
        ("64k", 65536),
        ("64Ki", 65536),
        ("64KiB", 65536),
        ("64kb", 65536),
        ("64B", 64),
        ("16M", 16 << 20),
        ("16MiB", 16 << 20),
        ("2G", 2 << 30),
        ("1T", 1 << 40),
        ("1e6", 1_000_000),
        ("2E3k", 2_048_000),
        ("007", 7),
    ] {
        let read = config(&["-max-body-bytes", text], &[]).body_bytes_max;
        assert_eq!(read, bytes, "{text}");
    }
    for text in [
        "",
        "0",
        "0K",
        "K",
        "-1",
        "+1",
        "1.5M",
        "1 M",
        "1MK",
        "1Kii",
        "1i",
        "1iB",
        "1MiBs",
        "e6",
        "1e",
        "1e-3",
        "1e99",
        "16777216T",
        "99999999999999999999",
        "1_000",
        "\u{664}",
    ] {
        let found = match text {
            "" => "nothing".to_owned(),
            text => format!("`{text}`"),
        };
        let line = format!("expected a size in bytes such as 65536, 64K or 16MiB, found {found}");
        for flag in ["max-body-bytes", "max-label-bytes", "max-buffered-bytes"] {
            refused(
                &[&format!("-{flag}={text}")],
                &[],
                &format!("flag -{flag}: {line}"),
            );
        }
    }
}

#[test]
fn durations() {
    for (text, seconds) in [
        ("1", 1),
        ("90", 90),
        ("1.9", 1),
        ("90s", 90),
        ("1h30m", 5400),
        ("1d", 86400),
        ("1d12h", 129_600),
        ("2w", 1_209_600),
        ("1500ms", 1),
        (".5m", 30),
    ] {
        let read = config(&["-idle-timeout", text], &[]).idle_timeout;
        assert_eq!(read, Duration::from_secs(seconds), "{text}");
    }
    for (text, line) in [
        (
            "",
            "a duration such as 90s, 2m, 1h30m, 1d or 90, found nothing",
        ),
        (
            "x",
            "a duration such as 90s, 2m, 1h30m, 1d or 90, found `x`",
        ),
        (
            "1y",
            "a duration such as 90s, 2m, 1h30m, 1d or 90, found `1y`",
        ),
        (
            "1d5",
            "a duration such as 90s, 2m, 1h30m, 1d or 90, found `1d5`",
        ),
        (
            "1 s",
            "a duration such as 90s, 2m, 1h30m, 1d or 90, found `1 s`",
        ),
        (
            "-5",
            "a duration such as 90s, 2m, 1h30m, 1d or 90, found `-5`",
        ),
        ("0", "a duration of at least 1s, found `0`"),
        ("999ms", "a duration of at least 1s, found `999ms`"),
        ("106752d", "a duration of at most 106751d, found `106752d`"),
        (
            "340282366920938463463374607431768211455.9h",
            "a duration of at most 106751d, found `340282366920938463463374607431768211455.9h`",
        ),
        (
            "99999999999999999999999999999999999999999999",
            "a duration of at most 106751d, found `99999999999999999999999999999999999999999999`",
        ),
    ] {
        for flag in ["head", "body", "answer", "idle"] {
            let line = format!("flag -{flag}-timeout: expected {line}");
            refused(&[&format!("-{flag}-timeout={text}")], &[], &line);
        }
    }
    refused(
        &["-expire-after", "9"],
        &[],
        "flag -expire-after: expected at least 10s, found `9`",
    );
    // The crontab's durations are robfig/cron's.
    let output = command(&["-crontab", "@every 1d", "-check"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn numbers() {
    for (text, number) in [("5", 5), ("1e6", 1_000_000), ("25E2", 2500), ("3e0", 3)] {
        assert_eq!(config(&["-max-series", text], &[]).series_max, number);
    }
    for text in ["0", "0e5", "1M", "1e", "e", "1.5e3", "1e30", "x"] {
        refused(
            &["-max-series", text],
            &[],
            &format!(
                "flag -max-series: expected a whole number from 1, such as 5000 or 1e6, found \
                 `{text}`"
            ),
        );
    }
}

/// A flag of another program, and what is nearly one of ours.
#[test]
fn other_names() {
    for (flag, meant) in [
        ("--web.listen-address", "use -listen"),
        (
            "--web.telemetry-path=/m",
            "scrapes are at /metrics, pushes at -push-path",
        ),
        ("--persistence.file", "use -journal"),
        (
            "--AuthUsers=user:secret",
            "use -push-token-file: any user, and the token as password",
        ),
        ("--apiListen", "use -listen"),
        ("-port", "use -listen :PORT"),
        ("-v", "use -version"),
    ] {
        let shown = flag.split('=').next().unwrap();
        refused(
            &[flag],
            &[],
            &format!("unknown flag `{shown}`: {meant}; see -help"),
        );
    }
    for (flag, meant) in [
        ("--lisen", "listen"),
        ("-lsiten=:80", "listen"),
        ("-Listen", "listen"),
        ("--max_series", "max-series"),
        ("--maxBodyBytes", "max-body-bytes"),
        ("--pushpath", "push-path"),
        ("-cron-tab", "crontab"),
        ("-admin-api", "enable-admin-api"),
        ("-max-body-size", "max-body-bytes"),
        ("-token-file", ""),
        ("-nonsense", ""),
        ("---cors", "cors"),
        ("-x", ""),
        ("-", ""),
    ] {
        let shown = flag.split('=').next().unwrap();
        let line = match meant {
            "" => format!("unknown flag `{shown}`; see -help"),
            meant => format!("unknown flag `{shown}`: did you mean -{meant}? See -help"),
        };
        if flag == "-max-body-size" {
            // Three letters are too many.
            refused(&[flag], &[], &format!("unknown flag `{shown}`; see -help"));
            continue;
        }
        refused(&[flag], &[], &line);
    }
    refused(
        &["listen", ":80"],
        &[],
        "unexpected argument `listen`: did you mean -listen? See -help",
    );
    refused(
        &["listen=:80"],
        &[],
        "unexpected argument `listen`: did you mean -listen? See -help",
    );
    refused(
        &["nonsense"],
        &[],
        "unexpected argument `nonsense`; see -help",
    );
    let long = format!("-{}", "x".repeat(100_000));
    assert!(read(&[&long], &[]).is_err_and(|line| line.len() < 100));
}

#[test]
fn variables() {
    let config = config(
        &["-max-series", "7", "-gauge", "a=max"],
        &[
            ("PAG_LISTEN", ":1, 127.0.0.1:2\nunix:/run/x.sock,"),
            ("PAG_MAX_BODY_BYTES", "2M"),
            ("PAG_MAX_SERIES", "what a flag beats is not read"),
            ("PAG_IDLE_TIMEOUT", ""),
            ("PAG_GAUGE", "b=min"),
            ("PAG_DROP_LABEL", "pod,\n x_*"),
            ("PAG_ENABLE_ADMIN_API", "True"),
            ("PAG_CORS", "none"),
            ("PATH", "/bin"),
        ],
    );
    let listen: Vec<String> = config.listen.iter().map(ToString::to_string).collect();
    assert_eq!(listen, [":1", "127.0.0.1:2", "unix:/run/x.sock"]);
    assert_eq!((config.body_bytes_max, config.series_max), (2 << 20, 7));
    assert_eq!(config.idle_timeout, Duration::from_secs(120));
    assert!(config.has_admin_api && config.cors.is_empty());
    let rules = config.rules.to_string();
    assert!(
        rules.contains("gauge max a\n") && !rules.contains("min b"),
        "{rules}"
    );
    assert!(
        rules.contains("drop-label pod\ndrop-label x_*\n"),
        "{rules}"
    );
}

#[test]
fn wrong_variables() {
    let size = "expected a size in bytes such as 65536, 64K or 16MiB, found `x`";
    refused(
        &[],
        &[("PAG_MAX_BODY_BYTES", "x")],
        &format!("variable PAG_MAX_BODY_BYTES: {size}"),
    );
    refused(
        &[],
        &[("PAG_ENABLE_ADMIN_API", "yes")],
        "variable PAG_ENABLE_ADMIN_API: expected true or false, found `yes`",
    );
    refused(
        &[],
        &[("PAG_GAUGE", "a=max,b")],
        "variable PAG_GAUGE: expected NAME=MODE, found `b`",
    );
    let warned = |name: &str, line: &str| {
        let read = read(&[], &[(name, "secret")]);
        let warnings = read.map(|read| read.warnings);
        assert_eq!(
            warnings,
            Ok(vec![format!("variable `{name}` has no effect: {line}")])
        );
    };
    warned("PAG_LISEN", "did you mean PAG_LISTEN?");
    warned("PAG_MAXSERIES", "did you mean PAG_MAX_SERIES?");
    warned("PAG_PUSH_TOKEN", "did you mean PAG_PUSH_TOKEN_FILE?");
    warned("PAG_CHECK", "-check is a command, not a setting");
    warned("PAG_VERSION", "-version is a command, not a setting");
    warned("PAG_SERVICE_HOST", "no flag has this name; see -help");
}

/// Two of one that is given once, in whatever spelling.
#[test]
fn given_twice() {
    refused(
        &["-cors", "https://a", "--cors=https://b"],
        &[],
        "flag -cors is given twice",
    );
    let twice = "flag -enable-admin-api is given twice";
    refused(&["-enable-admin-api", "-enable-admin-api"], &[], twice);
    let value = "flag -enable-admin-api takes no value, found `-enable-admin-api=true`";
    refused(&["-enable-admin-api=true"], &[], value);
    let many = ["-listen=:0"; 17];
    refused(&many, &[], "flag -listen: at most 16 addresses");
    assert_eq!(config(&many[1..], &[]).listen.len(), 16);
}

/// What is odd about the flags is on stderr, and stdout is what a hand-over reads.
#[test]
fn check_says_warnings() {
    let mut command = command(&["-crontab", "0 0 31 2 *", "-check"]);
    let output = command
        .env("PAG_LISEN", ":1")
        .output()
        .expect("it was built");
    assert_eq!(
        (output.status.code(), &output.stdout[..]),
        (Some(0), &b"ok\n"[..])
    );
    let program = "prometheus-aggregation-gateway: warning";
    let expected = format!(
        "{program}: variable `PAG_LISEN` has no effect: did you mean PAG_LISTEN?\n\
         {program}: crontab \"0 0 31 2 *\": it never fires, the sums are never cleared\n"
    );
    assert_eq!(String::from_utf8(output.stderr), Ok(expected));
}

/// An Origin field always has a scheme: without one, it would never match.
#[test]
fn origins_have_a_scheme() {
    let cause = "flag -cors: expected *, none or origins such as https://example.org, found ";
    for origins in ["b.example", "https://a.example, b.example"] {
        refused(&["-cors", origins], &[], &format!("{cause}`{origins}`"));
    }
    assert!(read(&["-cors", "https://a.example null"], &[]).is_ok());
}
