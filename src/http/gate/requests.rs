//! From what clients send to whole requests that wait for a worker.

use std::sync::Arc;

use super::super::AdminApi;
use super::super::answer::Answer;
use super::super::chunked::{ChunkError, Chunked, append};
use super::super::connection::{Phase, Rest, Token, Upload};
use super::super::exchange::Exchange;
use super::super::exposition::Exposition;
use super::super::head::{Expectation, Framing, Head, HeadError, PASSED_ON, read_head};
use super::super::pace::Pace;
use super::super::raw_head::field_values;
use super::super::response::Client;
use super::super::route::Route;
use super::responses::{LINGER_MS, Waiting};
use super::{Gate, NEVER, SAME_ORIGIN, TURN_BYTES, UNLISTED_ORIGIN};
use crate::probe::USER_AGENT;
use crate::proxy::sender;
use crate::status::{CloseReason, Handler, PushResult};

/// Pushes with a longer body, or a longer head, do not share a channel with others.
const SHORT_BODY_BYTES_MAX: usize = 16 << 10;
const SHORT_HEAD_BYTES_MAX: usize = 1 << 10;

const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

impl Gate {
    /// Reads what a client has sent, as long as there is something to be made of it, but no more
    /// than others have patience for.
    pub(super) fn read(&mut self, token: Token) {
        let mut bytes_left = TURN_BYTES;
        while bytes_left > 0 {
            if !self.may_read(token) {
                return;
            }
            match self.read_once(token) {
                Some(bytes) => bytes_left = bytes_left.saturating_sub(bytes),
                None => return,
            }
        }
        self.read_in_turn(token);
    }

    /// Has a connection read again, when others have had their turn.
    pub(super) fn read_in_turn(&mut self, token: Token) {
        if let Some(connection) = self.get(token)
            && !connection.is_in_turn
        {
            connection.is_in_turn = true;
            self.again.push_back(token);
        }
    }

    /// Reads once; gives how much that was, or `None` when there is nothing to be read for now.
    fn read_once(&mut self, token: Token) -> Option<usize> {
        let mut scratch = std::mem::take(&mut self.scratch);
        let bytes = self.read_into(token, &mut scratch);
        self.scratch = scratch;
        self.count_memory(token);
        bytes
    }

    fn read_into(&mut self, token: Token, scratch: &mut [u8]) -> Option<usize> {
        let connection = self.get(token)?;
        let kept = match &connection.phase {
            // What came with the request before.
            Phase::Idle if !connection.input.is_empty() => {
                let input = std::mem::take(&mut connection.input);
                self.on_head_bytes(token, &input);
                return Some(0);
            }
            Phase::Idle | Phase::Head => connection.input.len(),
            Phase::Body(_) | Phase::Lingering { .. } => 0,
            _ => return None,
        };
        if !connection.is_readable {
            return None;
        }
        if connection.make_room_in_place() {
            let bytes = connection.receive_in_place()?;
            if bytes == 0 {
                self.on_end(token);
                return None;
            }
            self.on_body_grown(token, bytes);
            return Some(bytes);
        }
        let room = match &connection.phase {
            Phase::Body(upload) => match upload.rest {
                Rest::Length(length) => length.min(TURN_BYTES),
                Rest::Chunked(_) => TURN_BYTES,
            },
            _ => TURN_BYTES,
        };
        // An input is what is left of one read, or a head.
        scratch.get_mut(..kept)?.copy_from_slice(&connection.input);
        let bytes = connection.receive(scratch.get_mut(kept..kept + room)?)?;
        match &connection.phase {
            _ if bytes == 0 => {
                self.on_end(token);
                return None;
            }
            Phase::Lingering { until_ms } => {
                let left_ms = until_ms.saturating_sub(self.now_ms);
                self.set_deadline(token, left_ms.min(LINGER_MS));
            }
            Phase::Body(_) => self.on_body_bytes(token, &scratch[..bytes]),
            _ => {
                connection.input = Vec::new();
                self.on_head_bytes(token, &scratch[..kept + bytes]);
            }
        }
        Some(bytes)
    }

    /// The client sends no more, though it may read.
    fn on_end(&mut self, token: Token) {
        let Some(connection) = self.get(token) else {
            return;
        };
        match connection.phase {
            Phase::Head | Phase::Body(_) if !connection.is_gone => {
                let answer = Answer::refusal(400, "the connection ended within the request");
                self.refuse(token, answer, PushResult::Incomplete, CloseReason::Client);
            }
            Phase::Head | Phase::Body(_) => {
                self.count_push(token, PushResult::Incomplete);
                self.close(token, CloseReason::Client);
            }
            Phase::Lingering { .. } => self.close(token, CloseReason::Done),
            _ => self.close(token, CloseReason::Client),
        }
    }

