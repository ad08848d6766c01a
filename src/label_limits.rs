//! How many labels a series may have and how long its texts may be: what bounds the memory of one.
//!
//! Invariant: what is within the limits is never refused; a refusal says which of them it is. HELP
//! texts are for people, and no push fails for them: they are cut.

use std::fmt;

use crate::excerpt::Excerpt;

/// The limits of a series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LabelLimits {
    /// The most labels, those of the path included. The label `le` of a bucket does not count.
    pub labels_max: usize,
    /// The longest metric name, label name or label value, this one as it is escaped in a label
    /// set; in bytes. A HELP text is cut there, as it is escaped as well.
    pub bytes_max: usize,
}

/// What a series has too much of.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // the messages below say it
pub enum BeyondLimit {
    Labels {
        labels: usize,
        labels_max: usize,
    },
    MetricName {
        bytes: usize,
        bytes_max: usize,
    },
    LabelName {
        label: Excerpt,
        bytes: usize,
        bytes_max: usize,
    },
    LabelValue {
        label: Excerpt,
        bytes: usize,
        bytes_max: usize,
    },
}

impl LabelLimits {
    /// For what was accepted before: it is read again whatever the limits are now.
    pub const NONE: LabelLimits = LabelLimits {
        labels_max: usize::MAX,
        bytes_max: usize::MAX,
    };

    /// Holds a metric name to them.
    ///
    /// # Errors
    /// When it is too long.
    pub fn check_metric_name(self, name: &str) -> Result<(), BeyondLimit> {
        if name.len() <= self.bytes_max {
            return Ok(());
        }
        Err(BeyondLimit::MetricName {
            bytes: name.len(),
            bytes_max: self.bytes_max,
        })
    }

    /// Splits an escaped HELP text into what is kept of it and the rest, which is empty if the text
    /// is within them. Neither a character nor an escape is cut in two. What is kept does not end
    /// with a carriage return: as the end of a line, that would not be read as a part of the text.
    #[must_use]
    pub fn split_help(self, text: &str) -> (&str, &str) {
        if text.len() <= self.bytes_max {
            return (text, "");
        }
        let mut end = self.bytes_max;
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let backslashes = text[..end].bytes().rev().take_while(|&byte| byte == b'\\');
        // The last of an odd number begins an escape.
        end -= backslashes.count() % 2;
        let kept = text[..end].trim_end_matches('\r');
        text.split_at(kept.len())
    }

    /// Holds the labels of a series to them, given by name and escaped value, none of them empty.
    ///
    /// # Errors
    /// The first that is too long; when there is none, that there are too many.
    pub fn check_labels<'a>(
        self,
        labels: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<(), BeyondLimit> {
        let (labels_max, bytes_max) = (self.labels_max, self.bytes_max);
        let mut count = 0;
        for (name, value) in labels {
            count += 1;
            if name.len() > bytes_max {
                let (label, bytes) = (Excerpt::of(name), name.len());
                return Err(BeyondLimit::LabelName {
                    label,
                    bytes,
                    bytes_max,
                });
            }
            if value.len() > bytes_max {
                let (label, bytes) = (Excerpt::of(name), value.len());
                return Err(BeyondLimit::LabelValue {
                    label,
                    bytes,
                    bytes_max,
                });
            }
        }
        if count > labels_max {
            let labels = count;
            return Err(BeyondLimit::Labels { labels, labels_max });
        }
        Ok(())
    }
}

/// Goes on behind the words `it has`.
impl fmt::Display for BeyondLimit {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        use BeyondLimit as B;
        match self {
            B::Labels { labels, .. } => write!(to, "{labels} labels")?,
            B::MetricName { bytes, .. } => write!(to, "{bytes} bytes in its name")?,
            B::LabelName { label, bytes, .. } => {
                write!(to, "{bytes} bytes in the name of the label {label}")?;
            }
            B::LabelValue { label, bytes, .. } => {
                write!(to, "{bytes} bytes in the value of the label {label}")?;
            }
        }
        let (max, flag) = match self {
            B::Labels { labels_max, .. } => (labels_max, "-max-labels"),
            B::MetricName { bytes_max, .. }
            | B::LabelName { bytes_max, .. }
            | B::LabelValue { bytes_max, .. } => (bytes_max, "-max-label-bytes"),
        };
        write!(to, ", at most {max} are read here ({flag})")
    }
}
