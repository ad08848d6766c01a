//! The journal's file is moved, removed or replaced while the gateway runs.

use std::cell::Cell;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread;

use prometheus_aggregation_gateway::gateway::{Gateway, NotKept, Refusal};
use prometheus_aggregation_gateway::journal::{Disk, Trouble};
use prometheus_aggregation_gateway::rules::Rules;
use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::process::Signal;
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, TargetArch};

use crate::journal::{START, open, reopened, scrape};
use crate::memory_disk::MemoryDisk;
use crate::push_text::PushText;
use crate::random::Random;
use crate::running_gateway::{RunningGateway, command, scratch_folder, wait_until};

const OTHER: &[u8] = b"another file";

/// Whatever is done to the file: what was acknowledged after a look, or before one that found the
/// file or wrote a new one, is found by a start; nothing is acknowledged that would not be; a file
/// of others stays as it is.
#[test]
fn what_is_acknowledged_is_at_the_path() {
    let (mut troubles, mut moves) = (0, 0);
    for seed in 0..300 {
        let mut random = Random::new(seed);
        let disk = MemoryDisk::with(b"");
        let gateway = reopened(&disk);
        let (mut moved, mut is_other) = (None, false);
        for number in 0..60 {
            match random.below(8) {
                0 if !is_other => {
                    moved = disk.move_away().or(moved);
                    moves += 1;
                }
                1 => {
                    disk.put_other(OTHER);
                    is_other = true;
                }
                2 if is_other => {
                    disk.put(moved.take_if(|_| random.percent(50)));
                    is_other = false;
                }
                3 => drop(gateway.reset(0, number)),
                _ => push(&gateway, number),
            }
            if random.percent(50) {
                continue;
            }
            gateway.check_journal();
            let compacted = gateway.compact_journal();
            let expected = is_other.then_some(NotKept::Journal(Trouble::OtherFile));
            assert_eq!(gateway.not_kept(), expected, "seed {seed}: {compacted:?}");
            troubles += usize::from(is_other);
            if matches!(compacted, Ok(true)) {
                // The one that was moved away is a file of others from now on.
                moved = None;
            }
            if is_other {
                assert_eq!(disk.bytes(), OTHER, "seed {seed}");
            } else {
                assert_eq!(at_path(&disk), scrape(&gateway), "seed {seed}");
                gateway.push_text("", b"more 1\n").unwrap();
                assert_eq!(at_path(&disk), scrape(&gateway), "seed {seed}");
            }
        }
    }
    assert!(troubles > 500 && moves > 500, "{troubles} {moves}");
}

fn push(gateway: &Gateway, number: i64) {
    let before = scrape(gateway);
    let pushed = gateway.push_text("", format!("a 1\nb{} 1\n", number % 3).as_bytes());
    match pushed {
        Ok(_) => {}
        Err(Refusal::NotKept(_)) => assert_eq!(scrape(gateway), before),
        Err(error) => panic!("{error}"),
    }
}

/// What a start would find.
fn at_path(disk: &MemoryDisk) -> String {
    let (found, torn) = open(&MemoryDisk::with(&disk.bytes())).expect("it is a journal");
    assert_eq!(torn, None);
    scrape(&found)
}

/// A trouble of the path goes when it is over, and hides no other one.
#[test]
fn troubles_of_the_path_and_of_the_disk_are_apart() {
    let disk = MemoryDisk::with(b"");
    let gateway = reopened(&disk);
    gateway.push_text("", b"a 1\n").unwrap();
    disk.fail(0..1);
    gateway.sync_journal().unwrap_err();
    let not_synced = gateway.not_kept().expect("the sync has failed");
    assert!(matches!(not_synced, NotKept::Journal(Trouble::Sync(_))));
    let journal = disk.move_away();
    disk.put_other(OTHER);
    gateway.check_journal();
    let other_file = NotKept::Journal(Trouble::OtherFile);
    assert_eq!(gateway.not_kept(), Some(other_file.clone()));
    // There is nowhere to rewrite it.
    assert!(!gateway.compact_journal().unwrap());
    gateway.sync_journal().unwrap();
    let still = gateway.not_kept();
    assert_eq!(still, Some(other_file.clone()), "no sync ends it");
    assert_eq!(gateway.reset(0, 1), Err(other_file));
    disk.put(journal);
    gateway.check_journal();
    assert_eq!(gateway.not_kept(), Some(not_synced));
    assert!(gateway.compact_journal().unwrap());
    assert_eq!(gateway.not_kept(), None);
    disk.fail(0..1);
    gateway.check_journal();
    let line = gateway.not_kept().expect("nothing is known").to_string();
    let expected = "the journal's path cannot be checked: the disk fails on purpose";
    assert_eq!(line, expected);
    assert!(!gateway.compact_journal().unwrap());
    gateway.check_journal();
    assert_eq!(gateway.not_kept(), None);
}

