//! The journal: what is accepted is found again, whatever ends the process, and nothing else is.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

use prometheus_aggregation_gateway::gateway::{Gateway, Start};
use prometheus_aggregation_gateway::journal::{Disk, JournalError, Storage, Torn};
use prometheus_aggregation_gateway::rules::Rules;

use crate::memory_disk::MemoryDisk;
use crate::push_text::PushText;
use crate::random::{Random, push};
use crate::running_gateway::scratch_folder;

pub const HEAD_BYTES: usize = 36;

pub const START: Start = Start {
    window_start: 7,
    time_millis: 0,
};

pub fn open(disk: &MemoryDisk) -> Result<(Gateway, Option<Torn>), JournalError> {
    let opened = Gateway::open(
        Arc::new(disk.clone()),
        &disk.file(),
        Rules::default(),
        START,
    );
    opened.map(|(gateway, opened)| (gateway, opened.torn))
}

#[track_caller]
pub fn reopened(disk: &MemoryDisk) -> Gateway {
    match open(disk) {
        Ok((gateway, None)) => gateway,
        Ok((_, Some(torn))) => panic!("a whole journal was cut: {torn:?}"),
        Err(error) => panic!("the journal is refused: {error}"),
    }
}

pub fn scrape(gateway: &Gateway) -> String {
    String::from_utf8(gateway.scrape()).expect("a scrape is UTF-8")
}

/// A journal without sums: its head and its rules.
pub fn empty_journal() -> Vec<u8> {
    let disk = MemoryDisk::with(b"");
    reopened(&disk);
    disk.bytes()
}

/// A small journal with a snapshot, and after each of its records its length and the sums.
fn small_journal() -> (Vec<u8>, Vec<(usize, String)>) {
    let disk = MemoryDisk::with(b"");
    let gateway = reopened(&disk);
    gateway
        .push_text("job/a", b"# TYPE a counter\na 1\n")
        .unwrap();
    gateway.reset(0, 100).unwrap();
    gateway.push_text("", b"# HELP b Before.\nb 1\n").unwrap();
    assert!(gateway.compact_journal().unwrap(), "a reset asks for it");
    let mut states = vec![(disk.bytes().len(), scrape(&gateway))];
    let histogram = b"# TYPE h histogram\nh_bucket{le=\"1\"} 2\nh_sum 3\nh_count 4\n";
    let pushes: [(&str, &[u8]); 4] = [
        ("job/a/instance/b", b"# TYPE a counter\na{c=\"d\"} 5\n"),
        ("job@base64/L3Zhcg", b"b 0.1\n"),
        ("", histogram),
        ("job/%20", b"# TYPE a counter\na 1\na{c=\"d\"} 1e300\n"),
    ];
    for (number, (labels, body)) in pushes.into_iter().enumerate() {
        if number == 2 {
            gateway.reset(0, 200).unwrap();
            states.push((disk.bytes().len(), scrape(&gateway)));
        }
        gateway.push_text(labels, body).unwrap();
        states.push((disk.bytes().len(), scrape(&gateway)));
    }
    (disk.bytes(), states)
}

/// Cut at any byte behind the snapshot, it is as it was after the last whole record.
#[test]
fn a_cut_journal_is_recovered_to_the_last_whole_record() {
    let (bytes, states) = small_journal();
    for length in states[0].0..=bytes.len() {
        let disk = MemoryDisk::with(&bytes[..length]);
        let (gateway, torn) = open(&disk).unwrap_or_else(|error| panic!("at {length}: {error}"));
        let (end, sums) = states
            .iter()
            .rfind(|(end, _)| *end <= length)
            .expect("the snapshot");
        assert_eq!(scrape(&gateway), *sums, "cut at {length}");
        let expected = (*end < length).then(|| Torn {
            offset: *end as u64,
            bytes: (length - end) as u64,
        });
        assert_eq!(torn, expected, "cut at {length}");
        assert_eq!(disk.bytes(), bytes[..*end], "the tail is still there");
        // It goes on from there.
        gateway.push_text("", b"more 1\n").unwrap();
        assert_eq!(scrape(&reopened(&disk)), scrape(&gateway));
    }
    for length in 1..states[0].0 {
        let refused = open(&MemoryDisk::with(&bytes[..length]));
        assert!(refused.is_err(), "the snapshot is cut at {length}");
    }
}

