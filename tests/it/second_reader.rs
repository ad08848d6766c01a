//! A second reader of HTTP/1.x requests, written from RFC 9110 and RFC 9112 alone: it shares no
//! code with the gateway's reader and works in another way. It has the whole buffer, searches for
//! line ends first, and collects every fault of a head instead of stopping at the first.
//!
//! Fuzz targets share this file, so it depends on nothing but `std`.

/// A request that was read completely.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    pub method: String,
    pub target: String,
    /// The minor version of HTTP/1.
    pub minor: u8,
    /// Decoded, if it was chunked.
    pub body: Vec<u8>,
    /// Whether the connection takes another request.
    pub keeps_alive: bool,
    /// Whether the client waits for `100 Continue` before it sends the body.
    pub awaits_continue: bool,
    /// The offset in the connection of the first byte after the request.
    pub end: usize,
}

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    Malformed,
    LengthRequired,
    BodyTooLong,
    LineTooLong,
    HeadTooLong,
    UnknownExpectation,
    UnknownCoding,
    UnknownVersion,
}

impl Fault {
    /// The status code of the refusal.
    pub fn code(self) -> u16 {
        match self {
            Fault::Malformed => 400,
            Fault::LengthRequired => 411,
            Fault::BodyTooLong => 413,
            Fault::LineTooLong => 414,
            Fault::UnknownExpectation => 417,
            Fault::HeadTooLong => 431,
            Fault::UnknownCoding => 501,
            Fault::UnknownVersion => 505,
        }
    }
}

/// How the bytes of a connection end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// Between two requests.
    Between,
    /// Within a request; what is there may still become a valid one.
    Within,
    /// After a request that closes the connection; what follows it is not read.
    Closed,
    /// In a request with these faults. One in the body is alone.
    Refused(Vec<Fault>),
}

/// The requests of a connection, and what follows them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    pub requests: Vec<Request>,
    pub end: End,
}

/// Reads all bytes of a connection.
pub fn read(bytes: &[u8], body_bytes_max: usize) -> Reading {
    let mut requests: Vec<Request> = Vec::new();
    loop {
        let begin = requests.last().map_or(0, |request| request.end);
        let end = match &bytes[begin..] {
            _ if requests.last().is_some_and(|last| !last.keeps_alive) => End::Closed,
            [] => End::Between,
            rest => match read_request(rest, body_bytes_max) {
                Ok(mut request) => {
                    request.end += begin;
                    requests.push(request);
                    continue;
                }
                Err(end) => end,
            },
        };
        return Reading { requests, end };
    }
}

/// The request at the begin of `bytes`; its `end` counts from there.
fn read_request(bytes: &[u8], body_bytes_max: usize) -> Result<Request, End> {
    let mut rest = bytes;
    let mut empty_lines = 0;
    while let Some(after) = rest.strip_prefix(b"\r\n") {
        rest = after;
        empty_lines += 1;
    }
    if empty_lines > 4 {
        return Err(End::Refused(vec![Fault::Malformed]));
    }
    let found = find(rest, b"\r\n\r\n");
    let head_bytes = found.map_or(rest.len(), |at| at + 4);
    let (head, rest) = rest.split_at(head_bytes);
    let mut faults = limits(head);
    faults.extend(lines(head));
    if !faults.is_empty() {
        return Err(End::Refused(faults));
    }
    if found.is_none() {
        return Err(End::Within);
    }
    let (mut request, framing) = read_head(head).map_err(End::Refused)?;
    let (body, body_bytes) = match framing {
        Framing::Length(length) => by_length(rest, length, body_bytes_max)?,
        Framing::Chunked => by_chunks(rest, body_bytes_max)?,
    };
    request.body = body;
    request.end = 2 * empty_lines + head_bytes + body_bytes;
    Ok(request)
}