/// What happens to the path while a new file is written is seen when that takes its place.
#[test]
fn the_path_is_looked_at_when_a_file_takes_its_place() {
    let disk = MemoryDisk::with(b"");
    let gateway = reopened(&disk);
    let compact_while = |happening: fn(&MemoryDisk)| {
        gateway.push_text("", b"a 1\n").unwrap();
        gateway.reset(0, 1).unwrap();
        gateway.push_text("", b"a 1\n").unwrap();
        let changed = disk.clone();
        disk.when_synced_beside(0, move || happening(&changed));
        gateway.compact_journal()
    };
    assert!(compact_while(|disk| drop(disk.move_away())).unwrap());
    assert_eq!(gateway.not_kept(), None);
    assert_eq!(at_path(&disk), scrape(&gateway));
    let error = compact_while(|disk| disk.put_other(OTHER)).unwrap_err();
    assert!(error.to_string().starts_with("another file is at the"));
    assert_eq!(disk.bytes(), OTHER);
    assert!(!disk.has_file_beside());
    let refused = gateway.push_text("", b"a 1\n").unwrap_err();
    let expected = NotKept::Journal(Trouble::OtherFile);
    assert_eq!(refused, Refusal::NotKept(expected));
}

/// Files in a folder of their own.
struct Files {
    folder: crate::running_gateway::ScratchFolder,
}

impl Files {
    fn new() -> Files {
        Files {
            folder: scratch_folder(),
        }
    }

    fn path(&self, name: &str) -> String {
        let path = self.folder.path().join(name);
        path.to_str().expect("it is ours").to_owned()
    }
}

const OTHER_FILE: &str =
    "another file is at the journal's path; move it away, or put the journal back\n";

/// Moved away or removed, it is rewritten, and what was acknowledged since is in it.
#[test]
fn a_journal_that_is_gone_is_rewritten() {
    let files = Files::new();
    let path = files.path("sums");
    let gateway = RunningGateway::start(&["-journal", &path]);
    let gone: [&dyn Fn() -> io::Result<()>; 2] =
        [&|| fs::rename(&path, files.path("moved")), &|| {
            fs::remove_file(&path)
        }];
    for take_away in gone {
        assert_eq!(gateway.push("/metrics", "a 1\n").code, 200);
        take_away().unwrap();
        wait_until(|| Path::new(&path).exists());
        gateway.wait_for_line("the journal was moved away or removed; a new one is in its place");
        wait_until(|| gateway.push("/metrics", "a 1\n").code == 200);
    }
    let sums = gateway.scrape();
    assert_eq!(sums, "# TYPE a untyped\na 4\n");
    gateway.signal(Signal::KILL);
    drop(gateway);
    let again = RunningGateway::start(&["-journal", &path]);
    assert_eq!(again.scrape(), sums);
    // The folder goes with it, and comes back.
    let (folder, aside) = (
        files.folder.path(),
        files.path("").trim_end_matches('/').to_owned(),
    );
    let aside = format!("{aside}-aside");
    fs::rename(folder, &aside).unwrap();
    wait_until(|| again.get("/-/ready").code == 503);
    let refused = again.push("/metrics", "a 1\n");
    assert!(
        refused
            .body
            .starts_with("the journal was moved away or removed")
    );
    fs::rename(&aside, folder).unwrap();
    wait_until(|| again.get("/-/ready").code == 200);
    assert_eq!(again.push("/metrics", "a 1\n").code, 200);
    assert_eq!(again.scrape(), "# TYPE a untyped\na 5\n");
}

