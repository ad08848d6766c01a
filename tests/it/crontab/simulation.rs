//! The loop, driven by a clock that tells what a test wants, without sleeping.

use std::cell::{Cell, RefCell};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use prometheus_aggregation_gateway::schedule::{
    Due, Schedule, SystemClock, Wait, WallClock, Zone, run,
};

use super::brute_force::local_minutes;
use super::zones::{instant, named};

/// A wall clock that is stepped (or whose machine is suspended, which looks the same to a sleeping
/// thread) once it has run for some time, and that says stop at the end.
struct Simulation {
    wall: Cell<DateTime<Utc>>,
    ran: Cell<TimeDelta>,
    /// In ascending order: running time, and by how much the wall time then changes.
    steps: Vec<(TimeDelta, TimeDelta)>,
    runs_for: TimeDelta,
    looks: Cell<u32>,
}

impl WallClock for Simulation {
    fn now(&self) -> DateTime<Utc> {
        self.wall.get()
    }

    fn wait(&self, at_most: Duration) -> Wait {
        self.looks.set(self.looks.get() + 1);
        assert!(self.looks.get() < 1_500_000, "looks all the time");
        assert!(
            at_most <= Duration::from_secs(30),
            "does not look for {at_most:?}"
        );
        let at_most = TimeDelta::from_std(at_most).unwrap();
        let (before, after) = (self.ran.get(), self.ran.get() + at_most);
        let steps = self
            .steps
            .iter()
            .filter(|(at, _)| before < *at && *at <= after);
        let stepped: TimeDelta = steps.map(|(_, step)| *step).sum();
        self.ran.set(after);
        self.wall.set(self.wall.get() + at_most + stepped);
        if after < self.runs_for {
            Wait::Elapsed
        } else {
            Wait::Stopped
        }
    }
}

/// What the loop did, in order.
#[derive(Debug, PartialEq)]
enum Did {
    Announce(Option<DateTime<Utc>>),
    Reset(Due),
}

#[track_caller]
fn simulate(
    expression: &str,
    zone: &impl Zone,
    start: &str,
    steps: &[(TimeDelta, TimeDelta)],
    runs_for: TimeDelta,
) -> Vec<Did> {
    let start = instant(start);
    let schedule = Schedule::parse(expression, start).unwrap();
    let clock = Simulation {
        wall: Cell::new(start),
        ran: Cell::new(TimeDelta::zero()),
        steps: steps.to_vec(),
        runs_for,
        looks: Cell::new(0),
    };
    let did = RefCell::new(Vec::new());
    let announce = |next| did.borrow_mut().push(Did::Announce(next));
    let reset = |due| did.borrow_mut().push(Did::Reset(due));
    run(&schedule, || zone, &clock, start, announce, reset);
    did.into_inner()
}

/// Resets as `occurrence>now` where the two differ, announcements as `=next`.
#[track_caller]
fn check(expression: &str, start: &str, steps: &[(i64, i64)], hours: i64, expected: &str) {
    let minutes = |step: &(i64, i64)| (TimeDelta::minutes(step.0), TimeDelta::minutes(step.1));
    let steps: Vec<_> = steps.iter().map(minutes).collect();
    let did = simulate(
        expression,
        &named("UTC"),
        start,
        &steps,
        TimeDelta::hours(hours),
    );
    let time = |time: DateTime<Utc>| time.format("%dT%H:%M").to_string();
    let shown: Vec<String> = did
        .iter()
        .map(|did| match did {
            Did::Announce(None) => "=never".to_owned(),
            Did::Announce(Some(next)) => format!("={}", time(*next)),
            Did::Reset(due) if due.occurrence == due.now => time(due.now),
            Did::Reset(due) => format!("{}>{}", time(due.occurrence), time(due.now)),
        })
        .collect();
    assert_eq!(shown.join(" "), expected);
}

#[test]
fn announces_before_the_first_wait_and_after_each_reset() {
    check(
        "0 * * * *",
        "2026-06-17T10:23:45Z",
        &[],
        2,
        "=17T11:00 17T11:00 =17T12:00 17T12:00 =17T13:00",
    );
}