/// With any byte changed it is refused, and told where.
#[test]
fn a_changed_byte_is_never_a_wrong_sum() {
    let (bytes, states) = small_journal();
    let empty = empty_journal();
    // The kind stands behind the first 24 bytes of a head.
    let [rules_end, start_end] = [b"strt", b"hkey"].map(|kind| {
        let kind_at = empty.windows(4).position(|word| word == kind);
        kind_at.expect("it has a start and a hash key") - 24
    });
    for at in 0..bytes.len() {
        for bits in [0x01, 0x80, 0xff] {
            let mut changed = bytes.clone();
            changed[at] ^= bits;
            let disk = MemoryDisk::with(&changed);
            let error = open(&disk)
                .err()
                .unwrap_or_else(|| panic!("byte {at} was not noticed"));
            assert_eq!(disk.bytes(), changed, "it is not for us to throw away");
            let states = states.iter().map(|(end, _)| *end);
            let begins = [HEAD_BYTES, rules_end, start_end, empty.len()]
                .into_iter()
                .chain(states);
            let begin = begins.filter(|begin| *begin <= at).max();
            match error {
                JournalError::Foreign => assert!(at < 8),
                JournalError::Version(_) => assert!((8..12).contains(&at)),
                JournalError::Damaged { offset: 0, .. } => assert!((12..HEAD_BYTES).contains(&at)),
                JournalError::Damaged { offset, .. } => {
                    assert_eq!(
                        offset,
                        begin.expect("it is behind the head") as u64,
                        "byte {at}"
                    );
                }
                error => panic!("byte {at}: {error}"),
            }
        }
    }
}

/// A start gives up at the first operation of the disk that fails, and leaves the file as it is.
#[test]
fn a_start_on_a_failing_disk_is_refused() {
    let (bytes, _) = small_journal();
    let disk = MemoryDisk::with(&bytes);
    reopened(&disk);
    let operations = disk.operations();
    assert!(operations > 2, "the folder, the head, the records");
    for failing in 0..operations {
        let disk = MemoryDisk::with(&bytes);
        disk.fail(failing..failing + 1);
        let error = open(&disk).expect_err("an operation fails");
        let is_fault =
            matches!(&error, JournalError::System(_, fault) if fault.kind() == ErrorKind::Other);
        assert!(is_fault, "operation {failing}: {error}");
        assert_eq!(disk.bytes(), bytes);
    }
}

/// Replaying the journal gives the live sums, and so does rewriting it.
#[test]
fn replay_is_the_live_path() {
    for seed in 0..100 {
        let mut random = Random::new(seed);
        let disk = MemoryDisk::with(b"");
        let mut gateway = reopened(&disk);
        for number in 0..40 {
            let labels = *random.pick(&["", "job/a", "job/b/instance/c"]);
            gateway
                .push_text(labels, push(&mut random).text.as_bytes())
                .unwrap();
            match random.below(10) {
                0 => {
                    gateway.reset(0, number).unwrap();
                }
                1 => {
                    // A reset asks for it.
                    let before = scrape(&gateway);
                    gateway.compact_journal().unwrap();
                    assert_eq!(scrape(&gateway), before);
                }
                2 => {
                    let before = (scrape(&gateway), gateway.size(), gateway.window_start());
                    gateway = reopened(&disk);
                    let after = (scrape(&gateway), gateway.size(), gateway.window_start());
                    assert_eq!(after, before, "seed {seed}");
                }
                _ => {}
            }
        }
    }
}

/// What is pushed cannot be taken for a record, nor make a torn tail look like damage.
#[test]
fn a_body_cannot_contain_a_record() {
    let (other, _) = small_journal();
    let disk = MemoryDisk::with(b"");
    let gateway = reopened(&disk);
    gateway.push_text("", b"a 1\n").unwrap();
    let kept = disk.bytes().len();
    let mut comment = b"#".to_vec();
    comment.extend(other.iter().filter(|&&byte| byte != b'\n'));
    comment.extend_from_slice(b"\na 1\n");
    gateway.push_text("", &comment).unwrap();
    for length in kept..disk.bytes().len() {
        let torn = MemoryDisk::with(&disk.bytes()[..length]);
        let (gateway, _) = open(&torn).unwrap_or_else(|error| panic!("at {length}: {error}"));
        assert_eq!(scrape(&gateway), "# TYPE a untyped\na 1\n");
    }
}

/// The journal is rewritten when it is long and mostly of the past.
#[test]
fn a_long_journal_is_made_small() {
    let disk = MemoryDisk::with(b"");
    let gateway = reopened(&disk);
    let body = format!("#{}\na 1\n", "#".repeat(100_000));
    let mut longest = 0;
    for _ in 0..100 {
        gateway.push_text("", body.as_bytes()).unwrap();
        longest = longest.max(disk.bytes().len());
        gateway.compact_journal().unwrap();
    }
    assert!(
        ((1 << 20)..(1 << 20) + 200_000).contains(&longest),
        "{longest}"
    );
    assert!(!gateway.compact_journal().unwrap());
    assert_eq!(scrape(&reopened(&disk)), "# TYPE a untyped\na 100\n");
    gateway.reset(0, 0).unwrap();
    gateway.compact_journal().unwrap();
    assert_eq!(disk.bytes().len(), empty_journal().len());
}

