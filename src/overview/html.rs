//! The overview as one page of HTML5, without anything from elsewhere.
//!
//! Invariant: markup is constant text of this program (`Page::markup` takes nothing else), so that
//! what elements there are does not depend on any text of a client. There are no `style` attributes
//! and no attributes with code: [`CONTENT_SECURITY_POLICY`] allows the one style sheet and the one
//! script of the page by their hashes, and nothing else. Without the script, all works but the
//! countdown.

mod charts;
mod families;
mod families_table;
mod summary;

use std::fmt::{Display, Write};

use super::Overview;
use super::listing::Listing;
use super::opened::Opened;
use super::query::Query;
use super::rounded::{Grouped, Rounded, Tenths};
use super::visible::{Visible, visible};
use crate::number;

/// The style sheet.
pub const STYLE: &str = include_str!("html/style.css");

/// The script.
pub const SCRIPT: &str = include_str!("html/script.js");

/// What a browser may do with the page (Content Security Policy Level 3). The hashes are those of
/// [`STYLE`] and [`SCRIPT`]; a test tells which they are.
pub const CONTENT_SECURITY_POLICY: &str = concat!(
    "default-src 'none'; ",
    "style-src 'sha256-jzEQqqnZfpzFsLGik2FZYVJ1ymjs3veWLtaWzHY/F0s='; ",
    "script-src 'sha256-yPaXbRN2gBzcHwlw4Fl1FySm+Cugg4klybzIzvfCeJw='; ",
    "img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
);

/// How much is shown of a text, in characters.
const NAME_SHOWN: usize = 160;
const HELP_SHOWN: usize = 240;
const LABEL_NAME_SHOWN: usize = 60;
const LABEL_VALUE_SHOWN: usize = 120;
const PATH_SHOWN: usize = 120;
const REASON_SHOWN: usize = 240;

/// What is shown on a page.
#[derive(Clone, Copy, Debug)]
pub struct Shown<'a> {
    /// All but the families.
    pub overview: &'a Overview,
    /// What was asked for.
    pub query: &'a Query,
    /// The families.
    pub listing: &'a Listing<'a>,
    /// The family that is opened.
    pub opened: Option<&'a Opened<'a>>,
}

/// Renders the page.
#[must_use]
pub fn html(shown: Shown<'_>) -> String {
    let mut page = Page(String::with_capacity(64 << 10));
    page.markup("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n")
        .markup("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n")
        .markup("<meta name=\"color-scheme\" content=\"light dark\">\n")
        .markup("<title>Aggregation gateway</title>\n")
        .markup("<link rel=\"icon\" href=\"data:image/svg+xml,")
        .markup("%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 32 32'%3E")
        .markup("%3Crect width='32' height='32' rx='8' fill='%230b6e5f'/%3E")
        .markup("%3Cpath d='M22 9H10l6 7-6 7h12' fill='none' stroke='%23fff' stroke-width='3' ")
        .markup("stroke-linejoin='round' stroke-linecap='round'/%3E%3C/svg%3E\">\n<style>")
        .markup(STYLE)
        .markup("</style>\n</head>\n<body>\n")
        .markup("<a class=\"skip\" href=\"#families\">Skip to the families</a>\n");
    summary::header(&mut page, shown.overview);
    page.markup("<main>\n");
    summary::tiles(&mut page, shown.overview);
    charts::last_hour(&mut page, shown.overview);
    families::section(&mut page, shown);
    page.markup("<div class=\"columns\">\n");
    summary::limits(&mut page, shown.overview);
    page.markup("<div>\n");
    summary::journal(&mut page, shown.overview);
    summary::senders(&mut page, shown.overview);
    page.markup("</div>\n</div>\n");
    summary::refusals(&mut page, shown.overview);
    page.markup("</main>\n<footer><p>All times in UTC. ")
        .markup("This page is a snapshot: reload it for the present state.</p></footer>\n<script>")
        .markup(SCRIPT)
        .markup("</script>\n</body>\n</html>\n");
    page.0
}

/// A page that is being written.
struct Page(String);

impl Page {
    /// Writes markup, which nobody but the authors of this program has a part in. Inlined, the many
    /// calls would be 20 kB.
    #[inline(never)]
    fn markup(&mut self, markup: &'static str) -> &mut Page {
        self.0.push_str(markup);
        self
    }

    /// Writes the beginning of a text, whatever is in it: between tags, or in a quoted attribute.
    #[inline(never)]
    fn text(&mut self, text: &str, characters_max: usize) -> &mut Page {
        for shown in visible(text, characters_max) {
            // A String takes whatever is written.
            let _ = match shown {
                Visible::Character('&') => self.0.write_str("&amp;"),
                Visible::Character('<') => self.0.write_str("&lt;"),
                Visible::Character('>') => self.0.write_str("&gt;"),
                Visible::Character('"') => self.0.write_str("&quot;"),
                Visible::Character('\'') => self.0.write_str("&#39;"),
                Visible::Character(character) => self.0.write_char(character),
                Visible::Number(character) => write!(self.0, "[U+{:04X}]", u32::from(character)),
            };
        }
        self
    }

    /// Writes a text whose direction does not change that of what stands around it.
    #[inline(never)]
    fn isolated(&mut self, text: &str, characters_max: usize) -> &mut Page {
        self.markup("<bdi>").text(text, characters_max);
        self.markup("</bdi>")
    }

    /// Writes the address of a page for a query.
    #[inline(never)]
    fn address(&mut self, query: &Query) -> &mut Page {
        let query = query.to_string();
        self.markup(if query.is_empty() { "/" } else { "/?" });
        self.text(&query, usize::MAX)
    }

    /// Writes a number, or a time, that this program has made.
    fn value(&mut self, value: impl Number) -> &mut Page {
        self.display(&value)
    }

    #[inline(never)]
    fn display(&mut self, value: &dyn Display) -> &mut Page {
        // A String takes whatever is written.
        let _ = write!(self.0, "{value}");
        self
    }

    /// Writes a number with commas between thousands.
    fn grouped(&mut self, number: u64) -> &mut Page {
        self.value(Grouped(number))
    }

    /// Writes a number as exposition text has it.
    fn sample(&mut self, number: f64) -> &mut Page {
        self.0.push_str(&number::written(number));
        self
    }

    /// Writes about three digits of a number.
    fn rounded(&mut self, number: f64) -> &mut Page {
        self.value(Rounded(number))
    }

    /// Writes a length in bytes in the largest unit that leaves a whole part.
    #[allow(clippy::cast_precision_loss)] // it is rounded
    fn bytes(&mut self, bytes: u64) -> &mut Page {
        const UNITS: [&str; 7] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
        let unit = bytes.checked_ilog2().unwrap_or(0) as usize / 10;
        let number = bytes as f64 / (1_u64 << (10 * unit)) as f64;
        self.value(Tenths(number)).markup(" ").markup(UNITS[unit])
    }
}

/// What can be written as it is: there is nothing in it but digits, signs, and letters of units.
trait Number: Copy + Display {}
impl Number for u16 {}
impl Number for u64 {}
impl Number for usize {}
impl Number for Grouped {}
impl Number for Rounded {}
impl Number for Tenths {}
impl Number for crate::calendar::DateTime {}
impl Number for crate::calendar::Rfc3339 {}
impl Number for crate::calendar::HourMinute {}
impl Number for crate::calendar::Lasting {}

/// Ends a word that counts something.
fn plural(count: usize) -> &'static str {
    if count == 1 { "" } else { "s" }
}
