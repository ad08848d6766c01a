//! The zone of the process.

use std::env;
use std::error::Error;
use std::ffi::OsStr;
use std::fmt::{self, Display, Formatter};
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::path::Path;

use chrono::{DateTime, FixedOffset, Local, Offset, TimeZone, Utc};

use super::error::Quoted;
use super::posix_rule::is_posix_rule;
use super::zone::Zone;

/// The zone of the process by `TZ` or `/etc/localtime`, as tzset(3) has it.
///
/// If it began with an `/etc/localtime`, a change of that link is followed; the name stays.
#[derive(Clone, Debug)]
pub struct LocalZone {
    name: String,
    source: Source,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    /// No zone is set, or UTC is. `chrono` is not asked: it needs files that may not be there, and
    /// looks into others (`/etc/timezone`) that libc does not look into.
    Utc,
    /// `chrono::Local`, for a setting that it was found to understand.
    Chrono,
}

/// Why the zone of the process is not known. Displayed as one line that says what to change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ZoneError {
    /// `TZ` is neither the name of a zone that is installed, nor a rule.
    Unknown {
        /// The value of `TZ`.
        value: String,
    },
    /// The file that `TZ` or `/etc/localtime` stands for cannot be read.
    Unreadable {
        /// `TZ` with its value, or `/etc/localtime`.
        setting: String,
        /// What the system says.
        kind: ErrorKind,
    },
    /// The file that `TZ` or `/etc/localtime` stands for is not in the format of tzfile(5).
    NotZoneFile {
        /// `TZ` with its value, or `/etc/localtime`.
        setting: String,
    },
}

impl Error for ZoneError {}

impl Display for ZoneError {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        match self {
            ZoneError::Unknown { value } => {
                write!(
                    formatter,
                    "TZ {} is no zone in {} ",
                    Quoted(value),
                    ZONE_DIRECTORIES[0]
                )?;
                formatter.write_str("(is tzdata installed?) and no rule such as ")?;
                formatter.write_str("CET-1CEST,M3.5.0,M10.5.0/3")
            }
            ZoneError::Unreadable { setting, kind } => {
                write!(formatter, "{setting} cannot be read as a time zone: {kind}")
            }
            ZoneError::NotZoneFile { setting } => {
                write!(formatter, "{setting} is not a time zone file (tzfile(5))")
            }
        }
    }
}

/// Where `chrono` looks for a zone by its name, in this order.
const ZONE_DIRECTORIES: [&str; 4] = [
    "/usr/share/zoneinfo",
    "/share/zoneinfo",
    "/etc/zoneinfo",
    "/usr/share/lib/zoneinfo",
];

const LOCALTIME: &str = "/etc/localtime";

/// The largest ones have about 4 KiB; `/dev/zero` has no end.
const ZONE_FILE_BYTES_MAX: u64 = 1 << 20;

impl LocalZone {
    /// Reads `TZ`: a name (`Europe/Berlin`, also after a colon), the path of a file, a rule
    /// (`CET-1CEST,M3.5.0,M10.5.0/3`), or the empty string for UTC. If it is not set, takes
    /// `/etc/localtime`, and UTC if there is none.
    ///
    /// # Errors
    ///
    /// Refuses what `chrono` would not understand, since that takes some other zone then.
    pub fn from_environment() -> Result<LocalZone, ZoneError> {
        match env::var_os("TZ") {
            None => from_localtime(),
            Some(value) => from_value(&value),
        }
    }

    /// The name to tell a user: `Europe/Berlin`, `UTC`, a rule, a path.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    fn utc() -> LocalZone {
        LocalZone {
            name: "UTC".to_owned(),
            source: Source::Utc,
        }
    }

    fn chrono(name: &str) -> LocalZone {
        LocalZone {
            name: name.to_owned(),
            source: Source::Chrono,
        }
    }
}

impl Zone for LocalZone {
    fn offset_at(&self, instant: DateTime<Utc>) -> FixedOffset {
        match self.source {
            Source::Utc => Utc.fix(),
            Source::Chrono => Local.offset_from_utc_datetime(&instant.naive_utc()),
        }
    }
}

