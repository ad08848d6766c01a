//! A view of an aggregate to exposition text (Prometheus docs, exposition formats): names beyond
//! the alphabet in quotes as text version 1.0.0 has them, or with underscores for version 0.0.4.
//!
//! Invariant: the same aggregate always gives the same bytes, and `parse` reads them back into the
//! same sums, but for names with underscores. Families are in the byte order of their names, as
//! these are stored, series in that of their label sets; a histogram's buckets by upper bound, then
//! `_sum`, then `_count`; a summary has no buckets. Knows nothing of HTTP.
//!
//! A snapshot ([`render_pieces`]) has names in quotes. Of an aggregate that keeps ages, it says as
//! well since when each series is silent: in the column of timestamps, in milliseconds as in all of
//! the format; of a histogram on the line of `_count` alone. A scrape never does: Prometheus would
//! take it for the time of the sample.

mod snapshot;
mod text;
mod underscores;
mod walk;

pub use snapshot::{PlacedNative, render_held_pieces, render_pieces};
pub use underscores::Omissions;
pub use walk::{Cursor, NameStyle};

use crate::aggregate::View;
use text::Text;
use walk::{Picked, walk};

/// Appends the exposition of a view to `text`, from a cursor on, until there are `text_bytes` in it
/// or a line more. Gives the cursor to go on from, or `None` at the end of the exposition. The
/// style is the same for all of it.
pub fn render(
    view: &View,
    style: NameStyle<'_>,
    from: Cursor,
    text: &mut Vec<u8>,
    text_bytes: usize,
) -> Option<Cursor> {
    let mut text = Text::new(text, text_bytes);
    walk(view, Picked::Exposed, style, from, &mut text)
}

/// The whole exposition of a view, with names in quotes.
#[must_use]
pub fn whole_text(view: &View) -> Vec<u8> {
    let mut text = Vec::new();
    // Without a limit there is nothing to go on with.
    let _ = render(
        view,
        NameStyle::Quoted,
        Cursor::default(),
        &mut text,
        usize::MAX,
    );
    text
}
