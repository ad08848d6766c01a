//! The journal on a disk that fails, fills up, or loses what was not synced.

use std::io;
use std::sync::Arc;

use prometheus_aggregation_gateway::gateway::{Gateway, NotKept, Refusal};
use prometheus_aggregation_gateway::journal::{
    Beginning, Framed, Journal, Outliving, Preface, PushRecord, Record, Replacement, Storage,
    Trouble,
};

use crate::journal::{HEAD_BYTES, empty_journal as empty_journal_file, open, reopened, scrape};
use crate::memory_disk::MemoryDisk;
use crate::push_text::PushText;
use crate::random::Random;

/// A power cut takes only what came after the last sync, and what is left is a state that was.
#[test]
fn a_power_cut_takes_the_unsynced_end() {
    for seed in 0..2000 {
        let mut random = Random::new(seed);
        let disk = MemoryDisk::with(b"");
        let gateway = reopened(&disk);
        let mut states = vec![scrape(&gateway)];
        let mut synced = 0;
        for number in 0..random.below(30) {
            match random.below(8) {
                0 => {
                    gateway.sync_journal().unwrap();
                    synced = states.len() - 1;
                }
                1 if gateway.reset(0, number as i64).is_ok() => states.push(scrape(&gateway)),
                2 => {
                    gateway.compact_journal().unwrap();
                }
                _ => {
                    let comment = "#".repeat(random.below(2000));
                    let body = format!("n{} {number}\n{comment}\n", random.below(3));
                    gateway.push_text("", body.as_bytes()).unwrap();
                    states.push(scrape(&gateway));
                }
            }
        }
        let left = disk.after_power_cut(&mut random);
        let (gateway, _) = open(&left).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        let found = scrape(&gateway);
        assert!(
            states[synced..].contains(&found),
            "seed {seed}: {found} of {states:#?}"
        );
    }
}

/// Whichever operation of the disk fails, and the next few with it: what is refused is not there,
/// what is accepted is, and when the disk works again so does the journal.
#[test]
fn a_failing_disk_loses_and_doubles_nothing() {
    // More than a sector, so that each has one of its own; of many lengths, so that what is left of
    // one sticks out behind the next.
    let body = |number: i64| {
        format!(
            "a 1\nb{number} 1\n#{}\n",
            "#".repeat(1900 - 600 * (number % 3) as usize)
        )
    };
    let sequence = |gateway: &Gateway| {
        for number in 0..12 {
            let before = scrape(gateway);
            let outcome = gateway.push_text("", body(number).as_bytes());
            if outcome.is_err() {
                assert!(matches!(outcome, Err(Refusal::NotKept(_))));
                assert_eq!(scrape(gateway), before);
            }
            match number {
                3 | 8 => drop(gateway.sync_journal()),
                5 => drop(gateway.reset(0, number)),
                6 | 9 => drop(gateway.compact_journal()),
                _ => {}
            }
        }
    };
    let disk = MemoryDisk::with(b"");
    let gateway = reopened(&disk);
    disk.fail(0..0);
    sequence(&gateway);
    let operations = disk.operations();
    assert!(operations > 20);
    for first in 0..operations {
        for count in [1, 2, 3, usize::MAX - first] {
            let disk = MemoryDisk::with(b"");
            let gateway = reopened(&disk);
            disk.fail(first..first + count);
            sequence(&gateway);
            disk.fail(0..0);
            let live = scrape(&gateway);
            // Killed now, it is what it was.
            let killed = MemoryDisk::with(&disk.bytes());
            let (again, _) = open(&killed).expect("it was only killed");
            assert_eq!(
                scrape(&again),
                live,
                "operations {first} to {first} + {count} fail"
            );
            // One look of each thread, and it works again.
            gateway.sync_journal().unwrap();
            gateway.compact_journal().unwrap();
            gateway.push_text("", b"more 1\n").unwrap();
            gateway.sync_journal().unwrap();
            assert_eq!(gateway.not_kept(), None);
            let live = scrape(&gateway);
            assert_eq!(scrape(&reopened(&disk)), live);
            let left = disk.after_power_cut(&mut Random::new(first as u64));
            let (left, _) = open(&left).expect("it was synced");
            assert_eq!(
                scrape(&left),
                live,
                "operations {first} to {first} + {count} fail"
            );
        }
    }
}

