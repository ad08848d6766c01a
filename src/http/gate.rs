//! The gate: one thread that owns the listening sockets and all connections of clients.
//!
//! It reads each request whole, under deadlines and limits, has it answered by a worker, and gives
//! the response to the client at the client's pace: so no worker ever waits for a client. All that
//! the thread does is short, and waits for nothing but `epoll_wait`.
//!
//! ```text
//! client --receive--> head, body --exchange, channel--> worker
//! client <----send--- response <-------channel--------- worker
//! ```
//!
//! Invariants: a request that is whole is carried out, whatever its client does then; requests of
//! one connection are carried out one after the other, in their order; a connection is given to
//! nobody else before the response to its request has come from the worker.

mod accept;
mod hold;
mod log;
mod memory;
mod requests;
mod responses;
mod scrapes;
mod timeouts;

use std::collections::VecDeque;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, PoisonError};
use std::time::Instant;

use rustix::buffer::spare_capacity;
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};

use super::answer::Answer;
use super::backend::Backend;
use super::connection::{Class, Connection, Phase, Token};
use super::control::{Control, FrontCommand, FrontLimits};
use super::exchange::Exchanges;
use super::held::HeldConnection;
use super::pace::STEP_MS;
use super::response::cross_origin_fields;
use super::{Log, Site};
use crate::listen::Listener;
use crate::status::{CloseReason, ConnectionState, PushResult, Resource};
use accept::ACCEPTED_AT_ONCE;
use log::RequestLog;
use memory::Memory;
use responses::Queues;
use scrapes::Scrapes;
use timeouts::{Timeouts, milliseconds};

const EVENTS_MAX: usize = 256;

/// Bytes read from one connection per turn of the loop.
const TURN_BYTES: usize = 64 << 10;

/// How often deadlines are checked, in milliseconds; less often when no client is at something.
const TICK_MS: u64 = 100;
const IDLE_TICK_MS: u64 = 500;

/// How often the gate asks itself for an answer, in milliseconds.
const SELF_CHECK_MS: u64 = 2_000;

/// No deadline.
const NEVER: u64 = u64::MAX;

/// The kernel's data of events of the bell.
const OF_BELL: u64 = u64::MAX;

/// The generations of channels and of listeners; their number is in the place of a connection's.
const CHANNEL_GENERATION: u32 = u32::MAX - 1;
const LISTENER_GENERATION: u32 = u32::MAX - 2;
const GENERATION_MAX: u32 = LISTENER_GENERATION - 1;

/// What the gate does about new requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// Takes them.
    Serving,
    /// Reads none, and waits until what is under way is done: the process is to be replaced.
    Holding { until_ms: u64 },
    /// Takes those of connections that have begun one: the process is to end.
    Finishing { until_ms: u64 },
}

/// See the module.
pub struct Gate {
    site: Arc<Site>,
    limits: FrontLimits,
    requests_log: RequestLog,
    exchanges: Arc<Exchanges>,
    backend: Backend,
    epoll: OwnedFd,
    listeners: Vec<Listener>,
    control: Arc<Control>,
    timeouts_ms: Timeouts,
    started: Instant,
    /// Since the start.
    now_ms: u64,
    next_tick_ms: u64,
    next_step_ms: u64,
    next_self_check_ms: u64,
    mode: Mode,
    connections: Vec<Option<Box<Connection>>>,
    /// By connection; apart, since all of them are looked at often.
    deadlines_ms: Vec<u64>,
    free: Vec<usize>,
    generation: u32,
    by_state: [usize; ConnectionState::COUNT],
    accept_again_ms: u64,
    close_idle_again_ms: u64,
    /// Those that are to go on reading in the next turn.
    again: VecDeque<Token>,
    queues: Queues,
    /// Lengths of the bodies that are being merged, those of short pushes left out.
    merging_bytes: Vec<usize>,
    scrapes: Scrapes,
    memory: Memory,
    /// Uploads and streams.
    paced: Vec<Token>,
    scratch: Vec<u8>,
    composed: Vec<u8>,
    /// By [`Connection::cross_origin`].
    cross_origin_fields: Vec<String>,
}

/// What is left of a gate.
#[derive(Debug)]
pub struct GateEnd {
    /// The connections, if the process is to be replaced.
    pub held: Vec<HeldConnection>,
    /// How many connections were cut off in the middle of something.
    pub cut_off: usize,
}