#[test]
fn a_reset_knows_the_next_one() {
    let did = simulate(
        "0 * * * *",
        &named("UTC"),
        "2026-06-17T10:50:00Z",
        &[],
        TimeDelta::minutes(20),
    );
    let occurrence = instant("2026-06-17T11:00:00Z");
    let next = Some(instant("2026-06-17T12:00:00Z"));
    assert_eq!(
        did[1],
        Did::Reset(Due {
            occurrence,
            now: occurrence,
            next
        })
    );
    assert_eq!(did[2], Did::Announce(next));
}

#[test]
fn a_step_forward_over_several_occurrences_fires_once() {
    check(
        "*/10 * * * *",
        "2026-06-17T10:01:00Z",
        &[(5, 35)],
        1,
        "=17T10:10 17T10:10>17T10:41 =17T10:50 17T10:50 =17T11:00 17T11:00 =17T11:10 \
         17T11:10 =17T11:20 17T11:20 =17T11:30 17T11:30 =17T11:40",
    );
}

#[test]
fn a_step_forward_over_no_occurrence_fires_nothing() {
    check(
        "0 * * * *",
        "2026-06-17T10:01:00Z",
        &[(5, 40)],
        1,
        "=17T11:00 17T11:00 =17T12:00",
    );
}

#[test]
fn a_suspended_machine_fires_once_when_it_resumes() {
    check(
        "@daily",
        "2026-06-17T10:00:00Z",
        &[(60, 5 * 24 * 60)],
        24,
        "=18T00:00 18T00:00>22T11:00 =23T00:00 23T00:00 =24T00:00",
    );
}

#[test]
fn a_small_step_back_fires_nothing_again() {
    check(
        "*/10 * * * *",
        "2026-06-17T10:05:00Z",
        &[(16, -12)],
        1,
        "=17T10:10 17T10:10 =17T10:20 17T10:20 =17T10:30 17T10:30 =17T10:40 17T10:40 =17T10:50 \
         17T10:50 =17T11:00",
    );
}

/// The occurrence was passed by a clock that was wrong: after the step back it is still served.
#[test]
fn a_step_forward_and_back_fires_once() {
    check(
        "0 * * * *",
        "2026-06-17T10:50:00Z",
        &[(5, 20), (8, -20)],
        2,
        "=17T11:00 17T11:00>17T11:15 =17T12:00 17T12:00 =17T13:00",
    );
}

#[test]
fn just_under_three_hours_back_is_a_small_step() {
    check(
        "0 * * * *",
        "2026-06-17T10:50:00Z",
        &[(15, -180)],
        5,
        "=17T11:00 17T11:00 =17T12:00 17T12:00 =17T13:00",
    );
}

#[test]
fn just_over_three_hours_back_is_a_large_step() {
    check(
        "0 * * * *",
        "2026-06-17T10:50:00Z",
        &[(15, -181)],
        1,
        "=17T11:00 17T11:00 =17T12:00 =17T09:00",
    );
}

#[test]
fn a_large_step_back_starts_again_from_the_new_time() {
    const YEARS: i64 = 10 * 365 * 24 * 60;
    check(
        "0 * * * *",
        "2036-06-17T10:50:00Z",
        &[(15, -YEARS)],
        2,
        "=17T11:00 17T11:00 =17T12:00 =20T12:00 20T12:00 =20T13:00",
    );
}

#[test]
fn every_goes_on_after_a_large_step_back_before_its_start() {
    check(
        "@every 30m",
        "2026-06-17T10:50:00Z",
        &[(15, -24 * 60)],
        1,
        "=17T11:20 =16T11:20 16T11:20 =16T11:50",
    );
}

#[test]
fn never_waits_until_stopped() {
    check(
        "0 0 31 2 *",
        "2026-06-17T10:50:00Z",
        &[(60, 600), (120, -6000)],
        10,
        "=never",
    );
}

/// Each reset takes longer than the interval: it must still see the stop.
#[test]
fn a_slow_reset_does_not_keep_it_from_stopping() {
    let clock = Simulation {
        wall: Cell::new(instant("2026-06-17T10:50:00Z")),
        ran: Cell::new(TimeDelta::zero()),
        steps: Vec::new(),
        runs_for: TimeDelta::seconds(3),
        looks: Cell::new(0),
    };
    let schedule = Schedule::parse("@every 1s", clock.now()).unwrap();
    let mut resets = 0;
    let reset = |_| {
        resets += 1;
        clock.wall.set(clock.wall.get() + TimeDelta::seconds(5));
        clock
            .ran
            .set(clock.ran.get() + TimeDelta::milliseconds(500));
    };
    let since = clock.now();
    run(&schedule, || named("UTC"), &clock, since, |_| (), reset);
    assert_eq!(resets, 4);
}

