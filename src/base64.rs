//! Base64 (RFC 4648) to bytes, in either of its alphabets.

/// Which digits stand for 62 and 63.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alphabet {
    /// `+` and `/` (section 4).
    Standard,
    /// `-` and `_` (section 5).
    UrlSafe,
}

/// The bytes that a text stands for; `None` if it is not base64. Padding is cut off whatever its
/// length, as Pushgateway does.
#[must_use]
pub fn base64_decode(encoded: &[u8], alphabet: Alphabet) -> Option<Vec<u8>> {
    let padding = encoded
        .iter()
        .rev()
        .take_while(|&&byte| byte == b'=')
        .count();
    let digits = &encoded[..encoded.len() - padding];
    // Four digits are three bytes; two or three left over are one or two, one alone is none.
    if digits.len() % 4 == 1 {
        return None;
    }
    let mut decoded = Vec::with_capacity(digits.len() / 4 * 3 + 2);
    for group in digits.chunks(4) {
        let mut bits = 0_u32;
        for at in 0..4 {
            let digit = group.get(at).map_or(Some(0), |&byte| digit(byte, alphabet));
            bits = bits << 6 | digit?;
        }
        let [_, bytes @ ..] = bits.to_be_bytes();
        decoded.extend(&bytes[..group.len() * 6 / 8]);
    }
    Some(decoded)
}

fn digit(byte: u8, alphabet: Alphabet) -> Option<u32> {
    Some(u32::from(match (byte, alphabet) {
        (b'A'..=b'Z', _) => byte - b'A',
        (b'a'..=b'z', _) => byte - b'a' + 26,
        (b'0'..=b'9', _) => byte - b'0' + 52,
        (b'+', Alphabet::Standard) | (b'-', Alphabet::UrlSafe) => 62,
        (b'/', Alphabet::Standard) | (b'_', Alphabet::UrlSafe) => 63,
        _ => return None,
    }))
}
