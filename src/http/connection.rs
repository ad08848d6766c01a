//! One client's connection: what it is at, and what is read and not yet written.
//!
//! Invariant: an idle connection owns no buffer. One request is under way at a time; what the
//! client sends behind it stays in the kernel, but for what came in the same read.

use std::net::IpAddr;
use std::os::fd::OwnedFd;

use rustix::buffer::spare_capacity;
use rustix::io::{Errno, retry_on_intr};
use rustix::net::{RecvFlags, SendFlags, Shutdown, recv, send, shutdown};

use super::chunked::Chunked;
use super::exchange::Scrape;
use super::exposition::Exposition;
use super::pace::Pace;
use super::response::Client;
use crate::status::Handler;

/// The name of a connection: its place among all, and a number that tells it from those that had
/// the place before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token {
    /// Its place.
    pub index: usize,
    /// Counts connections.
    pub generation: u32,
}

impl Token {
    /// As a number for the kernel to keep.
    #[must_use]
    pub fn to_u64(self) -> u64 {
        u64::from(self.generation) << 32 | self.index as u64
    }

    /// See [`Token::to_u64`].
    #[must_use]
    #[allow(clippy::cast_possible_truncation)] // both halves are cut out
    pub fn from_u64(number: u64) -> Token {
        Token {
            index: number as u32 as usize,
            generation: (number >> 32) as u32,
        }
    }
}

/// What a connection takes of memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// What it takes and misses is no more than [`SHORT_BYTES_MAX`].
    Short,
    Long,
}

/// See [`Class`].
pub const SHORT_BYTES_MAX: usize = 64 << 10;

/// Room reserved for more of a body, as a multiple of what has arrived: to make more, all of that
/// may have to be copied.
const ROOM_FACTOR: usize = 3;

/// The least room that is reserved for more of a body.
const ROOM_BYTES_MIN: usize = 4 << 10;

impl Class {
    /// The class of so much.
    pub fn of(bytes: usize) -> Class {
        match bytes {
            ..=SHORT_BYTES_MAX => Class::Short,
            _ => Class::Long,
        }
    }
}

/// What a connection is at.
#[derive(Debug)]
pub enum Phase {
    /// Between two requests.
    Idle,
    /// A part of a head is in the input.
    Head,
    /// The head of a request is there, and its body is not whole.
    Body(Box<Upload>),
    /// The request is whole and waits for a channel.
    Queued {
        /// What it takes of memory.
        bytes: usize,
    },
    /// A scrape waits for a view.
    ScrapeQueued {
        /// The form that it asks for.
        exposition: Exposition,
    },
    /// A worker has it.
    InFlight {
        /// What it takes of memory, perhaps: its body is freed when it has been merged.
        bytes: usize,
    },
    /// A scrape is answered piece by piece.
    Streaming(Box<Stream>),
    /// The response is whole and not written to its end.
    Responding,
    /// The response to a request that could not be read has been written. What still comes is
    /// thrown away: closing at once could take the response from the client (RFC 9112 section 9.6).
    Lingering {
        /// It ends then, in milliseconds of the gate's clock, whatever still comes.
        until_ms: u64,
    },
}

/// A body on its way.
#[derive(Debug)]
pub struct Upload {
    /// The bytes of the head, as they came.
    pub head: Vec<u8>,
    /// Decoded.
    pub body: Vec<u8>,
    /// How the rest of it is read.
    pub rest: Rest,
    /// Of the sender.
    pub pace: Pace,
}

/// What is still to come of a body.
#[derive(Debug)]
pub enum Rest {
    /// This number of bytes.
    Length(usize),
    /// The length is not known in advance.
    Chunked(Chunked),
}

