//! One line of a scrape by itself: its tokens, names, escapes and numbers, each in the one spelling
//! that the gateway may write. What a line means after the lines before it is `strict`'s part.
//!
//! line   = "# HELP " name " " text | "# TYPE " name " " type | sample " " number
//! sample = plain-name ["{" labels "}"] | "{" quoted-name ["," labels] "}"
//! labels = label {"," label}
//! label  = (label-name | quoted-name) "=" quote value quote
//!
//! A name is quoted exactly if it is beyond the alphabet, and then escaped as values are.

pub enum Line<'a> {
    Help(&'a str, String),
    Type(&'a str, &'a str),
    Sample(&'a str, Vec<Label<'a>>, &'a str),
}

/// A label and the text `name="value"` it was read from.
pub struct Label<'a> {
    pub name: &'a str,
    pub value: String,
    pub text: &'a str,
}

impl<'a> Line<'a> {
    pub fn parse(line: &'a str) -> Result<Line<'a>, String> {
        ensure(!line.trim().is_empty(), || "blank line".to_owned())?;
        ensure(!line.contains('\0'), || "NUL".to_owned())?;
        ensure(!line.ends_with('\r'), || {
            "carriage return at the end".to_owned()
        })?;
        if let Some(rest) = line.strip_prefix("# HELP ") {
            help(rest)
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            kind(rest)
        } else {
            ensure(!line.starts_with('#'), || {
                "a comment that is not HELP or TYPE".to_owned()
            })?;
            sample(line)
        }
    }
}

fn help(rest: &str) -> Result<Line<'_>, String> {
    let (name, text) = metadata(rest)?;
    ensure(!text.is_empty(), || {
        format!("HELP of `{name}` without text")
    })?;
    ensure(!text.starts_with([' ', '\t']), || {
        format!("HELP of `{name}` begins with a blank")
    })?;
    Ok(Line::Help(name, unescape(text, &['\\', 'n'])?))
}

fn kind(rest: &str) -> Result<Line<'_>, String> {
    let (name, kind) = metadata(rest)?;
    ensure(
        ["counter", "gauge", "histogram", "summary", "untyped"].contains(&kind),
        || format!("type `{kind}` of `{name}`"),
    )?;
    Ok(Line::Type(name, kind))
}

fn sample(line: &str) -> Result<Line<'_>, String> {
    let (name, labels, rest) = match line.strip_prefix("{\"") {
        Some(rest) => {
            let (name, rest) = quoted_metric_name(rest)?;
            match (rest.strip_prefix(','), rest.strip_prefix('}')) {
                (Some(rest), _) => {
                    let (labels, rest) = labels(rest)?;
                    (name, labels, rest)
                }
                (None, Some(rest)) => (name, Vec::new(), rest),
                (None, None) => return Err(format!("neither `,` nor `}}` after `{name}`")),
            }
        }
        None => {
            let (name, rest) = line.split_at(line.find(['{', ' ']).unwrap_or(line.len()));
            metric_name(name)?;
            match rest.strip_prefix('{') {
                Some(rest) => {
                    let (labels, rest) = labels(rest)?;
                    (name, labels, rest)
                }
                None => (name, Vec::new(), rest),
            }
        }
    };
    let value = rest.strip_prefix(' ').ok_or("no space before the value")?;
    ensure(!value.is_empty(), || "no value".to_owned())?;
    ensure(value.trim() == value, || {
        "blanks around the value".to_owned()
    })?;
    ensure(!value.contains([' ', '\t']), || {
        "a timestamp or more after the value".to_owned()
    })?;
    Ok(Line::Sample(name, labels, value))
}

/// Reads labels up to and with the closing brace, gives them and what is left.
fn labels(mut rest: &str) -> Result<(Vec<Label<'_>>, &str), String> {
    let mut labels = Vec::new();
    loop {
        let name_end = match rest.strip_prefix('"') {
            Some(quoted) => 2 + closing_quote(quoted).ok_or("label name is not closed")?,
            None => rest.find('=').ok_or("no `=` in a label")?,
        };
        let (name, after) = rest.split_at(name_end);
        let after = after.strip_prefix('=').ok_or("no `=` in a label")?;
        match name.strip_prefix('"') {
            Some(name) => quoted_label_name(&name[..name.len() - 1])?,
            None => label_name(name)?,
        }
        let quoted = after
            .strip_prefix('"')
            .ok_or("label value without quotes")?;
        let length = closing_quote(quoted).ok_or("label value is not closed")?;
        let value = unescape(&quoted[..length], &['\\', 'n', '"'])?;
        ensure(!value.is_empty(), || format!("label `{name}` is empty"))?;
        let (text, after) = rest.split_at(name.len() + "=\"".len() + length + "\"".len());
        labels.push(Label { name, value, text });
        if let Some(after) = after.strip_prefix('}') {
            return Ok((labels, after));
        }
        rest = after
            .strip_prefix(',')
            .ok_or("neither `,` nor `}` after a label")?;
    }
}

