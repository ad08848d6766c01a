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
    /// All that was counted so far, by a cumulative sender.
    Cumulative,
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

/// What happens to the gateway.
#[derive(Clone, Copy, PartialEq)]
pub enum Event {
    /// It is killed, and started again.
    Kill,
    HandOver,
    /// Pushers delete their own series, or one family of theirs, now and then.
    Deletion,
    /// Each life has other flags that decide about merging.
    OtherFlags,
    /// All is forgotten every second, by a schedule.
    Reset,
    /// All is wiped now and then, by a request.
    Wipe,
    /// Some series fall silent, and are to expire.
    Silence,
}

/// What is pushed, and what happens meanwhile.
#[derive(Clone, Copy)]
pub struct Mode {
    pub name: &'static str,
    pub has_journal: bool,
    events: &'static [Event],
    pub life_microseconds: (u64, u64),
    /// How long it takes from one hand-over to the next.
    pub signal_interval: Duration,
    pub comment_bytes: usize,
    /// What is done to the journal's file before each kill.
    pub treatment: Treatment,
    pub sender: Sender,
}

impl Mode {
    const KILL: Mode = Mode {
        name: "kill",
        has_journal: true,
        events: &[Event::Kill],
        life_microseconds: LIFE_MICROSECONDS,
        signal_interval: Duration::from_millis(100),
        comment_bytes: 0,
        treatment: Treatment::Untouched,
        sender: Sender::Plain,
    };
    const HAND_OVER: Mode = Mode {
        name: "hand-over-journal",
        events: &[Event::HandOver],
        ..Mode::KILL
    };
    const KEYS: Mode = Mode {
        name: "keys",
        events: &[Event::Kill, Event::HandOver],
        comment_bytes: SHORT_COMMENT_BYTES,
        sender: Sender::WithKeys,
        ..Mode::KILL
    };
    pub const ALL: [Mode; 14] = [
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
            events: &[Event::Kill, Event::HandOver],
            ..Mode::KILL
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
            name: "senders",
            sender: Sender::Cumulative,
            ..Mode::KEYS
        },
        Mode {
            name: "flags",
            events: &[
                Event::Kill,
                Event::HandOver,
                Event::Deletion,
                Event::OtherFlags,
            ],
            ..Mode::KEYS
        },
        Mode {
            name: "resets",
            events: &[
                Event::Kill,
                Event::HandOver,
                Event::Deletion,
                Event::Reset,
                Event::Wipe,
            ],
            ..Mode::KEYS
        },
        Mode {
            name: "expiry",
            events: &[
                Event::Kill,
                Event::HandOver,
                Event::Deletion,
                Event::Silence,
            ],
            life_microseconds: LONG_LIFE_MICROSECONDS,
            // Each image looks for silent series when it is a second old, and every second then.
            signal_interval: Duration::from_millis(2500),
            ..Mode::KEYS
        },
    ];

    /// Whether this happens.
    pub fn has(&self, event: Event) -> bool {
        self.events.contains(&event)
    }

    /// True if all may be forgotten at any time.
    pub fn has_windows(&self) -> bool {
        self.has(Event::Reset) || self.has(Event::Wipe)
    }

    /// What the next life is started with.
    pub fn flags(&self, random: &mut Random) -> Flags {
        let mut flags = self.last_flags();
        if self.has(Event::Reset) {
            flags
                .arguments
                .extend(["-crontab", "@every 1s"].map(str::to_owned));
        }
        if self.has(Event::OtherFlags) {
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
        if self.sender == Sender::Cumulative {
            arguments.extend(["-sender-label", "instance"]);
        }
        if self.has(Event::Silence) {
            arguments.extend(["-expire-after", "10s"]);
        }
        Flags {
            arguments: arguments.into_iter().map(str::to_owned).collect(),
            gauge_mode: GaugeMode::Sum,
        }
    }
}