/// A scrape's response on its way. Its last piece is in the output.
#[derive(Debug)]
pub struct Stream {
    /// The number of the view that it reads.
    pub view: u64,
    pub framing: StreamFraming,
    /// Where to go on; none while a worker renders the next piece.
    pub scrape: Option<Scrape>,
    /// The length of that piece.
    pub piece_bytes: usize,
    /// Of the reader.
    pub pace: Pace,
}

/// How the pieces of a stream are delimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamFraming {
    /// The first piece has not come: that decides.
    Undecided,
    /// By their length, as the head says, or by the end of the connection.
    Plain,
    Chunks,
}

/// See the module.
#[derive(Debug)]
#[allow(clippy::struct_excessive_bools)] // each is a fact of its own, in whatever phase
pub struct Connection {
    /// Never blocks.
    pub socket: OwnedFd,
    /// Where it comes from.
    pub peer: IpAddr,
    /// Who has sent the request that is under way: the peer, or the client of a trusted proxy.
    pub sender: IpAddr,
    /// See [`Token`].
    pub generation: u32,
    pub phase: Phase,
    /// What was read and belongs to the next request.
    pub input: Vec<u8>,
    /// How much of the input is known to hold no end of a head.
    pub scanned: usize,
    /// What is to be written.
    pub output: Vec<u8>,
    /// How much of it is.
    pub written: usize,
    /// Of the request that is under way.
    pub client: Client,
    /// The head of that request, while a worker has it or when it is refused: for the log.
    pub request: Vec<u8>,
    /// The gateway asks that itself: it is not counted.
    pub is_probe: bool,
    /// Of that request, for the counters.
    pub handler: Handler,
    /// The place of the fields that let its page see the response.
    pub cross_origin: u16,
    /// There may be something to read.
    pub is_readable: bool,
    /// The client sends no more than what is there.
    pub has_ended: bool,
    /// The client has gone: nothing can be written.
    pub is_gone: bool,
    /// It is among those whose pace is looked at.
    pub is_paced: bool,
    /// It is among those that are read in the next turn.
    pub is_in_turn: bool,
    /// Since when it has been idle, in milliseconds of the gate's clock.
    pub idle_since_ms: u64,
    /// How much memory was counted for it, and as what.
    pub counted_bytes: usize,
    pub class: Class,
}

impl Connection {
    /// A new one.
    pub fn new(socket: OwnedFd, peer: IpAddr, generation: u32) -> Connection {
        Connection {
            socket,
            peer,
            sender: peer,
            generation,
            phase: Phase::Idle,
            input: Vec::new(),
            scanned: 0,
            output: Vec::new(),
            written: 0,
            client: Client::UNKNOWN,
            request: Vec::new(),
            is_probe: false,
            handler: Handler::None,
            cross_origin: 0,
            is_readable: false,
            has_ended: false,
            is_gone: false,
            is_paced: false,
            is_in_turn: false,
            idle_since_ms: 0,
            counted_bytes: 0,
            class: Class::Short,
        }
    }

    /// Whether nothing is known of a next request.
    pub fn is_idle(&self) -> bool {
        matches!(self.phase, Phase::Idle) && self.input.is_empty()
    }

    /// Reads what is there, into the begin of `buffer`, and gives its length: 0 when nothing more
    /// will come, `None` when nothing is there for now.
    pub fn receive(&mut self, buffer: &mut [u8]) -> Option<usize> {
        let length = buffer.len();
        let received = retry_on_intr(|| {
            let received = recv(&self.socket, &mut *buffer, RecvFlags::empty());
            received.map(|(_, bytes)| bytes)
        });
        self.take_received(received, length)
    }

    /// Makes room for more of a body in the memory where it is kept. False if the length of the
    /// body is not known, or if there would be room for what comes behind it, too.
    pub fn make_room_in_place(&mut self) -> bool {
        let Phase::Body(upload) = &mut self.phase else {
            return false;
        };
        let Rest::Length(missing) = upload.rest else {
            return false;
        };
        let body = &mut upload.body;
        let room = (body.len() * ROOM_FACTOR).max(ROOM_BYTES_MIN).min(missing);
        let is_full = body.len() == body.capacity();
        let is_made = !is_full || body.try_reserve_exact(room).is_ok();
        is_made && body.capacity() - body.len() <= missing
    }