    /// Looks for a request at the begin of what was read.
    fn on_head_bytes(&mut self, token: Token, bytes: &[u8]) {
        let Some(connection) = self.get(token) else {
            return;
        };
        let read = read_head(bytes, &mut connection.scanned);
        if !matches!(read, Ok(None)) {
            connection.scanned = 0;
        }
        match read {
            Ok(Some(head)) => {
                let used = self.on_head(token, &head, bytes);
                if let (Some(connection), Some(rest)) = (self.get(token), bytes.get(used..)) {
                    connection.input = rest.to_vec();
                }
            }
            // Empty lines alone begin no request (RFC 9112 section 2.2).
            Ok(None) if bytes.chunks(2).all(|line| line == b"\r\n") => {}
            Ok(None) => {
                connection.input = bytes.to_vec();
                if matches!(connection.phase, Phase::Idle) {
                    connection.handler = Handler::None;
                    connection.sender = connection.peer;
                    connection.is_probe = false;
                    self.set_phase(token, Phase::Head);
                    self.set_deadline(token, self.timeouts_ms.head);
                }
            }
            Err(error) => {
                self.remember_head(token, bytes);
                self.refuse_head(token, &error);
            }
        }
    }

    fn refuse_head(&mut self, token: Token, error: &HeadError) {
        if let Some(connection) = self.get(token) {
            connection.client = Client::UNKNOWN;
            connection.sender = connection.peer;
            connection.is_probe = false;
            connection.handler = Handler::None;
            connection.cross_origin = UNLISTED_ORIGIN;
        }
        let answer = Answer::refusal(error.code(), error);
        self.refuse(token, answer, PushResult::Invalid, CloseReason::Malformed);
    }

    /// A head has come. Gives how much of `bytes`, which begin with it, belongs to its request.
    fn on_head(&mut self, token: Token, head: &Head<'_>, bytes: &[u8]) -> usize {
        let route = Route::of(head.method, head.target, &self.site.push_path);
        let cross_origin = self.cross_origin(route, head.origin);
        let Some(connection) = self.get(token) else {
            return bytes.len();
        };
        connection.client = Client::of(head);
        connection.handler = handler(route);
        connection.cross_origin = cross_origin;
        connection.is_probe = is_probe(route, &bytes[..head.bytes]);
        if !self.site.trusted_proxies.is_empty() {
            self.find_sender(token, &bytes[..head.bytes]);
        }
        if let Err(denied) = self.site.check_access(route, head) {
            return self.deny(token, head, denied, bytes);
        }
        let rest = &bytes[head.bytes..];
        let mut body = Vec::new();
        let begun = begin_body(head.framing, rest, &mut body, self.site.body_bytes_max);
        let (used, upload) = match begun {
            Ok(begun) => begun,
            Err(error) => {
                self.remember_head(token, bytes);
                self.refuse_body(token, error);
                return bytes.len();
            }
        };
        match upload {
            None => self.on_request(token, head, route, body),
            Some(upload) => {
                let raw = &bytes[..head.bytes];
                self.begin_upload(token, raw, head.expectation, body, upload);
            }
        }
        head.bytes + used
    }

    /// Refuses a request that shows no token of those that it needs, before its body is read or
    /// asked for. Where there is no body, its connection takes the next request.
    fn deny(&mut self, token: Token, head: &Head<'_>, answer: Answer, bytes: &[u8]) -> usize {
        self.remember_head(token, bytes);
        let result = PushResult::Unauthorized;
        if head.framing != Framing::None {
            self.refuse(token, answer, result, CloseReason::Unauthorized);
            return bytes.len();
        }
        self.count_push(token, result);
        self.set_phase(token, Phase::Responding);
        self.respond_with(token, answer);
        head.bytes
    }

    /// Finds out who has sent a request that came from a trusted proxy.
    fn find_sender(&mut self, token: Token, head: &[u8]) {
        let site = Arc::clone(&self.site);
        if let Some(connection) = self.get(token) {
            let forwarded_for = field_values(head, "X-Forwarded-For");
            connection.sender = sender(connection.peer, forwarded_for, &site.trusted_proxies);
        }
    }

