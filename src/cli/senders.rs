//! The flags about senders: they make sense together.

use std::time::Duration;

use super::given::{Given, given, value};
use super::values::{number, sender_label, timeout};
use crate::rules::Rules;

/// What is remembered of senders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SenderLimits {
    /// How long one may be silent before its gauges are withdrawn.
    pub timeout: Duration,
    /// How long one may be silent before it is forgotten.
    pub memory: Duration,
    /// The most numbers of all of them.
    pub series_max: usize,
}

/// Reads the flags: the rules with the label that names senders, and the limits, if it is given.
///
/// # Errors
/// One line that says which flag is wrong, or makes no sense with another.
pub fn read(from: &mut Given, rules: Rules) -> Result<(Rules, Option<SenderLimits>), String> {
    let Some(label) = given(from, "--sender-label", sender_label)? else {
        let silence = given(from, "--sender-timeout", timeout)?.map(drop);
        let memory = given(from, "--sender-memory", timeout)?.map(drop);
        let series_max = given(from, "--max-sender-series", number)?.map(drop);
        for (flag, given) in [
            ("-sender-timeout", silence),
            ("-sender-memory", memory),
            ("-max-sender-series", series_max),
        ] {
            if given.is_some() {
                return Err(format!("flag {flag} needs -sender-label"));
            }
        }
        return Ok((rules, None));
    };
    let mut dropped = rules.dropped_labels().iter();
    if let Some(pattern) = dropped.find(|pattern| pattern.matches(&label)) {
        return Err(format!(
            "flag -drop-label: {pattern} would drop {label}, which -sender-label takes off anyway"
        ));
    }
    let limits = SenderLimits {
        timeout: value(from, "--sender-timeout", timeout)?,
        memory: value(from, "--sender-memory", timeout)?,
        series_max: value(from, "--max-sender-series", number)?.get(),
    };
    if limits.memory < limits.timeout {
        return Err(format!(
            "flag -sender-memory: expected at least -sender-timeout, which is {} s, found {} s",
            limits.timeout.as_secs(),
            limits.memory.as_secs()
        ));
    }
    Ok((rules.with_sender_label(label), Some(limits)))
}
