//! From requests that wait to workers, and from their responses to the clients.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::sync::Arc;

use super::super::answer::Answer;
use super::super::backend::{Backend, Channel, Lane, Waiter};
use super::super::connection::{Phase, Token};
use super::super::exchange::{EXCHANGE, Exchange};
use super::super::head::Persistence;
use super::super::response::{Delimiter, Malformed, Response, Wants, read_response, write_head};
use super::{Gate, Mode, TURN_BYTES};
use crate::log::{Level, LogEvent};
use crate::status::{CloseReason, Handler, PushResult};

/// Bodies that do not go with short pushes are merged at once up to this length, or one of them.
const MERGING_BYTES_MAX: usize = 32 << 20;

/// How long a client may send nothing that has been refused and may go on sending, in milliseconds.
pub(super) const LINGER_MS: u64 = 2_000;

/// A request that waits for a channel.
#[derive(Debug)]
pub struct Waiting {
    /// Of the client.
    pub token: Token,
    /// Its head for the channel, without the empty line.
    pub request: Vec<u8>,
    pub exchange: Option<Exchange>,
    /// Since when it has been whole, in milliseconds of the gate's clock.
    pub since_ms: u64,
}

impl Waiting {
    fn body_bytes(&self) -> usize {
        match &self.exchange {
            Some(Exchange::Body(body)) => body.len(),
            Some(Exchange::Scrape(_)) | None => 0,
        }
    }
}

/// Requests that wait, by what they wait for.
#[derive(Debug, Default)]
pub struct Queues {
    /// For the channel of short pushes.
    pub short: VecDeque<Waiting>,
    /// For that of health checks.
    pub health: VecDeque<Waiting>,
    /// For that of deletions.
    pub removals: VecDeque<Waiting>,
    /// These take turns at the other channels: a scrape has hundreds of pieces, and of the others
    /// there may be hundreds.
    pub pieces: VecDeque<Waiting>,
    pub pages: VecDeque<Waiting>,
    pub long: VecDeque<Waiting>,
    turn: usize,
}

impl Queues {
    /// The next one for a channel, given the lengths of the long bodies that are being merged, and
    /// how many channels there are for all but short pushes: one of them is left to pages.
    fn next(&mut self, lane: Lane, merging: &[usize], channels: usize) -> Option<Waiting> {
        match lane {
            Lane::Short => return self.short.pop_front(),
            Lane::Health => return self.health.pop_front(),
            Lane::Removal => return self.removals.pop_front(),
            Lane::Other => {}
        }
        let next_bytes = self.long.front().map_or(0, Waiting::body_bytes);
        let all_bytes = next_bytes + merging.iter().sum::<usize>();
        let has_room = all_bytes <= MERGING_BYTES_MAX && merging.len() + 1 < channels;
        let may_merge = merging.is_empty() || has_room;
        let queues = [&mut self.pieces, &mut self.pages, &mut self.long];
        let allowed = if may_merge { 3 } else { 2 };
        let turns = (self.turn..self.turn + 3).map(|turn| turn % 3);
        for at in turns.filter(|at| *at < allowed) {
            if let Some(waiting) = queues[at].pop_front() {
                self.turn = (at + 1) % 3;
                return Some(waiting);
            }
        }
        None
    }
}

impl Gate {
    /// Gives those who wait to channels that are free.
    pub(super) fn dispatch(&mut self) -> io::Result<()> {
        self.admit_scrapes();
        let is_other = |channel: &&Channel| channel.lane == Lane::Other;
        let others = self.backend.channels.iter().filter(is_other).count();
        for index in 0..self.backend.channels.len() {
            let lane = self.backend.channels[index].lane;
            while self.backend.channels[index].has_room() {
                let next = self.queues.next(lane, &self.merging_bytes, others);
                let Some(waiting) = next else {
                    break;
                };
                self.send_request(index, waiting);
            }
        }
        let mut channels = self.backend.channels.iter_mut();
        match channels.try_for_each(Channel::flush) {
            Ok(()) => Ok(()),
            Err(_) => self.replace_backend(),
        }
    }

    fn send_request(&mut self, index: usize, waiting: Waiting) {
        let (token, body_bytes) = (waiting.token, waiting.body_bytes());
        let is_stream = match self.get(token).map(|connection| &connection.phase) {
            Some(Phase::Queued { .. }) => false,
            Some(Phase::Streaming(_)) => true,
            // A stream that was closed meanwhile.
            _ => return self.discard(waiting.exchange),
        };
        if !is_stream {
            self.set_phase(token, Phase::InFlight { bytes: body_bytes });
        }
        let waited_ms = self.now_ms.saturating_sub(waiting.since_ms);
        self.site.status.front.observe_queue_wait(waited_ms);
        let slot = waiting
            .exchange
            .map(|exchange| self.exchanges.insert(exchange));
        let channel = &mut self.backend.channels[index];
        if channel.lane == Lane::Other && body_bytes > 0 {
            self.merging_bytes.push(body_bytes);
        }
        let output = &mut channel.output;
        output.extend_from_slice(&waiting.request);
        let request = waiting.request;
        if let Some(slot) = slot {
            // A vector takes whatever is written.
            let _ = write!(output, "{EXCHANGE}: {slot}\r\n");
        }
        output.extend_from_slice(b"\r\n");
        channel.waiters.push_back(Waiter::Client {
            token,
            slot,
            body_bytes,
        });
        if !is_stream && let Some(connection) = self.get(token) {
            connection.request = request;
        }
    }

