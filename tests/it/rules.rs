//! The merge rules: their text, and what becomes of a journal that was kept by others.

use std::sync::Arc;

use prometheus_aggregation_gateway::cli::{self, Command};
use prometheus_aggregation_gateway::gateway::{Gateway, NotKept, Opened, WrittenBy};
use prometheus_aggregation_gateway::journal::JournalError;
use prometheus_aggregation_gateway::rules::Rules;

use crate::journal::{START, reopened, scrape};
use crate::memory_disk::MemoryDisk;
use crate::push_text::PushText;

/// The rules that flags give, written as in a shell.
#[track_caller]
pub fn rules(flags: &str) -> Rules {
    let flags = flags.split_ascii_whitespace().map(Into::into);
    match cli::read(flags, []).map(|read| read.command) {
        Ok(Command::Run(config)) => config.rules,
        outcome => panic!("{outcome:?}"),
    }
}

pub fn open_by(disk: &MemoryDisk, rules: Rules) -> Result<(Gateway, Opened), JournalError> {
    Gateway::open(Arc::new(disk.clone()), &disk.file(), rules, START)
}

#[test]
fn their_text_gives_them_again() {
    #[track_caller]
    fn check(flags: &str, text: &str) {
        let rules = rules(flags);
        assert_eq!(rules.to_string(), text);
        assert_eq!(text.parse(), Ok(rules));
    }
    check(
        "",
        "semantics 1\ngauge max *_info\nhelp-bytes 4096\nnative-buckets 160\n",
    );
    check(
        "-keep-summaries -push-times -expire-after 1m -native-buckets 0",
        "semantics 1\ngauge max *_info\nhelp-bytes 4096\nsummaries\npush-times\nages\n",
    );
    check(
        "-gauge *=last -drop-label pod -gauge a_total=min -drop-label x_* -gauge *_info=sum",
        "semantics 1\ngauge min a_total\ngauge sum *_info\ngauge max *_info\ngauge last *\n\
         drop-label pod\ndrop-label x_*\nhelp-bytes 4096\nnative-buckets 160\n",
    );
}

#[test]
fn a_text_that_is_not_understood_is_refused() {
    #[track_caller]
    fn check(text: &str, line: &str) {
        let error = text.parse::<Rules>().expect_err("it is refused");
        assert_eq!(error.to_string(), line);
    }
    let semantics = "its merge rules begin with nothing, this program knows semantics 1";
    check("", semantics);
    let newer = "its merge rules begin with `semantics 2`, this program knows semantics 1";
    check("semantics 2\n", newer);
    let unknown = |line| format!("this program does not know the merge rule `{line}`");
    for line in [
        "gauge a",
        "gauge mean a",
        "gauge max a*b",
        "drop-label ",
        "ages 2",
        "senders",
    ] {
        check(&format!("semantics 1\n{line}\n"), &unknown(line));
    }
}

#[test]
fn wrong_flags_are_refused() {
    #[track_caller]
    fn check(flags: &str, line: &str) {
        let flags = flags.split_ascii_whitespace().map(Into::into);
        assert_eq!(cli::read(flags, []), Err(line.to_owned()));
    }
    check(
        "-native-buckets all",
        "flag -native-buckets: expected a whole number such as 160, or 0, found `all`",
    );
    check("-gauge a", "flag -gauge: expected NAME=MODE, found `a`");
    check(
        "-gauge a=mean",
        "flag -gauge: expected sum, last, max or min behind =, found `a=mean`",
    );
    check("-gauge =max", "flag -gauge: expected a name, found nothing");
    check(
        "-gauge a*b=max",
        "flag -gauge: expected at most one *, at the beginning or the end of the name, found `a*b`",
    );
    for flag in ["le", "l*", "*", "*e"] {
        check(
            &format!("-drop-label {flag}"),
            &format!(
                "flag -drop-label: `{flag}` would drop le, which tells the buckets or quantiles \
                 of a series apart"
            ),
        );
    }
}

/// What was merged by other rules goes through those of now, and is kept by them from then on.
#[test]
fn a_journal_of_other_rules_is_rewritten() {
    let disk = MemoryDisk::with(b"");
    let gateway = reopened(&disk);
    let body = "# TYPE a gauge\na{pod=\"1\"} 1\na{pod=\"2\"} 2\n";
    gateway.push_text("", body.as_bytes()).unwrap();
    gateway.push_text("", body.as_bytes()).unwrap();
    drop(gateway);
    let flags = "-gauge a=max -drop-label pod";
    let (gateway, opened) = open_by(&disk, rules(flags)).unwrap();
    assert_eq!(opened.written_by, WrittenBy::OtherRules);
    assert_eq!(scrape(&gateway), "# TYPE a gauge\na 4\n");
    let before = disk.bytes();
    let refused = gateway.push_text("", b"b 1\n").unwrap_err();
    assert_eq!(
        refused.to_string(),
        "the journal must be rewritten, since its merge rules are not those of the flags: it is \
         being written"
    );
    assert!(gateway.reset(0, 1).is_ok(), "a reset needs no rules");
    assert_eq!(scrape(&reopened(&disk)), "", "it is forgotten by all rules");

    // The same without a reset.
    let disk = MemoryDisk::with(&before);
    let (gateway, _) = open_by(&disk, rules(flags)).unwrap();
    disk.fail(0..1);
    let error = gateway.compact_journal().expect_err("the disk fails");
    let why = gateway.not_kept().expect("it is not written").to_string();
    assert!(
        why.ends_with(&format!("those of the flags: {error}")),
        "{why}"
    );
    assert_eq!(disk.bytes(), before);
    assert!(gateway.compact_journal().unwrap());
    assert_eq!(gateway.not_kept(), None::<NotKept>);
    gateway.push_text("", body.as_bytes()).unwrap();
    gateway
        .push_text("", b"# TYPE a gauge\na{pod=\"3\"} 7\n")
        .unwrap();
    drop(gateway);
    let (gateway, opened) = open_by(&disk, rules(flags)).unwrap();
    assert_eq!(opened.written_by, WrittenBy::CurrentRules);
    assert_eq!(scrape(&gateway), "# TYPE a gauge\na 7\n");
    // And back: what was dropped is gone, the greatest value is the first of a sum.
    let (gateway, opened) = open_by(&disk, Rules::default()).unwrap();
    assert_eq!(opened.written_by, WrittenBy::OtherRules);
    assert!(gateway.compact_journal().unwrap());
    gateway.push_text("", b"# TYPE a gauge\na 1\n").unwrap();
    assert_eq!(scrape(&reopened(&disk)), "# TYPE a gauge\na 8\n");
}

/// A hand-over without a journal to a program with other flags.
#[test]
fn sums_in_memory_are_taken_over_by_other_rules() {
    let gateway = Gateway::in_memory(Rules::default(), START);
    gateway
        .push_text("", b"# TYPE a gauge\na{pod=\"1\"} 1\na{pod=\"2\"} 2\n")
        .unwrap();
    let memory = MemoryDisk::with(b"");
    let file = gateway.close(|| Ok(memory.file())).unwrap();
    let next = Gateway::take_over(&file, rules("-drop-label pod")).unwrap();
    assert_eq!(scrape(&next), "# TYPE a gauge\na 3\n");
}
