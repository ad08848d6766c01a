//! The journal's file is cut short or written over in place while the gateway runs: by `cp`, by a
//! shell's `>`, by `logrotate` with `copytruncate`.

use std::fs;
use std::io::IoSlice;

use prometheus_aggregation_gateway::gateway::{NotKept, Refusal};
use prometheus_aggregation_gateway::journal::Trouble;
use rustix::process::Signal;

use crate::journal::{open, reopened, scrape};
use crate::memory_disk::MemoryDisk;
use crate::push_text::PushText;
use crate::random::Random;
use crate::running_gateway::{RunningGateway, scratch_folder, wait_until};

const OVERWRITTEN: NotKept = NotKept::Journal(Trouble::Overwritten);

/// Writes over the file at the journal's path as `cp` does.
fn overwrite(disk: &MemoryDisk, bytes: &[u8]) {
    let file = disk.file();
    file.set_length(0).unwrap();
    file.write_at(&[IoSlice::new(bytes)], 0).unwrap();
}

/// What a start would find.
fn at_path(disk: &MemoryDisk) -> String {
    let (found, torn) = open(&MemoryDisk::with(&disk.bytes())).expect("it is a journal");
    assert_eq!(torn, None);
    scrape(&found)
}

/// A journal of others that is longer than any here.
fn long_journal() -> Vec<u8> {
    let disk = MemoryDisk::with(b"");
    let body = format!("#{}\nz 1\n", "c".repeat(1 << 16));
    reopened(&disk).push_text("", body.as_bytes()).unwrap();
    disk.bytes()
}

/// Whatever is written over the file, and whether it is pushed to before that is seen: after the
/// next look and compaction, a start finds all that was acknowledged, and nothing else.
#[test]
fn what_is_acknowledged_is_written_anew() {
    let other = long_journal();
    let mut refused = 0;
    for seed in 0..300 {
        let mut random = Random::new(seed);
        let disk = MemoryDisk::with(b"");
        let gateway = reopened(&disk);
        for number in 0..40 {
            let copy = disk.bytes();
            for _ in 0..random.below(3) {
                gateway.push_text("", b"a 1\n").unwrap();
            }
            let length = disk.bytes().len();
            match random.below(4) {
                0 => disk.file().set_length(random.below(length) as u64).unwrap(),
                1 => overwrite(&disk, &copy),
                2 => overwrite(&disk, &other),
                _ => {}
            }
            for _ in 0..random.below(3) {
                let before = scrape(&gateway);
                match gateway.push_text("", b"b 1\n") {
                    Ok(_) => {}
                    Err(Refusal::NotKept(why)) => {
                        assert_eq!(why, OVERWRITTEN);
                        assert_eq!(scrape(&gateway), before);
                        refused += 1;
                    }
                    Err(error) => panic!("{error}"),
                }
            }
            if random.percent(10) && gateway.reset(0, number) == Err(OVERWRITTEN) {
                refused += 1;
            }
            gateway.check_journal();
            gateway.compact_journal().unwrap();
            assert_eq!(gateway.not_kept(), None, "seed {seed}");
            assert_eq!(at_path(&disk), scrape(&gateway), "seed {seed}");
        }
    }
    assert!(refused > 500, "{refused}");
}

/// Nothing is handed over that the next image could not read, and a new journal is written.
#[test]
fn a_running_gateway_writes_a_new_journal() {
    let folder = scratch_folder();
    let path = folder.path().join("journal");
    let flags = ["-journal", path.to_str().unwrap()];
    let gateway = RunningGateway::start(&flags);
    assert_eq!(gateway.push("/metrics/job/a", "a 1\n").code, 200);
    let copy = fs::read(&path).unwrap();
    for expected in 2..5 {
        assert_eq!(gateway.push("/metrics/job/a", "a 1\n").code, 200);
        if expected % 2 == 0 {
            fs::write(&path, &copy).unwrap();
        } else {
            fs::write(&path, b"").unwrap();
        }
        gateway.signal(Signal::HUP);
        gateway.wait_for_line("the journal was overwritten; a new one is in its place");
        wait_until(|| gateway.get("/-/ready").code == 200);
        let expected = format!("# TYPE a untyped\na{{job=\"a\"}} {expected}\n");
        assert_eq!(gateway.scrape(), expected);
    }
    let sums = gateway.scrape();
    // It holds the lock until it has ended.
    drop(gateway);
    let again = RunningGateway::start(&flags);
    assert_eq!(again.scrape(), sums);
}