/// A sector that was lost after it had been on the disk is damage, not a tail.
#[test]
fn a_lost_sector_of_what_was_synced_is_damage() {
    let disk = MemoryDisk::with(b"");
    let gateway = reopened(&disk);
    let body = format!("#{}\na 1\n", "#".repeat(2000));
    gateway.push_text("", body.as_bytes()).unwrap();
    let losing = |bytes: &[u8]| {
        let mut bytes = bytes.to_vec();
        bytes[1024..1536].fill(0);
        open(&MemoryDisk::with(&bytes))
    };
    // In the last second it was never there.
    gateway.push_text("", b"a 1\n").unwrap();
    let (unsynced, torn) = losing(&disk.bytes()).expect("a power cut may do that");
    assert_eq!(scrape(&unsynced), "");
    assert_eq!(
        torn.expect("it is cut off").offset,
        empty_journal_file().len() as u64
    );
    gateway.sync_journal().unwrap();
    gateway.push_text("", b"a 1\n").unwrap();
    let damaged = losing(&disk.bytes()).expect_err("the last record says that it was there");
    let line = damaged.to_string();
    let offset = empty_journal_file().len();
    let expected = format!("it is damaged at byte {offset}: its contents changed");
    assert!(line.starts_with(&expected), "{line}");
}

/// A reset without room for a note is one event, too, for who looks after a power cut; so is one
/// after a failed sync or compaction.
#[test]
fn a_power_cut_does_not_split_a_reset_without_room() {
    for seed in 0..200 {
        let disk = MemoryDisk::with(b"");
        let gateway = reopened(&disk);
        let body = format!("#{}\na 1\n", "#".repeat(2000));
        // Where it is not written, something else is, and no zeros.
        let other_body = format!("#{}\na 1\n", "-".repeat(2000));
        gateway.push_text("", body.as_bytes()).unwrap();
        gateway.reset(0, 1).unwrap();
        gateway.push_text("", body.as_bytes()).unwrap();
        gateway.compact_journal().unwrap();
        gateway.push_text("", body.as_bytes()).unwrap();
        gateway.sync_journal().unwrap();
        match seed % 3 {
            0 => disk.fill_up(disk.bytes().len()),
            1 => {
                gateway.push_text("", b"a 1\n").unwrap();
                disk.fail(0..1);
                gateway.sync_journal().unwrap_err();
            }
            _ => {
                gateway.reset(0, 1).unwrap();
                disk.fail(0..1);
                gateway.compact_journal().unwrap_err();
            }
        }
        gateway.reset(0, 2).unwrap();
        disk.fill_up(usize::MAX);
        let restarted = (seed % 4 == 2).then(|| reopened(&disk));
        let gateway = restarted.unwrap_or(gateway);
        if seed % 2 == 0 {
            gateway.push_text("", other_body.as_bytes()).unwrap();
        }
        let left = disk.after_power_cut(&mut Random::new(seed));
        let (left, _) = open(&left).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        let found = (left.window_start(), scrape(&left));
        let is_after = found.0 == 2 && ["", "# TYPE a untyped\na 1\n"].contains(&&*found.1);
        assert!(is_after, "seed {seed}: {found:?}");
    }
}

/// The file of a reset without room is overwritten. Whichever of these operations fails, the file
/// holds what the gateway shows: what was there, or nothing if it could not be put back.
#[test]
fn a_reset_without_room_is_made_or_not() {
    for (first, count) in (0..8).flat_map(|first| [1, 2, 3].map(|count| (first, count))) {
        let disk = MemoryDisk::with(b"");
        let gateway = reopened(&disk);
        let body = format!("#{}\na 1\n", "#".repeat(2000));
        gateway.push_text("", body.as_bytes()).unwrap();
        gateway.sync_journal().unwrap();
        disk.fill_up(disk.bytes().len());
        gateway.push_text("", b"a 1\n").unwrap_err();
        disk.fail(first..first + count);
        let outcome = gateway.reset(0, 1);
        disk.fail(0..0);
        let case = format!("{count} operations from {first}: {outcome:?}");
        assert_eq!(outcome.is_ok(), scrape(&gateway).is_empty(), "{case}");
        let opened = |left: &MemoryDisk| match open(left) {
            Ok((left, _)) => scrape(&left),
            Err(error) => panic!("{case}: {error}"),
        };
        let killed = opened(&MemoryDisk::with(&disk.bytes()));
        assert_eq!(killed, scrape(&gateway), "{case}");
        let left = opened(&disk.after_power_cut(&mut Random::new(first as u64)));
        assert!(gateway.not_kept().is_some() || left == killed, "{case}");
        disk.fill_up(usize::MAX);
        gateway.compact_journal().unwrap();
        assert_eq!(gateway.not_kept(), None, "{case}");
        assert_eq!(scrape(&reopened(&disk)), scrape(&gateway), "{case}");
    }
}