/// The fields of a response that no page of another origin asks for, and of one whose request's
/// origin is not listed; those of the listed ones follow.
const SAME_ORIGIN: u16 = 0;
const UNLISTED_ORIGIN: u16 = 1;

impl Gate {
    /// A gate that serves the clients of listening sockets, which must not block.
    ///
    /// # Errors
    /// When the backend cannot be started.
    pub fn new(
        listeners: Vec<Listener>,
        site: Arc<Site>,
        limits: FrontLimits,
        log: Log,
        bell: &OwnedFd,
        control: Arc<Control>,
    ) -> io::Result<Gate> {
        let exchanges = Arc::new(Exchanges::default());
        let backend = Backend::start(&site, &exchanges, limits.workers)?;
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        epoll::add(
            &epoll,
            bell,
            EventData::new_u64(OF_BELL),
            EventFlags::IN | EventFlags::ET,
        )?;
        let mut cross_origin = vec![String::new(), cross_origin_fields(&site.cors, None)];
        let listed = site.cors.iter();
        cross_origin
            .extend(listed.map(|one| cross_origin_fields(&site.cors, Some(one.as_bytes()))));
        let gate = Gate {
            memory: Memory::new(limits.buffered_bytes_max, site.body_bytes_max),
            exchanges,
            backend,
            epoll,
            listeners,
            control,
            timeouts_ms: Timeouts::of(&site.deadlines),
            started: Instant::now(),
            now_ms: 0,
            next_tick_ms: 0,
            next_step_ms: STEP_MS,
            next_self_check_ms: 0,
            mode: Mode::Serving,
            connections: Vec::new(),
            deadlines_ms: Vec::new(),
            free: Vec::new(),
            generation: 0,
            by_state: [0; ConnectionState::COUNT],
            accept_again_ms: NEVER,
            close_idle_again_ms: 0,
            again: VecDeque::new(),
            queues: Queues::default(),
            merging_bytes: Vec::new(),
            scrapes: Scrapes::default(),
            paced: Vec::new(),
            scratch: vec![0; 2 * TURN_BYTES],
            composed: Vec::new(),
            cross_origin_fields: cross_origin,
            requests_log: RequestLog::new(log),
            site,
            limits,
        };
        gate.add_listeners()?;
        gate.watch_channels()?;
        Ok(gate)
    }

    fn watch_channels(&self) -> io::Result<()> {
        for (index, channel) in self.backend.channels.iter().enumerate() {
            let token = Token {
                index,
                generation: CHANNEL_GENERATION,
            };
            let data = EventData::new_u64(token.to_u64());
            epoll::add(
                &self.epoll,
                &channel.socket,
                data,
                EventFlags::IN | EventFlags::ET,
            )?;
        }
        Ok(())
    }

    /// Serves until it is told to end.
    ///
    /// # Errors
    /// When it cannot go on.
    pub fn run(mut self) -> io::Result<GateEnd> {
        let mut events = Vec::with_capacity(EVENTS_MAX);
        loop {
            self.wait(&mut events)?;
            for event in events.drain(..) {
                self.on_event(event)?;
            }
            for _ in 0..self.again.len() {
                if let Some(token) = self.again.pop_front()
                    && let Some(connection) = self.get(token)
                {
                    connection.is_in_turn = false;
                    self.read(token);
                }
            }
            self.dispatch()?;
            if self.now_ms >= self.next_tick_ms {
                self.tick();
            }
            self.publish();
            self.obey();
            if self.is_done() {
                return Ok(self.end());
            }
        }
    }

    fn wait(&mut self, events: &mut Vec<Event>) -> io::Result<()> {
        let patience_ms = if self.again.is_empty() {
            self.next_tick_ms.saturating_sub(self.now_ms)
        } else {
            0
        };
        let timeout = Timespec {
            tv_sec: 0,
            // At most half a second.
            tv_nsec: i64::try_from(patience_ms.min(IDLE_TICK_MS) * 1_000_000).unwrap_or(0),
        };
        let waited = epoll::wait(&self.epoll, spare_capacity(events), Some(&timeout));
        if let Err(error) = waited
            && error != rustix::io::Errno::INTR
        {
            return Err(error.into());
        }
        self.now_ms = milliseconds(self.started.elapsed());
        self.control.turn_ms.store(self.now_ms, Relaxed);
        Ok(())
    }