/// Another gateway that takes the path keeps what it acknowledges; the first one refuses, says why,
/// and goes on when the path is its own again.
#[test]
fn a_file_of_others_is_left_alone() {
    let files = Files::new();
    let (path, aside) = (files.path("sums"), files.path("aside"));
    let flags = ["-journal", &path];
    let first = RunningGateway::start(&flags);
    assert_eq!(first.push("/metrics", "a 1\n").code, 200);
    // It does not look meanwhile.
    first.signal(Signal::STOP);
    fs::rename(&path, &aside).unwrap();
    let second = RunningGateway::start(&flags);
    first.signal(Signal::CONT);
    wait_until(|| first.get("/-/ready").code == 503);
    assert_eq!(first.get("/-/ready").body, OTHER_FILE);
    let refused = first.push("/metrics", "a 1\n");
    assert_eq!((refused.code, refused.body.as_str()), (503, OTHER_FILE));
    first.wait_for_line("pushes are refused: another file is at the journal's path");
    first.signal(Signal::HUP);
    first.wait_for_line("SIGHUP: not handed over, going on: another file is at the");
    for _ in 0..20 {
        assert_eq!(second.push("/metrics", "b 1\n").code, 200);
    }
    drop(second);
    let third = RunningGateway::start(&flags);
    assert_eq!(third.scrape(), "# TYPE b untyped\nb 20\n");
    drop(third);
    assert_eq!(first.own_metric("aggregation_gateway_journal_up"), 0.0);
    // Put back, it goes on with it.
    fs::rename(&aside, &path).unwrap();
    first.wait_for_line("pushes are accepted again");
    assert_eq!(first.push("/metrics", "a 1\n").code, 200);
    // So it does when the path is free.
    fs::write(files.path("text"), OTHER).unwrap();
    fs::rename(files.path("text"), &path).unwrap();
    wait_until(|| first.get("/-/ready").code == 503);
    assert_eq!(fs::read(&path).unwrap(), OTHER);
    fs::remove_file(&path).unwrap();
    wait_until(|| first.get("/-/ready").code == 200);
    assert_eq!(first.push("/metrics", "a 1\n").code, 200);
    first.signal(Signal::KILL);
    drop(first);
    let again = RunningGateway::start(&flags);
    assert_eq!(again.scrape(), "# TYPE a untyped\na 3\n");
}

/// A link that leads elsewhere by now leads the next start elsewhere.
#[test]
fn a_link_to_the_journal_is_looked_at_as_well() {
    let files = Files::new();
    let (link, real) = (files.path("link"), files.path("real"));
    fs::write(&real, "").unwrap();
    std::os::unix::fs::symlink("real", &link).unwrap();
    let gateway = RunningGateway::start(&["-journal", &link]);
    let long = format!("#{}\na 1\n", "#".repeat(3 << 20));
    assert_eq!(gateway.push("/metrics", &long).code, 200);
    let is_compacted = || fs::metadata(&real).unwrap().len() < 1 << 20;
    wait_until(is_compacted);
    let target = fs::read_link(&link).expect("it is a link still");
    assert_eq!(target, Path::new("real"));
    fs::remove_file(&link).unwrap();
    wait_until(|| gateway.get("/-/ready").code == 503);
    std::os::unix::fs::symlink("real", &link).unwrap();
    wait_until(|| gateway.get("/-/ready").code == 200);
    fs::remove_file(&real).unwrap();
    wait_until(|| Path::new(&real).exists() && gateway.get("/-/ready").code == 200);
    gateway.signal(Signal::KILL);
    drop(gateway);
    let again = RunningGateway::start(&["-journal", &link]);
    assert_eq!(again.scrape(), "# TYPE a untyped\na 1\n");
}

/// Where renameat2(2) has no flags, or is not there, a look and a plain rename do.
#[test]
fn file_systems_without_an_exchange() {
    let without_renameat2 = || {
        let rules = [(libc::SYS_renameat2, Vec::new())].into_iter().collect();
        let denied = SeccompAction::Errno(libc::ENOSYS as u32);
        let arch = TargetArch::try_from(std::env::consts::ARCH).expect("it is known");
        let filter = SeccompFilter::new(rules, SeccompAction::Allow, denied, arch);
        let program: BpfProgram = filter.and_then(BpfProgram::try_from).expect("it is valid");
        seccompiler::apply_filter(&program)
    };
    let files = Files::new();
    let path = files.path("sums");
    let test = move || {
        if let Err(error) = without_renameat2() {
            println!("skipped: no filter of system calls: {error}");
            return;
        }
        let (disk, file) = Disk::open(path.as_ref()).unwrap();
        let (gateway, _) = Gateway::open(Arc::new(disk), &file, Rules::default(), START).unwrap();
        for is_there in [true, false] {
            gateway.push_text("", b"a 1\n").unwrap();
            gateway.reset(0, 0).unwrap();
            gateway.push_text("", b"a 1\n").unwrap();
            if !is_there {
                fs::remove_file(&path).unwrap();
                gateway.check_journal();
            }
            assert!(gateway.compact_journal().unwrap());
            assert_eq!(gateway.not_kept(), None);
            assert!(Path::new(&path).exists() && !Path::new(&format!("{path}.new")).exists());
        }
        fs::write(files.path("text"), OTHER).unwrap();
        fs::rename(files.path("text"), &path).unwrap();
        gateway.reset(0, 0).unwrap();
        gateway.compact_journal().unwrap_err();
        assert_eq!(fs::read(&path).unwrap(), OTHER);
        assert!(!Path::new(&format!("{path}.new")).exists());
    };
    // The filter is of the thread alone.
    thread::spawn(test).join().expect("it has not panicked");
}

