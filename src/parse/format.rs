//! In which format a body is: what its sender says, and if that is too little, its last line.

use std::fmt;

use crate::excerpt::Excerpt;

/// A format that is read here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// The Prometheus text format, version 0.0.4.
    Text,
    /// The text format of `OpenMetrics`, versions 1.0 and 0.0.1.
    OpenMetrics,
    /// Messages `io.prometheus.client.MetricFamily`, each with its length before it.
    Protobuf,
}

/// Why a body is not read.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // the messages below say it
pub enum UnsupportedFormat {
    ProtobufType(Excerpt),
    ProtobufEncoding(Excerpt),
    ProtobufMessage(Excerpt),
    OpenMetricsVersion(Excerpt),
}

impl fmt::Display for UnsupportedFormat {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        use UnsupportedFormat as U;
        match self {
            U::ProtobufType(found) => write!(
                to,
                "the type {found} is not read here, expected the text format, OpenMetrics 1.0 or \
                 application/vnd.google.protobuf with delimited messages MetricFamily"
            ),
            U::ProtobufEncoding(found) => write!(
                to,
                "protobuf with encoding={found} is not read here, expected encoding=delimited \
                 or the text format"
            ),
            U::ProtobufMessage(found) => write!(
                to,
                "protobuf with proto={found} is not read here, expected \
                 proto=io.prometheus.client.MetricFamily or the text format"
            ),
            U::OpenMetricsVersion(found) => write!(
                to,
                "OpenMetrics with version={found} is not read here, expected version=1.0.0 or \
                 the text format"
            ),
        }
    }
}

impl std::error::Error for UnsupportedFormat {}

impl Format {
    /// All formats.
    pub const ALL: [Format; 3] = [Format::Text, Format::OpenMetrics, Format::Protobuf];

    /// The format that a Content-Type names; none if it says no more than that there are bytes or
    /// some text. This is known before the body is decompressed.
    ///
    /// # Errors
    /// When the type is certainly not read here.
    pub fn named(content_type: Option<&str>) -> Result<Option<Format>, UnsupportedFormat> {
        let content_type = content_type.unwrap_or_default();
        let (media_type, parameters) = content_type.split_once(';').unwrap_or((content_type, ""));
        let media_type = media_type.trim().to_ascii_lowercase();
        match media_type.as_str() {
            "application/vnd.google.protobuf" => protobuf(parameters).map(Some),
            "application/openmetrics-text" => open_metrics(parameters).map(Some),
            "text/plain" if parameter(parameters, "version").is_some() => Ok(Some(Format::Text)),
            _ if media_type.contains("protobuf") => {
                Err(UnsupportedFormat::ProtobufType(Excerpt::of(media_type)))
            }
            _ => Ok(None),
        }
    }

    /// The format of a body that no type names, by its last line: `# EOF` ends `OpenMetrics`.
    #[must_use]
    pub fn by_content(body: &[u8]) -> Format {
        let body = body.trim_ascii_end();
        let line = body.rsplit(|&byte| byte == b'\n').next();
        match line {
            Some(b"# EOF") => Format::OpenMetrics,
            _ => Format::Text,
        }
    }

    /// A byte that stands for the format wherever it is written down.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Format::Text => b't',
            Format::OpenMetrics => b'o',
            Format::Protobuf => b'p',
        }
    }

    /// The format that such a byte stands for.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Format> {
        Format::ALL.into_iter().find(|format| format.code() == code)
    }
}

fn protobuf(parameters: &str) -> Result<Format, UnsupportedFormat> {
    const MESSAGE: &str = "io.prometheus.client.MetricFamily";
    match parameter(parameters, "proto") {
        Some(proto) if proto != MESSAGE => {
            return Err(UnsupportedFormat::ProtobufMessage(Excerpt::of(proto)));
        }
        _ => {}
    }
    match parameter(parameters, "encoding") {
        Some(encoding) if !encoding.eq_ignore_ascii_case("delimited") => {
            Err(UnsupportedFormat::ProtobufEncoding(Excerpt::of(encoding)))
        }
        _ => Ok(Format::Protobuf),
    }
}

fn open_metrics(parameters: &str) -> Result<Format, UnsupportedFormat> {
    match parameter(parameters, "version") {
        Some(version) if !version.starts_with("0.") && !is_version_1(version) => {
            Err(UnsupportedFormat::OpenMetricsVersion(Excerpt::of(version)))
        }
        _ => Ok(Format::OpenMetrics),
    }
}

fn is_version_1(version: &str) -> bool {
    version == "1" || version.starts_with("1.")
}

/// The value of a parameter of a media type (RFC 9110 section 5.6.6), read leniently: senders write
/// empty parameters and blanks around them.
fn parameter<'a>(parameters: &'a str, wanted: &str) -> Option<&'a str> {
    let mut named = parameters
        .split(';')
        .filter_map(|text| text.split_once('='));
    let (_, value) = named.find(|(name, _)| name.trim().eq_ignore_ascii_case(wanted))?;
    Some(value.trim().trim_matches('"')).filter(|value| !value.is_empty())
}