    fn on_event(&mut self, event: Event) -> io::Result<()> {
        let (data, flags) = (event.data.u64(), event.flags);
        let token = Token::from_u64(data);
        match data {
            // What it rings for is looked at in each turn.
            OF_BELL => {}
            _ if token.generation == LISTENER_GENERATION => {
                self.accept(token.index, ACCEPTED_AT_ONCE);
            }
            _ if token.generation == CHANNEL_GENERATION => self.read_channel(token.index)?,
            _ => self.on_client(token, flags),
        }
        Ok(())
    }

    fn on_client(&mut self, token: Token, flags: EventFlags) {
        let Some(connection) = self.get(token) else {
            return;
        };
        let has_ended = EventFlags::RDHUP | EventFlags::HUP | EventFlags::ERR;
        connection.has_ended |= flags.intersects(has_ended);
        connection.is_readable |= flags.intersects(EventFlags::IN | has_ended);
        if flags.intersects(EventFlags::ERR | EventFlags::HUP) {
            connection.is_gone = true;
            let is_for_client = matches!(
                connection.phase,
                Phase::ScrapeQueued { .. }
                    | Phase::Responding
                    | Phase::Streaming(_)
                    | Phase::Lingering { .. }
            );
            if is_for_client {
                return self.close(token, CloseReason::Client);
            }
        }
        let has_its_turn = connection.is_in_turn;
        if flags.contains(EventFlags::OUT) {
            self.go_on_writing(token);
        }
        if !has_its_turn {
            self.read(token);
        }
    }

    fn get(&mut self, token: Token) -> Option<&mut Connection> {
        let connection = self.connections.get_mut(token.index)?.as_deref_mut();
        connection.filter(|connection| connection.generation == token.generation)
    }

    /// The connections of which something is so.
    fn tokens_where(&self, is_so: impl Fn(&Connection) -> bool) -> Vec<Token> {
        let connections = self.connections.iter().enumerate();
        let wanted = connections.filter_map(|(index, connection)| {
            let connection = connection
                .as_deref()
                .filter(|connection| is_so(connection))?;
            let generation = connection.generation;
            Some(Token { index, generation })
        });
        wanted.collect()
    }

    /// Lets a connection be at something else, and gives what it was at.
    fn set_phase(&mut self, token: Token, phase: Phase) -> Option<Phase> {
        let connection = self.connections.get_mut(token.index)?.as_deref_mut()?;
        let before = std::mem::replace(&mut connection.phase, phase);
        self.by_state[state(&before) as usize] -= 1;
        self.by_state[state(&connection.phase) as usize] += 1;
        Some(before)
    }

    fn set_deadline(&mut self, token: Token, in_ms: u64) {
        let at_ms = self.now_ms.saturating_add(in_ms);
        if let Some(deadline_ms) = self.deadlines_ms.get_mut(token.index) {
            *deadline_ms = at_ms;
        }
    }

    /// Counts the memory that a connection takes, after it may have changed.
    fn count_memory(&mut self, token: Token) {
        if let Some(connection) = self.get(token) {
            let (before, class_before) = (connection.counted_bytes, connection.class);
            let now = connection.bytes();
            connection.counted_bytes = now;
            connection.class = Class::of(connection.bytes_when_whole());
            let class = connection.class;
            self.memory.take_away(class_before, before);
            self.memory.add(class, now);
        }
    }

    /// Has the pace of a connection looked at, and its deadline often.
    fn pace(&mut self, token: Token) {
        if let Some(connection) = self.get(token)
            && !connection.is_paced
        {
            connection.is_paced = true;
            self.paced.push(token);
        }
        self.tick_soon();
    }

    fn tick_soon(&mut self) {
        self.next_tick_ms = self.next_tick_ms.min(self.now_ms + TICK_MS);
    }

