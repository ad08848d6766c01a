//! HELP texts are for people, and no push fails for a long one: it is cut.

/// What is kept of an escaped text that is longer than so many bytes. Neither a character nor an
/// escape is cut in two. It does not end with a carriage return: as the end of a line, that would
/// not be read as a part of the text.
pub fn cut(text: &str, bytes_max: usize) -> &str {
    let mut end = text.len().min(bytes_max);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let backslashes = text[..end].bytes().rev().take_while(|&byte| byte == b'\\');
    // The last of an odd number begins an escape.
    end -= backslashes.count() % 2;
    text[..end].trim_end_matches('\r')
}