fn from_value(value: &OsStr) -> Result<LocalZone, ZoneError> {
    let unknown = || ZoneError::Unknown {
        value: value.to_string_lossy().into_owned(),
    };
    let value = value.to_str().ok_or_else(unknown)?;
    let name = value.strip_prefix(':').unwrap_or(value);
    match value {
        // These need no files, so that they work in an empty container.
        _ if is_utc(name) => return Ok(LocalZone::utc()),
        "localtime" => return from_localtime(),
        _ => {}
    }
    if let Some(file) = open_zone_file(name) {
        check_zone_file(file, &format!("TZ {}", Quoted(value)))?;
        return Ok(LocalZone::chrono(name));
    }
    // After a colon chrono looks for a file only.
    if name == value && is_posix_rule(value) {
        return Ok(LocalZone::chrono(name));
    }
    Err(unknown())
}

fn is_utc(name: &str) -> bool {
    matches!(
        name,
        "" | "UTC" | "UCT" | "GMT" | "Zulu" | "Etc/UTC" | "Etc/UCT" | "Etc/GMT"
    )
}

fn open_zone_file(name: &str) -> Option<File> {
    // An absolute path replaces the directory that it is joined to.
    ZONE_DIRECTORIES
        .iter()
        .find_map(|directory| File::open(Path::new(directory).join(name)).ok())
}

fn from_localtime() -> Result<LocalZone, ZoneError> {
    let link = fs::read_link(LOCALTIME).ok();
    let target = link.as_deref().and_then(Path::to_str);
    let name = target.and_then(|target| Some(target.split_once("zoneinfo/")?.1));
    // Without tzdata, a link to the file for UTC leads nowhere and still says UTC.
    let means_utc = link.is_none() || name.is_some_and(is_utc);
    match File::open(LOCALTIME) {
        Ok(file) => {
            check_zone_file(file, LOCALTIME)?;
            Ok(LocalZone::chrono(name.unwrap_or(LOCALTIME)))
        }
        Err(error) if error.kind() == ErrorKind::NotFound && means_utc => Ok(LocalZone::utc()),
        Err(error) => Err(unreadable(LOCALTIME, &error)),
    }
}

fn check_zone_file(file: File, setting: &str) -> Result<(), ZoneError> {
    let mut bytes = Vec::new();
    file.take(ZONE_FILE_BYTES_MAX)
        .read_to_end(&mut bytes)
        .map_err(|error| unreadable(setting, &error))?;
    if is_zone_file(&bytes) {
        return Ok(());
    }
    Err(ZoneError::NotZoneFile {
        setting: setting.to_owned(),
    })
}

/// Tells whether a file has all parts that tzfile(5) prescribes, for the versions that `chrono`
/// reads. The values in them are not looked at.
//
// file  = block                        ; version NUL
//       / block block LF rule LF       ; version "2" or "3", with times of 4 and of 8 bytes
// block = "TZif" version 15OCTET 6count data
fn is_zone_file(bytes: &[u8]) -> bool {
    match block(bytes, 4) {
        Some((0, rest)) => rest.is_empty(),
        Some((b'2' | b'3', rest)) => match block(rest, 8) {
            Some((_, [b'\n', .., b'\n'])) => true,
            Some(_) | None => false,
        },
        Some(_) | None => false,
    }
}

/// Reads a block; gives its version and what is left.
fn block(input: &[u8], time_bytes: u64) -> Option<(u8, &[u8])> {
    let (&version, input) = input.strip_prefix(b"TZif")?.split_first()?;
    let (counts, input) = input.get(15..)?.split_first_chunk::<24>()?;
    let number = |digits: &[u8]| {
        digits
            .iter()
            .fold(0, |high, &low| high << 8 | u64::from(low))
    };
    let counts = counts.chunks_exact(4).map(number);
    // Indicators of UT and of standard time, leap seconds, changes, offsets, bytes of names.
    let item_bytes = [1, 1, time_bytes + 4, time_bytes + 1, 6, 1];
    let data_bytes = counts.zip(item_bytes).map(|(count, bytes)| count * bytes);
    let data_bytes = usize::try_from(data_bytes.sum::<u64>()).ok()?;
    Some((version, input.get(data_bytes..)?))
}

fn unreadable(setting: &str, error: &io::Error) -> ZoneError {
    ZoneError::Unreadable {
        setting: setting.to_owned(),
        kind: error.kind(),
    }
}
