//! The tokens of a file, and whether a request shows one of them.
//!
//! ```text
//! file        = *( line LF )           an empty line and one that begins with # are skipped
//! line        = 16*4096VCHAR           one token; white space around it is cut off
//! credentials = "Bearer" 1*SP token                                        RFC 6750 section 2.1
//!             / "Basic" 1*SP base64( user ":" token )    any user          RFC 7617 section 2
//! ```
//!
//! Invariants: a request's token is compared with every one of the file, and the time that this
//! takes depends on lengths alone, which are no secret. No token is in any message.

use std::fmt::{self, Debug, Display, Formatter};

use constant_time_eq::constant_time_eq;

use crate::base64::{Alphabet, base64_decode};

/// A shorter token is refused: it could be guessed.
pub const TOKEN_BYTES_MIN: usize = 16;

/// A longer one is refused: it would fill the head of a request.
pub const TOKEN_BYTES_MAX: usize = 4096;

/// More tokens than this are refused: each request is compared with all of them.
pub const TOKENS_MAX: usize = 100;

/// Tokens that are accepted: those of a file, at least one of them, or none.
#[derive(Clone, PartialEq, Eq)]
pub struct Tokens {
    tokens: Vec<Vec<u8>>,
}

/// They are secrets.
impl Debug for Tokens {
    fn fmt(&self, to: &mut Formatter<'_>) -> fmt::Result {
        write!(to, "{} tokens", self.tokens.len())
    }
}

/// Why a file is no list of tokens; lines are counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokensError {
    /// There is no token in it.
    Empty,
    /// One is shorter than [`TOKEN_BYTES_MIN`].
    Short {
        /// Where it is.
        line: usize,
        /// Its length.
        bytes: usize,
    },
    /// One is longer than [`TOKEN_BYTES_MAX`].
    Long {
        /// Where it is.
        line: usize,
    },
    /// One has white space or something else in it that is not visible ASCII.
    NotVisible {
        /// Where it is.
        line: usize,
    },
    /// There are more than [`TOKENS_MAX`].
    Many,
}

impl std::error::Error for TokensError {}

impl Display for TokensError {
    fn fmt(&self, to: &mut Formatter<'_>) -> fmt::Result {
        match self {
            TokensError::Empty => to.write_str("it has no token; write one a line"),
            TokensError::Short { line, bytes } => write!(
                to,
                "line {line}: a token has at least {TOKEN_BYTES_MIN} bytes, this one has {bytes}; \
                 `openssl rand -hex 32` makes a good one"
            ),
            TokensError::Long { line } => {
                write!(
                    to,
                    "line {line}: a token has at most {TOKEN_BYTES_MAX} bytes"
                )
            }
            TokensError::NotVisible { line } => write!(
                to,
                "line {line}: a token is letters, digits and signs of ASCII without blanks"
            ),
            TokensError::Many => write!(to, "it has more than {TOKENS_MAX} tokens"),
        }
    }
}

/// What a request shows of who sends it: its `Authorization` field.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Credentials<'a> {
    /// There is no such field.
    #[default]
    None,
    /// Its value.
    Field(&'a [u8]),
    /// There is more than one such field.
    Several,
}

/// Why a request is not admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // the messages below say it
pub enum Denial {
    Missing,
    Several,
    Unreadable,
    Unknown,
}

impl Display for Denial {
    fn fmt(&self, to: &mut Formatter<'_>) -> fmt::Result {
        to.write_str(match self {
            Denial::Missing => "a token is needed here, and none was sent",
            Denial::Several => "several Authorization fields were sent",
            Denial::Unreadable => "the Authorization field is neither Bearer nor Basic",
            Denial::Unknown => "the token is not one of those that are accepted here",
        })
    }
}

impl Tokens {
    /// Lets nobody pass.
    pub const NONE: Tokens = Tokens { tokens: Vec::new() };

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.tokens.len()
    }

    /// Reads the contents of a file.
    ///
    /// # Errors
    /// The first line that is no token, or none being there.
    pub fn read(contents: &[u8]) -> Result<Tokens, TokensError> {
        let mut tokens = Vec::new();
        for (line, text) in (1..).zip(contents.split(|byte| *byte == b'\n')) {
            let text = text.trim_ascii();
            if text.is_empty() || text.starts_with(b"#") {
                continue;
            }
            if !text.iter().all(u8::is_ascii_graphic) {
                return Err(TokensError::NotVisible { line });
            }
            match text.len() {
                bytes @ ..TOKEN_BYTES_MIN => return Err(TokensError::Short { line, bytes }),
                TOKEN_BYTES_MIN..=TOKEN_BYTES_MAX => tokens.push(text.to_vec()),
                _ => return Err(TokensError::Long { line }),
            }
        }
        match tokens.len() {
            0 => Err(TokensError::Empty),
            1..=TOKENS_MAX => Ok(Tokens { tokens }),
            _ => Err(TokensError::Many),
        }
    }

    /// Lets a request pass that shows one of the tokens.
    ///
    /// # Errors
    /// Why it may not pass.
    pub fn admit(&self, credentials: Credentials<'_>) -> Result<(), Denial> {
        let field = match credentials {
            Credentials::None => return Err(Denial::Missing),
            Credentials::Several => return Err(Denial::Several),
            Credentials::Field(field) => field,
        };
        let shown = shown_token(field).ok_or(Denial::Unreadable)?;
        let equal = self
            .tokens
            .iter()
            .map(|token| constant_time_eq(token, &shown));
        // All of them are looked at, whichever is equal.
        if equal.fold(false, |found, is_equal| found | is_equal) {
            Ok(())
        } else {
            Err(Denial::Unknown)
        }
    }
}

/// The token of an `Authorization` field, if it is in one of the two schemes.
fn shown_token(field: &[u8]) -> Option<Vec<u8>> {
    let blank = field.iter().position(|byte| *byte == b' ')?;
    let (scheme, rest) = field.split_at(blank);
    let rest = rest.trim_ascii();
    if scheme.eq_ignore_ascii_case(b"Bearer") {
        return Some(rest.to_vec());
    }
    if !scheme.eq_ignore_ascii_case(b"Basic") {
        return None;
    }
    let mut pair = base64_decode(rest, Alphabet::Standard)?;
    let colon = pair.iter().position(|byte| *byte == b':')?;
    Some(pair.split_off(colon + 1))
}