    /// Closes a connection, for whatever reason.
    fn close(&mut self, token: Token, reason: CloseReason) {
        if self.get(token).is_none() {
            return;
        }
        if let Some(Phase::Streaming(stream)) = self.set_phase(token, Phase::Idle) {
            self.leave_view(stream.view);
            if let Some(scrape) = stream.scrape {
                self.exchanges.discard(scrape.view);
            }
        }
        if let Some(connection) = self.connections[token.index].take() {
            let (class, bytes) = (connection.class, connection.counted_bytes);
            self.memory.take_away(class, bytes);
            self.by_state[ConnectionState::Idle as usize] -= 1;
            self.deadlines_ms[token.index] = NEVER;
            self.free.push(token.index);
            if !connection.is_probe {
                self.site.status.front.count_close(reason);
            }
        }
    }

    /// What is due from time to time.
    fn tick(&mut self) {
        let is_busy = !self.paced.is_empty() || self.scrapes.are_waiting();
        let is_calm = !is_busy && !self.memory.is_short() && self.mode == Mode::Serving;
        self.next_tick_ms = self.now_ms + if is_calm { IDLE_TICK_MS } else { TICK_MS };
        if self.now_ms >= self.next_step_ms {
            self.next_step_ms = (self.next_step_ms + STEP_MS).max(self.now_ms);
            self.step_paces();
        }
        self.requests_log.say_counts(self.now_ms);
        self.relieve_memory();
        self.relieve_views();
        for index in 0..self.deadlines_ms.len() {
            if self.deadlines_ms[index] <= self.now_ms {
                self.on_deadline(index);
            }
        }
        if self.now_ms >= self.accept_again_ms {
            self.accept_again_ms = NEVER;
            self.watch_listeners(EventFlags::IN);
        }
        if self.now_ms >= self.next_self_check_ms {
            self.next_self_check_ms = self.now_ms + SELF_CHECK_MS;
            self.check_self();
        }
    }

    fn on_deadline(&mut self, index: usize) {
        let Some(connection) = self.connections[index].as_deref() else {
            self.deadlines_ms[index] = NEVER;
            return;
        };
        let generation = connection.generation;
        let token = Token { index, generation };
        match &connection.phase {
            Phase::Idle => self.close(token, CloseReason::Idle),
            Phase::Head => {
                let seconds = self.site.deadlines.head.as_secs();
                let line = format!("the head did not arrive within {seconds} s (-head-timeout)");
                let answer = Answer::refusal(408, line);
                self.refuse(token, answer, PushResult::TooSlow, CloseReason::Head);
            }
            Phase::Body(_) => {
                let seconds = self.site.deadlines.body.as_secs();
                let line = format!("the body did not arrive within {seconds} s (-body-timeout)");
                let answer = Answer::refusal(408, line);
                self.refuse(token, answer, PushResult::TooSlow, CloseReason::Body);
            }
            Phase::ScrapeQueued { .. } => self.refuse_scrape(token),
            Phase::Streaming(_) | Phase::Responding => self.close(token, CloseReason::Answer),
            Phase::Lingering { .. } => self.close(token, CloseReason::Done),
            // These wait for a worker, not for the client.
            Phase::Queued { .. } | Phase::InFlight { .. } => self.deadlines_ms[index] = NEVER,
        }
    }

    /// Publishes gauges: connections by state, connections in all, bytes buffered.
    fn publish(&self) {
        let front = &self.site.status.front;
        front.set_connections(&self.by_state);
        front.set_used(Resource::BufferedBytes, self.memory.bytes());
        let open = self.connections.len() - self.free.len();
        front.set_used(Resource::Connections, open);
    }

    fn obey(&mut self) {
        let told = self.control.command.lock();
        let command = told.unwrap_or_else(PoisonError::into_inner).take();
        match command {
            Some(FrontCommand::Hold) => self.hold(),
            Some(FrontCommand::Finish(patience)) => self.finish_all(patience),
            None => {}
        }
    }
}

/// What a phase is called on the page of the gateway's own metrics.
fn state(phase: &Phase) -> ConnectionState {
    match phase {
        Phase::Idle => ConnectionState::Idle,
        Phase::Head => ConnectionState::Head,
        Phase::Body(_) => ConnectionState::Body,
        Phase::Queued { .. } | Phase::ScrapeQueued { .. } => ConnectionState::Queued,
        Phase::InFlight { .. } => ConnectionState::InFlight,
        Phase::Streaming(_) | Phase::Responding => ConnectionState::Responding,
        Phase::Lingering { .. } => ConnectionState::Lingering,
    }
}
