//! What is rarely asked of a head, read from its bytes when it is: pure.

use super::route::path;
use crate::log::printable;

/// A method or a path is not shown any longer than this.
const METHOD_BYTES_MAX: usize = 32;
const PATH_BYTES_MAX: usize = 200;

/// The method and the path of a request whose head begins with these bytes, as printable text. What
/// is not there is empty. The query is left out: senders put secrets there.
pub fn method_and_path(head: &[u8]) -> (String, String) {
    let head = head.trim_ascii_start();
    let line = head.split(|byte| matches!(byte, b'\r' | b'\n')).next();
    let mut words = line.unwrap_or_default().split(|byte| *byte == b' ');
    let [method, target] = [words.next(), words.next()].map(Option::unwrap_or_default);
    // A line that is no request line may hold anything, a secret included.
    let path = match str::from_utf8(target) {
        Ok(target) if target.starts_with(['/', 'h']) => path(target).as_bytes(),
        Err(_) if target.starts_with(b"/") => {
            target.split(|byte| *byte == b'?').next().unwrap_or(target)
        }
        _ => &[],
    };
    if !path.starts_with(b"/") {
        return (String::new(), String::new());
    }
    let method = printable(method, METHOD_BYTES_MAX);
    (method, printable(path, PATH_BYTES_MAX))
}

/// The target of a request whose head was found to be valid.
pub fn target(head: &[u8]) -> &str {
    let target = head.split(|byte| *byte == b' ').nth(1);
    str::from_utf8(target.unwrap_or_default()).unwrap_or_default()
}

/// The values of a field, in their order.
pub fn field_values<'a>(
    head: &'a [u8],
    name: &'static str,
) -> impl DoubleEndedIterator<Item = &'a [u8]> {
    let lines = head.split(|byte| *byte == b'\n');
    lines.filter_map(move |line| {
        let (found, value) = line.split_at_checked(name.len())?;
        let value = value.strip_prefix(b":")?;
        let is_field = found.eq_ignore_ascii_case(name.as_bytes());
        is_field.then(|| value.trim_ascii())
    })
}
