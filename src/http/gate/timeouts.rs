//! Durations in milliseconds, as the gate counts its time.

use std::time::Duration;

use super::super::Deadlines;
use super::NEVER;

/// How long clients are waited for, in milliseconds.
#[derive(Clone, Copy)]
pub struct Timeouts {
    pub head: u64,
    pub body: u64,
    pub answer: u64,
    pub idle: u64,
}

impl Timeouts {
    pub fn of(deadlines: &Deadlines) -> Timeouts {
        Timeouts {
            head: milliseconds(deadlines.head),
            body: milliseconds(deadlines.body),
            answer: milliseconds(deadlines.answer),
            idle: milliseconds(deadlines.idle),
        }
    }
}

/// At most [`NEVER`].
pub fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(NEVER)
}
