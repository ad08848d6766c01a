//! The parameters of a request target.

use crate::percent_encoding::percent_decode;

/// The first value of a parameter, decoded; `None` if there is none of this name.
///
/// # Errors
/// The value, if it is not percent-encoded as RFC 3986 section 2.1 has it.
pub fn parameter<'a>(target: &'a str, name: &str) -> Result<Option<Vec<u8>>, &'a str> {
    let (_, query) = target.split_once('?').unwrap_or_default();
    let query = query.split('#').next().unwrap_or_default();
    let value = query.split('&').find_map(|parameter| {
        let (found, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        (found == name).then_some(value)
    });
    value
        .map(|value| percent_decode(value).ok_or(value))
        .transpose()
}
