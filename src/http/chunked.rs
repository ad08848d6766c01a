//! The chunked coding of a body (RFC 9112 section 7.1): bytes in, data out.
//!
//! ```text
//! body    = *chunk last-chunk *( trailer CRLF ) CRLF
//! chunk   = 1*8HEXDIG [ extension ] CRLF data CRLF
//! extension = *( SP / HTAB ) ";" *( any but control characters )
//! ```
//!
//! Departures from the RFC: no more than eight digits, some of which may be leading zeros, and
//! extensions and trailers of a few kilobytes at most, which are read and thrown away. A bare LF or
//! CR is refused everywhere, since another reader may take it for something else.

use std::fmt::{self, Display, Formatter};

/// All extensions of a body together, with the semicolons and white space before them.
pub const EXTENSION_BYTES_MAX: u32 = 4096;

/// All trailers of a body together, without their line ends.
pub const TRAILER_BYTES_MAX: u32 = 8192;

const DIGITS_MAX: u8 = 8;

/// Where in a chunked body the next byte is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// In a size, after this number of digits.
    Size {
        size: u32,
        digits: u8,
    },
    /// Behind a size, before a line end or an extension.
    Blank {
        size: u32,
    },
    Extension {
        size: u32,
    },
    /// Behind the CR of a size's line.
    SizeFeed {
        size: u32,
    },
    /// Within the data, of which this is left.
    Data {
        left: u32,
    },
    /// Behind the data.
    DataReturn,
    DataFeed,
    /// At the begin of a line behind the last chunk.
    TrailerStart,
    Trailer,
    /// Behind the CR of a trailer.
    TrailerFeed,
    /// Behind the CR of the last line.
    LastFeed,
    End,
}

/// A decoder; it keeps nothing of what it has read.
#[derive(Clone, Debug)]
pub struct Chunked {
    state: State,
    extension_bytes: u32,
    trailer_bytes: u32,
}

/// What a decoder made of some input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decoded {
    /// How much of the input belongs to the body; all of it, unless the body ends in it.
    pub bytes: usize,
    /// Whether it was the end.
    pub is_end: bool,
}

/// Why a body is refused; where its request ends is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // the messages below say it
pub enum ChunkError {
    Size,
    Extension,
    LineEnd,
    DataEnd,
    Trailer,
    LongExtension,
    LongTrailer,
    /// The data is longer than allowed.
    TooLong,
    NoMemory,
}

impl std::error::Error for ChunkError {}

impl Display for ChunkError {
    fn fmt(&self, to: &mut Formatter<'_>) -> fmt::Result {
        to.write_str("chunked body: ")?;
        match self {
            ChunkError::Size => write!(
                to,
                "expected the size of a chunk, one to {DIGITS_MAX} hexadecimal digits"
            ),
            ChunkError::Extension => to.write_str("control character in a chunk extension"),
            ChunkError::LineEnd => to.write_str("expected CRLF behind the size of a chunk"),
            ChunkError::DataEnd => to.write_str("expected CRLF behind the data of a chunk"),
            ChunkError::Trailer => to.write_str("expected trailers, each a line that ends in CRLF"),
            ChunkError::LongExtension => {
                write!(
                    to,
                    "chunk extensions of more than {EXTENSION_BYTES_MAX} bytes"
                )
            }
            ChunkError::LongTrailer => {
                write!(to, "trailers of more than {TRAILER_BYTES_MAX} bytes")
            }
            ChunkError::TooLong => to.write_str("longer than allowed"),
            ChunkError::NoMemory => to.write_str("there is no memory for it"),
        }
    }
}

impl Default for Chunked {
    fn default() -> Chunked {
        Chunked {
            state: State::Size { size: 0, digits: 0 },
            extension_bytes: 0,
            trailer_bytes: 0,
        }
    }
}

impl Chunked {
    /// Decodes the next input and appends its data to `body`, which may become `body_bytes_max`
    /// long.
    ///
    /// # Errors
    /// As soon as the input cannot become a body within the limits; a chunk that says that it is
    /// too long is one before its data comes.
    pub fn decode(
        &mut self,
        input: &[u8],
        body: &mut Vec<u8>,
        body_bytes_max: usize,
    ) -> Result<Decoded, ChunkError> {
        let mut at = 0;
        while at < input.len() && self.state != State::End {
            if let State::Data { left } = self.state {
                let rest = &input[at..];
                let data = &rest[..rest.len().min(left as usize)];
                append(body, data)?;
                at += data.len();
                // It is no longer than what is left.
                let left = left - u32::try_from(data.len()).unwrap_or(left);
                self.state = match left {
                    0 => State::DataReturn,
                    left => State::Data { left },
                };
            } else {
                self.state = self.after(input[at])?;
                at += 1;
                if let State::Data { left } = self.state
                    && left as usize > body_bytes_max.saturating_sub(body.len())
                {
                    return Err(ChunkError::TooLong);
                }
            }
        }
        Ok(Decoded {
            bytes: at,
            is_end: self.state == State::End,
        })
    }