fn find(bytes: &[u8], pattern: &[u8]) -> Option<usize> {
    let mut places = bytes.windows(pattern.len());
    places.position(|place| place == pattern)
}

/// A request line of 16 KiB with its CRLF, a head of 32 KiB with its empty line.
fn limits(head: &[u8]) -> Vec<Fault> {
    let line_bytes = find(head, b"\n").map_or(head.len(), |at| at + 1);
    let mut faults = Vec::new();
    if line_bytes > 16 * 1024 {
        faults.push(Fault::LineTooLong);
    }
    if head.len() > 32 * 1024 {
        faults.push(Fault::HeadTooLong);
    }
    faults
}

/// CR and LF in pairs alone (RFC 9112 section 2.2), no obsolete line folding (section 5.2), and no
/// control characters. The head may be cut off anywhere, also within a CRLF.
fn lines(head: &[u8]) -> Vec<Fault> {
    let is_fault = |at: usize| {
        let before = at.checked_sub(1).map(|at| head[at]);
        match head[at] {
            b'\n' => before != Some(b'\r'),
            _ if before == Some(b'\r') => true,
            b' ' | b'\t' => before == Some(b'\n'),
            b'\r' => false,
            byte => byte < 0x20 || byte == 0x7f,
        }
    };
    match (0..head.len()).any(is_fault) {
        true => vec![Fault::Malformed],
        false => vec![],
    }
}

enum Framing {
    Length(u64),
    Chunked,
}

/// A complete head whose line ends are valid. The request that it gives has neither body nor end.
fn read_head(head: &[u8]) -> Result<(Request, Framing), Vec<Fault>> {
    // RFC 9112 section 2.1; without the empty line at the end.
    let head = &head[..head.len() - 4];
    let mut lines = Vec::new();
    let mut rest = head;
    while let Some(at) = find(rest, b"\r\n") {
        lines.push(&rest[..at]);
        rest = &rest[at + 2..];
    }
    lines.push(rest);
    let (method, target, minor, mut faults) = request_line(lines[0]);
    let mut fields: Vec<(String, &[u8])> = Vec::new();
    for line in &lines[1..] {
        match field(line) {
            Some(field) => fields.push(field),
            None => faults.push(Fault::Malformed),
        }
    }
    if lines.len() - 1 > 100 {
        faults.push(Fault::HeadTooLong);
    }
    let values = |name: &str| -> Vec<&[u8]> {
        let named = fields.iter().filter(|(known, _)| known == name);
        named.map(|(_, value)| *value).collect()
    };
    if values("host").len() > 1 {
        faults.push(Fault::Malformed);
    }
    // RFC 9110 section 10.1.1.
    let expectations = values("expect");
    let is_known = |value: &&[u8]| value.eq_ignore_ascii_case(b"100-continue");
    if !expectations.iter().all(is_known) {
        faults.push(Fault::UnknownExpectation);
    }
    let lengths = values("content-length");
    let codings = values("transfer-encoding");
    let (framing, of_framing) = framing(&lengths, &codings, minor, &method);
    faults.extend(of_framing);
    if !faults.is_empty() {
        return Err(faults);
    }
    let request = Request {
        method,
        target,
        minor,
        body: Vec::new(),
        keeps_alive: keeps_alive(&values("connection"), minor),
        awaits_continue: minor == 1 && !expectations.is_empty(),
        end: 0,
    };
    Ok((request, framing))
}

