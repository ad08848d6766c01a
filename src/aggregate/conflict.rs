//! Why a push cannot be added to what is stored.

use std::fmt;

use super::family::Family;
use crate::excerpt::Excerpt;
use crate::metric::{MetricType, PushedFamily};

/// Why a push, right in itself, cannot be added to what is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // the messages below say it
pub enum Conflict {
    Type {
        name: Excerpt,
        pushed: MetricType,
        stored: MetricType,
    },
    Exposed {
        name: Excerpt,
        by: Excerpt,
        by_type: MetricType,
    },
    Exposes {
        name: Excerpt,
        stored: Excerpt,
    },
    NegativeCounter(Excerpt),
    NegativeUntyped(Excerpt),
}

impl fmt::Display for Conflict {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Conflict::Type {
                name,
                pushed,
                stored,
            } => {
                write!(to, "{name} is pushed as {pushed}, but stored as {stored}")
            }
            Conflict::Exposed { name, by, by_type } => {
                write!(
                    to,
                    "the name {name} is taken: the stored {by_type} {by} exposes it"
                )
            }
            Conflict::Exposes { name, stored } => write!(
                to,
                "the histogram {name} would expose the name {stored}, which is stored already"
            ),
            Conflict::NegativeCounter(name) => {
                write!(
                    to,
                    "{name} is stored as counter, but a pushed value is negative"
                )
            }
            Conflict::NegativeUntyped(name) => write!(
                to,
                "{name} is pushed as counter, but was pushed without TYPE and is negative"
            ),
        }
    }
}

impl std::error::Error for Conflict {}

/// A family that is both pushed and stored must be of one type; untyped gives way to counter and
/// gauge, in both directions, as long as no counter is or becomes negative by it.
pub(super) fn check_types(pushed: &PushedFamily<'_>, stored: &Family) -> Result<(), Conflict> {
    use MetricType::{Counter, Gauge, Summary, Untyped};
    let name = || Excerpt::of(&*pushed.name);
    match (pushed.metric_type, stored.metric_type) {
        (Untyped, Counter) if pushed.has_negative => Err(Conflict::NegativeCounter(name())),
        (Counter, Untyped) if stored.totals.negative_sums > 0 => {
            Err(Conflict::NegativeUntyped(name()))
        }
        // Without series it is no more than a HELP line, or left out whole.
        (Untyped | Summary, _) if !pushed.has_series => Ok(()),
        (Untyped, Counter | Gauge) | (Counter | Gauge, Untyped) => Ok(()),
        (pushed, stored) if pushed == stored => Ok(()),
        (pushed, stored) => Err(Conflict::Type {
            name: name(),
            pushed,
            stored,
        }),
    }
}
