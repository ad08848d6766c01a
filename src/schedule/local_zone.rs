//! The zone of the process.

use std::env;
use std::error::Error;
use std::ffi::OsStr;
use std::fmt::{self, Display, Formatter};
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::path::Path;

use chrono::{DateTime, FixedOffset, Offset, Utc};
use tz::timezone::{TimeZone, TimeZoneSettings, Transition};

use super::error::Quoted;
use super::zone::Zone;

/// The zone of the process by `TZ` or `/etc/localtime`, as tzset(3) has it.
#[derive(Clone, Debug)]
pub struct LocalZone {
    name: String,
    zone: TimeZone,
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

/// Where a zone is looked for by its name, in this order.
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
    /// Refuses what is none of these; libc would take UTC without a word.
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

    fn new(name: &str, zone: TimeZone) -> LocalZone {
        LocalZone {
            name: name.to_owned(),
            zone,
        }
    }

    fn utc() -> LocalZone {
        LocalZone::new("UTC", TimeZone::utc())
    }
}

impl Zone for LocalZone {
    fn offset_at(&self, instant: DateTime<Utc>) -> FixedOffset {
        let zone = self.zone.as_ref();
        let last = || {
            let change = zone.transitions().last();
            let index = change.map_or(0, Transition::local_time_type_index);
            zone.local_time_types().get(index)
        };
        // A file without a rule says nothing of the time after its last change.
        let found = zone.find_local_time_type(instant.timestamp()).ok();
        let offset = found.or_else(last).map(tz::LocalTimeType::ut_offset);
        offset
            .and_then(FixedOffset::east_opt)
            .unwrap_or_else(|| Utc.fix())
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
    let zone = match open_zone_file(name) {
        Some(file) => read_zone_file(file, &format!("TZ {}", Quoted(value)))?,
        None => rule(value).ok_or_else(unknown)?,
    };
    Ok(LocalZone::new(name, zone))
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

/// A rule as POSIX has it (Base Definitions 8.3), with both days of the change to summer time.
fn rule(value: &str) -> Option<TimeZone> {
    let no_files = TimeZoneSettings::new(&[], |_| Err("not a file".into()));
    let zone = no_files.parse_posix_tz(value).ok()?;
    is_within_a_day(&zone).then_some(zone)
}

fn from_localtime() -> Result<LocalZone, ZoneError> {
    let link = fs::read_link(LOCALTIME).ok();
    let target = link.as_deref().and_then(Path::to_str);
    let name = target.and_then(|target| Some(target.split_once("zoneinfo/")?.1));
    // Without tzdata, a link to the file for UTC leads nowhere and still says UTC.
    let means_utc = link.is_none() || name.is_some_and(is_utc);
    match File::open(LOCALTIME) {
        Ok(file) => {
            let zone = read_zone_file(file, LOCALTIME)?;
            Ok(LocalZone::new(name.unwrap_or(LOCALTIME), zone))
        }
        Err(error) if error.kind() == ErrorKind::NotFound && means_utc => Ok(LocalZone::utc()),
        Err(error) => Err(unreadable(LOCALTIME, &error)),
    }
}

fn read_zone_file(file: File, setting: &str) -> Result<TimeZone, ZoneError> {
    let mut bytes = Vec::new();
    file.take(ZONE_FILE_BYTES_MAX)
        .read_to_end(&mut bytes)
        .map_err(|error| unreadable(setting, &error))?;
    let zone = TimeZone::from_tz_data(&bytes).ok();
    zone.filter(is_within_a_day)
        .ok_or_else(|| ZoneError::NotZoneFile {
            setting: setting.to_owned(),
        })
}

/// Offsets of a day and more are no [`FixedOffset`].
fn is_within_a_day(zone: &TimeZone) -> bool {
    let mut kinds = zone.as_ref().local_time_types().iter();
    kinds.all(|kind| FixedOffset::east_opt(kind.ut_offset()).is_some())
}

fn unreadable(setting: &str, error: &io::Error) -> ZoneError {
    ZoneError::Unreadable {
        setting: setting.to_owned(),
        kind: error.kind(),
    }
}