/// Snapshots come in pieces, which add up to the sums.
#[test]
fn a_long_snapshot_is_whole() {
    let disk = MemoryDisk::with(b"");
    let gateway = reopened(&disk);
    let line = |n: usize| format!("a_rather_long_name{{label=\"{n}\"}} {n}\n");
    let histogram = |n: usize| {
        format!(
            "h_bucket{{n=\"{n}\",le=\"0.1\"}} 1\nh_sum{{n=\"{n}\"}} 2\nh_count{{n=\"{n}\"}} 3\n"
        )
    };
    let text = |of: &dyn Fn(usize) -> String, count| (0..count).map(of).collect::<String>();
    let numbers = format!("# HELP a_rather_long_name Text.\n{}", text(&line, 60_000));
    let histograms = format!("# TYPE h histogram\n{}", text(&histogram, 30_000));
    gateway.reset(0, 0).unwrap();
    gateway.push_text("job/x", numbers.as_bytes()).unwrap();
    gateway.push_text("job/x", histograms.as_bytes()).unwrap();
    gateway
        .push_text("", b"# TYPE only_declared gauge\n")
        .unwrap();
    assert!(gateway.compact_journal().unwrap());
    let again = reopened(&disk);
    assert_eq!(scrape(&again), scrape(&gateway));
    assert_eq!(again.size(), gateway.size());
    let records = disk
        .bytes()
        .windows(4)
        .filter(|word| word == b"snap")
        .count();
    assert!(records > 5, "one piece is no test");
}

#[test]
fn what_is_no_journal_is_refused() {
    #[track_caller]
    fn check(path: &str, line: &str) {
        let error = Disk::open(path.as_ref())
            .and_then(|(disk, file)| Gateway::open(Arc::new(disk), &file, Rules::default(), START))
            .expect_err("it is refused");
        assert!(error.to_string().starts_with(line), "{error}");
    }
    let folder = scratch_folder();
    let path = |name: &str| {
        folder
            .path()
            .join(name)
            .to_str()
            .expect("it is ours")
            .to_owned()
    };
    fs::write(path("text"), "# TYPE a counter\na 1\n").unwrap();
    check(&path("text"), "it is not a journal of this program");
    fs::write(path("short"), "AGG").unwrap();
    check(&path("short"), "it is not a journal of this program");
    fs::write(path("older"), b"AGGJOURN\x01\0\0\0 and more").unwrap();
    check(
        &path("older"),
        "it is in format 1, this program reads format 2; to keep its sums, start the program that",
    );
    check("/dev/null", "it is a device, not a regular file");
    check(&path("."), "it is a directory, not a regular file");
    check(
        &path("no/folder"),
        "cannot open it: No such file or directory",
    );
    fs::write(path("locked"), "").unwrap();
    let (disk, file) = Disk::open(path("locked").as_ref()).unwrap();
    check(&path("locked"), "it is in use by another gateway");
    // What another gateway has beside it, under the name that is wanted here, is left alone.
    let (other, _held) = Disk::open(path("c.new").as_ref()).unwrap();
    let (disk_beside, _file) = Disk::open(path("c").as_ref()).unwrap();
    let taken = disk_beside.create().expect_err("somebody has it");
    assert_eq!(taken.kind(), ErrorKind::WouldBlock);
    assert!(Path::new(&path("c.new")).exists());
    drop(other);
    // The lock moves with the file that takes its place.
    let (gateway, _) = Gateway::open(Arc::new(disk), &file, Rules::default(), START).unwrap();
    drop(file);
    check(&path("locked"), "it is in use by another gateway");
    gateway.push_text("", b"a 1\n").unwrap();
    gateway.reset(0, 0).unwrap();
    assert!(gateway.compact_journal().unwrap());
    check(&path("locked"), "it is in use by another gateway");
    drop(gateway);
    let (disk, file) = Disk::open(path("locked").as_ref()).unwrap();
    Gateway::open(Arc::new(disk), &file, Rules::default(), START).unwrap();
}

/// The replay of many removals takes long: those of earlier lives count, too.
#[test]
fn removals_of_earlier_lives_are_compacted() {
    let disk = MemoryDisk::with(b"");
    let compacted = (0..40).filter(|_| {
        let gateway = reopened(&disk);
        gateway.push_text("job/x", b"a 1\n").unwrap();
        assert_eq!(gateway.delete_labels(0, "job/x").unwrap().series, 1);
        gateway.compact_journal().unwrap()
    });
    assert_eq!(compacted.count(), 2);
}
