//! The modes: what is pushed, and what is done to the gateway meanwhile.

use std::time::Duration;

use super::Random;
use super::journal_file::Treatment;

/// Enough for a few pushes to make the journal long enough to be written anew.
const COMMENT_BYTES: usize = 200_000;

/// The same with some hundred pushes.
const SHORT_COMMENT_BYTES: usize = 5_000;

/// How long the process lives before it is killed.
const LIFE_MICROSECONDS: (u64, u64) = (20_000, 500_000);

/// Longer than it takes for what is silent to be forgotten.
const LONG_LIFE_MICROSECONDS: (u64, u64) = (15_000_000, 18_000_000);

/// How pushes are sent.
#[derive(Clone, Copy, PartialEq)]
pub enum Sender {
    /// Once each, without a key.
    Plain,
    /// With an idempotency key each, again and again until it is acknowledged.
    WithKeys,
}

/// How the gauges are merged that have no mode of their own.
#[derive(Clone, Copy, PartialEq)]
pub enum GaugeMode {
    Sum,
    Max,
}

/// What one life is started with.
pub struct Flags {
    pub arguments: Vec<String>,
    pub gauge_mode: GaugeMode,
}

/// What is done to the gateway.
#[derive(Clone, Copy)]
pub struct Mode {
    pub name: &'static str,
    pub has_journal: bool,
    pub is_killed: bool,
    pub life_microseconds: (u64, u64),
    pub hands_over: bool,
    /// How long it takes from one hand-over to the next.
    pub signal_interval: Duration,
    pub comment_bytes: usize,
    /// What is done to the journal's file before each kill.
    pub treatment: Treatment,
    pub sender: Sender,
    /// Pushers delete their own series, or one family of theirs, now and then.
    pub has_deletions: bool,
    /// Each life has other flags that decide about merging.
    pub changes_flags: bool,
    /// All is forgotten every second.
    pub has_resets: bool,
    /// All is wiped now and then.
    pub is_wiped: bool,
    /// Some series fall silent, and are to expire.
    pub has_silence: bool,
}

impl Mode {
    const KILL: Mode = Mode {
        name: "kill",
        has_journal: true,
        is_killed: true,
        life_microseconds: LIFE_MICROSECONDS,
        hands_over: false,
        signal_interval: Duration::from_millis(100),
        comment_bytes: 0,
        treatment: Treatment::Untouched,
        sender: Sender::Plain,
        has_deletions: false,
        changes_flags: false,
        has_resets: false,
        is_wiped: false,
        has_silence: false,
    };
    const HAND_OVER: Mode = Mode {
        name: "hand-over-journal",
        is_killed: false,
        hands_over: true,
        ..Mode::KILL
    };
    const KEYS: Mode = Mode {
        name: "keys",
        hands_over: true,
        comment_bytes: SHORT_COMMENT_BYTES,
        sender: Sender::WithKeys,
        ..Mode::KILL
    };
    pub const ALL: [Mode; 13] = [
        Mode::KILL,
        Mode {
            name: "kill-compacting",
            comment_bytes: COMMENT_BYTES,
            ..Mode::KILL
        },
        Mode {
            name: "hand-over-memory",
            has_journal: false,
            ..Mode::HAND_OVER
        },
        Mode::HAND_OVER,
        Mode {
            name: "hand-over-compacting",
            comment_bytes: COMMENT_BYTES,
            ..Mode::HAND_OVER
        },
        Mode {
            name: "both",
            is_killed: true,
            ..Mode::HAND_OVER
        },
        Mode {
            name: "moved",
            treatment: Treatment::Moved,
            ..Mode::KILL
        },
        Mode {
            name: "removed",
            treatment: Treatment::Removed,
            ..Mode::KILL
        },
        Mode {
            name: "replaced",
            treatment: Treatment::Replaced,
            ..Mode::KILL
        },
        Mode::KEYS,
        Mode {
            name: "flags",
            has_deletions: true,
            changes_flags: true,
            ..Mode::KEYS
        },
        Mode {
            name: "resets",
            has_deletions: true,
            has_resets: true,
            is_wiped: true,
            ..Mode::KEYS
        },
        Mode {
            name: "expiry",
            life_microseconds: LONG_LIFE_MICROSECONDS,
            // Each image looks for silent series when it is a second old, and every second then.
            signal_interval: Duration::from_millis(2500),
            has_deletions: true,
            has_silence: true,
            ..Mode::KEYS
        },
    ];

    /// True if all may be forgotten at any time.
    pub fn has_windows(&self) -> bool {
        self.has_resets || self.is_wiped
    }

    /// What the next life is started with.
    pub fn flags(&self, random: &mut Random) -> Flags {
        let mut flags = self.last_flags();
        if self.has_resets {
            flags
                .arguments
                .extend(["-crontab", "@every 1s"].map(str::to_owned));
        }
        if self.changes_flags {
            let all = [
                ["-gauge", "*=max"],
                ["-drop-label", "x"],
                ["-expire-after", "10s"],
                ["-max-label-bytes", "50"],
            ];
            for given in all.into_iter().filter(|_| random.below(2) == 0) {
                if given[0] == "-gauge" {
                    flags.gauge_mode = GaugeMode::Max;
                }
                flags.arguments.extend(given.map(str::to_owned));
            }
        }
        flags
    }

    /// What the last life is started with, in which the sums stay as they are.
    pub fn last_flags(&self) -> Flags {
        let mut arguments = Vec::new();
        if self.sender == Sender::WithKeys {
            arguments.extend(["-gauge", "crash_first=min", "-gauge", "crash_last=max"]);
            arguments.push("-enable-admin-api");
        }
        if self.has_silence {
            arguments.extend(["-expire-after", "10s"]);
        }
        Flags {
            arguments: arguments.into_iter().map(str::to_owned).collect(),
            gauge_mode: GaugeMode::Sum,
        }
    }
}