    fn begin_upload(
        &mut self,
        token: Token,
        head: &[u8],
        expectation: Expectation,
        body: Vec<u8>,
        rest: Rest,
    ) {
        let is_awaited = expectation == Expectation::Continue && body.is_empty();
        let upload = Upload {
            head: head.to_vec(),
            body,
            rest,
            pace: Pace::default(),
        };
        self.set_phase(token, Phase::Body(Box::new(upload)));
        self.set_deadline(token, self.timeouts_ms.body);
        self.pace(token);
        if let (true, Some(connection)) = (is_awaited, self.get(token)) {
            connection.write(CONTINUE);
        }
    }

    /// More of a body has come.
    fn on_body_bytes(&mut self, token: Token, bytes: &[u8]) {
        let body_bytes_max = self.site.body_bytes_max;
        let Some(connection) = self.get(token) else {
            return;
        };
        let Phase::Body(upload) = &mut connection.phase else {
            return;
        };
        match &mut upload.rest {
            Rest::Length(_) => match append(&mut upload.body, bytes) {
                Ok(()) => self.on_body_grown(token, bytes.len()),
                Err(error) => self.refuse_body(token, error),
            },
            Rest::Chunked(chunked) => {
                upload.pace.count(bytes.len());
                match chunked.decode(bytes, &mut upload.body, body_bytes_max) {
                    Ok(decoded) if decoded.is_end => {
                        connection.input = bytes[decoded.bytes..].to_vec();
                        self.on_whole_body(token);
                    }
                    Ok(_) => {}
                    Err(error) => self.refuse_body(token, error),
                }
            }
        }
    }

    /// A body whose length is known has grown by so much.
    fn on_body_grown(&mut self, token: Token, bytes: usize) {
        let Some(connection) = self.get(token) else {
            return;
        };
        let Phase::Body(upload) = &mut connection.phase else {
            return;
        };
        upload.pace.count(bytes);
        if let Rest::Length(missing) = &mut upload.rest {
            *missing -= bytes.min(*missing);
            if *missing == 0 {
                self.on_whole_body(token);
            }
        }
    }

    fn on_whole_body(&mut self, token: Token) {
        let Some(Phase::Body(upload)) = self.set_phase(token, Phase::Idle) else {
            return;
        };
        // It was read before.
        if let Ok(Some(head)) = read_head(&upload.head, &mut 0) {
            let route = Route::of(head.method, head.target, &self.site.push_path);
            self.on_request(token, &head, route, upload.body);
        }
    }

    fn refuse_body(&mut self, token: Token, error: ChunkError) {
        let malformed = CloseReason::Malformed;
        let (answer, result, reason) = match error {
            ChunkError::TooLong => {
                let body_bytes_max = self.site.body_bytes_max;
                let line =
                    format!("the body is longer than {body_bytes_max} bytes (-max-body-bytes)");
                (Answer::refusal(413, line), PushResult::TooLarge, malformed)
            }
            ChunkError::NoMemory => {
                let line = "there is no memory for the body; retry later";
                let (result, reason) = (PushResult::NoMemory, CloseReason::NoMemory);
                (Answer::refusal(503, line), result, reason)
            }
            error => {
                let answer = Answer::refusal(400, error);
                (answer, PushResult::Incomplete, malformed)
            }
        };
        self.refuse(token, answer, result, reason);
    }

    /// A request is whole: it goes to a worker, or waits for one.
    fn on_request(&mut self, token: Token, head: &Head<'_>, route: Route<'_>, body: Vec<u8>) {
        // The worker's time is not the client's.
        self.set_deadline(token, NEVER);
        if route == Route::Scrape && head.method == "GET" {
            return self.queue_scrape(token, Exposition::accepted(head.accept));
        }
        let body_bytes = body.len();
        let mut request = Vec::with_capacity(head.method.len() + head.target.len() + 128);
        write_request(&mut request, head);
        if route == Route::Scrape {
            let accept = Exposition::accepted(head.accept).content_type();
            write_field(&mut request, "Accept", accept.as_bytes());
        }
        let is_short = request.len() <= SHORT_HEAD_BYTES_MAX && body_bytes <= SHORT_BODY_BYTES_MAX;
        let queue = match route {
            Route::Push { .. } if is_short && head.content_encoding().is_none() => {
                &mut self.queues.short
            }
            Route::Push { .. } => &mut self.queues.long,
            Route::Preflight if is_short => &mut self.queues.short,
            Route::Healthy | Route::Ready if is_short => &mut self.queues.health,
            Route::Delete { .. } | Route::Wipe if self.site.admin_api == AdminApi::On => {
                &mut self.queues.removals
            }
            _ => &mut self.queues.pages,
        };
        let bytes = request.capacity() + body.capacity();
        queue.push_back(Waiting {
            token,
            request,
            exchange: (body_bytes > 0).then_some(Exchange::Body(body)),
            since_ms: self.now_ms,
        });
        self.set_phase(token, Phase::Queued { bytes });
    }

