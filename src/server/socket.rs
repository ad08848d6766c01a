//! The socket behind a request, which `tiny_http` does not give away.
//!
//! It is found among the file descriptors of this process by its peer, and duplicated through a
//! descriptor of the process itself (`pidfd_getfd`, Linux 5.6): so no number is ever taken for a
//! descriptor that it no longer is. Where the kernel does not allow that, there is no socket.

use std::fs;
use std::net::{Shutdown, TcpStream};

use rustix::net::{RecvFlags, recv};
use rustix::process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};
use tiny_http::Request;

/// A second handle on the socket of a connection.
pub struct Socket(TcpStream);

impl Socket {
    /// The socket that is connected to the peer of a request.
    pub fn of(request: &Request) -> Option<Socket> {
        let peer = *request.remote_addr()?;
        let process = pidfd_open(getpid(), PidfdFlags::empty()).ok()?;
        let descriptors = fs::read_dir("/proc/self/fd").ok()?;
        descriptors.filter_map(Result::ok).find_map(|entry| {
            let number = entry.file_name().to_str()?.parse().ok()?;
            let socket = pidfd_getfd(&process, number, PidfdGetfdFlags::empty()).ok()?;
            // Of what is no socket, or not a connected one, this is an error.
            let stream = TcpStream::from(socket);
            (stream.peer_addr().ok()? == peer).then_some(Socket(stream))
        })
    }

    /// True if the peer has said that nothing more will come, and all that came has been read.
    pub fn is_at_end(&self) -> bool {
        let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
        matches!(recv(&self.0, &mut [0], flags), Ok((_, 0)))
    }

    /// True if there is something left to read.
    pub fn has_more(&self) -> bool {
        let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
        matches!(recv(&self.0, &mut [0], flags), Ok((_, 1..)))
    }

    /// Ends the connection in both directions; whoever reads it finds its end.
    pub fn hang_up(&self) {
        // It may have ended already.
        let _ = self.0.shutdown(Shutdown::Both);
    }
}
