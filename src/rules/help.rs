//! HELP texts are for people, and no push fails for a long one: it is cut.

use std::borrow::Cow;

/// Cuts an escaped text to at most `bytes_max` bytes. Neither a character nor an
/// escape is cut in two. It does not end with a carriage return: as the end of a line, that would
/// not be read as a part of the text.
pub fn cut(text: &mut Cow<'_, str>, bytes_max: usize) {
    let end = cut_length(text, bytes_max);
    match text {
        Cow::Borrowed(text) => *text = &text[..end],
        Cow::Owned(text) => text.truncate(end),
    }
}

fn cut_length(text: &str, bytes_max: usize) -> usize {
    let mut end = text.len().min(bytes_max);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let backslashes = text[..end].bytes().rev().take_while(|&byte| byte == b'\\');
    // The last of an odd number begins an escape.
    end -= backslashes.count() % 2;
    text[..end].trim_end_matches('\r').len()
}
