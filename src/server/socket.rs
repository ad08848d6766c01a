//! The socket behind a request, which `tiny_http` does not give away.
//!
//! It is found among the file descriptors of this process by its peer, and duplicated through a
//! descriptor of the process itself (`pidfd_getfd`, Linux 5.6): so no number is ever taken for a
//! descriptor that it no longer is. That costs a few system calls for each open connection.

use std::fs;
use std::net::{Shutdown, SocketAddr, TcpStream};

use rustix::fd::OwnedFd;
use rustix::net::{RecvFlags, recv};
use rustix::process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};
use tiny_http::Request;

/// What is left of the connection of a request.
pub enum Peer {
    /// It is connected.
    Connected(Socket),
    /// It has gone: the connection was reset.
    Gone,
    /// The system does not let us look.
    Unknown,
}

/// A second handle on the socket of a connection.
pub struct Socket(TcpStream);

impl Peer {
    /// Looks for the socket that is connected to the peer of a request.
    pub fn of(request: &Request) -> Peer {
        let process = pidfd_open(getpid(), PidfdFlags::empty());
        let descriptors = fs::read_dir("/proc/self/fd");
        let (Some(&peer), Ok(process), Ok(descriptors)) =
            (request.remote_addr(), process, descriptors)
        else {
            return Peer::Unknown;
        };
        // There is always something to be seen, if only what this looks through.
        let mut may_look = false;
        for entry in descriptors.filter_map(Result::ok) {
            let number = entry
                .file_name()
                .to_str()
                .and_then(|name| name.parse().ok());
            let Some(number) = number else { continue };
            let Ok(found) = pidfd_getfd(&process, number, PidfdGetfdFlags::empty()) else {
                continue;
            };
            may_look = true;
            if let Some(socket) = Socket::connected_to(peer, found) {
                return Peer::Connected(socket);
            }
        }
        if may_look { Peer::Gone } else { Peer::Unknown }
    }
}

impl Socket {
    fn connected_to(peer: SocketAddr, descriptor: OwnedFd) -> Option<Socket> {
        // Of what is no socket, or not a connected one, the peer's address is an error.
        let stream = TcpStream::from(descriptor);
        (stream.peer_addr().ok()? == peer).then_some(Socket(stream))
    }

    /// True if the peer has said that nothing more will come, and all that came has been read.
    pub fn is_at_end(&self) -> bool {
        matches!(self.receive(RecvFlags::PEEK, &mut [0]), Ok(0))
    }

    /// True if there is something left to read.
    pub fn has_more(&self) -> bool {
        matches!(self.receive(RecvFlags::PEEK, &mut [0]), Ok(1..))
    }

    /// Ends the connection in both directions; whoever reads it finds its end. What has come and
    /// was not read is thrown away, so that a peer which goes on sending is told.
    pub fn hang_up(&self) {
        // It may have ended already.
        let _ = self.0.shutdown(Shutdown::Both);
        let mut buffer = vec![0; 64 << 10];
        while matches!(self.receive(RecvFlags::empty(), &mut buffer), Ok(1..)) {}
    }

    fn receive(&self, flags: RecvFlags, buffer: &mut [u8]) -> rustix::io::Result<usize> {
        recv(&self.0, buffer, flags | RecvFlags::DONTWAIT).map(|(_, length)| length)
    }
}
