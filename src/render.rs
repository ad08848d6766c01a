//! A view of an aggregate to an exposition (Prometheus docs, exposition formats): to text with
//! names beyond the alphabet in quotes as version 1.0.0 has them, or with underscores for version
//! 0.0.4; or to protobuf, with such names as they are, or with underscores.
//!
//! Invariant: the same aggregate always gives the same bytes, and `parse` reads them back into the
//! same sums, but for names with underscores and, in protobuf, fractions of the counts of
//! summaries; text says no native histograms. Families are in the byte order of their names, as
//! these are stored, series in that of their label sets; in text, a histogram's buckets by upper
//! bound, then `_sum`, then `_count`; a summary has no buckets. Knows nothing of HTTP.
//!
//! A snapshot ([`render_pieces`]) has names in quotes. Of an aggregate that keeps ages, it says as
//! well since when each series is silent: in the column of timestamps, in milliseconds as in all of
//! the format; of a histogram on the line of `_count` alone. A scrape never does: Prometheus would
//! take it for the time of the sample.

mod buffer;
mod label_pairs;
mod message;
mod native;
mod protobuf;
mod snapshot;
mod text;
mod underscores;
mod walk;

pub use snapshot::{PlacedNative, render_held_pieces, render_pieces};
pub use underscores::Omissions;
pub use walk::{Cursor, NameStyle};

use crate::aggregate::View;
use protobuf::Protobuf;
use text::Text;
use walk::{Picked, walk};

/// How an exposition is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// Lines of text.
    Text,
    /// Delimited protobuf.
    Protobuf,
}

/// Appends the exposition of a view to `bytes`, from a cursor on, until there are `bytes_max` of
/// them or a line or a message more. Gives the cursor to go on from, or `None` at the end of the
/// exposition. Encoding and style are the same for all of it.
pub fn render(
    view: &View,
    encoding: Encoding,
    style: NameStyle<'_>,
    from: Cursor,
    bytes: &mut Vec<u8>,
    bytes_max: usize,
) -> Option<Cursor> {
    match encoding {
        Encoding::Text => {
            let mut text = Text::new(bytes, bytes_max);
            walk(view, Picked::Exposed, style, from, &mut text)
        }
        Encoding::Protobuf => {
            let mut protobuf = Protobuf::new(bytes, bytes_max, view.start_millis());
            walk(view, Picked::Exposed, style, from, &mut protobuf)
        }
    }
}

/// The whole exposition of a view.
#[must_use]
pub fn whole(view: &View, encoding: Encoding, style: NameStyle<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    let from = Cursor::default();
    // Without a limit there is nothing to go on with.
    let _ = render(view, encoding, style, from, &mut bytes, usize::MAX);
    bytes
}

/// The same as text, with names beyond the alphabet in quotes.
#[must_use]
pub fn whole_text(view: &View) -> Vec<u8> {
    whole(view, Encoding::Text, NameStyle::Quoted)
}
