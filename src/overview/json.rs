//! The overview as one object of JSON (RFC 8259).
//!
//! Invariant: whatever was pushed, it is valid JSON, and printable text: control characters and
//! marks of direction are escaped. Times are unix seconds. What a text or a list was cut at stands
//! beside it as a member that says so.

use std::fmt::Write;

use super::html::Shown;
use super::labels::labels;
use super::listing::Named;
use super::opened::{Opened, Value};
use super::visible::is_hidden;
use super::{Limit, Outcome, Overview, PushResultCount, RefusedRequest};
use crate::metric::raw_name;
use crate::number;

/// Longer names and texts are cut, in bytes.
const TEXT_BYTES_MAX: usize = 512;

/// Labels of a series that would take more bytes than that, as JSON, are left out.
const LABELS_BYTES_MAX: usize = 2_000;

/// Renders the object.
#[must_use]
pub fn json(shown: Shown<'_>) -> String {
    let mut json = Json::default();
    let overview = shown.overview;
    json.object(|json| {
        json.key("version").text(overview.version);
        json.key("commit").text(overview.commit);
        json.key("timestamp_seconds").whole(overview.now_seconds());
        json.key("uptime_seconds").whole(overview.uptime_seconds);
        json.key("next_reset_timestamp_seconds")
            .time(overview.next_reset);
        json.key("last_reset_timestamp_seconds")
            .time(overview.last_reset);
        json.key("families").whole(overview.families as u64);
        json.key("series").whole(overview.series as u64);
        pushes(json, overview);
        journal(json, overview);
        json.key("limits").array(&overview.limits, limit);
        senders(json, overview);
        json.key("refusals").array(&overview.refusals, refusal);
        listing(json, shown);
        json.key("opened_family");
        match shown.opened {
            Some(opened) => opened_family(json, opened),
            None => json.null(),
        }
    });
    json.text.push('\n');
    json.text
}

fn pushes(json: &mut Json, overview: &Overview) {
    let results = &overview.pushes.results;
    json.key("pushes_per_second")
        .number(overview.pushes.per_second);
    json.key("pushes").object(|json| {
        for result in results {
            json.key(result.result).whole(result.total);
        }
    });
    json.key("pushes_of_minutes").object(|json| {
        let is_shown = |result: &&PushResultCount| {
            result.outcome == Outcome::Accepted || result.last_hour() > 0
        };
        for result in results.iter().filter(is_shown) {
            json.key(result.result)
                .array(&result.minutes, |json, count| json.whole(*count));
        }
    });
}

fn journal(json: &mut Json, overview: &Overview) {
    json.key("journal");
    let Some(journal) = &overview.journal else {
        return json.null();
    };
    json.object(|json| {
        json.key("bytes").whole(journal.bytes);
        json.key("snapshot_bytes").whole(journal.snapshot_bytes);
        json.key("trouble");
        match &journal.trouble {
            Some(trouble) => json.text(cut(trouble)),
            None => json.null(),
        }
    });
}

fn limit(json: &mut Json, limit: &Limit) {
    json.object(|json| {
        json.key("resource").text(limit.resource);
        for (name, value) in [("used", limit.used), ("limit", limit.limit)] {
            json.key(name);
            match value {
                Some(value) => json.whole(value),
                None => json.null(),
            }
        }
    });
}

fn senders(json: &mut Json, overview: &Overview) {
    json.key("senders");
    let Some(senders) = overview.senders else {
        return json.null();
    };
    json.object(|json| {
        json.key("live").whole(senders.live);
        json.key("remembered").whole(senders.remembered);
    });
}

fn refusal(json: &mut Json, refused: &RefusedRequest) {
    json.object(|json| {
        json.key("timestamp_seconds")
            .whole(refused.time_millis / 1000);
        json.key("sender").text(cut(&refused.sender));
        json.key("method").text(cut(&refused.method));
        json.key("path").text(cut(&refused.path));
        json.key("status").whole(refused.code.into());
        json.key("reason").text(cut(&refused.reason));
    });
}

fn listing(json: &mut Json, shown: Shown<'_>) {
    json.key("matching_families")
        .whole(shown.listing.matches as u64);
    json.key("page").whole(shown.query.page as u64);
    json.key("pages").whole(shown.listing.pages as u64);
    json.key("family_list")
        .array(&shown.listing.families, |json, named| {
            json.object(|json| family(json, *named));
        });
}

