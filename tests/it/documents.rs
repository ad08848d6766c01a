//! The manual page, the completion and the README's table are made from the one table of flags.
//! What is in the repository is compared with that, or, with WRITE_DOCUMENTS=1, written.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use prometheus_aggregation_gateway::cli::{FLAGS, Flag};

use crate::running_gateway::command;

const PROGRAM: &str = "prometheus-aggregation-gateway";

#[track_caller]
fn check_file(path: &str, expected: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    if std::env::var_os("WRITE_DOCUMENTS").is_some() {
        fs::write(&path, expected).expect("the repository can be written");
    }
    let found = fs::read_to_string(&path).unwrap_or_default();
    let path = path.display();
    assert!(
        found == expected,
        "{path} is not what the flags say; try: WRITE_DOCUMENTS=1 cargo test documents"
    );
}

#[test]
fn the_manual_page_is_of_these_flags() {
    check_file(&format!("scripts/deploy/{PROGRAM}.1"), &manual_page());
}

#[test]
fn the_completion_is_of_these_flags() {
    check_file(&format!("scripts/deploy/{PROGRAM}.bash"), &completion());
}

#[test]
fn the_readme_is_of_these_flags() {
    const FIRST: &str = "| flag | default | |\n|---|---|---|\n";
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let readme = fs::read_to_string(path).expect("there is one");
    let (before, rest) = readme.split_once(FIRST).expect("it has the table");
    let (_, after) = rest.split_once("\n\n").expect("more follows");
    let table = FLAGS
        .iter()
        .fold(String::new(), |table, flag| table + &row(flag));
    check_file("README.md", &format!("{before}{FIRST}{table}\n{after}"));
}

#[test]
fn the_help_text_is_of_these_flags() {
    let output = command(&["-help"]).output().expect("the binary was built");
    let help = String::from_utf8(output.stdout).expect("it is text");
    assert!(help.lines().all(|line| line.len() <= 100), "{help}");
    let words: Vec<&str> = help.split_whitespace().collect();
    let words = words.join(" ");
    for flag in FLAGS {
        let default = match flag.default {
            "" => String::new(),
            default => format!(" (default {default})"),
        };
        let all = format!("{} {}{default}", name_and_value(flag), flag.help);
        assert!(words.contains(&all), "{all} is not in {help}");
    }
    // All texts begin in one column.
    let lines = help.lines().skip_while(|line| !line.starts_with("  -"));
    let lines: Vec<&str> = lines.take_while(|line| !line.is_empty()).collect();
    let texts = lines.iter().map(|line| match line.strip_prefix("  -") {
        Some(flag) => {
            3 + flag.len()
                - flag
                    .split_once("  ")
                    .map_or(0, |(_, text)| text.trim().len())
        }
        None => line.len() - line.trim().len(),
    });
    let columns: Vec<usize> = texts.collect();
    assert!(columns.iter().all(|column| *column == columns[0]), "{help}");
}

fn deployed(file: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/deploy");
    fs::read_to_string(folder.join(file)).expect("it is there")
}

/// What scripts/image makes is what the examples run; where it listens is where they ask.
#[test]
fn deployments_agree_on_the_image_and_the_port() {
    let version = env!("CARGO_PKG_VERSION");
    for (file, text) in [
        ("kubernetes.yml", &*format!("image: {PROGRAM}:{version}\n")),
        ("kubernetes.yml", "containerPort: 9091\n"),
        ("compose.yml", &format!("image: {PROGRAM}:latest\n")),
        ("compose.yml", "\"9091:9091\""),
        ("nginx.conf", "server 127.0.0.1:9091;"),
        ("prometheus.yml", "\"localhost:9091\""),
        (
            "prometheus-aggregation-gateway.socket",
            "ListenStream=9091\n",
        ),
    ] {
        assert!(deployed(file).contains(text), "{file} has no {text}");
    }
}

#[test]
fn the_dashboard_and_the_alerts_know_the_jobs() {
    let jobs = deployed("prometheus.yml");
    assert!(jobs.contains("- job_name: aggregation-gateway\n"));
    for file in ["dashboard.json", "alerts.yml"] {
        let text = deployed(file).replace('\\', "");
        let named = text.split("job=\"").skip(1);
        let names = named.filter_map(|rest| rest.split('"').next());
        let unknown = |name: &&str| !jobs.contains(&format!("- job_name: {name}\n"));
        let unknown: Vec<_> = names.filter(unknown).collect();
        assert!(
            text.contains("job=\"aggregation-gateway-itself\""),
            "{file}"
        );
        assert!(unknown.is_empty(), "{file}: {unknown:?}");
    }
}

fn name_and_value(Flag { name, value, .. }: &Flag) -> String {
    format!("-{name} {value}").trim_end().to_owned()
}

fn row(flag: &Flag) -> String {
    let default = match flag.default {
        "" => String::new(),
        default => format!("`{default}`"),
    };
    let row = format!(
        "| `{}` | {default} | {} |\n",
        name_and_value(flag),
        flag.help
    );
    row.replace("|  |", "| |")
}

/// In roff, a backslash, a dash that is one, and a leading dot or quote are written in another way.
fn roff(text: &str) -> String {
    let text = text.replace('\\', "\\e").replace('-', "\\-");
    if text.starts_with(['.', '\'']) {
        format!("\\&{text}")
    } else {
        text
    }
}

