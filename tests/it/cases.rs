//! Bodies and what becomes of them: `data/accept`, `data/reject`, `data/merge`.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use prometheus_aggregation_gateway::cli::{self, Command};
use prometheus_aggregation_gateway::gateway::{Gateway, Limits};
use prometheus_aggregation_gateway::label_limits::LabelLimits;
use prometheus_aggregation_gateway::rules::Rules;

use crate::journal::START;
use crate::push_text::PushText;

/// What is under `data/<directory>` with this extension (none: directories), sorted.
#[track_caller]
pub fn paths(directory: &str, extension: &str) -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/it/data")
        .join(directory);
    let entries = fs::read_dir(&directory).expect("the directory is there");
    let paths = entries.map(|entry| entry.expect("the directory can be read").path());
    let is_wanted = |path: &PathBuf| path.extension().unwrap_or_default() == extension;
    let mut paths: Vec<PathBuf> = paths.filter(is_wanted).collect();
    paths.sort();
    assert!(
        !paths.is_empty(),
        "no .{extension} files in {}",
        directory.display()
    );
    paths
}

fn read(path: &Path) -> Vec<u8> {
    fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[track_caller]
fn assert_scrape(gateway: &Gateway, expected: &[u8], case: &Path) {
    let scrape = String::from_utf8(gateway.scrape()).expect("a scrape is UTF-8");
    let expected = String::from_utf8_lossy(expected);
    assert!(
        scrape == expected,
        "{}\n--- found\n{scrape}--- expected\n{expected}",
        case.display()
    );
}

/// A gateway with the limits of labels that it has without flags.
fn limited() -> Gateway {
    let labels = LabelLimits {
        labels_max: 64,
        bytes_max: 4096,
    };
    let rules = Rules::default().with_help_bytes_max(labels.bytes_max);
    Gateway::in_memory(rules, START).with_limits(Limits {
        labels,
        ..Limits::default()
    })
}

/// `name.prom` is accepted, and alone makes the scrape `name.scrape`.
#[test]
fn accept() {
    for case in paths("accept", "prom") {
        let gateway = limited();
        if let Err(error) = gateway.push_text("", &read(&case)) {
            panic!("{}: {error}", case.display());
        }
        assert_scrape(&gateway, &read(&case.with_extension("scrape")), &case);
    }
}

/// `name.prom` begins with the comment `# refused: ` and the message. The scrape stays as it was.
#[test]
fn reject() {
    for case in paths("reject", "prom") {
        let body = read(&case);
        let first_line = body
            .split(|&byte| byte == b'\n')
            .next()
            .expect("split gives one");
        let expected = first_line
            .strip_prefix(b"# refused: ")
            .expect("the message comes first");
        let gateway = limited();
        let before = b"# TYPE zz_before gauge\nzz_before{a=\"1\"} 1.5\n";
        gateway.push_text("", before).expect("it is valid");
        let error = match gateway.push_text("", &body) {
            Ok(_) => panic!("{}: accepted", case.display()),
            Err(error) => error.to_string(),
        };
        assert_eq!(
            error,
            String::from_utf8_lossy(expected),
            "{}",
            case.display()
        );
        assert_scrape(&gateway, before, &case);
    }
}

fn with_flags(case: &Path) -> Gateway {
    let flags = fs::read_to_string(case.join("flags")).unwrap_or_default();
    let flags = flags.split_ascii_whitespace().map(OsString::from);
    match cli::read(flags, []).map(|read| read.command) {
        Ok(Command::Run(config)) => Gateway::in_memory(config.rules, START),
        outcome => panic!("{}: {outcome:?}", case.display()),
    }
}

/// `1.prom`, `2.prom` ... are pushed in this order; those with a `.refused` beside them are refused
/// with its message and change nothing. The sums are in `scrape`, which can be read back. What is
/// in `flags`, if it is there, the gateway was started with.
#[test]
fn merge() {
    for case in paths("merge", "") {
        let gateway = with_flags(&case);
        for step in paths(
            &format!("merge/{}", case.file_name().unwrap().display()),
            "prom",
        ) {
            let before = gateway.scrape();
            let outcome = gateway.push_text("", &read(&step));
            match (outcome, fs::read_to_string(step.with_extension("refused"))) {
                (Ok(_), Err(_)) => {}
                (Err(error), Ok(expected)) => {
                    assert_eq!(error.to_string(), expected.trim_end(), "{}", step.display());
                    assert_scrape(&gateway, &before, &step);
                }
                (Ok(_), Ok(_)) => panic!("{}: accepted", step.display()),
                (Err(error), Err(_)) => panic!("{}: {error}", step.display()),
            }
        }
        let scrape = read(&case.join("scrape"));
        assert_scrape(&gateway, &scrape, &case);
        let again = with_flags(&case);
        let outcome = again.push_text("", &scrape);
        assert_eq!(outcome.err(), None, "{}, read back", case.display());
        assert_scrape(&again, &scrape, &case);
    }
}
