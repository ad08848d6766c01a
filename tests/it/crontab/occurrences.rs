//! Expression, zone and instant to the next occurrences.

use std::path::Path;

use chrono::{DateTime, TimeDelta, Utc};
use prometheus_aggregation_gateway::schedule::{Schedule, Zone};

use super::brute_force::{LocalMinute, Random, draw, local_minutes};
use crate::running_gateway::command;

use super::zones::{Table, instant, named};

#[track_caller]
fn schedule(expression: &str, start: DateTime<Utc>) -> Schedule {
    Schedule::parse(expression, start).unwrap_or_else(|error| panic!("{error}"))
}

#[track_caller]
fn check(expression: &str, zone: &impl Zone, start: &str, expected: &str) {
    let start = instant(start);
    let occurrences: Vec<String> = schedule(expression, start)
        .occurrences(start, zone)
        .take(5)
        .map(|occurrence| occurrence.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true))
        .collect();
    let found = if occurrences.is_empty() {
        "never".to_owned()
    } else {
        occurrences.join(" ")
    };
    assert_eq!(found, expected, "{expression:?} after {start}");
}

/// Columns: expression, zone, start, the next five or `never`, note.
#[track_caller]
fn check_rows(rows: &str) {
    for (index, row) in rows.lines().enumerate() {
        println!("row {}: {row}", index + 1);
        let columns: Vec<&str> = row.split('\t').collect();
        let [expression, zone, start, expected, _note] = columns[..] else {
            panic!("row {} has {} columns", index + 1, columns.len());
        };
        check(expression, &named(zone), start, expected);
    }
}

#[test]
fn shared_cases() {
    check_rows(include_str!("../data/crontab/cron.tsv"));
}

/// The same through the binary, in the zones of this machine.
#[test]
fn shared_cases_as_printed() {
    if !Path::new("/usr/share/zoneinfo/Europe/Berlin").exists() {
        println!("skipped: there is no tzdata on this machine");
        return;
    }
    for row in include_str!("../data/crontab/cron.tsv").lines() {
        let columns: Vec<&str> = row.split('\t').collect();
        let output = command(&["-crontab", columns[0], "-next", "5", "-after", columns[2]])
            .env("TZ", columns[1])
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(0), "{row}");
        let printed = String::from_utf8(output.stdout).unwrap();
        let in_utc = |line: &str| match line {
            "never" => line.to_owned(),
            _ => instant(line).to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true),
        };
        let printed: Vec<String> = printed.lines().map(in_utc).collect();
        assert_eq!(printed.join(" "), columns[3], "{row}");
    }
}

#[test]
fn own_cases() {
    check_rows(include_str!("../data/crontab/more.tsv"));
}

#[test]
fn every_fraction_of_a_second_before_an_occurrence_finds_it() {
    let (start, zone) = (instant("2025-10-26T00:58:00Z"), named("Europe/Berlin"));
    let daily = schedule("0 2 * * *", start);
    let occurrence = instant("2025-10-26T01:00:00Z");
    for milliseconds in (0..120_000).step_by(37) {
        let from = start + TimeDelta::milliseconds(milliseconds);
        assert_eq!(daily.next_after(from, &zone), Some(occurrence), "{from}");
    }
    assert_ne!(daily.next_after(occurrence, &zone), Some(occurrence));
}

#[test]
fn ends_of_time_do_not_panic() {
    let zone = named("America/New_York");
    for start in [
        DateTime::<Utc>::MIN_UTC,
        instant("1900-01-01T00:00:00Z"),
        DateTime::UNIX_EPOCH,
    ] {
        check_next("0 0 1 1 *", start, "1970-01-01T05:00:00Z", &zone);
    }
    check_next(
        "0 0 1 1 *",
        instant("2099-06-01T00:00:00Z"),
        "2100-01-01T05:00:00Z",
        &zone,
    );
    for start in [instant("2100-12-31T23:59:59Z"), DateTime::<Utc>::MAX_UTC] {
        assert_eq!(
            schedule("0 0 1 1 *", start).next_after(start, &zone),
            None,
            "{start}"
        );
        let every = schedule("@every 24h", DateTime::<Utc>::MIN_UTC);
        let next = every.next_after(start, &zone);
        if start == DateTime::<Utc>::MAX_UTC {
            assert_eq!(next, None);
        } else {
            assert!(next > Some(start));
        }
    }
}

#[track_caller]
fn check_next(expression: &str, start: DateTime<Utc>, expected: &str, zone: &impl Zone) {
    let next = schedule(expression, start).next_after(start, zone);
    assert_eq!(next, Some(instant(expected)), "{expression} after {start}");
}

