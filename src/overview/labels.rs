//! A stored label set, `name="value",...` as exposition text has it, to names and values.

use std::borrow::Cow;

use crate::metric::raw_name;

/// The names and values of a label set, not escaped. A name beyond the alphabet is stored in
/// quotes; it comes without them.
pub fn labels(mut text: &str) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> {
    std::iter::from_fn(move || {
        let (name, rest) = if let Some(quoted) = text.strip_prefix('"') {
            let (name, rest) = up_to_quote(quoted)?;
            (raw_name(name), rest.strip_prefix('=')?)
        } else {
            let (name, rest) = text.split_once('=')?;
            (Cow::Borrowed(name), rest)
        };
        let (value, rest) = up_to_quote(rest.strip_prefix('"')?)?;
        text = rest.strip_prefix(',').unwrap_or(rest);
        Some((name, raw_name(value)))
    })
}

/// What stands before the next quote that is not escaped, and what stands behind it.
fn up_to_quote(text: &str) -> Option<(&str, &str)> {
    let mut is_escaped = false;
    let quote = text.bytes().position(|byte| {
        let is_end = byte == b'"' && !is_escaped;
        is_escaped = byte == b'\\' && !is_escaped;
        is_end
    })?;
    Some((&text[..quote], &text[quote + 1..]))
}