/// What a start has cut off does not show again between what is pushed then.
#[test]
fn a_power_cut_does_not_bring_a_torn_tail_back() {
    let disk = MemoryDisk::with(b"");
    let body = |filler: &str| format!("#{}\na 1\n", filler.repeat(2000));
    reopened(&disk).push_text("", body("#").as_bytes()).unwrap();
    let bytes = disk.bytes();
    for seed in 0..100 {
        let disk = MemoryDisk::with(&bytes[..bytes.len() - 1]);
        let (gateway, torn) = open(&disk).unwrap();
        assert!(torn.is_some());
        gateway.push_text("", body("-").as_bytes()).unwrap();
        let left = disk.after_power_cut(&mut Random::new(seed));
        let (left, _) = open(&left).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        let found = scrape(&left);
        assert!(
            ["", "# TYPE a untyped\na 1\n"].contains(&&*found),
            "seed {seed}: {found}"
        );
    }
}

/// A compaction does not lose what was on the disk in the file that it replaces: pushed and synced
/// during the first sync of the new file or the second, whichever operation fails after that.
#[test]
fn a_compaction_takes_nothing_back() {
    let is_whole = |syncs_before, failing, seed| {
        let disk = MemoryDisk::with(b"");
        let gateway = Arc::new(reopened(&disk));
        gateway.push_text("", b"a 1\n").unwrap();
        gateway.reset(0, 1).unwrap();
        let (pushing, failing_disk) = (Arc::clone(&gateway), disk.clone());
        disk.when_synced_beside(syncs_before, move || {
            let body = format!("#{}\na 1\n", "#".repeat(2000));
            pushing.push_text("", body.as_bytes()).unwrap();
            assert!(pushing.sync_journal().unwrap());
            failing_disk.fail(failing..failing + 1);
        });
        let compacted = gateway.compact_journal();
        let (left, _) = open(&disk.after_power_cut(&mut Random::new(seed))).unwrap();
        let case = format!("sync {syncs_before}, operation {failing}, seed {seed}");
        assert_eq!(scrape(&left), "# TYPE a untyped\na 1\n", "{case}");
        compacted.is_ok_and(|is_compacted| is_compacted)
    };
    for (syncs_before, seed) in [0, 1]
        .into_iter()
        .flat_map(|syncs| (0..50).map(move |seed| (syncs, seed)))
    {
        let failed = (0..).take_while(|&failing| !is_whole(syncs_before, failing, seed));
        assert!(failed.count() > 3, "it reads, writes, syncs and replaces");
    }
}

/// A sync that begins before the switch and ends after it holds for the new file.
#[test]
fn a_sync_under_way_holds_for_the_new_file() {
    for seed in 0..50 {
        let disk = MemoryDisk::with(b"");
        let mut journal = empty_journal(&disk);
        let mut new = Replacement::begin(journal.snapshot_point(), &beginning()).unwrap();
        new.end_snapshot().unwrap();
        journal.append(0, &short_push()).unwrap();
        let sync = journal.begin_sync().expect("the push is not synced");
        assert!(journal.switch(new).unwrap());
        sync.run().unwrap();
        assert_eq!(pushes_after_power_cut(&disk, seed), 1, "seed {seed}");
    }
}

