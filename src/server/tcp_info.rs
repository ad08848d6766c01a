//! What the kernel knows of a connection (tcp(7), `TCP_INFO`): how much came and went, and when.
//!
//! No crate of ours has this option, so it is asked for by nix's own macro, whose call of
//! `getsockopt` is safe for a type that any bytes are a value of; here it is the bytes themselves.

use std::net::TcpStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use nix::libc;
use nix::sys::socket::{getsockopt, sockopt::GetStruct};

/// So much of `struct tcp_info` is used; Linux has had it since 4.19.
const BYTES: usize = 208;

#[derive(Clone, Copy, Debug)]
struct TcpInfoOption;

nix::getsockopt_impl!(
    TcpInfoOption,
    libc::IPPROTO_TCP,
    libc::TCP_INFO,
    [u8; BYTES],
    GetStruct<[u8; BYTES]>
);

/// `TCP_ESTABLISHED` of `enum` in `netinet/tcp.h`.
const ESTABLISHED: u8 = 1;

/// What there is to know of a connection at one instant. All sizes are in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TcpInfo {
    /// Both sides may still send.
    pub is_established: bool,
    /// What came, read or not.
    pub received: u64,
    /// What went, repetitions included.
    pub sent: u64,
    /// What the peer has said to have got.
    pub acknowledged: u64,
    /// Something of what was written is not acknowledged yet.
    pub has_unacknowledged: bool,
    /// Milliseconds since something came.
    pub last_received_milliseconds: u32,
    /// Milliseconds since something went.
    pub last_sent_milliseconds: u32,
}

impl TcpInfo {
    /// `None` of what is no TCP connection, and on an older Linux.
    pub fn of(connection: &TcpStream) -> Option<TcpInfo> {
        // A shorter answer is a panic in nix. A Linux that gives one has no pidfd_getfd(2), by
        // which alone a connection gets here; what emulates Linux may, and is asked once.
        static IS_SHORT: AtomicBool = AtomicBool::new(false);
        if IS_SHORT.load(SeqCst) {
            return None;
        }
        let ask = || getsockopt(connection, TcpInfoOption).ok();
        let bytes = catch_unwind(AssertUnwindSafe(ask)).unwrap_or_else(|_| {
            IS_SHORT.store(true, SeqCst);
            None
        })?;
        let (words, long_words) = (|at| u32_at(&bytes, at), |at| u64_at(&bytes, at));
        let (segments_in_flight, not_sent) = (words(24), words(144));
        Some(TcpInfo {
            is_established: bytes[0] == ESTABLISHED,
            received: long_words(128),
            sent: long_words(200),
            acknowledged: long_words(120),
            has_unacknowledged: segments_in_flight > 0 || not_sent > 0,
            last_received_milliseconds: words(52),
            last_sent_milliseconds: words(44),
        })
    }
}

fn u32_at(bytes: &[u8; BYTES], at: usize) -> u32 {
    let mut word = [0; 4];
    word.copy_from_slice(&bytes[at..at + 4]);
    u32::from_ne_bytes(word)
}

fn u64_at(bytes: &[u8; BYTES], at: usize) -> u64 {
    let mut word = [0; 8];
    word.copy_from_slice(&bytes[at..at + 8]);
    u64::from_ne_bytes(word)
}