/// A start that takes long is ended by SIGTERM, and by nothing is it made to wait.
#[test]
fn sigterm_ends_a_start() {
    let files = Files::new();
    let path = files.path("sums");
    let lines: String = (0..100_000)
        .map(|n| format!("a{{b=\"{n}\"}} 1\n"))
        .collect();
    let (disk, file) = Disk::open(path.as_ref()).unwrap();
    let (gateway, _) = Gateway::open(Arc::new(disk), &file, Rules::default(), START).unwrap();
    for _ in 0..30 {
        gateway.push_text("", lines.as_bytes()).unwrap();
    }
    drop((gateway, file));
    for signal in [Signal::TERM, Signal::INT] {
        let mut command = command(&["-journal", &path, "-listen", "127.0.0.1:0"]);
        let process = command.stderr(std::process::Stdio::piped()).spawn();
        let mut starting = RunningGateway::watch(process.unwrap());
        // The thread that watches for signals has begun, behind that of the log.
        wait_until(|| starting.threads() > 2);
        starting.signal(signal);
        assert_eq!(starting.wait().code(), Some(0));
        let lines = starting.remaining_lines();
        assert_eq!(lines, ["ended by a signal before the start was over"]);
    }
}

/// A compaction that is given up leaves all as it was.
#[test]
fn a_compaction_is_given_up() {
    let disk = MemoryDisk::with(b"");
    let gateway = reopened(&disk);
    gateway.push_text("", b"a 1\n").unwrap();
    gateway.reset(0, 1).unwrap();
    gateway.push_text("", b"a 1\n").unwrap();
    let before = disk.bytes();
    for looks in 0..2 {
        let left = Cell::new(looks);
        let goes_on = || left.replace(left.get().max(1) - 1) > 0;
        assert!(!gateway.compact_journal_while(&goes_on).unwrap());
        assert_eq!(
            (disk.bytes(), disk.has_file_beside()),
            (before.clone(), false)
        );
        assert_eq!(gateway.not_kept(), None);
    }
    assert!(gateway.compact_journal().unwrap());
    assert_eq!(at_path(&disk), scrape(&gateway));
}

/// Somebody exchanges the journal and another file without pause: the other one is never lost.
#[test]
fn a_file_of_others_is_left_alone_at_any_instant() {
    let files = Files::new();
    let (path, other) = (files.path("sums"), files.path("other"));
    let (disk, file) = Disk::open(path.as_ref()).unwrap();
    let (gateway, _) = Gateway::open(Arc::new(disk), &file, Rules::default(), START).unwrap();
    drop(file);
    fs::write(&other, OTHER).unwrap();
    let is_over = AtomicBool::new(false);
    let (mut compacted, mut kept_off) = (0, 0);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(SeqCst) {
                // The gateway may have moved one of them.
                let _ = renameat_with(CWD, &path, CWD, &other, RenameFlags::EXCHANGE);
            }
        });
        for _ in 0..1000 {
            gateway.check_journal();
            if gateway.reset(0, 0).is_ok() {
                match gateway.compact_journal() {
                    Ok(true) => compacted += 1,
                    _ => kept_off += 1,
                }
            }
        }
        is_over.store(true, SeqCst);
    });
    println!("compacted {compacted} times, kept off {kept_off} times");
    let found = fs::read_dir(files.folder.path()).unwrap();
    let is_other = |entry: &fs::DirEntry| fs::read(entry.path()).unwrap() == OTHER;
    let others = found.map(Result::unwrap).filter(is_other);
    assert_eq!(others.count(), 1);
}

/// A reset that waits for the journal keeps the process from nothing, and is made when it can be.
#[test]
fn a_reset_waits_for_the_journal() {
    let files = Files::new();
    let (path, aside) = (files.path("sums"), files.path("aside"));
    let flags = ["-journal", &path, "-crontab", "@every 1s"];
    for is_put_back in [true, false] {
        let mut gateway = RunningGateway::start(&flags);
        gateway.wait_for_line("reset: cleared");
        fs::write(&aside, OTHER).unwrap();
        let exchange = || renameat_with(CWD, &path, CWD, &aside, RenameFlags::EXCHANGE);
        exchange().unwrap();
        gateway.wait_for_line("reset: not made yet: another file is at the journal's path");
        if is_put_back {
            exchange().unwrap();
            gateway.wait_for_line("reset: cleared");
        }
        gateway.signal(Signal::TERM);
        assert_eq!(gateway.wait().code(), Some(0));
    }
}
