//! Random sequences of all that a journal records, on a disk of which any operation fails, between
//! kills, hand-overs and changes of flags: what is acknowledged counts once, what is refused never.

mod step;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use prometheus_aggregation_gateway::aggregate::Ages;
use prometheus_aggregation_gateway::gateway::{
    Accepted, DeleteError, Gateway, NotKept, PushRequest, Refusal, WrittenBy,
};
use prometheus_aggregation_gateway::idempotency::GENERATION_MILLIS;
use prometheus_aggregation_gateway::journal::{FileIdentity, JournalError, Log, Record, Trouble};
use prometheus_aggregation_gateway::parse::Format;
use prometheus_aggregation_gateway::senders::Replaced;
use rustix::io::Errno;

use crate::journal::{HEAD_BYTES, START, scrape};
use crate::lives::{Flags, Model, RandomPush};
use crate::memory_disk::{MemoryDisk, Operation};
use crate::random::Random;
use step::{KEYS, Step};

const STEPS: usize = 24;

/// As many sequences.
const SEEDS: u64 = 12;

/// A gateway on a disk, and the model of it.
struct World {
    disk: MemoryDisk,
    gateway: Gateway,
    /// What it shows.
    model: Model,
    /// What its file holds: the same, unless flags have changed and it could not be written anew.
    kept: Option<Model>,
    /// What it has shown since the last sync: a power cut may leave any of it.
    states: Vec<Model>,
    /// A sync has failed, and no new file has come since. A start does not know that, and the
    /// system may have forgotten what it could not write.
    has_failed_sync: bool,
    is_unsafe: bool,
    are_ages_due: bool,
    /// When each key was noted.
    keys: BTreeMap<usize, u64>,
    /// When the ages of keys were last restarted: none is forgotten early for the time before.
    keys_restarted_millis: u64,
    /// The file was begun anew for lack of room: it has none of these.
    keys_not_in_file: BTreeSet<usize>,
    now_millis: u64,
}

impl World {
    fn new(flags: Flags, disk: MemoryDisk) -> World {
        World {
            gateway: start(&disk, flags, "the first start"),
            disk,
            model: Model::new(flags),
            kept: None,
            states: vec![Model::new(flags)],
            has_failed_sync: false,
            is_unsafe: false,
            are_ages_due: false,
            keys: BTreeMap::new(),
            keys_restarted_millis: 0,
            keys_not_in_file: BTreeSet::new(),
            now_millis: 1_000_000,
        }
    }

    fn second(&self) -> u64 {
        self.now_millis / 1000
    }

    fn identity(&self) -> FileIdentity {
        self.disk.file().identity().unwrap()
    }

    /// Gives the operations that have failed.
    fn step(&mut self, step: &Step) -> Vec<Operation> {
        let before = (self.identity(), self.model.scrape());
        match step {
            Step::Push(push) => self.push(push, None),
            Step::PushWithKey(key) => {
                let push = RandomPush::new(&mut Random::new(*key as u64));
                self.push(&push, Some(*key));
            }
            Step::Reset => self.reset(),
            Step::Expire(silent_seconds) => self.expire(*silent_seconds),
            Step::DeleteLabels(labels) => self.delete_labels(labels),
            Step::DeleteFamily(family) => {
                let outcome = self.gateway.delete_family(self.now_millis, family);
                if outcome.is_ok() {
                    self.model.series.retain(|(found, ..), _| found != family);
                }
            }
            Step::Sync => self.sync(),
            Step::Compact => drop(self.gateway.compact_journal()),
            Step::Look => self.gateway.check_journal(),
            Step::MoveAway => self.move_away(),
            Step::Kill(flags) => self.kill(flags.unwrap_or(self.model.flags)),
            Step::HandOver(flags) => self.hand_over(flags.unwrap_or(self.model.flags)),
            Step::FillUp(bytes) => self.disk.fill_up(self.disk.bytes().len() + bytes),
            Step::FreeUp => self.disk.fill_up(usize::MAX),
            Step::Wait(millis) => self.now_millis += millis,
        }
        if self.identity() != before.0 {
            self.kept = None;
            self.keys_not_in_file.clear();
            (self.has_failed_sync, self.is_unsafe) = (false, false);
        }
        let failed = self.disk.take_failed();
        self.has_failed_sync |= match self.gateway.not_kept() {
            Some(NotKept::Journal(Trouble::Sync(_))) => true,
            Some(NotKept::Journal(Trouble::PathError(_) | Trouble::Gone)) => {
                failed.contains(&Operation::Sync)
            }
            _ => false,
        };
        if self.model.scrape() != before.1 || self.states.is_empty() {
            self.states.push(self.model.clone());
        }
        failed
    }

