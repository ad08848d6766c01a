//! Why a push is refused, or what was asked is not done.

use std::fmt;

use crate::aggregate::{Conflict, TooManySeries};
use crate::excerpt::Excerpt;
use crate::grouping_key::GroupingKeyError;
use crate::idempotency::TooManyKeys;
use crate::journal::Trouble;
use crate::label_limits::BeyondLimit;
use crate::parse::ParseError;
use crate::rules::PUSH_TIME_NAME;
use crate::senders::TooManyNumbers;

/// Why a push was refused; nothing of it was merged.
#[derive(Clone, Debug, PartialEq)]
pub enum Refusal {
    /// Its path names no grouping key.
    Path(GroupingKeyError),
    /// Its body is not in its format, or contradicts itself.
    Invalid(ParseError),
    /// A body has the name of the gauge that the gateway sets itself.
    PushTimeName,
    /// Without the labels that are dropped, a series of this name is beyond a limit.
    Beyond(Excerpt, BeyondLimit),
    /// It contradicts what is stored.
    Conflict(Conflict),
    /// There is no room for its new series.
    TooManySeries(TooManySeries),
    /// There is no room for what is to be remembered of its sender.
    TooManyNumbers(TooManyNumbers),
    /// Its idempotency key came with another push.
    KeyReused,
    /// There is no room for its idempotency key.
    TooManyKeys(TooManyKeys),
    /// It could not be kept.
    NotKept(NotKept),
}

/// Why something right could not be kept; it was not done then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotKept {
    /// The journal does not take it.
    Journal(Trouble),
    /// The sums have been handed over to another image of the process.
    Closed,
}

impl fmt::Display for Refusal {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::Path(error) => error.fmt(to),
            Refusal::Invalid(error) => error.fmt(to),
            Refusal::PushTimeName => write!(
                to,
                "the gateway sets {PUSH_TIME_NAME} itself (-push-times); push it by another name"
            ),
            Refusal::Beyond(name, limit) => write!(to, "{name} has {limit}"),
            Refusal::Conflict(conflict) => conflict.fmt(to),
            Refusal::TooManySeries(error) => error.fmt(to),
            Refusal::TooManyNumbers(error) => error.fmt(to),
            Refusal::KeyReused => to.write_str(
                "the idempotency key was used for another push: its path labels, format or body \
                 differ; make a new key for each push",
            ),
            Refusal::TooManyKeys(error) => error.fmt(to),
            Refusal::NotKept(error) => error.fmt(to),
        }
    }
}

impl fmt::Display for NotKept {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NotKept::Journal(trouble) => trouble.fmt(to),
            NotKept::Closed => write!(to, "the gateway is being restarted; push it again"),
        }
    }
}

impl Refusal {
    /// True if it would be accepted with other limits of labels.
    #[must_use]
    pub fn is_beyond_label_limits(&self) -> bool {
        match self {
            Refusal::Path(error) => matches!(error, GroupingKeyError::Beyond(_)),
            Refusal::Invalid(error) => error.is_beyond_limit(),
            Refusal::Beyond(..) => true,
            Refusal::PushTimeName
            | Refusal::Conflict(_)
            | Refusal::TooManySeries(_)
            | Refusal::TooManyNumbers(_)
            | Refusal::KeyReused
            | Refusal::TooManyKeys(_)
            | Refusal::NotKept(_) => false,
        }
    }
}

impl std::error::Error for Refusal {}
impl std::error::Error for NotKept {}