/// The length of a label value: up to the first quote that no backslash escapes.
fn closing_quote(quoted: &str) -> Option<usize> {
    let mut escaped = false;
    quoted.bytes().position(|byte| {
        let closes = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        closes
    })
}

fn unescape(text: &str, allowed: &[char]) -> Result<String, String> {
    let mut plain = String::new();
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        if character != '\\' {
            plain.push(character);
            continue;
        }
        let escaped = characters.next().unwrap_or(' ');
        ensure(allowed.contains(&escaped), || {
            format!("escape `\\{escaped}`")
        })?;
        plain.push(if escaped == 'n' { '\n' } else { escaped });
    }
    Ok(plain)
}

/// The name of a HELP or TYPE line, and what is behind it.
fn metadata(rest: &str) -> Result<(&str, &str), String> {
    if let Some(quoted) = rest.strip_prefix('"') {
        let (name, rest) = quoted_metric_name(quoted)?;
        let text = rest.strip_prefix(' ').ok_or("no space behind a name")?;
        return Ok((name, text));
    }
    let (name, text) = rest.split_once(' ').unwrap_or((rest, ""));
    metric_name(name)?;
    Ok((name, text))
}

/// Reads a metric name behind its opening quote, up to and with the closing one.
fn quoted_metric_name(rest: &str) -> Result<(&str, &str), String> {
    let length = closing_quote(rest).ok_or("name is not closed")?;
    let (name, rest) = (&rest[..length], &rest[length + 1..]);
    let plain = unescape(name, &['\\', 'n', '"'])?;
    ensure(!plain.is_empty() && metric_name(&plain).is_err(), || {
        format!("quotes around `{name}`")
    })?;
    Ok((name, rest))
}

fn quoted_label_name(name: &str) -> Result<(), String> {
    let plain = unescape(name, &['\\', 'n', '"'])?;
    ensure(!plain.is_empty() && !plain.starts_with("__"), || {
        format!("label name `{name}`")
    })?;
    ensure(label_name(&plain).is_err(), || {
        format!("quotes around `{name}`")
    })
}

pub fn metric_name(name: &str) -> Result<(), String> {
    let inside = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b':';
    ensure(name.bytes().all(inside), || format!("metric name `{name}`"))?;
    ensure(!name.is_empty(), || "no metric name".to_owned())?;
    ensure(!name.as_bytes()[0].is_ascii_digit(), || {
        format!("digit first in `{name}`")
    })
}

pub fn label_name(name: &str) -> Result<(), String> {
    let inside = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    ensure(name.bytes().all(inside), || format!("label name `{name}`"))?;
    ensure(!name.is_empty(), || "no label name".to_owned())?;
    ensure(!name.as_bytes()[0].is_ascii_digit(), || {
        format!("digit first in label `{name}`")
    })?;
    ensure(name != "__name__", || "label `__name__`".to_owned())
}

/// Reads a number that is written as its value is always written.
pub fn number(text: &str) -> Result<f64, String> {
    const WHOLE_LIMIT: f64 = 9_007_199_254_740_992.0; // 2^53
    let value: f64 = text
        .parse()
        .map_err(|_| format!("`{text}` is not a number"))?;
    ensure(value != 0.0 || value.is_sign_positive(), || {
        "negative zero".to_owned()
    })?;
    let canonical = if value == f64::INFINITY {
        text == "+Inf"
    } else if value == f64::NEG_INFINITY {
        text == "-Inf"
    } else if value.is_nan() {
        text == "NaN"
    } else if value.fract() == 0.0 && value.abs() < WHOLE_LIMIT {
        text == format!("{value}")
    } else {
        text == format!("{value}") || text == format!("{value:e}")
    };
    ensure(canonical, || {
        format!("`{text}` is not how {value} is written")
    })?;
    Ok(value)
}

/// Refuses with the cause what does not hold.
pub fn ensure(holds: bool, cause: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(cause()) }
}