/// man(7)
fn manual_page() -> String {
    let (program, version) = (roff(PROGRAM), env!("CARGO_PKG_VERSION"));
    let upper = roff(&PROGRAM.to_uppercase());
    let mut page = format!(
        r#".\" Made from the table of flags in src/cli.rs.
.TH {upper} 1 "" "{program} {version}" "User Commands"
.SH NAME
{program} \- add up pushed Prometheus metrics for a scrape
.SH SYNOPSIS
.B {program}
.RI [ \-FLAG " " VALUE " | " \-FLAG=VALUE ]...
.SH DESCRIPTION
Browser pages, lambdas, cron jobs, CI steps and forked workers push their metrics in the Prometheus
text format to /metrics; they are summed per series, and Prometheus scrapes the sums at /metrics.
A cron schedule may clear the sums, and the answer to every push says when.
Its own metrics are at /\-/metrics, its health at /\-/healthy and /\-/ready.
.SH OPTIONS
With one dash or two.
Durations are 90s, 2m, 1h30m, 1d or a number of seconds, cut to whole seconds.
Sizes in bytes are 65536, 64K, 64KiB or 16M, powers of 1024, and numbers 5000 or 1e6.
"#
    );
    for flag in FLAGS {
        let (name, value) = (roff(flag.name), roff(flag.value));
        let tag = match flag.value {
            "" => format!(".B \\-{name}"),
            _ => format!(".BI \\-{name} \" {value}\""),
        };
        let default = match flag.default {
            "" => String::new(),
            default => format!(" (default {})", roff(default)),
        };
        writeln!(page, ".TP\n{tag}\n{}{default}", roff(flag.help)).expect("a String takes it");
    }
    page + MANUAL_PAGE_END
}

const MANUAL_PAGE_END: &str = r#".SH SIGNALS
.TP
.BR SIGTERM ", " SIGINT
No more connections are accepted, requests in flight are finished, and the status is 0.
.TP
.B SIGHUP
A new image of the program goes on in the same process, with the same socket and sums: that is how
it is upgraded.
.SH EXIT STATUS
.TP
.B 0
Ended by a signal, or all was printed, or
.B \-probe
was answered.
.TP
.B 1
The system refuses what is needed, the journal cannot be used, or
.B \-probe
was not answered.
.TP
.B 2
A flag, the schedule or the time zone is wrong.
.SH ENVIRONMENT
.TP
.BR PAG_LISTEN ", " PAG_MAX_BODY_BYTES " and so on"
Each flag that is a setting, in capitals and with underscores. The flag overrides it, and an empty
one counts as not set. Where the flag may be repeated, commas or line feeds stand between the
values; where it takes none, the variable is true or false. Not for
.BR \-check ", " \-probe ", " \-next ", " \-after ", " \-version " and " \-help .
.TP
.B CREDENTIALS_DIRECTORY
The folder of a token file that is named without a slash (systemd's LoadCredential).
.TP
.B TZ
The time zone of the schedule; without it, that of /etc/localtime.
.TP
.BR LISTEN_FDS ", " LISTEN_PID
The sockets that systemd passes, which are taken instead of
.BR \-listen .
.TP
.B JOURNAL_STREAM
By this, systemd says that stderr is its journal: lines of the log begin with their priority then.
.TP
.B NOTIFY_SOCKET
Where systemd is told of the state, and that the gateway answers.
.SH FILES
.TP
.I /etc/default/prometheus-aggregation-gateway
The flags that the service is started with.
.TP
.I /var/lib/prometheus-aggregation-gateway/journal
The journal of the service.
.SH SEE ALSO
.BR crontab (5),
.BR systemd.service (5)
"#;

/// bash(1), "Programmable Completion": flags, files, and what is a value of nothing known.
fn completion() -> String {
    let flags: Vec<&str> = FLAGS.iter().map(|flag| flag.name).collect();
    let named = |is_wanted: fn(&Flag) -> bool| {
        let wanted = FLAGS.iter().filter(|flag| is_wanted(flag));
        let names: Vec<String> = wanted
            .map(|flag| format!("-{0} | --{0}", flag.name))
            .collect();
        names.join(" | ")
    };
    let files = named(|flag| flag.value == "FILE");
    let others = named(|flag| !flag.value.is_empty() && flag.value != "FILE");
    format!(
        r#"# Completion for bash. Made from the table of flags in src/cli.rs.
_prometheus_aggregation_gateway() {{
    local word=${{COMP_WORDS[COMP_CWORD]}} before=${{COMP_WORDS[COMP_CWORD - 1]}} dash=-
    local names="{flags}"
    [[ $word != --* ]] || dash=--
    COMPREPLY=()
    case $before in
        {files})
            mapfile -t COMPREPLY < <(compgen -f -- "$word")
            ;;
        {others}) ;;
        *)
            mapfile -t COMPREPLY < <(compgen -P "$dash" -W "$names" -- "${{word#"$dash"}}")
            ;;
    esac
}}
complete -o filenames -F _prometheus_aggregation_gateway {PROGRAM}
"#,
        flags = flags.join(" "),
    )
}