/// What is synced after the switch is kept, though the compaction has not synced the folder yet.
#[test]
fn a_sync_after_the_switch_holds() {
    for seed in 0..50 {
        let disk = MemoryDisk::with(b"");
        let mut journal = empty_journal(&disk);
        let mut new = Replacement::begin(journal.snapshot_point(), &beginning()).unwrap();
        new.end_snapshot().unwrap();
        assert!(journal.switch(new).unwrap());
        journal.append(0, &short_push()).unwrap();
        let sync = journal.begin_sync().expect("the push is not synced");
        journal.end_sync(&sync, &sync.run());
        assert!(journal.begin_sync().is_none());
        assert_eq!(pushes_after_power_cut(&disk, seed), 1, "seed {seed}");
    }
}

fn beginning() -> Beginning {
    Beginning {
        preface: Preface {
            rules: b"some rules"[..].into(),
            ..Preface::default()
        },
        window_start: 0,
        time_millis: 0,
    }
}

fn empty_journal(disk: &MemoryDisk) -> Journal {
    let storage: Arc<dyn Storage> = Arc::new(disk.clone());
    let opened = Journal::open(storage, &disk.file(), &beginning(), |_, _| Ok(()));
    opened.expect("it is begun").0
}

fn pushes_after_power_cut(disk: &MemoryDisk, seed: u64) -> usize {
    let left = disk.after_power_cut(&mut Random::new(seed));
    let mut records = 0;
    let count = |_, record: Record<'_>| {
        records += usize::from(matches!(record, Record::Push(_)));
        Ok(())
    };
    Journal::open(Arc::new(left.clone()), &left.file(), &beginning(), count).unwrap();
    records
}

fn short_push() -> Framed<'static> {
    Framed::of(Record::Push(PushRecord {
        is_whole: false,
        is_time_left_out: false,
        format: b't',
        labels: "",
        key: None,
        body: b"a 1\n",
    }))
    .expect("it is short")
}

/// Whichever operation fails, no file is left. Only after the last two syncs pushes are refused.
#[test]
fn a_failed_compaction_leaves_no_file() {
    let disk_after_reset = || {
        let disk = MemoryDisk::with(b"");
        let gateway = reopened(&disk);
        gateway.reset(0, 1).unwrap();
        gateway.push_text("", b"a 1\n").unwrap();
        disk.fail(0..0);
        (disk, gateway)
    };
    let (disk, gateway) = disk_after_reset();
    assert!(gateway.compact_journal().unwrap());
    let operations = disk.operations();
    for failing in 0..operations {
        let (disk, gateway) = disk_after_reset();
        disk.fail(failing..failing + 1);
        let error = gateway.compact_journal().expect_err("an operation fails");
        assert_eq!(error.to_string(), "the disk fails on purpose");
        assert!(!disk.has_file_beside(), "operation {failing} fails");
        let expected = (failing + 2 >= operations).then(|| not_synced(&error));
        assert_eq!(gateway.not_kept(), expected, "operation {failing} fails");
        let pushed = gateway.push_text("", b"a 1\n");
        assert_eq!(pushed.err(), expected.map(Refusal::NotKept));
    }
    let (disk, gateway) = disk_after_reset();
    let gateway = Arc::new(gateway);
    let (full, resetting) = (disk.clone(), Arc::clone(&gateway));
    disk.when_synced_beside(0, move || {
        full.fill_up(0);
        resetting.reset(0, 2).unwrap();
    });
    assert!(!gateway.compact_journal().unwrap(), "it copied the past");
    assert!(!disk.has_file_beside());
}

/// Pushes are refused as soon as a sync has failed, until a new file has all of them.
#[test]
fn a_failed_sync_shows_at_once() {
    let disk = MemoryDisk::with(b"");
    let gateway = reopened(&disk);
    gateway.push_text("", b"a 1\n").unwrap();
    disk.fail(0..1);
    let error = gateway
        .sync_journal()
        .expect_err("the only operation fails");
    assert_eq!(gateway.not_kept(), Some(not_synced(&error)));
    let refused = gateway.push_text("", b"a 1\n").unwrap_err();
    assert_eq!(refused, Refusal::NotKept(not_synced(&error)));
    assert!(gateway.compact_journal().unwrap());
    assert_eq!(gateway.not_kept(), None);
}

fn not_synced(error: &io::Error) -> NotKept {
    NotKept::Journal(Trouble::Sync(error.to_string()))
}

