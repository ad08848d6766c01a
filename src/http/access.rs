//! Who may push and who may read: the tokens that requests have to show.
//!
//! Invariant: a request is let through or refused by its head alone. Knows no files: whoever reads
//! them puts the tokens here, at any time.

use std::sync::{Mutex, PoisonError};

use super::answer::Answer;
use super::head::Head;
use super::route::{Credential, Route};
use crate::tokens::Tokens;

/// The realms of RFC 9110 section 11.5: all of the gateway is one.
const CHALLENGES: [&str; 2] = [
    "Bearer realm=\"aggregation gateway\"",
    "Basic realm=\"aggregation gateway\", charset=\"UTF-8\"",
];

/// Who may do what.
#[derive(Debug, Default)]
pub struct Access {
    /// Pushes.
    pub push: Guard,
    /// All that shows or takes away what is stored.
    pub scrape: Guard,
}

/// Whether a kind of request needs a token.
#[derive(Debug, Default)]
pub enum Guard {
    /// It does not.
    #[default]
    Open,
    /// It does: one of these.
    Tokens(Mutex<Tokens>),
}

impl Guard {
    /// Accepts one of these tokens.
    #[must_use]
    pub fn of(tokens: Tokens) -> Guard {
        Guard::Tokens(Mutex::new(tokens))
    }

    /// Accepts these tokens and no others. Tells whether that is a change.
    pub fn replace(&self, tokens: Tokens) -> bool {
        let Guard::Tokens(held) = self else {
            return false;
        };
        let mut held = held.lock().unwrap_or_else(PoisonError::into_inner);
        let is_change = *held != tokens;
        *held = tokens;
        is_change
    }
}

impl Access {
    /// Lets a request pass, or gives its refusal.
    pub(super) fn check(&self, route: Route<'_>, head: &Head<'_>) -> Result<(), Answer> {
        let (guard, flag) = match route.credential(head.target) {
            Credential::None => return Ok(()),
            Credential::Push => (&self.push, "-push-token-file"),
            Credential::Scrape => (&self.scrape, "-scrape-token-file"),
        };
        let Guard::Tokens(tokens) = guard else {
            return Ok(());
        };
        let tokens = tokens.lock().unwrap_or_else(PoisonError::into_inner);
        tokens.admit(head.credentials).map_err(|denial| {
            let line = format!(
                "{denial}; send `Authorization: Bearer TOKEN` with a token of {flag}, or Basic \
                 with any user and the token as password"
            );
            CHALLENGES
                .iter()
                .fold(Answer::refusal(401, line), |answer, challenge| {
                    answer.with_field("WWW-Authenticate", *challenge)
                })
        })
    }
}
