//! The sockets of this process, which `tiny_http` does not give away.
//!
//! They are found among its file descriptors, and duplicated through a descriptor of the process
//! itself (`pidfd_getfd`, Linux 5.6): so no number is ever taken for a descriptor that it no longer
//! is. That costs a few system calls for each open connection.

use std::fs::{self, DirEntry};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustix::fd::OwnedFd;
use rustix::fs::fstat;
use rustix::io::ioctl_fionread;
use rustix::net::sockopt::set_socket_linger;
use rustix::net::{RecvFlags, recv};
use rustix::process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};

/// The file descriptors of this process.
pub const DESCRIPTORS: &str = "/proc/self/fd";

/// What is left of a connection.
pub enum Peer {
    /// It is connected.
    Connected(Arc<Socket>),
    /// It has gone: the connection was reset.
    Gone,
    /// The system does not let us look.
    Unknown,
}

/// A second handle on a socket.
pub struct Socket(TcpStream);

/// The way to a second handle on what this process has open.
pub struct OwnDescriptors(OwnedFd);

/// A socket among the descriptors of this process. A connection of `tiny_http` has two of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SocketDescriptor {
    /// The number of the socket in the kernel, which several descriptors may share.
    pub inode: u64,
    number: i32,
}

impl SocketDescriptor {
    fn of(entry: &DirEntry) -> Option<SocketDescriptor> {
        Some(SocketDescriptor {
            inode: inode(&entry.path())?,
            number: number(entry)?,
        })
    }
}

fn number(entry: &DirEntry) -> Option<i32> {
    entry.file_name().to_str()?.parse().ok()
}

/// The socket that a descriptor's path leads to, if it is one.
pub fn inode(descriptor: &Path) -> Option<u64> {
    let target = fs::read_link(descriptor).ok()?;
    let number = target.as_os_str().as_bytes().strip_prefix(b"socket:[")?;
    std::str::from_utf8(number.strip_suffix(b"]")?)
        .ok()?
        .parse()
        .ok()
}

/// The sockets among the descriptors of this process; `None` where there is no `/proc`, or no
/// descriptor left to read it with.
pub fn socket_descriptors() -> Option<impl Iterator<Item = SocketDescriptor>> {
    Some(entries()?.filter_map(|entry| SocketDescriptor::of(&entry)))
}

fn entries() -> Option<impl Iterator<Item = DirEntry>> {
    Some(fs::read_dir(DESCRIPTORS).ok()?.filter_map(Result::ok))
}

impl OwnDescriptors {
    /// `None` if the system does not let us look.
    pub fn open() -> Option<OwnDescriptors> {
        let own = pidfd_open(getpid(), PidfdFlags::empty());
        own.ok().map(OwnDescriptors)
    }

    /// A second handle on a socket, unless it has been closed meanwhile.
    pub fn socket(&self, descriptor: SocketDescriptor) -> Option<Socket> {
        let socket = self.duplicate(descriptor.number)?;
        // Another one may have come in its place.
        (socket.inode() == Some(descriptor.inode)).then_some(socket)
    }
}

impl OwnDescriptors {
    /// A second handle on whatever has this number.
    fn duplicate(&self, number: i32) -> Option<Socket> {
        let flags = PidfdGetfdFlags::empty();
        let descriptor = pidfd_getfd(&self.0, number, flags).ok()?;
        Some(Socket(TcpStream::from(descriptor)))
    }
}

impl Peer {
    /// Looks for the socket that is connected to this address. Not by what the descriptors
    /// are links to: that takes several times as long.
    pub fn of(address: Option<&SocketAddr>) -> Peer {
        let (Some(&peer), Some(own), Some(entries)) = (address, OwnDescriptors::open(), entries())
        else {
            return Peer::Unknown;
        };
        // There is always something to be seen, if only the socket that is listened on.
        let mut may_look = false;
        for socket in entries.filter_map(|entry| own.duplicate(number(&entry)?)) {
            may_look = true;
            // Of what is no socket, or not a connected one, the peer's address is an error.
            if socket.peer() == Some(peer) {
                return Peer::Connected(Arc::new(socket));
            }
        }
        if may_look { Peer::Gone } else { Peer::Unknown }
    }
}

impl Socket {
    /// The socket itself.
    pub fn stream(&self) -> &TcpStream {
        &self.0
    }

    /// Its number in the kernel.
    pub fn inode(&self) -> Option<u64> {
        fstat(&self.0).ok().map(|found| found.st_ino)
    }

    /// Whom it is connected to, as long as it is.
    pub fn peer(&self) -> Option<SocketAddr> {
        self.0.peer_addr().ok()
    }

    /// How many bytes came and were not read.
    pub fn unread_bytes(&self) -> u64 {
        ioctl_fionread(&self.0).unwrap_or(0)
    }

    /// True if the peer has said that nothing more will come, and all that came has been read.
    pub fn is_at_end(&self) -> bool {
        matches!(self.receive(RecvFlags::PEEK, &mut [0]), Ok(0))
    }

    /// True if there is something left to read.
    pub fn has_more(&self) -> bool {
        matches!(self.receive(RecvFlags::PEEK, &mut [0]), Ok(1..))
    }

    /// Whoever reads the connection finds its end, once what has come is read; it can be written.
    pub fn end_reading(&self) {
        // It may have ended already.
        let _ = self.0.shutdown(Shutdown::Read);
    }

    /// Ends the connection in both directions; whoever reads it finds its end. What has come and
    /// was not read is thrown away, so that a peer which goes on sending is told.
    pub fn hang_up(&self) {
        // It may have ended already.
        let _ = self.0.shutdown(Shutdown::Both);
        self.throw_away();
    }

    /// Has the peer told when the connection is closed, even if it waits until it may send on.
    pub fn reset_when_closed(&self) {
        // It may have ended already.
        let _ = set_socket_linger(&self.0, Some(Duration::ZERO));
    }

    /// Throws away what has come so far, not what comes meanwhile. TCP does not even copy it
    /// (tcp(7), `MSG_TRUNC`): there may be many that send as fast as they can.
    fn throw_away(&self) {
        let mut left = self.unread_bytes();
        let mut buffer = vec![0; 256 << 10];
        while left > 0
            && let Ok(read @ 1..) = self.receive(RecvFlags::TRUNC, &mut buffer)
        {
            left = left.saturating_sub(read as u64);
        }
    }

    fn receive(&self, flags: RecvFlags, buffer: &mut [u8]) -> rustix::io::Result<usize> {
        recv(&self.0, buffer, flags | RecvFlags::DONTWAIT).map(|(_, length)| length)
    }
}
