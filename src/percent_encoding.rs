//! Percent-encoded text of a URL to bytes (RFC 3986 section 2.1); `+` stands for itself.

/// The bytes that a text stands for; `None` if a `%` is not followed by two hexadecimal digits.
#[must_use]
pub fn percent_decode(text: &str) -> Option<Vec<u8>> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, behind @ ..] = rest {
        rest = behind;
        if *first != b'%' {
            decoded.push(*first);
            continue;
        }
        let digit = |at: usize| char::from(*behind.get(at)?).to_digit(16);
        decoded.extend(u8::try_from(digit(0)? * 16 + digit(1)?));
        rest = &behind[2..];
    }
    Some(decoded)
}