#[test]
fn every_keeps_its_grid_before_its_start() {
    let start = instant("2026-06-17T10:23:45.250Z");
    let every = schedule("@every 10s", start);
    let before = |text| every.next_after(instant(text), &named("UTC")).unwrap();
    assert_eq!(
        before("2020-01-01T00:00:00Z"),
        instant("2020-01-01T00:00:05Z")
    );
    assert_eq!(
        before("2026-06-17T10:23:44.999Z"),
        instant("2026-06-17T10:23:45Z")
    );
    assert_eq!(
        before("2026-06-17T10:23:45Z"),
        instant("2026-06-17T10:23:55Z")
    );
}

/// Random expressions, asked at random instants (half of them near a change of offset) and from
/// each occurrence to the next, against the walk over all minutes.
#[track_caller]
fn compare(zone: &impl Zone, minutes: &[LocalMinute], expressions: usize, random: &mut Random) {
    let (first, last) = (minutes[0].instant, minutes[minutes.len() - 1].instant);
    let changes: Vec<DateTime<Utc>> = minutes
        .windows(2)
        .filter(|pair| zone.offset_at(pair[0].instant) != zone.offset_at(pair[1].instant))
        .map(|pair| pair[1].instant)
        .collect();
    for _ in 0..expressions {
        let (expression, meaning) = draw(random);
        let expected = meaning.occurrences(minutes);
        let schedule = schedule(&expression, first);
        for _ in 0..60 {
            let anywhere = first + random.seconds(0, (last - first).num_seconds());
            let near = changes.get(random.within(0, 2 * changes.len() as u32) as usize);
            let instant = near.map_or(anywhere, |change| *change + random.seconds(-9000, 9000));
            let instant = instant.clamp(first, last);
            let index = expected.partition_point(|occurrence| *occurrence <= instant);
            let next = schedule
                .next_after(instant, zone)
                .filter(|next| *next <= last);
            assert_eq!(
                next,
                expected.get(index).copied(),
                "{expression} after {instant}"
            );
        }
        let before_first = first - TimeDelta::seconds(1);
        let found = schedule
            .occurrences(before_first, zone)
            .take_while(|next| *next <= last);
        let found: Vec<_> = found.take(500).collect();
        assert_eq!(
            found[..],
            expected[..expected.len().min(500)],
            "{expression}"
        );
    }
}

#[track_caller]
fn compare_named(name: &str, years: (i32, i32)) {
    let zone = named(name);
    let [from, until] = [years.0, years.1].map(|year| instant(&format!("{year}-01-01T00:00:00Z")));
    let minutes = local_minutes(&zone, from, until, 60);
    compare(
        &zone,
        &minutes,
        25,
        &mut Random(u64::from(name.as_bytes()[0])),
    );
}

#[test]
fn brute_force_agrees_in_europe_and_america() {
    compare_named("Europe/Berlin", (2024, 2027));
    compare_named("America/New_York", (2025, 2027));
    compare_named("America/St_Johns", (2025, 2027));
    compare_named("America/Santiago", (2024, 2026));
}

#[test]
fn brute_force_agrees_in_africa_and_the_pacific() {
    compare_named("Australia/Lord_Howe", (2024, 2027));
    // Twice a year, a month apart.
    compare_named("Africa/Casablanca", (2025, 2027));
    // Two hours.
    compare_named("Antarctica/Troll", (2025, 2026));
    // A day that did not exist, 2011-12-30.
    compare_named("Pacific/Apia", (2011, 2013));
    // A day that happened twice, 1969-09-30 is too early for the engine: 1993-08-21 was skipped.
    compare_named("Pacific/Kwajalein", (1993, 1994));
}

/// Offsets with seconds, shifts of up to two days, hours after one another.
#[test]
fn brute_force_agrees_in_random_zones() {
    let mut random = Random(4);
    for _ in 0..8 {
        let from = instant("2028-01-20T00:00:00Z");
        let until = from + TimeDelta::days(13);
        // Three of them, so that an offset comes back soon.
        let offsets = [(); 3].map(|()| random.seconds(-86_399, 86_399).num_seconds());
        let offsets = offsets.map(|seconds| i32::try_from(seconds).unwrap());
        let draw_offset = |random: &mut Random| offsets[random.within(0, 2) as usize];
        let mut change = from;
        let mut changes = Vec::new();
        while change < until {
            change += random.seconds(3601, 40_000);
            changes.push((change, draw_offset(&mut random)));
        }
        let zone = Table {
            first_seconds: draw_offset(&mut random),
            changes,
        };
        let minutes = local_minutes(&zone, from, until, 1);
        compare(&zone, &minutes, 25, &mut random);
    }
}
