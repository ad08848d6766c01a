//! Names in flags: a name, or a part of one with a `*` at an end.

use std::fmt::{self, Display, Formatter};
use std::str::FromStr;

/// Which names a rule is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NamePattern {
    /// This one.
    Exact(String),
    /// Those that begin with this; all, if it is empty.
    Prefix(String),
    /// Those that end with this; it is not empty.
    Suffix(String),
}

/// Why a text is no pattern of names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PatternError {
    /// It is empty.
    Empty,
    /// It has a star in the middle, or two.
    Star,
    /// It has a control character.
    Control,
}

impl Display for PatternError {
    fn fmt(&self, to: &mut Formatter<'_>) -> fmt::Result {
        to.write_str(match self {
            PatternError::Empty => "expected a name, found nothing",
            PatternError::Star => "expected at most one *, at the beginning or the end of the name",
            PatternError::Control => "expected a name without control characters",
        })
    }
}

impl FromStr for NamePattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<NamePattern, PatternError> {
        let pattern = if let Some(prefix) = text.strip_suffix('*') {
            NamePattern::Prefix(prefix.to_owned())
        } else if let Some(suffix) = text.strip_prefix('*') {
            NamePattern::Suffix(suffix.to_owned())
        } else {
            NamePattern::Exact(text.to_owned())
        };
        let literal = pattern.literal();
        if text.is_empty() {
            Err(PatternError::Empty)
        } else if literal.contains('*') {
            Err(PatternError::Star)
        } else if literal.contains(char::is_control) {
            Err(PatternError::Control)
        } else {
            Ok(pattern)
        }
    }
}

impl Display for NamePattern {
    fn fmt(&self, to: &mut Formatter<'_>) -> fmt::Result {
        match self {
            NamePattern::Exact(name) => to.write_str(name),
            NamePattern::Prefix(prefix) => write!(to, "{prefix}*"),
            NamePattern::Suffix(suffix) => write!(to, "*{suffix}"),
        }
    }
}

impl NamePattern {
    /// True if the name is one of those.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        match self {
            NamePattern::Exact(exact) => name == exact,
            NamePattern::Prefix(prefix) => name.starts_with(prefix.as_str()),
            NamePattern::Suffix(suffix) => name.ends_with(suffix.as_str()),
        }
    }

    /// The more of a name it says, the greater; a whole name is the greatest.
    #[must_use]
    pub fn exactness(&self) -> usize {
        match self {
            NamePattern::Exact(_) => usize::MAX,
            NamePattern::Prefix(part) | NamePattern::Suffix(part) => part.len(),
        }
    }

    /// True for a star alone.
    #[must_use]
    pub fn is_all(&self) -> bool {
        matches!(self, NamePattern::Prefix(prefix) if prefix.is_empty())
    }

    fn literal(&self) -> &str {
        match self {
            NamePattern::Exact(text) | NamePattern::Prefix(text) | NamePattern::Suffix(text) => {
                text
            }
        }
    }
}