    /// The state after a byte that is not data.
    fn after(&mut self, byte: u8) -> Result<State, ChunkError> {
        Ok(match (self.state, byte) {
            (State::Size { size, digits }, byte) if byte.is_ascii_hexdigit() => {
                let digit = (byte as char).to_digit(16).unwrap_or(0);
                if digits == DIGITS_MAX {
                    return Err(ChunkError::Size);
                }
                State::Size {
                    size: size << 4 | digit,
                    digits: digits + 1,
                }
            }
            (State::Size { digits: 0, .. }, _) => return Err(ChunkError::Size),
            (State::Size { size, .. } | State::Extension { size }, b'\r') => {
                State::SizeFeed { size }
            }
            (State::Size { size, .. } | State::Blank { size }, b' ' | b'\t') => {
                self.count_extension()?;
                State::Blank { size }
            }
            (State::Size { size, .. } | State::Blank { size }, b';') => {
                self.count_extension()?;
                State::Extension { size }
            }
            (State::Size { .. }, _) => return Err(ChunkError::Size),
            (State::Extension { .. }, byte) if is_control(byte) => {
                return Err(ChunkError::Extension);
            }
            (State::Extension { size }, _) => {
                self.count_extension()?;
                State::Extension { size }
            }
            (State::SizeFeed { size: 0 } | State::TrailerFeed, b'\n') => State::TrailerStart,
            (State::SizeFeed { size }, b'\n') => State::Data { left: size },
            (State::Blank { .. } | State::SizeFeed { .. }, _) => return Err(ChunkError::LineEnd),
            (State::DataReturn, b'\r') => State::DataFeed,
            (State::DataFeed, b'\n') => State::Size { size: 0, digits: 0 },
            (State::DataReturn | State::DataFeed, _) => return Err(ChunkError::DataEnd),
            (State::TrailerStart, b'\r') => State::LastFeed,
            (State::Trailer, b'\r') => State::TrailerFeed,
            (State::LastFeed, b'\n') => State::End,
            (State::TrailerStart | State::Trailer, byte) if !is_control(byte) => {
                self.trailer_bytes += 1;
                if self.trailer_bytes > TRAILER_BYTES_MAX {
                    return Err(ChunkError::LongTrailer);
                }
                State::Trailer
            }
            (State::Data { .. } | State::End, _) => self.state,
            _ => return Err(ChunkError::Trailer),
        })
    }

    fn count_extension(&mut self) -> Result<(), ChunkError> {
        self.extension_bytes += 1;
        if self.extension_bytes > EXTENSION_BYTES_MAX {
            return Err(ChunkError::LongExtension);
        }
        Ok(())
    }

    /// How much data the current chunk still lacks.
    #[must_use]
    pub fn missing_bytes(&self) -> usize {
        match self.state {
            State::Data { left } => left as usize,
            _ => 0,
        }
    }

    /// Bytes that bring a new decoder to the same state, with the same data, so that another
    /// process can go on reading this body.
    #[must_use]
    pub fn encoded(&self, data: &[u8]) -> Vec<u8> {
        let length = data.len();
        let mut bytes = match (self.state, length) {
            (State::Data { left }, _) => format!("{:x}\r\n", length + left as usize),
            (_, 0) => String::new(),
            _ => format!("{length:x}\r\n"),
        }
        .into_bytes();
        bytes.extend_from_slice(data);
        let has_line_end = !matches!(
            self.state,
            State::Data { .. } | State::DataReturn | State::DataFeed
        );
        if length > 0 && has_line_end {
            bytes.extend_from_slice(b"\r\n");
        }
        let rest = match self.state {
            State::Size { digits: 0, .. } | State::Data { .. } | State::DataReturn => String::new(),
            State::Size { size, digits } => format!("{size:0width$x}", width = usize::from(digits)),
            State::Blank { size } => format!("{size:x} "),
            State::Extension { size } => format!("{size:x};"),
            State::SizeFeed { size } => format!("{size:x}\r"),
            State::DataFeed => "\r".to_owned(),
            State::TrailerStart => "0\r\n".to_owned(),
            State::Trailer => "0\r\nx".to_owned(),
            State::TrailerFeed => "0\r\nx\r".to_owned(),
            State::LastFeed => "0\r\n\r".to_owned(),
            State::End => "0\r\n\r\n".to_owned(),
        };
        bytes.extend_from_slice(rest.as_bytes());
        bytes
    }
}

/// Appends what has come of a body, whether its length is known or not. Nobody else's request may
/// end with the process because there is no memory for this one.
///
/// # Errors
/// `NoMemory`; nothing was appended.
pub fn append(body: &mut Vec<u8>, data: &[u8]) -> Result<(), ChunkError> {
    body.try_reserve(data.len())
        .map_err(|_| ChunkError::NoMemory)?;
    body.extend_from_slice(data);
    Ok(())
}

/// Also DEL, but not the tab.
fn is_control(byte: u8) -> bool {
    byte.is_ascii_control() && byte != b'\t'
}