fn family(json: &mut Json, (name, family): Named<'_>) {
    let name = raw_name(name);
    json.key("name").text(cut(&name));
    if name.len() > TEXT_BYTES_MAX {
        json.key("is_name_cut").word("true");
    }
    json.key("type").text(family.metric_type.as_str());
    json.key("mode").text(family.mode().as_str());
    json.key("help").text(cut(&raw_name(cut(&family.help))));
    if family.help.len() > TEXT_BYTES_MAX {
        json.key("is_help_cut").word("true");
    }
    json.key("series").whole(family.series_count() as u64);
    let last_push = family.last_push().filter(|second| *second > 0);
    json.key("last_push_timestamp_seconds")
        .time(last_push.map(i64::from));
}

fn opened_family(json: &mut Json, opened: &Opened<'_>) {
    json.object(|json| {
        family(json, opened.named);
        json.key("label_sets").whole(opened.label_sets as u64);
        json.key("series_list")
            .array(&opened.series, |json, (labels, value)| {
                json.object(|json| series(json, labels, value));
            });
    });
}

fn series(json: &mut Json, text: &str, value: &Value) {
    let mut is_cut = false;
    json.key("labels").object(|json| {
        let bytes_max = json.text.len() + LABELS_BYTES_MAX;
        for (name, value) in labels(text) {
            let before = json.text.len();
            let is_long = name.len() + value.len() > LABELS_BYTES_MAX;
            if !is_long {
                json.key(&name).text(&value);
            }
            if is_long || json.text.len() > bytes_max {
                json.text.truncate(before);
                is_cut = true;
                break;
            }
        }
    });
    if is_cut {
        json.key("are_labels_cut").word("true");
    }
    match value {
        Value::Number(number) => json.key("value").number(*number),
        Value::Observed {
            count,
            sum,
            distribution,
        } => {
            json.key("count").number(*count);
            json.key("sum").number(*sum);
            json.key("buckets").array(&distribution.bars, |json, bar| {
                json.object(|json| {
                    json.key("le").text(&number::written(bar.upper_bound));
                    json.key("count").number(bar.count);
                });
            });
        }
    }
}

/// The beginning of a text.
fn cut(text: &str) -> &str {
    if text.len() <= TEXT_BYTES_MAX {
        return text;
    }
    let is_boundary = |end: &usize| text.is_char_boundary(*end);
    let end = (0..=TEXT_BYTES_MAX).rev().find(is_boundary);
    &text[..end.unwrap_or(0)]
}

/// JSON that is being written. Its functions are not inlined: the many calls would be 10 kB.
#[derive(Default)]
struct Json {
    text: String,
}

impl Json {
    /// Writes what stands between values: a comma behind one.
    #[inline(never)]
    fn separate(&mut self) {
        if !self.text.ends_with(['{', '[', ':']) && !self.text.is_empty() {
            self.text.push(',');
        }
    }

    fn object(&mut self, members: impl FnOnce(&mut Json)) {
        self.text.push('{');
        members(self);
        self.text.push('}');
    }

    fn array<T>(&mut self, values: &[T], mut value: impl FnMut(&mut Json, &T)) {
        self.text.push('[');
        for one in values {
            self.separate();
            value(self, one);
        }
        self.text.push(']');
    }

    #[inline(never)]
    fn key(&mut self, name: &str) -> &mut Json {
        self.separate();
        self.text(name);
        self.text.push(':');
        self
    }

    fn null(&mut self) {
        self.word("null");
    }

    fn word(&mut self, word: &'static str) {
        self.text.push_str(word);
    }

    #[inline(never)]
    fn whole(&mut self, number: u64) {
        // A String takes whatever is written.
        let _ = write!(self.text, "{number}");
    }

    fn time(&mut self, seconds: Option<i64>) {
        match seconds {
            Some(seconds) => drop(write!(self.text, "{seconds}")),
            None => self.null(),
        }
    }

    /// A number; JSON has none that are not finite, which are written as texts.
    #[inline(never)]
    fn number(&mut self, number: f64) {
        let written = number::written(number);
        if number.is_finite() {
            self.text.push_str(&written);
        } else {
            self.text(&written);
        }
    }

    #[inline(never)]
    fn text(&mut self, text: &str) {
        self.text.push('"');
        for character in text.chars() {
            match character {
                '"' => self.text.push_str("\\\""),
                '\\' => self.text.push_str("\\\\"),
                _ if is_hidden(character) => {
                    for unit in character.encode_utf16(&mut [0; 2]) {
                        let _ = write!(self.text, "\\u{unit:04x}");
                    }
                }
                _ => self.text.push(character),
            }
        }
        self.text.push('"');
    }
}
