//! Bytes of anyone to text that may stand in a log.

use std::fmt::Write;

/// Stands for what is cut off.
const DOTS: &str = "...";

/// The beginning of `input` as printable text of at most `bytes_max` bytes, escapes included.
/// Control characters, marks of direction and bytes that are not UTF-8 are escaped as Rust writes
/// them. A text that is printable is left as it is, its backslashes included.
#[must_use]
pub fn printable(input: &[u8], bytes_max: usize) -> String {
    let mut text = String::new();
    // Where to cut so that the dots still fit.
    let mut cut = 0;
    for chunk in input.utf8_chunks() {
        let escaped = chunk.valid().chars().map(Piece::Character);
        let invalid = chunk.invalid().iter().map(|byte| Piece::Byte(*byte));
        for piece in escaped.chain(invalid) {
            piece.push_to(&mut text);
            if text.len() > bytes_max {
                text.truncate(cut);
                text.push_str(DOTS);
                return text;
            }
            if text.len() + DOTS.len() <= bytes_max {
                cut = text.len();
            }
        }
    }
    text
}

enum Piece {
    Character(char),
    Byte(u8),
}

impl Piece {
    fn push_to(self, text: &mut String) {
        // A String takes whatever is written.
        let _ = match self {
            Piece::Character(character @ ('"' | '\'' | '\\')) => text.write_char(character),
            Piece::Character(character) => write!(text, "{}", character.escape_debug()),
            Piece::Byte(byte) => write!(text, "\\x{byte:02x}"),
        };
    }
}