/// What happens while a sync or a compaction is under way is not taken to be a part of it.
#[test]
fn what_comes_meanwhile_is_not_forgotten() {
    let disk = MemoryDisk::with(b"");
    let mut journal = empty_journal(&disk);
    journal.append(0, &short_push()).unwrap();
    let sync = journal.begin_sync().expect("something is not synced");
    journal.append(0, &short_push()).unwrap();
    journal.end_sync(&sync, &sync.run());
    let sync = journal.begin_sync().expect("the second push is not synced");
    journal.end_sync(&sync, &sync.run());
    assert!(journal.begin_sync().is_none());

    journal.reset(0, 1, Outliving::Nothing).unwrap();
    let mut new = Replacement::begin(journal.snapshot_point(), &beginning()).unwrap();
    journal.append(0, &short_push()).unwrap();
    journal.reset(0, 2, Outliving::Nothing).unwrap();
    new.end_snapshot().unwrap();
    journal.switch(new).unwrap();
    assert!(
        journal.needs_replacement(),
        "the second reset left something"
    );
    let mut new = Replacement::begin(journal.snapshot_point(), &beginning()).unwrap();
    new.end_snapshot().unwrap();
    journal.switch(new).unwrap();
    assert!(!journal.needs_replacement());

    // A reset that restarts the file takes away what was to be copied.
    journal.append(0, &short_push()).unwrap();
    let mut new = Replacement::begin(journal.snapshot_point(), &beginning()).unwrap();
    new.end_snapshot().unwrap();
    disk.fill_up(disk.bytes().len());
    journal.reset(0, 3, Outliving::Nothing).unwrap();
    assert!(!journal.switch(new).unwrap(), "what it copied is forgotten");
}

/// On a full disk pushes are refused and the sums stay; a reset needs no room, and makes some.
#[test]
fn a_full_disk_refuses_until_there_is_room() {
    let disk = MemoryDisk::with(b"");
    let gateway = reopened(&disk);
    gateway.push_text("", b"a 1\n").unwrap();
    let full = disk.bytes().len();
    disk.fill_up(full);
    let refused = gateway.push_text("", b"a 1\n").unwrap_err();
    assert!(matches!(
        &refused,
        Refusal::NotKept(NotKept::Journal(Trouble::Append(_)))
    ));
    assert_eq!(gateway.not_kept().map(Refusal::NotKept), Some(refused));
    assert_eq!(scrape(&gateway), "# TYPE a untyped\na 1\n");
    gateway.sync_journal().unwrap();
    assert!(gateway.not_kept().is_some(), "there is still no room");
    disk.fill_up(full + 5000);
    gateway.sync_journal().unwrap();
    assert_eq!(gateway.not_kept(), None);
    // A note of the reset would find room, the push did not.
    disk.fill_up(full + 100);
    let long = [b"#".repeat(100).as_slice(), b"\na 1\n"].concat();
    assert!(gateway.push_text("", &long).is_err());
    gateway.reset(0, 5).unwrap();
    assert_eq!(
        (scrape(&gateway).as_str(), disk.bytes().len()),
        ("", HEAD_BYTES)
    );
    let again = reopened(&disk);
    assert_eq!((scrape(&again), again.window_start()), (String::new(), 5));
    gateway.push_text("", b"b 1\n").unwrap();
    assert_eq!(scrape(&reopened(&disk)), "# TYPE b untyped\nb 1\n");
}

/// A signal may interrupt any read or write; the journal is the same.
#[test]
fn signals_change_nothing() {
    let disk = MemoryDisk::with(b"");
    disk.interrupt();
    let gateway = reopened(&disk);
    gateway.push_text("", b"a 1\n").unwrap();
    gateway.reset(0, 1).unwrap();
    gateway.push_text("", b"b 1\n").unwrap();
    // Reads what it copies.
    assert!(gateway.compact_journal().unwrap());
    assert_eq!(scrape(&reopened(&disk)), "# TYPE b untyped\nb 1\n");
    // Reads and overwrites the head.
    disk.fill_up(disk.bytes().len());
    gateway.reset(0, 2).unwrap();
    let again = reopened(&disk);
    assert_eq!((scrape(&again), again.window_start()), (String::new(), 2));
}
