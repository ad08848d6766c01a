//! What a page is asked for: `q`, `sort`, `page` and `family` of its query, and the query of a link
//! to another such page.
//!
//! Invariant: what is written is read back as the same. Parameters of other names are ignored; a
//! wrong value is an error that says what was expected.

use std::fmt;

use crate::excerpt::Excerpt;
use crate::percent_encoding::percent_decode;

/// The longest search text in bytes.
pub const SEARCH_BYTES_MAX: usize = 256;

/// The most words in it.
pub const SEARCH_WORDS_MAX: usize = 8;

/// Families with longer names, in bytes, cannot be opened.
pub const FAMILY_BYTES_MAX: usize = 512;

/// What the families are in the order of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SortKey {
    /// Their names, by bytes.
    #[default]
    Name,
    /// The words for their types.
    Type,
    /// How many series they have, the most first.
    Series,
    /// When they were last pushed, the latest first.
    Pushed,
}

impl SortKey {
    const ALL: [(SortKey, &str); 4] = [
        (SortKey::Name, "name"),
        (SortKey::Type, "type"),
        (SortKey::Series, "series"),
        (SortKey::Pushed, "pushed"),
    ];

    /// The word of it in a query.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        SortKey::ALL[self as usize].1
    }
}

/// Which end of an order comes first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Direction {
    /// The one that the key is said to begin with.
    #[default]
    Usual,
    /// The other one: `-` before the key.
    Reversed,
}

impl Direction {
    /// The other one.
    #[must_use]
    pub fn reversed(self) -> Direction {
        match self {
            Direction::Usual => Direction::Reversed,
            Direction::Reversed => Direction::Usual,
        }
    }
}

/// The order of the families. Those that are equal by the key are in the order of their names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sort {
    /// See there.
    pub key: SortKey,
    /// See there.
    pub direction: Direction,
}

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// Words of which a family's name or HELP text must have each; empty for all families.
    pub search: String,
    /// The order of the families.
    pub sort: Sort,
    /// Which page of them, from 1 on.
    pub page: usize,
    /// The family that is opened.
    pub family: Option<String>,
}

impl Default for Query {
    /// That of a page without parameters.
    fn default() -> Query {
        Query {
            search: String::new(),
            sort: Sort::default(),
            page: 1,
            family: None,
        }
    }
}

/// A parameter with a wrong value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueryError {
    parameter: &'static str,
    expected: &'static str,
    found: Excerpt,
}

impl fmt::Display for QueryError {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let QueryError {
            parameter,
            expected,
            found,
        } = self;
        write!(to, "{parameter}: expected {expected}, found {found}")
    }
}

impl std::error::Error for QueryError {}

impl Query {
    /// Reads what stands behind the `?` of a request target, as forms write it (URL standard,
    /// section 5.1). Of several parameters of a name, the first one counts.
    ///
    /// # Errors
    /// The first wrong value.
    pub fn parse(query: &str) -> Result<Query, QueryError> {
        let value = |parameter: &str| {
            let mut pairs = query.split('&').map(|pair| {
                let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                (name == parameter).then_some(value)
            });
            pairs.find_map(|value| value)
        };
        let text = |parameter: &'static str, bytes_max, expected: &'static str| {
            let found = value(parameter).unwrap_or_default();
            let wrong = || QueryError {
                parameter,
                expected,
                found: Excerpt::of(found),
            };
            let decoded = percent_decode(&found.replace('+', " ")).ok_or_else(wrong)?;
            let text = String::from_utf8(decoded).map_err(|_| wrong())?;
            let is_short = text.len() <= bytes_max;
            is_short.then_some(text).ok_or_else(wrong)
        };
        let search = text("q", SEARCH_BYTES_MAX, "at most 256 bytes of UTF-8")?;
        let expected = "at most 512 bytes of UTF-8";
        let family = text("family", FAMILY_BYTES_MAX, expected)?;
        let query = Query {
            sort: sort(value("sort").unwrap_or_default())?,
            page: page(value("page").unwrap_or_default())?,
            family: Some(family).filter(|family| !family.is_empty()),
            search,
        };
        if query.words().count() > SEARCH_WORDS_MAX {
            return Err(QueryError {
                parameter: "q",
                expected: "at most 8 words",
                found: Excerpt::of(query.search),
            });
        }
        Ok(query)
    }

    /// The words of the search text.
    pub fn words(&self) -> impl Iterator<Item = &str> {
        self.search.split_whitespace()
    }

    /// The same query for another page of the families.
    #[must_use]
    pub fn with_page(&self, page: usize) -> Query {
        let family = None;
        Query {
            page,
            family,
            ..self.clone()
        }
    }

    /// The same query with the families in another order, from the first page on: in that of a key,
    /// or in its other direction if that is what they are in.
    #[must_use]
    pub fn sorted_by(&self, key: SortKey) -> Query {
        let direction = if self.sort.key == key {
            self.sort.direction.reversed()
        } else {
            Direction::Usual
        };
        Query {
            sort: Sort { key, direction },
            ..self.with_page(1)
        }
    }

    /// The same query with a family opened, or with none.
    #[must_use]
    pub fn with_family(&self, family: Option<&str>) -> Query {
        let family = family.map(str::to_owned);
        Query {
            family,
            ..self.clone()
        }
    }
}

fn sort(word: &str) -> Result<Sort, QueryError> {
    if word.is_empty() {
        return Ok(Sort::default());
    }
    let (direction, key) = match word.strip_prefix('-') {
        Some(key) => (Direction::Reversed, key),
        None => (Direction::Usual, word),
    };
    let known = SortKey::ALL.iter().find(|(_, known)| *known == key);
    let (key, _) = known.ok_or_else(|| QueryError {
        parameter: "sort",
        expected: "name, type, series or pushed, or one of them behind a -",
        found: Excerpt::of(word),
    })?;
    let key = *key;
    Ok(Sort { key, direction })
}

fn page(number: &str) -> Result<usize, QueryError> {
    let is_number = number.bytes().all(|byte| byte.is_ascii_digit());
    match number.parse() {
        _ if number.is_empty() => Ok(1),
        Ok(page @ 1..) if is_number => Ok(page),
        _ => Err(QueryError {
            parameter: "page",
            expected: "a number from 1 on",
            found: Excerpt::of(number),
        }),
    }
}

/// The query as it stands behind the `?` of a link, without what is as in the default. It is safe
/// in a quoted attribute of HTML: only letters, digits and `-._~%&=` are in it, where `&` is
/// written as `&amp;` by people who write HTML.
impl fmt::Display for Query {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        if !self.search.is_empty() {
            write!(to, "q={}", Encoded(&self.search))?;
            separator = "&";
        }
        if self.sort != Sort::default() {
            let sign = match self.sort.direction {
                Direction::Usual => "",
                Direction::Reversed => "-",
            };
            write!(to, "{separator}sort={sign}{}", self.sort.key.as_str())?;
            separator = "&";
        }
        if self.page != 1 {
            write!(to, "{separator}page={}", self.page)?;
            separator = "&";
        }
        if let Some(family) = &self.family {
            write!(to, "{separator}family={}", Encoded(family))?;
        }
        Ok(())
    }
}

/// A text, percent-encoded but for the unreserved characters of RFC 3986 section 2.3.
struct Encoded<'a>(&'a str);

impl fmt::Display for Encoded<'_> {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.bytes().try_for_each(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                write!(to, "{}", char::from(byte))
            }
            _ => write!(to, "%{byte:02X}"),
        })
    }
}
