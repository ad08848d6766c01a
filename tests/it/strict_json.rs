//! A strict reader of JSON (RFC 8259): one value and nothing else, no member twice, no character
//! that is not printable.

use std::collections::BTreeMap;
use std::iter::Peekable;
use std::str::Chars;

#[derive(Clone, Debug, PartialEq)]
pub enum Json {
    Null,
    True,
    False,
    Number(f64),
    Text(String),
    Array(Vec<Json>),
    Object(BTreeMap<String, Json>),
}

impl Json {
    /// The only value of a text.
    #[track_caller]
    pub fn read(text: &str) -> Json {
        let mut reader = Reader(text.trim_end_matches('\n').chars().peekable());
        let value = reader.value();
        assert_eq!(reader.0.next(), None, "something follows the value");
        value
    }

    /// A member of a member of ... of an object.
    #[track_caller]
    pub fn at(&self, names: &[&str]) -> &Json {
        names.iter().fold(self, |json, name| match json {
            Json::Object(members) => members
                .get(*name)
                .unwrap_or_else(|| panic!("no {name} in {members:?}")),
            other => panic!("{name} of {other:?}"),
        })
    }

    #[track_caller]
    pub fn text(&self) -> &str {
        match self {
            Json::Text(text) => text,
            other => panic!("{other:?} is no text"),
        }
    }

    #[track_caller]
    pub fn array(&self) -> &[Json] {
        match self {
            Json::Array(values) => values,
            other => panic!("{other:?} is no array"),
        }
    }
}

struct Reader<'a>(Peekable<Chars<'a>>);

impl Reader<'_> {
    fn next(&mut self) -> char {
        self.0.next().expect("the text goes on")
    }

    fn expect(&mut self, text: &str) {
        for expected in text.chars() {
            assert_eq!(self.next(), expected);
        }
    }

    fn value(&mut self) -> Json {
        match *self.0.peek().expect("a value follows") {
            'n' => {
                self.expect("null");
                Json::Null
            }
            't' => {
                self.expect("true");
                Json::True
            }
            'f' => {
                self.expect("false");
                Json::False
            }
            '"' => Json::Text(self.text()),
            '[' => Json::Array(self.list('[', ']', Reader::value)),
            '{' => {
                let members = self.list('{', '}', |reader| {
                    let name = reader.text();
                    reader.expect(":");
                    (name, reader.value())
                });
                let count = members.len();
                let members: BTreeMap<_, _> = members.into_iter().collect();
                assert_eq!(members.len(), count, "a member comes twice");
                Json::Object(members)
            }
            _ => self.number(),
        }
    }

    fn list<T>(&mut self, begin: char, end: char, mut one: impl FnMut(&mut Self) -> T) -> Vec<T> {
        let mut list = Vec::new();
        assert_eq!(self.next(), begin);
        if self.0.next_if_eq(&end).is_some() {
            return list;
        }
        loop {
            list.push(one(self));
            match self.next() {
                ',' => {}
                found => {
                    assert_eq!(found, end);
                    return list;
                }
            }
        }
    }

    fn number(&mut self) -> Json {
        let mut written = String::new();
        let is_part = |c: &char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.' | 'e' | 'E');
        while let Some(part) = self.0.next_if(is_part) {
            written.push(part);
        }
        let digits = written.trim_start_matches('-');
        let mut begin = digits.bytes();
        let (first, second) = (begin.next(), begin.next());
        assert!(
            first.is_some_and(|byte| byte.is_ascii_digit())
                && !(first == Some(b'0') && second.is_some_and(|byte| byte.is_ascii_digit())),
            "{written:?} is no number"
        );
        assert!(!written.ends_with('.') && !written.contains(".e"));
        Json::Number(written.parse().expect("it is a number"))
    }

    fn text(&mut self) -> String {
        assert_eq!(self.next(), '"');
        let mut units = Vec::new();
        loop {
            match self.next() {
                '"' => return String::from_utf16(&units).expect("surrogates come in pairs"),
                '\\' => match self.next() {
                    'u' => {
                        let digits: String = (0..4).map(|_| self.next()).collect();
                        units.push(u16::from_str_radix(&digits, 16).expect("four digits"));
                    }
                    escaped @ ('"' | '\\') => units.push(escaped as u16),
                    other => panic!("\\{other}"),
                },
                character => {
                    assert!(!character.is_control(), "{character:?} is not escaped");
                    assert!(!"\u{202e}\u{2066}\u{200f}\u{feff}".contains(character));
                    units.extend(character.encode_utf16(&mut [0; 2]).iter());
                }
            }
        }
    }
}
