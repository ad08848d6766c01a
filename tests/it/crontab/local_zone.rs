//! `TZ` as a process gets it: each case is a child process, since a test must not set its own.

use std::fs;

use chrono::TimeDelta;
use prometheus_aggregation_gateway::schedule::Zone;

use super::zones::{instant, named};
use crate::running_gateway::{command, scratch_folder};

/// The offsets of a winter and a summer day under this `TZ`, or what is wrong with it.
fn offsets(value: &str) -> String {
    let output = command(&["-crontab", "0 12 15 1,7 *", "-next", "2"])
        .args(["-after", "2025-01-01T00:00:00Z"])
        .env("TZ", value)
        .output()
        .unwrap();
    let stdout = String::from_utf8(output.stdout).unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    let (code, is_failure) = (output.status.code(), stdout.is_empty());
    assert_eq!(code, Some(if is_failure { 2 } else { 0 }), "{stderr}");
    if is_failure {
        let line = stderr.strip_prefix("prometheus-aggregation-gateway: ");
        return line.expect("it says its name").trim_end().to_owned();
    }
    let days = ["2025-01-15T12:00:00", "2025-07-15T12:00:00"];
    let offset = |(line, day): (&str, &str)| line.strip_prefix(day).unwrap_or(line).to_owned();
    let offsets: Vec<String> = stdout.lines().zip(days).map(offset).collect();
    offsets.join(" ")
}

#[track_caller]
fn check(value: &str, expected: &str) {
    assert_eq!(offsets(value), expected, "TZ={value:?}");
}

#[test]
fn utc_needs_no_files() {
    for value in ["", ":", "UTC", ":UTC", "Etc/UTC"] {
        check(value, "+00:00 +00:00");
    }
}

#[test]
fn rules_need_no_files() {
    for (value, offsets) in [
        ("CET-1CEST,M3.5.0,M10.5.0/3", "+01:00 +02:00"),
        ("EST5EDT,M3.2.0/2,M11.1.0/2", "-05:00 -04:00"),
        ("<+1030>-10:30<+11>-11,M10.1.0,M4.1.0", "+11:00 +10:30"),
        ("XYZ-3", "+03:00 +03:00"),
        ("ABCDEFG-23:59", "+23:59 +23:59"),
        ("<-0330>+3:30:00", "-03:30 -03:30"),
        ("AAA3BBB,J60/0:59:59,J300/24:00:00", "-03:00 -02:00"),
        ("AAA3BBB2:30,0,365/1:30", "-02:30 -02:30"),
    ] {
        check(value, offsets);
    }
}

/// A rule shows the same clocks as the zone that it describes, each hour of two years.
#[test]
fn a_rule_is_as_exact_as_a_table() {
    for (rule, name) in [
        ("CET-1CEST,M3.5.0,M10.5.0/3", "Europe/Berlin"),
        ("EST5EDT,M3.2.0,M11.1.0", "America/New_York"),
        (
            "<+1030>-10:30<+11>-11,M10.1.0,M4.1.0",
            "Australia/Lord_Howe",
        ),
        ("NST3:30NDT,M3.2.0,M11.1.0", "America/St_Johns"),
    ] {
        let output = command(&["-crontab", "*/30 * * * *", "-next", "35040"])
            .args(["-after", "2023-12-31T23:59:59Z"])
            .env("TZ", rule)
            .output()
            .unwrap();
        let zone = named(name);
        let mut next = instant("2024-01-01T00:00:00Z");
        for line in String::from_utf8(output.stdout).unwrap().lines() {
            assert_eq!(line, zone.local_time(next).to_rfc3339(), "{name}");
            next += TimeDelta::minutes(30);
        }
        assert_eq!(next, instant("2025-12-31T00:00:00Z"), "{name}");
    }
}

#[test]
fn an_unknown_zone_is_an_error() {
    for value in [
        "Mars/Phobos",
        "Europe/Berlinn",
        "europe/",
        "CET-1CEST",
        ":CET-1CEST,M3.5.0,M10.5.0/3",
        "CET-1CEST,M3.5.0",
        "CET-1CEST,M13.5.0,M10.5.0/3",
        "CET-1CEST,M3.5.0,M10.5.0/25",
        "CET-24",
        "1-1",
        "ABCDEFGH-1",
        "XYZ-3:60",
        "XYZ-3:00:60",
        " ",
        "UTC ",
        "+1",
        "/no/such/file",
    ] {
        let reason = "is no zone in /usr/share/zoneinfo (is tzdata installed?) \
                      and no rule such as CET-1CEST,M3.5.0,M10.5.0/3";
        check(value, &format!("TZ \"{value}\" {reason}"));
    }
}

#[test]
fn a_file_that_is_no_zone_is_an_error() {
    check(
        "/dev/null",
        "TZ \"/dev/null\" is not a time zone file (tzfile(5))",
    );
    check(
        "/",
        "TZ \"/\" cannot be read as a time zone: is a directory",
    );
}

/// A byte more is an error as well. Where the line of the rule would begin, a line feed may end the
/// file: then it has no rule.
#[test]
fn a_truncated_zone_file_is_an_error() {
    let folder = scratch_folder();
    let path = folder.path().join("zone");
    let value = path.to_str().expect("it is ours");
    let version_2 = [block(b'2', &[0; 4]), block(b'2', &[0; 8])].concat();
    for file in [block(0, &[0; 4]), [&version_2[..], b"\nABC-1\n"].concat()] {
        let longer = [&file[..], b"x"].concat();
        for length in 0..=longer.len() {
            fs::write(&path, &longer[..length]).unwrap();
            let is_whole = length == file.len() || longer[..length].ends_with(b"\n");
            let expected = if is_whole {
                "+01:00 +01:00".to_owned()
            } else {
                format!("TZ \"{value}\" is not a time zone file (tzfile(5))")
            };
            assert_eq!(offsets(value), expected, "{length} bytes of {}", file.len());
        }
    }
}

/// A block of a zone file with one of everything: a change to the one offset, and a leap second.
fn block(version: u8, time: &[u8]) -> Vec<u8> {
    let (name, offset, is_summer, correction) = (b"ABC\0", 3600_u32, 0, 1_u32);
    let counts = [1, 1, 1, 1, 1, name.len() as u32];
    let mut block = [b"TZif", &[version][..], &[0; 15]].concat();
    block.extend(counts.iter().flat_map(|count| count.to_be_bytes()));
    block.extend([time, &[0]].concat());
    block.extend([&offset.to_be_bytes()[..], &[is_summer, 0], name].concat());
    block.extend([time, &correction.to_be_bytes()].concat());
    block.extend([0, 0]);
    block
}
