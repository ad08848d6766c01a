//! What may be shown of a text of anyone: the beginning of it, and instead of each character that
//! cannot be seen or moves others, one that can be seen.

/// Stands at the end of a text that was cut.
pub const ELLIPSIS: char = '\u{2026}';

/// A character of a text as it is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Visible {
    /// As it is; or an arrow for a line feed.
    Character(char),
    /// By its number. Few fonts have the symbols of control characters.
    Number(char),
}

/// The first `characters_max` characters of a text, and the ellipsis if that is not all of them.
pub fn visible(text: &str, characters_max: usize) -> impl Iterator<Item = Visible> {
    let is_cut = text.chars().nth(characters_max).is_some();
    let ellipsis = is_cut.then_some(Visible::Character(ELLIPSIS));
    let shown = text.chars().take(characters_max).map(show);
    shown.chain(ellipsis)
}

fn show(character: char) -> Visible {
    match character {
        '\n' => Visible::Character('\u{21b5}'),
        _ if is_hidden(character) => Visible::Number(character),
        _ => Visible::Character(character),
    }
}

/// True of what is not seen but for its effect: control characters, marks of direction (Unicode
/// Standard Annex 9), other format characters (general category Cf), separators of lines, fillers
/// that look like nothing, and tags. Spaces that have another width than the usual one are seen.
#[must_use]
pub fn is_hidden(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{ad}' | '\u{34f}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}'
            | '\u{890}' | '\u{891}' | '\u{8e2}' | '\u{115f}' | '\u{1160}' | '\u{17b4}'
            | '\u{17b5}' | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff9}'..='\u{fffb}'
            | '\u{110bd}' | '\u{110cd}' | '\u{13430}'..='\u{1343f}' | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}
