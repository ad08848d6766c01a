//! A strict reader of the HTML that the status page is written in: every element is known and
//! closed, attributes are quoted and none holds style or code, references are those five that
//! escaping makes, and no text holds a character that cannot be seen.

use std::collections::BTreeSet;

/// What a page consists of.
#[derive(Debug, Default, PartialEq)]
pub struct Html {
    /// Its tags, with their attributes' names and their classes.
    pub skeleton: Vec<String>,
    /// Its texts and the values of its attributes, without escapes.
    pub texts: Vec<String>,
    /// What stands in `<style>` and `<script>`.
    pub raw: Vec<(String, String)>,
    /// The addresses that it links to.
    pub links: Vec<String>,
}

const VOID: &[&str] = &["meta", "link", "input"];

const ELEMENTS: &[&str] = &[
    "html", "head", "meta", "title", "link", "style", "body", "a", "header", "div", "svg", "rect",
    "path", "h1", "h2", "h3", "h4", "p", "span", "nav", "main", "section", "dl", "dt", "dd",
    "small", "figure", "ul", "li", "b", "form", "label", "input", "button", "article", "table",
    "caption", "thead", "tbody", "tr", "th", "td", "bdi", "time", "code", "pre", "footer",
    "script",
];

const ATTRIBUTES: &[&str] = &[
    "lang",
    "charset",
    "name",
    "content",
    "rel",
    "href",
    "class",
    "id",
    "tabindex",
    "viewBox",
    "width",
    "height",
    "rx",
    "x",
    "d",
    "role",
    "preserveAspectRatio",
    "method",
    "action",
    "for",
    "type",
    "maxlength",
    "autocomplete",
    "spellcheck",
    "placeholder",
    "value",
    "scope",
    "datetime",
    "data-left",
    "data-up",
    "aria-label",
    "aria-labelledby",
    "aria-hidden",
    "aria-current",
    "aria-sort",
];

impl Html {
    #[track_caller]
    pub fn read(page: &str) -> Html {
        let mut html = Html::default();
        let mut open: Vec<String> = Vec::new();
        let mut ids = BTreeSet::new();
        let mut references = Vec::new();
        let mut rest = page.strip_prefix("<!DOCTYPE html>").expect("it is HTML5");
        while let Some(at) = rest.find('<') {
            html.texts.push(decoded(&rest[..at]));
            let (tag, behind) = rest[at + 1..].split_once('>').expect("a tag ends");
            rest = behind;
            if let Some(name) = tag.strip_prefix('/') {
                assert_eq!(open.pop().as_deref(), Some(name), "{open:?}");
                html.skeleton.push(format!("/{name}"));
                continue;
            }
            let (tag, is_closed) = match tag.strip_suffix('/') {
                Some(tag) => (tag, true),
                None => (tag, false),
            };
            let (name, attributes) = tag.split_once(' ').unwrap_or((tag, ""));
            assert!(ELEMENTS.contains(&name), "<{name}>");
            html.skeleton.push(name.to_owned());
            for (attribute, value) in read_attributes(attributes) {
                match attribute {
                    "id" => assert!(ids.insert(value.clone()), "{value} comes twice"),
                    "aria-labelledby" | "for" => references.push(value.clone()),
                    "href" => html.links.push(value.clone()),
                    _ => {}
                }
                let class = if attribute == "class" { &value } else { "" };
                html.skeleton.push(format!("@{attribute}{class}"));
                html.texts.push(value);
            }
            if matches!(name, "style" | "script") {
                let end = format!("</{name}>");
                let (raw, behind) = rest.split_once(&end).expect("it ends");
                html.raw.push((name.to_owned(), raw.to_owned()));
                rest = behind;
            } else if !is_closed && !VOID.contains(&name) {
                open.push(name.to_owned());
            }
        }
        assert_eq!((open, rest), (vec![], "\n"));
        let unknown: Vec<_> = references.iter().filter(|id| !ids.contains(*id)).collect();
        assert!(unknown.is_empty(), "{unknown:?}");
        html
    }
}

#[track_caller]
fn read_attributes(mut text: &str) -> Vec<(&str, String)> {
    let mut attributes = Vec::new();
    while !text.is_empty() {
        let (name, rest) = text.split_once("=\"").expect("a value is quoted");
        let (value, rest) = rest.split_once('"').expect("a value ends");
        assert!(ATTRIBUTES.contains(&name), "{name}");
        attributes.push((name, decoded(value)));
        text = match rest.strip_prefix(' ') {
            Some(rest) => rest,
            None => {
                assert_eq!(rest, "");
                rest
            }
        };
    }
    attributes
}

/// The text that is written so.
#[track_caller]
fn decoded(written: &str) -> String {
    let mut text = String::new();
    let mut parts = written.split('&');
    text += parts.next().unwrap_or_default();
    for part in parts {
        let (reference, rest) = part.split_once(';').expect("a reference ends");
        text += match reference {
            "amp" => "&",
            "lt" => "<",
            "gt" => ">",
            "quot" => "\"",
            "#39" => "'",
            other => panic!("&{other};"),
        };
        text += rest;
    }
    let is_hidden = |c: char| {
        let turns = matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}');
        let joins = matches!(c, '\u{2060}'..='\u{206f}');
        (c.is_control() && c != '\n') || turns || joins
    };
    assert!(!text.contains(is_hidden), "{text:?}");
    text
}