    /// As [`Connection::receive`], into that room.
    pub fn receive_in_place(&mut self) -> Option<usize> {
        let Phase::Body(upload) = &mut self.phase else {
            return None;
        };
        let body = &mut upload.body;
        let room = body.capacity() - body.len();
        let received = retry_on_intr(|| {
            let received = recv(&self.socket, spare_capacity(body), RecvFlags::empty());
            received.map(|(bytes, _)| bytes)
        });
        self.take_received(received, room)
    }

    fn take_received(&mut self, received: Result<usize, Errno>, room: usize) -> Option<usize> {
        match received {
            Ok(bytes) => {
                // Less is all that was there; what comes later is another event of the kernel's.
                self.is_readable = bytes == room || self.has_ended;
                Some(bytes)
            }
            Err(Errno::AGAIN) => {
                self.is_readable = false;
                None
            }
            Err(_) => {
                self.is_gone = true;
                Some(0)
            }
        }
    }

    /// Writes at once what is taken, and keeps the rest. A client that has gone takes everything.
    pub fn write(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        while self.output.is_empty() && !rest.is_empty() && !self.is_gone {
            match send(&self.socket, rest, SendFlags::NOSIGNAL) {
                Ok(length) => rest = &rest[length..],
                Err(Errno::AGAIN) => break,
                Err(Errno::INTR) => {}
                Err(_) => self.is_gone = true,
            }
        }
        if !self.is_gone {
            self.output.extend_from_slice(rest);
        }
    }

    /// Writes of what is kept as much as is taken. Tells whether nothing is left.
    pub fn flush(&mut self) -> bool {
        loop {
            let rest = self.output.get(self.written..).unwrap_or_default();
            if rest.is_empty() || self.is_gone {
                (self.output, self.written) = (Vec::new(), 0);
                return true;
            }
            match send(&self.socket, rest, SendFlags::NOSIGNAL) {
                Ok(bytes) => {
                    self.written += bytes;
                    if let Phase::Streaming(stream) = &mut self.phase {
                        stream.pace.count(bytes);
                    }
                }
                Err(Errno::AGAIN) => return false,
                Err(Errno::INTR) => {}
                Err(_) => self.is_gone = true,
            }
        }
    }

    /// How much memory it takes beside its own.
    pub fn bytes(&self) -> usize {
        let of_phase = match &self.phase {
            Phase::Body(upload) => upload.head.capacity() + upload.body.capacity(),
            Phase::Queued { bytes } | Phase::InFlight { bytes } => *bytes,
            Phase::Streaming(stream) if stream.scrape.is_none() => stream.piece_bytes,
            _ => 0,
        };
        self.input.capacity() + self.output.capacity() + self.request.capacity() + of_phase
    }

    /// How much of a body is still to come, as far as that is known.
    pub fn missing_bytes(&self) -> usize {
        match &self.phase {
            Phase::Body(upload) => match &upload.rest {
                Rest::Length(bytes) => *bytes,
                Rest::Chunked(chunked) => chunked.missing_bytes(),
            },
            _ => 0,
        }
    }

    /// How much memory it takes once its body is whole, as far as that is known: there may be room
    /// for what is to come.
    pub fn bytes_when_whole(&self) -> usize {
        let room = match &self.phase {
            Phase::Body(upload) => upload.body.capacity() - upload.body.len(),
            _ => 0,
        };
        self.bytes() + self.missing_bytes().saturating_sub(room)
    }

    /// Says that nothing more will be written.
    pub fn end_output(&mut self) {
        // It may be closed already.
        let _ = shutdown(&self.socket, Shutdown::Write);
    }
}
