//! `TZ` as a process gets it: each case is a child process, since a test must not set its own.

use std::process::{self, Command};
use std::{env, fs};

use prometheus_aggregation_gateway::schedule::{LocalZone, Zone};

use super::zones::instant;

/// Not a test: what the child runs.
#[test]
#[ignore = "run by the other tests of this file, with TZ set"]
fn print_zone() {
    match LocalZone::from_environment() {
        Ok(zone) => {
            let winter = zone.offset_at(instant("2025-01-15T12:00:00Z"));
            let summer = zone.offset_at(instant("2025-07-15T12:00:00Z"));
            println!("\nzone: {} {winter} {summer}", zone.name());
        }
        Err(error) => println!("\nzone: {error}"),
    }
}

fn print_zone_of(value: &str) -> String {
    let output = Command::new(env::current_exe().unwrap())
        .args(["--exact", "--ignored", "--nocapture"])
        .arg("crontab::local_zone::print_zone")
        .env("TZ", value)
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[track_caller]
fn check(value: &str, expected: &str) {
    let output = print_zone_of(value);
    let found = output.lines().find_map(|line| line.strip_prefix("zone: "));
    assert_eq!(found, Some(expected), "TZ={value:?}: {output}");
}

#[test]
fn utc_needs_no_files() {
    for value in ["", ":", "UTC", ":UTC", "Etc/UTC"] {
        check(value, "UTC +00:00 +00:00");
    }
}

#[test]
fn rules_need_no_files() {
    for (value, offsets) in [
        ("CET-1CEST,M3.5.0,M10.5.0/3", "+01:00 +02:00"),
        ("EST5EDT,M3.2.0/2,M11.1.0/2", "-05:00 -04:00"),
        ("<+1030>-10:30<+11>-11,M10.1.0,M4.1.0", "+11:00 +10:30"),
        ("XYZ-3", "+03:00 +03:00"),
        ("<-0330>+3:30:00", "-03:30 -03:30"),
        ("AAA3BBB,J60/0,J300/24:00:00", "-03:00 -02:00"),
        ("AAA3BBB2:30,0,365/1:30", "-02:30 -02:30"),
    ] {
        check(value, &format!("{value} {offsets}"));
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
        "CE-1",
        "ABCDEFGH-1",
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

/// `chrono` would take UTC, or the zone of `/etc/localtime`, without a word.
#[test]
fn a_truncated_zone_file_is_an_error() {
    let path = env::temp_dir().join(format!("truncated-zone-{}", process::id()));
    fs::write(&path, b"TZif2\0\0\0\0\0\0\0\0\0\0\0").unwrap();
    let output = print_zone_of(path.to_str().unwrap());
    fs::remove_file(&path).unwrap();
    assert!(output.contains("is not a time zone file"), "{output}");
}