    /// The place of the fields that let a page of this origin see the response.
    fn cross_origin(&self, route: Route<'_>, origin: Option<&[u8]>) -> u16 {
        if !route.is_cross_origin() {
            return SAME_ORIGIN;
        }
        let mut listed = self.site.cors.iter();
        match listed.position(|one| Some(one.as_bytes()) == origin) {
            Some(at) => UNLISTED_ORIGIN + 1 + u16::try_from(at).unwrap_or(0),
            None => UNLISTED_ORIGIN,
        }
    }

    /// Counts the result of a push, if the request is one.
    pub(super) fn count_push(&mut self, token: Token, result: PushResult) {
        let connection = self.get(token);
        if connection.is_some_and(|connection| connection.handler == Handler::Push) {
            self.site.status.count_push(result);
        }
    }
}

/// The request as a worker gets it, without the empty line: nothing of the client but its method,
/// target and some fields, all of it ASCII.
fn write_request(to: &mut Vec<u8>, head: &Head<'_>) {
    for part in [head.method, " ", head.target, " HTTP/1.1\r\n"] {
        to.extend_from_slice(part.as_bytes());
    }
    for (name, value) in PASSED_ON.iter().zip(head.passed_on) {
        if let Some(value) = value {
            write_field(to, name, value);
        }
    }
}

/// Takes what has come of a body, and gives how much that was, and how the rest is read if there is
/// more.
fn begin_body(
    framing: Framing,
    bytes: &[u8],
    body: &mut Vec<u8>,
    body_bytes_max: usize,
) -> Result<(usize, Option<Rest>), ChunkError> {
    match framing {
        Framing::None => Ok((0, None)),
        Framing::Length(length) => {
            let length = usize::try_from(length).ok();
            let length = length.filter(|length| *length <= body_bytes_max);
            let length = length.ok_or(ChunkError::TooLong)?;
            let used = bytes.len().min(length);
            append(body, &bytes[..used])?;
            Ok((used, (used < length).then_some(Rest::Length(length - used))))
        }
        Framing::Chunked => {
            let mut chunked = Chunked::default();
            let decoded = chunked.decode(bytes, body, body_bytes_max)?;
            let rest = (!decoded.is_end).then_some(Rest::Chunked(chunked));
            Ok((decoded.bytes, rest))
        }
    }
}

/// Whether this is a request of `-probe`, which is not counted. Anyone can claim to be one, so only
/// requests for pages can.
fn is_probe(route: Route<'_>, head: &[u8]) -> bool {
    let is_page = matches!(
        route,
        Route::Healthy | Route::Ready | Route::Scrape | Route::OwnMetrics | Route::NotFound
    );
    is_page && field_values(head, "User-Agent").any(|agent| agent == USER_AGENT.as_bytes())
}

fn write_field(to: &mut Vec<u8>, name: &str, value: &[u8]) {
    to.extend_from_slice(name.as_bytes());
    to.extend_from_slice(b": ");
    let is_visible = |byte: &u8| byte.is_ascii_graphic() || *byte == b' ';
    let visible = value.iter();
    // DEL tells a worker that something else stood there.
    let visible = visible.map(|byte| if is_visible(byte) { *byte } else { 0x7f });
    to.extend(visible);
    to.extend_from_slice(b"\r\n");
}

/// What a request is counted as.
fn handler(route: Route<'_>) -> Handler {
    match route {
        Route::Push { .. } => Handler::Push,
        Route::Delete { .. } | Route::Wipe => Handler::Admin,
        Route::Preflight => Handler::Preflight,
        Route::Scrape => Handler::Scrape,
        Route::Healthy => Handler::Healthy,
        Route::Ready => Handler::Ready,
        Route::OwnMetrics => Handler::Status,
        Route::Overview(_) => Handler::Overview,
        Route::WrongMethod { .. } | Route::NotFound => Handler::None,
    }
}