    /// Frees what nobody waits for any more.
    fn discard(&self, exchange: Option<Exchange>) {
        if let Some(Exchange::Scrape(scrape)) = exchange {
            self.exchanges.discard(scrape.view);
        }
    }

    /// Reads responses of workers.
    pub(super) fn read_channel(&mut self, index: usize) -> io::Result<()> {
        let mut scratch = std::mem::take(&mut self.scratch);
        let outcome = self.read_channel_into(index, &mut scratch);
        self.scratch = scratch;
        match outcome {
            Ok(()) => Ok(()),
            Err(Malformed) => self.replace_backend(),
        }
    }

    fn read_channel_into(&mut self, index: usize, scratch: &mut [u8]) -> Result<(), Malformed> {
        loop {
            let Some(channel) = self.backend.channels.get_mut(index) else {
                return Ok(());
            };
            let bytes = match (&channel.socket).read(&mut scratch[..TURN_BYTES]) {
                Ok(0) => return Err(Malformed),
                Ok(bytes) => bytes,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(_) => return Err(Malformed),
            };
            channel.input.extend_from_slice(&scratch[..bytes]);
            let mut input = std::mem::take(&mut channel.input);
            let used = self.on_responses(index, &input)?;
            input.drain(..used);
            self.backend.channels[index].input = input;
            if bytes < TURN_BYTES {
                break;
            }
        }
        Ok(())
    }

    /// Takes the whole responses at the begin of `input`; gives how long they are.
    fn on_responses(&mut self, index: usize, input: &[u8]) -> Result<usize, Malformed> {
        let mut used = 0;
        while used < input.len() {
            let waiters = &self.backend.channels[index].waiters;
            let waiter = *waiters.front().ok_or(Malformed)?;
            let wants = match waiter {
                Waiter::SelfCheck => Wants::Body,
                Waiter::Client { token, .. } => self
                    .get(token)
                    .map_or(Wants::Body, |connection| connection.client.wants),
            };
            let Some(response) = read_response(&input[used..], wants)? else {
                break;
            };
            self.backend.channels[index].waiters.pop_front();
            used += response.bytes;
            self.on_response(index, waiter, &response);
        }
        Ok(used)
    }

    fn on_response(&mut self, index: usize, waiter: Waiter, response: &Response<'_>) {
        let lane = self.backend.channels[index].lane;
        if lane == Lane::Health {
            self.control.set_healthy(self.now_ms, response.code);
        }
        let Waiter::Client {
            token,
            slot,
            body_bytes,
        } = waiter
        else {
            return;
        };
        let mut merging = self.merging_bytes.iter();
        if lane == Lane::Other
            && let Some(at) = merging.position(|bytes| *bytes == body_bytes)
        {
            self.merging_bytes.swap_remove(at);
        }
        let exchange = slot.and_then(|slot| self.exchanges.release(slot));
        let phase = self.get(token).map(|connection| &connection.phase);
        match (phase, exchange) {
            (Some(Phase::Streaming(_)), Some(Exchange::Scrape(scrape))) => {
                self.on_piece(token, response, scrape);
            }
            // Rendering has failed, in the middle of the response perhaps.
            (Some(Phase::Streaming(_)), _) => self.close(token, CloseReason::Backend),
            (Some(_), _) => self.respond(token, response),
            (None, exchange) => self.discard(exchange),
        }
        self.count_memory(token);
    }

    /// Gives a client the head of the response to its request, and counts it.
    pub(super) fn begin_response(
        &mut self,
        token: Token,
        response: &Response<'_>,
        delimiter: Delimiter,
    ) {
        let is_finishing = matches!(self.mode, Mode::Finishing { .. });
        let mut composed = std::mem::take(&mut self.composed);
        composed.clear();
        let Some(connection) = self.connections[token.index].as_deref_mut() else {
            return;
        };
        if is_finishing {
            connection.client.persistence = Persistence::Close;
        }
        let cross_origin = &self.cross_origin_fields[usize::from(connection.cross_origin)];
        let client = connection.client;
        write_head(&mut composed, response, cross_origin, delimiter, client);
        if client.wants == Wants::Body && matches!(delimiter, Delimiter::Length(_)) {
            composed.extend_from_slice(response.body);
        }
        connection.write(&composed);
        let handler = connection.handler;
        if !connection.is_probe {
            self.site.status.count_request(handler, response.code);
        }
        self.composed = composed;
        if response.code >= 400 || handler == Handler::Admin {
            self.log_response(token, response);
        } else {
            connection.request = Vec::new();
        }
    }

