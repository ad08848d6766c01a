//! A connection between two images of the process: bytes to a [`HeldState`] and back.
//!
//! What was read and not yet carried out is given as the bytes that a client would send for it: the
//! next image reads them as it reads any others. All numbers are little-endian.
//!
//! ```text
//! file       = version *connection                 version: u32
//! connection = flags deadline input output         flags: u8, deadline: u64 in milliseconds
//! input, output = length bytes                     length: u64
//! ```

use std::net::IpAddr;
use std::os::fd::OwnedFd;

use rustix::net::getpeername;

use crate::listen::peer_address;

/// Of the format.
const VERSION: u32 = 1;

const CLOSES: u8 = 1;
const HAS_BEGUN: u8 = 2;

/// What the next image has to know of a connection, beside its socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldState {
    /// What was read and belongs to a request that is not whole.
    pub input: Vec<u8>,
    /// What is to be written.
    pub output: Vec<u8>,
    /// What comes after that.
    pub then: Then,
    /// What the client is being waited for.
    pub stage: Stage,
    /// How much of the time is left that it may take, in milliseconds.
    pub deadline_ms: u64,
}

/// What follows the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Then {
    NextRequest,
    Close,
}

/// What a client is being waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Stage {
    BetweenRequests,
    WithinRequest,
}

/// A connection between two gates.
#[derive(Debug)]
pub struct HeldConnection {
    /// Never blocks.
    pub socket: OwnedFd,
    /// Where it comes from.
    pub peer: IpAddr,
    /// What there is to know of it.
    pub state: HeldState,
}

impl HeldConnection {
    /// A connection of which nothing is known but its socket.
    #[must_use]
    pub fn new(socket: OwnedFd, state: HeldState) -> HeldConnection {
        HeldConnection {
            peer: peer_address(getpeername(&socket).ok().flatten()),
            socket,
            state,
        }
    }
}

/// The states of connections in the order of their sockets.
#[must_use]
pub fn encode(states: &[HeldState]) -> Vec<u8> {
    let mut bytes = VERSION.to_le_bytes().to_vec();
    for state in states {
        let mut flags = 0;
        if state.then == Then::Close {
            flags |= CLOSES;
        }
        if state.stage == Stage::WithinRequest {
            flags |= HAS_BEGUN;
        }
        bytes.push(flags);
        bytes.extend_from_slice(&state.deadline_ms.to_le_bytes());
        for part in [&state.input, &state.output] {
            bytes.extend_from_slice(&(part.len() as u64).to_le_bytes());
            bytes.extend_from_slice(part);
        }
    }
    bytes
}

/// Reads what [`encode`] has written; `None` if it is something else.
#[must_use]
pub fn decode(bytes: &[u8]) -> Option<Vec<HeldState>> {
    let (version, mut rest) = bytes.split_first_chunk()?;
    if u32::from_le_bytes(*version) != VERSION {
        return None;
    }
    let mut states = Vec::new();
    while let Some((&flags, after)) = rest.split_first() {
        rest = after;
        let deadline_ms = number(&mut rest)?;
        let [input, output] = [part(&mut rest)?, part(&mut rest)?];
        states.push(HeldState {
            input,
            output,
            then: match flags & CLOSES {
                0 => Then::NextRequest,
                _ => Then::Close,
            },
            stage: match flags & HAS_BEGUN {
                0 => Stage::BetweenRequests,
                _ => Stage::WithinRequest,
            },
            deadline_ms,
        });
    }
    Some(states)
}

fn number(rest: &mut &[u8]) -> Option<u64> {
    let (number, after) = rest.split_first_chunk()?;
    *rest = after;
    Some(u64::from_le_bytes(*number))
}

fn part(rest: &mut &[u8]) -> Option<Vec<u8>> {
    let length = usize::try_from(number(rest)?).ok()?;
    let (part, after) = rest.split_at_checked(length)?;
    *rest = after;
    Some(part.to_vec())
}
