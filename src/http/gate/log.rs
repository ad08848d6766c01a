//! What the gate says of requests: who was refused what, and who has deleted what.
//!
//! All clients together cost the log a few lines a second ([`Limiter`]); requests that get no line
//! are counted. A request that is answered with success gets none, unless it deletes.

use std::net::IpAddr;

use super::super::connection::{Phase, Token};
use super::super::raw_head::{method_and_path, target};
use super::super::response::{REMOVED, Response, reason};
use super::super::{Log, query};
use super::Gate;
use crate::clock::wall_millis;
use crate::log::{Level, Limiter, LogEvent, Verdict, printable};
use crate::overview::RefusedRequest;
use crate::proxy;
use crate::status::Handler;

/// So much of the head of a request that is refused is kept until its response.
const HEAD_BYTES_KEPT_MAX: usize = 1 << 10;

/// The reason of a refusal is not shown any longer than this.
const REASON_BYTES_MAX: usize = 400;

/// The lines about requests.
#[derive(Debug)]
pub struct RequestLog {
    pub log: Log,
    refusals: Limiter,
    deletions: Limiter,
}

impl RequestLog {
    pub fn new(log: Log) -> RequestLog {
        RequestLog {
            log,
            refusals: Limiter::default(),
            deletions: Limiter::default(),
        }
    }

    /// Says how many requests had no line of their own, if it is time for that.
    pub fn say_counts(&mut self, now_ms: u64) {
        let counts = [self.refusals.due(now_ms), self.deletions.due(now_ms)];
        self.say(counts);
    }

    /// The same, since there is no more.
    pub fn end(&mut self) {
        let counts = [self.refusals.end(), self.deletions.end()];
        self.say(counts);
    }

    fn say(&self, [refusals, deletions]: [Option<u64>; 2]) {
        if let Some(count) = refusals {
            let event = LogEvent::new(Level::Warn, "more requests refused");
            (self.log)(event.with_number("count", count));
        }
        if let Some(count) = deletions {
            let event = LogEvent::new(Level::Info, "more deletions");
            (self.log)(event.with_number("count", count));
        }
    }
}

impl Gate {
    /// Keeps the head of a request that is about to be refused, for the line about it.
    pub(super) fn remember_head(&mut self, token: Token, head: &[u8]) {
        if let Some(connection) = self.get(token) {
            connection.request = begin(head).to_vec();
        }
    }

    /// The same, of a request that is not whole.
    pub(super) fn remember_begun(&mut self, token: Token) {
        if let Some(connection) = self.get(token) {
            match &mut connection.phase {
                Phase::Body(upload) => connection.request = begin(&upload.head).to_vec(),
                // What was just read is remembered already.
                Phase::Head if !connection.input.is_empty() => {
                    connection.request = begin(&connection.input).to_vec();
                }
                _ => {}
            }
        }
    }

    /// Logs a refusal or a deletion, and frees the head that was kept for it.
    pub(super) fn log_response(&mut self, token: Token, response: &Response<'_>) {
        let Some(connection) = self.get(token) else {
            return;
        };
        let head = std::mem::take(&mut connection.request);
        let (handler, sender) = (connection.handler, connection.sender);
        // A check is told the state of the gateway, which is logged when it changes.
        let is_check = matches!(handler, Handler::Healthy | Handler::Ready);
        if connection.is_probe || is_check {
            return;
        }
        let now_ms = self.now_ms;
        self.requests_log.say_counts(now_ms);
        if response.code < 400 {
            if self.requests_log.deletions.admit(now_ms) == Verdict::Line {
                (self.requests_log.log)(deletion(sender, &head, response));
            }
        } else if self.requests_log.refusals.admit(now_ms) == Verdict::Line {
            let (method, path) = method_and_path(&head);
            let refused = RefusedRequest {
                time_millis: wall_millis(),
                sender: proxy::name(sender),
                method,
                path,
                code: response.code,
                reason: reason_line(response),
            };
            (self.requests_log.log)(refusal(handler, &refused));
            self.site.status.refusals.add(refused);
        }
    }
}

/// What may be shown of a head is in its begin.
fn begin(head: &[u8]) -> &[u8] {
    &head[..head.len().min(HEAD_BYTES_KEPT_MAX)]
}

/// The first line of the response, or what its status means.
fn reason_line(response: &Response<'_>) -> String {
    let line = response.body.split(|byte| *byte == b'\n').next();
    match line.unwrap_or_default().trim_ascii() {
        [] => reason(response.code).to_owned(),
        line => printable(line, REASON_BYTES_MAX),
    }
}

fn refusal(handler: Handler, refused: &RefusedRequest) -> LogEvent {
    let message = match handler {
        Handler::Push => "push refused",
        _ => "request refused",
    };
    let level = match (handler, refused.code) {
        // Whoever looks for pages that are not here: browsers, scanners.
        (Handler::None, 404 | 405) => Level::Info,
        _ => Level::Warn,
    };
    let mut event = LogEvent::new(level, message).with_text("sender", &refused.sender);
    for (name, text) in [("method", &refused.method), ("path", &refused.path)] {
        if !text.is_empty() {
            event = event.with_text(name, text);
        }
    }
    event
        .with_number("status", refused.code.into())
        .with_text("reason", &refused.reason)
}

/// `response` says how much was deleted, if it was not a sender that left.
fn deletion(sender: IpAddr, head: &[u8], response: &Response<'_>) -> LogEvent {
    let (method, path) = method_and_path(head);
    let family = query::parameter(target(head), "family").ok().flatten();
    let removed = response.field(REMOVED);
    let message = match (method.as_str(), &family) {
        _ if removed.is_none() => "sender left",
        ("DELETE", _) => "series deleted",
        (_, Some(_)) => "family deleted",
        (_, None) => "everything deleted",
    };
    let event = LogEvent::new(Level::Info, message).with_text("sender", proxy::name(sender));
    let event = event.with_text("path", path);
    let mut event = match family {
        Some(name) => event.with_text("family", printable(&name, REASON_BYTES_MAX)),
        None => event,
    };
    let counts = removed.into_iter().flat_map(|counts| counts.split(' '));
    for (name, count) in ["families", "series"].into_iter().zip(counts) {
        event = event.with_number(name, count.parse().unwrap_or(0));
    }
    event
}
