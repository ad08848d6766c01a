//! The labels of a push path, `/job/x/instance/y`: Pushgateway's grouping key.
//!
//! Invariant: names are valid, unlike each other and sorted; values are escaped as in a label set.
//! The rules are those of Pushgateway's README ("URL"): parts are split on `/`, then %-decoded;
//! `name@base64/VALUE` carries any text in the URL-safe alphabet of RFC 4648 section 5, with any
//! number of `=` behind it, which alone are the empty value. So is nothing behind the last slash,
//! where a value has to come. A name may be any text, as Go's client sends it, but for `@`, which
//! tells a misspelt `@base64`. One that begins with `U__` is escaped as Prometheus escapes names as
//! `values`: `U__my_2e_name` for `my.name`.

use std::borrow::Cow;
use std::fmt;

use crate::base64::{Alphabet, base64_decode};
use crate::excerpt::Excerpt;
use crate::label_limits::{BeyondLimit, LabelLimits};
use crate::metric::{label_name_length, written_label_name};
use crate::percent_encoding::percent_decode;

/// The labels that a path puts on every sample of its push; they win over the body's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupingKey {
    labels: Vec<(String, String)>,
}

/// The longest grouping key, as it stands in a label set.
const KEY_BYTES_MAX: usize = 4096;

/// Why a path names no grouping key.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // the messages below say it
pub enum GroupingKeyError {
    NoValue(Excerpt),
    NoLabelName(Excerpt),
    ReservedLabelName(Excerpt),
    UpperBoundLabel,
    EmptyJob,
    SecondLabel(Excerpt),
    PercentEncoding(Excerpt),
    Base64(Excerpt),
    NotUtf8(Excerpt),
    Nul(Excerpt),
    TooLong,
    Beyond(BeyondLimit),
}

impl fmt::Display for GroupingKeyError {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        use GroupingKeyError as E;
        match self {
            E::NoValue(label) => {
                write!(
                    to,
                    "path: expected /<label>/<value> pairs, {label} has no value"
                )
            }
            E::NoLabelName(found) => write!(
                to,
                "path: expected a label name (UTF-8 text without NUL and `@`), found {found}"
            ),
            E::ReservedLabelName(found) => {
                write!(
                    to,
                    "path: label names that begin with `__` are reserved, found {found}"
                )
            }
            E::UpperBoundLabel => {
                write!(
                    to,
                    "path: the label `le` belongs to the buckets of histograms"
                )
            }
            E::Beyond(limit) => write!(to, "path: it has {limit}"),
            E::TooLong => write!(to, "path: its labels take more than {KEY_BYTES_MAX} bytes"),
            E::EmptyJob => write!(to, "path: the job name is empty"),
            E::SecondLabel(label) => write!(to, "path: the label {label} is given twice"),
            E::PercentEncoding(found) => {
                write!(
                    to,
                    "path: expected two hexadecimal digits after `%`, found {found}"
                )
            }
            E::Base64(found) => {
                write!(
                    to,
                    "path: expected URL-safe base64 (RFC 4648 section 5), found {found}"
                )
            }
            E::NotUtf8(label) => {
                write!(to, "path: the value of label {label} is not valid UTF-8")
            }
            E::Nul(label) => {
                write!(to, "path: the value of label {label} contains a NUL byte")
            }
        }
    }
}

impl GroupingKey {
    /// Without labels.
    pub const NONE: GroupingKey = GroupingKey { labels: Vec::new() };

