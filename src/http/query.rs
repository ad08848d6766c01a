//! The parameters of a request target.

use crate::percent_encoding::percent_decode;

/// The first value of a parameter, decoded; `None` if there is none of this name.
///
/// # Errors
/// The value, if it is not percent-encoded as RFC 3986 section 2.1 has it.
pub fn parameter<'a>(target: &'a str, name: &str) -> Result<Option<Vec<u8>>, &'a str> {
    let value = parameters(target).find_map(|(found, value)| (found == name).then_some(value));
    value
        .map(|value| percent_decode(value).ok_or(value))
        .transpose()
}

/// The first parameter that has another name than this, if there is one.
pub fn other_parameter<'a>(target: &'a str, name: &str) -> Option<&'a str> {
    let mut names = parameters(target).map(|(found, _)| found);
    names.find(|found| *found != name)
}

/// What stands behind the `?`.
pub fn query(target: &str) -> &str {
    let (_, query) = target.split_once('?').unwrap_or_default();
    query.split('#').next().unwrap_or_default()
}

/// Names and values, not decoded.
fn parameters(target: &str) -> impl Iterator<Item = (&str, &str)> {
    let parameters = query(target)
        .split('&')
        .filter(|parameter| !parameter.is_empty());
    parameters.map(|parameter| parameter.split_once('=').unwrap_or((parameter, "")))
}
