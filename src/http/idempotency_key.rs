//! The idempotency key of a push: of its field, or of its query where a sender can set no fields
//! (`navigator.sendBeacon`).
//!
//! The field is a quoted string (draft-ietf-httpapi-idempotency-key-header-07, RFC 9651 section
//! 3.3.3); most senders write it without quotes, which is the same key. So it is in the query.

use std::fmt;

use super::query::parameter;
use crate::excerpt::Excerpt;
use crate::gateway::KEY_BYTES_MAX;

/// The name of the field.
pub const FIELD: &str = "Idempotency-Key";

/// The name of the parameter.
const PARAMETER: &str = "idempotency-key";

/// Why a key cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyError {
    /// There is nothing in it.
    Empty,
    /// It is longer than this.
    Long(usize),
    /// It has something else than visible ASCII.
    Bytes(Excerpt),
    /// A quote is missing, or a backslash stands before something else than a quote or another.
    Quotes(Excerpt),
}

impl fmt::Display for KeyError {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            to,
            "{FIELD}: expected 1 to {KEY_BYTES_MAX} visible ASCII characters"
        )?;
        match self {
            KeyError::Empty => write!(to, ", found nothing"),
            KeyError::Long(bytes) => write!(to, ", found {bytes}"),
            KeyError::Bytes(found) => write!(to, ", found {found}"),
            KeyError::Quotes(found) => write!(to, ", in quotes or without, found {found}"),
        }
    }
}

/// The key of a request, if it has one: that of its field, else that of its target.
///
/// # Errors
/// When there is one that cannot be used.
pub fn idempotency_key(field: Option<&str>, target: &str) -> Result<Option<Vec<u8>>, KeyError> {
    if let Some(field) = field {
        let key = unquoted(field.trim().as_bytes())?;
        return checked(key).map(Some);
    }
    let key = parameter(target, PARAMETER);
    let key = key.map_err(|value| KeyError::Bytes(Excerpt::of(value)))?;
    key.map(|key| checked(unquoted(&key)?)).transpose()
}

fn checked(key: Vec<u8>) -> Result<Vec<u8>, KeyError> {
    match key.len() {
        0 => Err(KeyError::Empty),
        length if length > KEY_BYTES_MAX => Err(KeyError::Long(length)),
        _ if key.iter().all(|byte| matches!(byte, b' '..=b'~')) => Ok(key),
        _ => Err(KeyError::Bytes(Excerpt::of(key))),
    }
}

fn unquoted(value: &[u8]) -> Result<Vec<u8>, KeyError> {
    let Some(quoted) = value.strip_prefix(b"\"") else {
        return Ok(value.into());
    };
    let wrong = || KeyError::Quotes(Excerpt::of(value));
    let mut key = Vec::with_capacity(quoted.len());
    let mut bytes = quoted.iter().copied();
    loop {
        match bytes.next() {
            Some(b'"') if bytes.len() == 0 => return Ok(key),
            Some(b'\\') => match bytes.next() {
                Some(byte @ (b'"' | b'\\')) => key.push(byte),
                _ => return Err(wrong()),
            },
            Some(b'"') | None => return Err(wrong()),
            Some(byte) => key.push(byte),
        }
    }
}