    /// Gives a client the whole response to its request.
    pub(super) fn respond(&mut self, token: Token, response: &Response<'_>) {
        let is_scrape = |handler| handler == Handler::Scrape;
        let delimiter = match self.get(token) {
            // How long the exposition would be is not known.
            Some(connection)
                if is_scrape(connection.handler)
                    && connection.client.wants == Wants::HeadAlone
                    && response.code == 200 =>
            {
                Delimiter::Nothing
            }
            _ => Delimiter::Length(response.length),
        };
        self.begin_response(token, response, delimiter);
        self.end_response(token);
    }

    /// The response is whole, and as much as was taken of it has been written.
    pub(super) fn end_response(&mut self, token: Token) {
        let Some(connection) = self.get(token) else {
            return;
        };
        if connection.output.is_empty() {
            return self.on_written(token);
        }
        self.set_phase(token, Phase::Responding);
        self.set_deadline(token, self.timeouts_ms.answer);
    }

    /// A client may take more.
    pub(super) fn go_on_writing(&mut self, token: Token) {
        let Some(connection) = self.get(token) else {
            return;
        };
        let is_stream = match connection.phase {
            Phase::Responding => false,
            Phase::Streaming(_) => true,
            // An interim response, perhaps.
            _ => {
                connection.flush();
                return;
            }
        };
        match (connection.flush(), is_stream) {
            (true, true) => self.on_piece_written(token),
            (true, false) => self.on_written(token),
            (false, _) => {}
        }
        self.count_memory(token);
    }

    /// A response has been written to its end.
    pub(super) fn on_written(&mut self, token: Token) {
        let now_ms = self.now_ms;
        let is_finishing = matches!(self.mode, Mode::Finishing { .. });
        let Some(connection) = self.get(token) else {
            return;
        };
        let is_last = is_finishing || connection.client.persistence == Persistence::Close;
        let has_more = connection.is_readable || !connection.input.is_empty();
        if is_last && (connection.is_gone || !has_more) {
            return self.close(token, CloseReason::Done);
        }
        if is_last {
            connection.end_output();
            connection.input = Vec::new();
            // As long as it might have sent the body.
            let until_ms = now_ms.saturating_add(self.timeouts_ms.body);
            self.set_phase(token, Phase::Lingering { until_ms });
            self.set_deadline(token, LINGER_MS);
        } else {
            connection.idle_since_ms = now_ms;
            self.set_phase(token, Phase::Idle);
            self.set_deadline(token, self.timeouts_ms.idle);
        }
        if has_more {
            self.read_in_turn(token);
        }
    }

    /// Answers what could not be read to its end, and ends its connection.
    pub(super) fn refuse(
        &mut self,
        token: Token,
        answer: Answer,
        result: PushResult,
        reason: CloseReason,
    ) {
        self.count_push(token, result);
        self.remember_begun(token);
        self.site.status.front.count_close(reason);
        if let Some(connection) = self.get(token) {
            connection.client.persistence = Persistence::Close;
            connection.input = Vec::new();
            // There may be more of the request.
            connection.is_readable = true;
        }
        self.set_phase(token, Phase::Responding);
        self.respond_with(token, answer);
    }

    /// Gives a client an answer of the gate's own.
    pub(super) fn respond_with(&mut self, token: Token, answer: Answer) {
        let bytes = answer.into_bytes();
        // What tiny_http has written can be read.
        if let Ok(Some(response)) = read_response(&bytes, Wants::Body) {
            self.respond(token, &response);
        }
        self.count_memory(token);
    }

    /// Asks a worker whether it answers, as a client would.
    pub(super) fn check_self(&mut self) {
        let channels = &mut self.backend.channels;
        let is_free = |channel: &&mut Channel| channel.lane == Lane::Health && channel.has_room();
        if let Some(channel) = channels.iter_mut().find(is_free) {
            channel
                .output
                .extend_from_slice(b"GET /-/healthy HTTP/1.1\r\n\r\n");
            channel.waiters.push_back(Waiter::SelfCheck);
            // If that fails, so will reading.
            let _ = channel.flush();
        }
    }

    /// Replaces servers and channels that have failed. Clients that wait for a response from them
    /// are disconnected.
    fn replace_backend(&mut self) -> io::Result<()> {
        self.site.status.front.count_backend_failure();
        let exchanges = Arc::default();
        let backend = Backend::start(&self.site, &exchanges, self.limits.workers)?;
        let failed = std::mem::replace(&mut self.backend, backend);
        let waiters = failed.channels.iter().flat_map(|channel| &channel.waiters);
        let waiters: Vec<Waiter> = waiters.copied().collect();
        // Its workers end when they have answered what they are at, which may be never. What they
        // have left is in their own table.
        drop(failed.stop());
        self.exchanges = exchanges;
        let line = "a worker's response broke off; its requests were cut off";
        (self.requests_log.log)(LogEvent::new(Level::Error, line));
        for waiter in waiters {
            if let Waiter::Client { token, .. } = waiter {
                self.close(token, CloseReason::Backend);
            }
        }
        self.merging_bytes.clear();
        self.watch_channels()
    }
}
