//! The manual page, the completion and the README say what the one table of flags says. What is in
//! the repository is compared with that, or, with WRITE_DOCUMENTS=1, written. scripts/interop runs
//! the blocks of the README.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use prometheus_aggregation_gateway::cli::{FLAGS, Flag};

use crate::running_gateway::command;

const PROGRAM: &str = "prometheus-aggregation-gateway";

const FOLDER: &str = "scripts/deploy";

/// More belongs into the manual page, or beside the code.
const README_LINES_MAX: usize = 350;

/// Where the options of the manual page begin; they end where the next section begins.
const OPTIONS: &str = ".SH OPTIONS\n.\\\" Made from the table of flags in src/cli/flags.rs.";

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[track_caller]
fn check_file(path: &str, expected: &str) {
    if std::env::var_os("WRITE_DOCUMENTS").is_some() && read(path) != expected {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
        fs::write(path, expected).expect("the repository can be written");
    }
    assert!(
        read(path) == expected,
        "{path} is not what the flags say; try: WRITE_DOCUMENTS=1 cargo test documents"
    );
}

#[test]
fn the_completion_is_of_these_flags() {
    check_file(&format!("{FOLDER}/{PROGRAM}.bash"), &completion());
}

#[test]
fn the_manual_page_has_these_flags() {
    let path = format!("{FOLDER}/{PROGRAM}.1");
    let page = read(&path);
    let (head, rest) = page.split_once("\n").expect("it has lines");
    let (before, rest) = rest.split_once(OPTIONS).expect("it has options");
    let (_, after) = rest.split_once("\n.SH ").expect("more follows");
    let version = env!("CARGO_PKG_VERSION");
    assert!(
        head.contains(&format!("{} {version}\"", roff(PROGRAM))),
        "{head}"
    );
    check_file(
        &path,
        &format!("{head}\n{before}{OPTIONS}{}\n.SH {after}", options()),
    );
}

#[test]
fn the_readme_has_rows_of_these_flags() {
    let readme = read("README.md");
    let lines = readme.lines().map(|line| {
        let is_named = |flag: &&Flag| line.starts_with(&format!("| `{}` |", name_and_value(flag)));
        FLAGS.iter().find(is_named).map_or(format!("{line}\n"), row)
    });
    check_file("README.md", &lines.collect::<String>());
}

/// A row and a flag in backticks have to be of a flag that there is.
#[test]
fn the_readme_and_the_manual_page_name_flags_that_there_are() {
    let readme = read("README.md");
    let spans = readme.split('`').skip(1).step_by(2);
    let manual = read(&format!("{FOLDER}/{PROGRAM}.1")).replace("\\-", "-");
    let bold = manual.split("\\fB").skip(1);
    let bold = bold.filter_map(|text| text.split_once("\\fR"));
    let named: Vec<&str> = spans
        .chain(bold.map(|(text, _)| text))
        .filter(|text| text.starts_with('-') && !text.starts_with("--"))
        .map(|text| text.split([' ', '=']).next().expect("split gives one"))
        .filter(|name| !["-", "-max-"].contains(name))
        .collect();
    assert!(named.len() > 50, "{named:?}");
    for name in named {
        assert!(
            FLAGS.iter().any(|flag| name[1..] == *flag.name),
            "there is no flag {name}"
        );
    }
}

#[test]
fn the_readme_is_short_and_leads_to_files_that_there_are() {
    let readme = read("README.md");
    let lines = readme.lines().count();
    assert!(lines <= README_LINES_MAX, "it has {lines} lines");
    let links = readme.split("](").skip(1);
    let links = links.filter_map(|text| text.split_once(')'));
    let links = links.map(|(link, _)| link);
    let links: Vec<&str> = links.filter(|link| !link.starts_with("http")).collect();
    let spans = readme.split(|letter: char| " `\n,;".contains(letter));
    let scripts = spans.filter(|word| word.starts_with("scripts/"));
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    assert!(!links.is_empty());
    for path in links.into_iter().chain(scripts) {
        assert!(folder.join(path).exists(), "there is no {path}");
    }
}

/// What a developer meets first is what CI runs first.
#[test]
fn ci_begins_with_the_first_block_of_the_readme() {
    let readme = read("README.md");
    let (_, block) = readme.split_once("```sh\n").expect("it has a block");
    let (block, _) = block.split_once("```").expect("it has an end");
    let without_comment = |line: &str| line.split('#').next().unwrap_or_default().trim().to_owned();
    let first: Vec<String> = block.lines().map(without_comment).collect();
    let run = read(".ci/run");
    let commands = run.lines().filter(|line| line.starts_with("cargo "));
    let commands: Vec<&str> = commands.take(first.len()).collect();
    assert_eq!(commands, first);
}

#[test]
fn the_changelog_has_this_version_first() {
    let changelog = read("CHANGELOG.md");
    let mut titles = changelog.lines().filter(|line| line.starts_with("## "));
    let newest = titles.find(|line| *line != "## Unreleased");
    assert_eq!(newest, Some(concat!("## ", env!("CARGO_PKG_VERSION"))));
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
    read(&format!("{FOLDER}/{file}"))
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
fn options() -> String {
    let mut text = String::new();
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
        write!(text, "\n.TP\n{tag}\n{}{default}", roff(flag.help)).expect("a String takes it");
    }
    text
}

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