    fn push(&mut self, push: &RandomPush, key: Option<usize>) {
        let key_text = key.map(|key| key.to_string());
        let outcome = self.gateway.push(&PushRequest {
            replaced: Replaced::Families,
            labels: push.labels,
            key: key_text.as_ref().map(String::as_bytes),
            format: Format::Text,
            body: push.body.as_bytes(),
            time_millis: self.now_millis,
        });
        let noted = key.and_then(|key| self.keys.get(&key));
        let age = noted.map(|noted| self.now_millis - noted);
        match outcome {
            Ok(Accepted::Merged(_)) => {
                let is_forgotten = age.is_none_or(|age| age >= GENERATION_MILLIS);
                assert!(is_forgotten, "{key:?} was added twice");
                self.model.push(push, self.now_millis);
                if let Some(key) = key {
                    self.keys.insert(key, self.now_millis);
                    self.keys_not_in_file.remove(&key);
                }
            }
            Ok(Accepted::Repeated) => {
                let counted_from = noted.map(|noted| *noted.max(&self.keys_restarted_millis));
                let is_known =
                    counted_from.is_some_and(|from| self.now_millis - from < 2 * GENERATION_MILLIS);
                assert!(is_known, "{key:?} was not added within its time");
            }
            Err(Refusal::NotKept(_)) => {}
            Err(error) => panic!("{error}"),
        }
    }

    fn reset(&mut self) {
        let head = self.disk.bytes()[..HEAD_BYTES].to_vec();
        if self.gateway.reset(self.now_millis, 0).is_err() {
            return;
        }
        self.model.series.clear();
        if self.disk.bytes()[..HEAD_BYTES] != head {
            self.kept = None;
            if self.gateway.not_kept().is_none() {
                (self.has_failed_sync, self.is_unsafe) = (false, false);
            }
            self.keys_not_in_file = self.keys.keys().copied().collect();
        }
    }

    fn expire(&mut self, silent_seconds: u32) {
        // Nothing is so old, but ages begin anew before.
        let begun = self.gateway.expire(self.now_millis, u32::MAX);
        if self.are_ages_due && begun.is_ok() {
            self.model.ages_start = self.second();
            self.are_ages_due = false;
        }
        if begun.is_ok() && self.gateway.expire(self.now_millis, silent_seconds).is_ok() {
            self.model.expire(self.second() - u64::from(silent_seconds));
        }
    }

    fn delete_labels(&mut self, labels: &str) {
        match self.gateway.delete_labels(self.now_millis, labels) {
            Ok(_) => self.model.series.retain(|(_, a, b), _| match labels {
                "a/1" => *a != 1,
                "a/2" => *a != 2,
                _ => (*a, *b) != (1, 1),
            }),
            Err(DeleteError::NotKept(_)) => {}
            Err(error) => panic!("{error}"),
        }
    }

    fn sync(&mut self) {
        let outcome = self.gateway.sync_journal();
        let is_synced = outcome.is_ok() && self.gateway.not_kept().is_none();
        if is_synced && !self.is_unsafe {
            self.states.clear();
        }
    }

    fn move_away(&mut self) {
        let moved = self.disk.move_away();
        self.gateway.check_journal();
        let _ = self.gateway.compact_journal();
        if !self.disk.has_journal() {
            self.disk.put(moved);
        }
    }