/// Method, target and minor version (RFC 9112 section 3), which are right if there is no fault.
fn request_line(line: &[u8]) -> (String, String, u8, Vec<Fault>) {
    let words: Vec<&[u8]> = line.splitn(3, |byte| *byte == b' ').collect();
    let mut faults = Vec::new();
    let word = |at: usize| *words.get(at).unwrap_or(&&b""[..]);
    if !is_token(word(0)) || !is_target(word(1)) {
        faults.push(Fault::Malformed);
    }
    let minor = match word(2) {
        b"HTTP/1.0" => 0,
        b"HTTP/1.1" => 1,
        [b'H', b'T', b'T', b'P', b'/', b'0'..=b'9', b'.', b'0'..=b'9'] => {
            faults.push(Fault::UnknownVersion);
            1
        }
        _ => {
            // It is no version at all, or more follows it. The other reader says either.
            faults.extend([Fault::Malformed, Fault::UnknownVersion]);
            1
        }
    };
    let text = |word: &[u8]| String::from_utf8_lossy(word).into_owned();
    (text(word(0)), text(word(1)), minor, faults)
}

/// Origin form, absolute form of http, or asterisk form (RFC 9112 section 3.2).
fn is_target(word: &[u8]) -> bool {
    let is_visible = word.iter().all(|byte| (0x21..=0x7e).contains(byte));
    let has_scheme = word.len() >= 7 && word[..7].eq_ignore_ascii_case(b"http://");
    is_visible && (word.starts_with(b"/") || word == b"*" || has_scheme)
}

/// RFC 9110 section 5.6.2.
fn is_token(word: &[u8]) -> bool {
    let is_token_byte =
        |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    !word.is_empty() && word.iter().all(is_token_byte)
}

/// The name in lower case, and the value without white space around it (RFC 9112 section 5).
fn field(line: &[u8]) -> Option<(String, &[u8])> {
    let colon = find(line, b":")?;
    let name = &line[..colon];
    let mut value = &line[colon + 1..];
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    let name = is_token(name).then(|| String::from_utf8_lossy(name).to_ascii_lowercase())?;
    Some((name, value))
}

/// RFC 9112 section 6.
fn framing(lengths: &[&[u8]], codings: &[&[u8]], minor: u8, method: &str) -> (Framing, Vec<Fault>) {
    let mut faults = Vec::new();
    let is_number = |value: &&[u8]| !value.is_empty() && value.iter().all(u8::is_ascii_digit);
    if lengths.len() > 1 || !lengths.iter().all(is_number) {
        faults.push(Fault::Malformed);
    }
    let is_chunked = |value: &&[u8]| value.eq_ignore_ascii_case(b"chunked");
    if codings.len() > 1 || !codings.iter().all(is_chunked) {
        faults.push(Fault::UnknownCoding);
    }
    if !codings.is_empty() && (!lengths.is_empty() || minor == 0) {
        faults.push(Fault::Malformed);
    }
    if codings.is_empty() && lengths.is_empty() && minor == 0 && ["POST", "PUT"].contains(&method) {
        faults.push(Fault::LengthRequired);
    }
    if !codings.is_empty() {
        return (Framing::Chunked, faults);
    }
    let length = lengths.first().map_or(0, |digits| {
        let digits = String::from_utf8_lossy(digits);
        // A number of digits alone is refused only if it is too large.
        digits.parse().unwrap_or(u64::MAX)
    });
    (Framing::Length(length), faults)
}

/// RFC 9112 section 9.3.
fn keeps_alive(values: &[&[u8]], minor: u8) -> bool {
    let text = String::from_utf8_lossy(&values.join(&b',')).to_ascii_lowercase();
    let options: Vec<&str> = text
        .split(',')
        .map(|option| option.trim_matches([' ', '\t']))
        .collect();
    match minor {
        _ if options.contains(&"close") => false,
        0 => options.contains(&"keep-alive"),
        _ => true,
    }
}

fn by_length(bytes: &[u8], length: u64, body_bytes_max: usize) -> Result<(Vec<u8>, usize), End> {
    if length > body_bytes_max as u64 {
        return Err(End::Refused(vec![Fault::BodyTooLong]));
    }
    let length = length as usize;
    let body = bytes.get(..length).ok_or(End::Within)?;
    Ok((body.to_vec(), length))
}