    /// Reads what stands behind the push path: nothing, or `job/x/instance/y` with or without a
    /// final slash, still %-encoded.
    ///
    /// # Errors
    /// The first part that breaks a rule.
    pub fn from_path(path: &str) -> Result<GroupingKey, GroupingKeyError> {
        let path = without_final_slash(path);
        let mut labels = Vec::new();
        let mut parts = path.split('/');
        while let Some(part) = parts.next().filter(|_| !path.is_empty()) {
            let name = decoded(part)?;
            let value = match parts.next() {
                None if name.is_empty() => {
                    return Err(GroupingKeyError::NoLabelName(Excerpt::of(name)));
                }
                Some(value) => decoded(value)?,
                None => {
                    return Err(GroupingKeyError::NoValue(Excerpt::of(name)));
                }
            };
            labels.push(label(&name, value)?);
        }
        labels.sort();
        let key = GroupingKey { labels };
        if key.length() > KEY_BYTES_MAX {
            return Err(GroupingKeyError::TooLong);
        }
        let labels = key.labels;
        match labels.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            Some(pair) => Err(GroupingKeyError::SecondLabel(Excerpt::of(&pair[0].0))),
            None => Ok(GroupingKey { labels }),
        }
    }

    /// Holds the labels of the path to the limits of a series, of which they are a part.
    ///
    /// # Errors
    /// When they are beyond them.
    pub fn check(&self, limits: LabelLimits) -> Result<(), GroupingKeyError> {
        let labels = self.labels.iter().filter(|(_, value)| !value.is_empty());
        limits
            .check_labels(labels.map(|(name, value)| (name.as_str(), value.as_str())))
            .map_err(GroupingKeyError::Beyond)
    }

    /// True if it has a label of this name, and that is not empty.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        let mut labels = self.labels.iter();
        labels.any(|(found, value)| found == name && !value.is_empty())
    }

    /// The same, but for the label of this name: its value is empty, so that it takes the label
    /// away from all samples.
    #[must_use]
    pub fn without(mut self, name: &str) -> GroupingKey {
        for (found, value) in &mut self.labels {
            if found == name {
                value.clear();
            }
        }
        self
    }

    /// The length of all of it in a label set, in bytes.
    #[must_use]
    pub fn length(&self) -> usize {
        let length = |(name, value): &(String, String)| name.len() + "=\"\",".len() + value.len();
        self.labels.iter().map(length).sum()
    }

    /// The labels as they stand in a label set; those of empty value are none.
    #[must_use]
    pub fn label_text(&self) -> String {
        let labels = self.labels.iter().filter(|(_, value)| !value.is_empty());
        let texts = labels.map(|(name, value)| format!("{name}=\"{value}\""));
        texts.collect::<Vec<_>>().join(",")
    }

    /// Name, as it stands in a label set, and escaped value of each label, sorted by name. An empty
    /// value takes the label away.
    #[must_use]
    pub fn labels(&self) -> &[(String, String)] {
        &self.labels
    }
}

/// A path without the slash at its end, unless that ends a pair whose value is empty: several
/// clients push `/job/x/instance/` for an empty instance.
fn without_final_slash(path: &str) -> &str {
    let is_pair = path.split('/').count().is_multiple_of(2);
    match path.strip_suffix('/') {
        Some(shorter) if !is_pair || shorter.is_empty() => shorter,
        _ => path,
    }
}

/// One pair of %-decoded parts to the name and the escaped value of a label.
fn label(name: &[u8], value: Vec<u8>) -> Result<(String, String), GroupingKeyError> {
    let (name, value) = match name.strip_suffix(b"@base64") {
        Some(name) => {
            let decoded = base64_decode(&value, Alphabet::UrlSafe);
            let invalid = || GroupingKeyError::Base64(Excerpt::of(&value));
            (name, decoded.ok_or_else(invalid)?)
        }
        None => (name, value),
    };
    let name = match std::str::from_utf8(name) {
        Ok("") | Err(_) => return Err(GroupingKeyError::NoLabelName(Excerpt::of(name))),
        Ok(_) if name.contains(&b'@') || name.contains(&0) => {
            return Err(GroupingKeyError::NoLabelName(Excerpt::of(name)));
        }
        Ok(plain) if label_name_length(name) == name.len() => unescaped_name(plain),
        Ok(any) => any.into(),
    };
    let name = name.as_ref();
    if name.starts_with("__") {
        return Err(GroupingKeyError::ReservedLabelName(Excerpt::of(name)));
    }
    if name == "le" {
        return Err(GroupingKeyError::UpperBoundLabel);
    }
    if name == "job" && value.is_empty() {
        return Err(GroupingKeyError::EmptyJob);
    }
    if value.contains(&0) {
        return Err(GroupingKeyError::Nul(Excerpt::of(name)));
    }
    let value =
        String::from_utf8(value).map_err(|_| GroupingKeyError::NotUtf8(Excerpt::of(name)))?;
    let escaped = value
        .replace('\\', r"\\")
        .replace('"', r#"\""#)
        .replace('\n', r"\n");
    Ok((written_label_name(name).into_owned(), escaped))
}

/// The name that a label name of a path stands for. What begins like an escaped one but is none
/// stands for itself.
fn unescaped_name(name: &str) -> Cow<'_, str> {
    let unescape = || {
        let mut rest = name.strip_prefix("U__")?;
        let mut unescaped = String::with_capacity(rest.len());
        while let Some((before, behind)) = rest.split_once('_') {
            unescaped.push_str(before);
            let (digits, behind) = behind.split_once('_')?;
            unescaped.push(match digits {
                "" => '_',
                digits if digits.len() <= 6 && !digits.starts_with('+') => {
                    char::from_u32(u32::from_str_radix(digits, 16).ok()?)?
                }
                _ => return None,
            });
            rest = behind;
        }
        unescaped.push_str(rest);
        (!unescaped.is_empty() && !unescaped.contains('\0')).then_some(unescaped)
    };
    unescape().map_or(name.into(), Cow::Owned)
}

fn decoded(part: &str) -> Result<Vec<u8>, GroupingKeyError> {
    percent_decode(part).ok_or_else(|| GroupingKeyError::PercentEncoding(Excerpt::of(part)))
}