    fn kill(&mut self, flags: Flags) {
        if let Some(kept) = self.kept.take() {
            self.model = kept;
            self.states.push(self.model.clone());
        }
        self.keys
            .retain(|key, _| !self.keys_not_in_file.contains(key));
        self.keys_not_in_file.clear();
        self.is_unsafe |= self.has_failed_sync;
        self.go_on(flags);
        self.gateway.restart_ages(self.now_millis);
        self.keys_restarted_millis = self.now_millis;
        self.are_ages_due = flags.ages == Ages::Kept;
        if self.are_ages_due && self.gateway.not_kept().is_none() {
            self.model.ages_start = self.second();
            self.are_ages_due = false;
        }
    }

    fn hand_over(&mut self, flags: Flags) {
        let closed = self.gateway.close(|| panic!("it has a journal"));
        if closed.is_err() {
            self.gateway.reopen();
            return;
        }
        if self.are_ages_due {
            self.model.ages_start = self.gateway.time_millis() / 1000;
            self.are_ages_due = false;
        }
        // The new image reads the same file, but for what only the old one knew.
        self.keys
            .retain(|key, _| !self.keys_not_in_file.contains(key));
        self.keys_not_in_file.clear();
        self.go_on(flags);
    }

    /// Starts as the process does.
    fn go_on(&mut self, flags: Flags) {
        self.gateway = start(&self.disk, flags, "a start");
        if flags == self.model.flags {
            return;
        }
        let second = self.gateway.time_millis() / 1000;
        let kept = self.model.clone();
        self.model.change_flags(flags, second);
        let before = self.identity();
        let _ = self.gateway.compact_journal();
        // A file that was begun anew holds nothing, and has no rules yet.
        let is_due = self.gateway.not_kept().is_some() && self.identity() == before;
        self.kept = is_due.then_some(kept);
    }

    /// Killed now, the sums are those of the model.
    fn check_file(&self, case: &str) {
        let kept = self.kept.as_ref().unwrap_or(&self.model);
        let copy = MemoryDisk::with(&self.disk.bytes());
        assert_eq!(
            scrape(&start(&copy, kept.flags, case)),
            kept.scrape(),
            "{case}"
        );
    }

    /// A power cut leaves what was shown at or after the last sync.
    fn cut_power(&self, random: &mut Random, case: &str) {
        if self.is_unsafe {
            return;
        }
        let left = self.disk.after_power_cut(random);
        let found = scrape(&start(&left, self.model.flags, case));
        let mut states = self.states.iter().map(|state| {
            let mut state = state.clone();
            if state.flags != self.model.flags {
                state.change_flags(self.model.flags, 0);
            }
            state.scrape()
        });
        assert!(states.any(|state| state == found), "{case}: found {found}");
    }

    /// The disk works again: so does the gateway, after one look of each thread.
    fn heal(&mut self, random: &mut Random, case: &str) {
        self.disk.fail(0..0);
        self.disk.fill_up(usize::MAX);
        for step in [Step::Look, Step::Sync, Step::Compact, Step::Sync] {
            self.step(&step);
        }
        assert_eq!(self.gateway.not_kept(), None, "{case}");
        self.step(&Step::Push(RandomPush::new(&mut Random::new(7))));
        for key in 0..KEYS {
            self.step(&Step::PushWithKey(key));
        }
        self.step(&Step::Sync);
        self.check(case);
        self.check_file(case);
        self.cut_power(random, case);
    }

    fn check(&self, case: &str) {
        assert_eq!(scrape(&self.gateway), self.model.scrape(), "{case}");
    }
}

/// Tries until the disk lets it. Only the disk's own errors may end a start.
fn start(disk: &MemoryDisk, flags: Flags, case: &str) -> Gateway {
    for tries in 0.. {
        let storage = Arc::new(disk.clone());
        match Gateway::open(storage, &disk.file(), flags.rules(), START) {
            Ok((gateway, opened)) => {
                let is_refused = opened.written_by == WrittenBy::OtherRules;
                assert_eq!(gateway.not_kept().is_some(), is_refused);
                return gateway;
            }
            Err(JournalError::System(..)) => {}
            Err(error) => panic!("{case}: {error}"),
        }
        if tries == 3 {
            disk.fail(0..0);
            disk.fill_up(usize::MAX);
        }
    }
    unreachable!("it returns")
}