/// The data of a chunked body, and how long its coding is (RFC 9112 section 7.1).
fn by_chunks(bytes: &[u8], body_bytes_max: usize) -> Result<(Vec<u8>, usize), End> {
    let mut data = Vec::new();
    let mut rest = bytes;
    let mut extension_bytes = 0;
    loop {
        let line = Line::first(&mut rest)?;
        let (size, bytes) = size_line(&line)?;
        extension_bytes += bytes;
        if extension_bytes > 4096 {
            return Err(malformed());
        }
        let size = line.complete(size)?;
        if size == 0 {
            break;
        }
        if size > (body_bytes_max - data.len()) as u64 {
            return Err(End::Refused(vec![Fault::BodyTooLong]));
        }
        let (chunk, after) = rest.split_at_checked(size as usize).ok_or(End::Within)?;
        data.extend_from_slice(chunk);
        rest = match after {
            [b'\r', b'\n', rest @ ..] => rest,
            [] | [b'\r'] => return Err(End::Within),
            _ => return Err(malformed()),
        };
    }
    let mut trailer_bytes = 0;
    loop {
        let line = Line::first(&mut rest)?;
        trailer_bytes += line.text.len();
        if trailer_bytes > 8192 || !is_printable(line.text) {
            return Err(malformed());
        }
        if line.complete(line.text)?.is_empty() {
            return Ok((data, bytes.len() - rest.len()));
        }
    }
}

fn malformed() -> End {
    End::Refused(vec![Fault::Malformed])
}

/// A line of a chunked body, which may be cut off.
struct Line<'a> {
    /// Without its end.
    text: &'a [u8],
    ends: Ends,
}

#[derive(Clone, Copy, PartialEq)]
enum Ends {
    Crlf,
    /// The buffer ends after the CR.
    Cr,
    CutOff,
}

impl<'a> Line<'a> {
    /// Takes the first line of `rest`.
    fn first(rest: &mut &'a [u8]) -> Result<Line<'a>, End> {
        let at = rest.iter().position(|byte| b"\r\n".contains(byte));
        let (text, end) = rest.split_at(at.unwrap_or(rest.len()));
        let (ends, after) = match end {
            [] => (Ends::CutOff, end),
            [b'\r'] => (Ends::Cr, &[][..]),
            [b'\r', b'\n', after @ ..] => (Ends::Crlf, after),
            _ => return Err(malformed()),
        };
        *rest = after;
        Ok(Line { text, ends })
    }

    /// What was read of the line, if it is all of it.
    fn complete<T>(&self, read: T) -> Result<T, End> {
        match self.ends {
            Ends::Crlf => Ok(read),
            Ends::Cr | Ends::CutOff => Err(End::Within),
        }
    }
}

/// The size of a chunk, and the length of its extension with all that precedes its name.
fn size_line(line: &Line<'_>) -> Result<(u64, usize), End> {
    let is_digit = |byte: &&u8| byte.is_ascii_hexdigit();
    let digits = line.text.iter().take_while(is_digit).count();
    let (digits, extension) = line.text.split_at(digits);
    let has_digits = match digits.len() {
        0 => line.text.is_empty() && line.ends == Ends::CutOff,
        1..=8 => true,
        _ => false,
    };
    let is_blank = |byte: &&u8| b" \t".contains(byte);
    let blanks = extension.iter().take_while(is_blank).count();
    let has_extension = match &extension[blanks..] {
        [] => blanks == 0 || line.ends == Ends::CutOff,
        [b';', text @ ..] => is_printable(text),
        _ => false,
    };
    if !has_digits || !has_extension {
        return Err(malformed());
    }
    let size = String::from_utf8_lossy(digits);
    Ok((u64::from_str_radix(&size, 16).unwrap_or(0), extension.len()))
}

/// No control characters but the tab.
fn is_printable(text: &[u8]) -> bool {
    text.iter()
        .all(|byte| *byte == b'\t' || (*byte >= 0x20 && *byte != 0x7f))
}