/// What was announced before the loop began is not skipped when it begins late.
#[test]
fn a_change_of_the_zone_is_followed() {
    let start = instant("2026-06-17T00:00:00Z");
    let schedule = Schedule::parse("0 12 * * *", start).unwrap();
    let clock = Simulation {
        wall: Cell::new(start),
        ran: Cell::new(TimeDelta::zero()),
        steps: vec![],
        runs_for: TimeDelta::hours(48),
        looks: Cell::new(0),
    };
    let zone = || match clock.ran.get() < TimeDelta::hours(24) {
        true => named("UTC"),
        false => named("Europe/Berlin"),
    };
    let mut resets = Vec::new();
    let reset = |due: Due| resets.push(due.occurrence);
    run(&schedule, zone, &clock, start, |_| (), reset);
    let expected = ["2026-06-17T12:00:00Z", "2026-06-18T10:00:00Z"];
    assert_eq!(resets, expected.map(instant));
}

#[test]
fn an_occurrence_before_the_first_look_is_due() {
    let clock = Simulation {
        wall: Cell::new(instant("2026-06-17T10:50:07Z")),
        ran: Cell::new(TimeDelta::zero()),
        steps: Vec::new(),
        runs_for: TimeDelta::seconds(1),
        looks: Cell::new(0),
    };
    let schedule = Schedule::parse("*/10 * * * *", clock.now()).unwrap();
    let mut resets = Vec::new();
    let reset = |due: Due| resets.push(due.occurrence);
    let since = instant("2026-06-17T10:49:59Z");
    run(&schedule, || named("UTC"), &clock, since, |_| (), reset);
    assert_eq!(resets, [instant("2026-06-17T10:50:00Z")]);
}

#[track_caller]
fn check_stop(say_stop: impl FnOnce(mpsc::Sender<()>)) {
    let (stop, stopped) = mpsc::channel();
    let schedule = Schedule::parse("0 0 31 2 *", Utc::now()).unwrap();
    let began = Instant::now();
    let thread = thread::spawn(move || {
        let clock = SystemClock::new(stopped);
        run(
            &schedule,
            || named("UTC"),
            &clock,
            Utc::now(),
            |_| (),
            |_| (),
        );
    });
    say_stop(stop);
    thread.join().unwrap();
    assert!(began.elapsed() < Duration::from_secs(10));
}

#[test]
fn dropping_the_sender_or_a_message_ends_the_thread() {
    check_stop(drop);
    check_stop(|stop| stop.send(()).unwrap());
}

#[track_caller]
fn check_year(zone: &str, start: &str) {
    let (zone, start_instant) = (named(zone), instant(start));
    let year = TimeDelta::days(365);
    let mut expected = local_minutes(&zone, start_instant, start_instant + year, 60);
    expected.retain(|minute| {
        zone.local_time(minute.instant)
            .format("%M")
            .to_string()
            .ends_with(['0', '5'])
    });
    let did = simulate("*/5 * * * *", &zone, start, &[], year);
    let resets: Vec<DateTime<Utc>> = did
        .iter()
        .filter_map(|did| match did {
            Did::Reset(due) => Some(due.occurrence),
            Did::Announce(_) => None,
        })
        .collect();
    let expected: Vec<DateTime<Utc>> = expected.iter().map(|minute| minute.instant).collect();
    assert_eq!(resets.len(), expected.len());
    assert!(
        resets == expected[..resets.len()],
        "not at the same instants"
    );
}

#[test]
fn a_year_in_berlin() {
    check_year("Europe/Berlin", "2025-01-01T00:02:00Z");
}

#[test]
fn a_year_in_new_york() {
    check_year("America/New_York", "2025-01-01T00:02:00Z");
}

#[test]
fn a_year_in_lord_howe() {
    check_year("Australia/Lord_Howe", "2025-01-01T00:02:00Z");
}