/// The steps, and the first flags.
fn sequence(seed: u64) -> (Vec<Step>, Flags) {
    let mut random = Random::new(seed);
    let flags = Flags::random(&mut random);
    let steps = (0..STEPS).map(|_| Step::random(&mut random)).collect();
    (steps, flags)
}

/// What has failed in which steps.
type Failed = BTreeSet<(String, Operation)>;

/// Which operations fail.
#[derive(Clone, Copy, Debug)]
enum Failing {
    Nothing,
    /// So many from one on.
    Some(usize, usize),
    /// One, and every so many from then on.
    Every(usize, usize),
}

/// Gives how many operations there were.
fn run(seed: u64, failing: Failing, failed: &mut Failed) -> usize {
    let (steps, flags) = sequence(seed);
    let disk = MemoryDisk::with(b"");
    let errors = [Errno::IO, Errno::ROFS, Errno::DQUOT, Errno::NOSPC];
    disk.fail_with(errors[seed as usize % errors.len()]);
    let first = match failing {
        Failing::Nothing => 0,
        Failing::Some(first, count) => {
            disk.fail(first..first + count);
            first
        }
        Failing::Every(first, interval) => {
            disk.fail_every(first, interval);
            first
        }
    };
    let mut world = World::new(flags, disk.clone());
    let mut random = Random::new(seed ^ first as u64);
    let of_start = disk.take_failed().into_iter();
    failed.extend(of_start.map(|operation| ("Start".to_owned(), operation)));
    for (number, step) in steps.iter().enumerate() {
        let case = format!("seed {seed}, {failing:?}, step {number}: {step:?}");
        let failed_now = world.step(step);
        world.check(&case);
        if !failed_now.is_empty() {
            world.check_file(&case);
            world.cut_power(&mut random, &case);
        }
        failed.extend(failed_now.into_iter().map(|one| (step.name(), one)));
    }
    let operations = disk.operations();
    let case = format!("seed {seed}, {failing:?}, in the end");
    world.check_file(&case);
    world.cut_power(&mut random, &case);
    world.heal(&mut random, &case);
    operations
}

#[test]
fn no_life_on_a_failing_disk_loses_or_doubles() {
    let mut failed = Failed::new();
    for seed in 0..SEEDS {
        let operations = run(seed, Failing::Nothing, &mut failed);
        for first in 0..operations {
            for count in [1, 2, 10_000] {
                run(seed, Failing::Some(first, count), &mut failed);
            }
            for interval in [2, 3, 7] {
                run(seed, Failing::Every(first, interval), &mut failed);
            }
        }
    }
    for operation in [
        Operation::Create,
        Operation::Look,
        Operation::Read,
        Operation::Replace,
        Operation::Sync,
        Operation::SyncFolder,
        Operation::Truncate,
        Operation::Write,
    ] {
        let steps = failed.iter().filter(|(_, failed)| *failed == operation);
        assert!(steps.count() > 0, "{operation:?} has never failed");
    }
    let steps = "Start Push PushWithKey Reset Expire DeleteLabels DeleteFamily Sync Compact Look \
                 MoveAway Kill HandOver";
    for step in steps.split(' ') {
        let has_failed = failed.iter().any(|(failed, _)| failed == step);
        assert!(has_failed, "nothing has ever failed in {step}");
    }
}

/// The sequences have records of every kind.
#[test]
fn sequences_are_varied() {
    let mut kinds = BTreeSet::new();
    for seed in 0..SEEDS {
        let (steps, flags) = sequence(seed);
        let mut world = World::new(flags, MemoryDisk::with(b""));
        for step in &steps {
            world.step(step);
            let note = |_, record: Record<'_>| {
                let record = format!("{record:?}");
                let end = record.find([' ', '(']).unwrap_or(record.len());
                kinds.insert(record[..end].to_owned());
                Ok(())
            };
            Log::recover(&world.disk.file(), note).unwrap();
        }
    }
    let expected = "DeleteFamily DeleteLabels Expiry HashKey Push Reset RestartAges Rules Snapshot \
                    SnapshotKeys SumsStart SwapKeys";
    assert!(kinds.iter().eq(expected.split(' ')), "{kinds:?}");
}
