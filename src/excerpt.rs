//! A short, escaped piece of what was sent, fit to stand in a one-line message.
//!
//! Invariant: at most [`EXCERPT_BYTES_MAX`] bytes of printable text, whatever the input; no message
//! built from excerpts can be split into two lines or flood a log.

use std::fmt;

/// The longest excerpt in bytes, the three dots of a shortened one included.
pub const EXCERPT_BYTES_MAX: usize = 48;

/// An owned piece of input, escaped and shortened when it was taken; displayed between backquotes,
/// or as the word nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Excerpt(String);

impl Excerpt {
    /// Takes the beginning of `input`; bytes that are no UTF-8 become U+FFFD.
    #[must_use]
    pub fn of(input: impl AsRef<[u8]>) -> Excerpt {
        let input = input.as_ref();
        let head = &input[..input.len().min(EXCERPT_BYTES_MAX)];
        let mut text = String::new();
        let mut is_whole = head.len() == input.len();
        for character in String::from_utf8_lossy(head).chars() {
            let escaped = match character {
                '"' | '\'' | '\\' => character.to_string(),
                _ => character.escape_debug().to_string(),
            };
            if text.len() + escaped.len() > EXCERPT_BYTES_MAX - 3 {
                is_whole = false;
                break;
            }
            text.push_str(&escaped);
        }
        if !is_whole {
            text.truncate(text.trim_end_matches('\u{fffd}').len());
            text.push_str("...");
        }
        Excerpt(text)
    }
}

impl fmt::Display for Excerpt {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_str() {
            "" => formatter.write_str("nothing"),
            text => write!(formatter, "`{text}`"),
        }
    }
}
