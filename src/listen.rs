//! An address to a listening socket, with the options that accepted sockets inherit from it.
//!
//! Invariant: a listener from here accepts connections at once. Knows nothing of HTTP.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, ToSocketAddrs};
use std::str::FromStr;

use rustix::fd::OwnedFd;
use rustix::net::sockopt::{
    set_ipv6_v6only, set_socket_recv_buffer_size, set_socket_reuseaddr,
    set_socket_send_buffer_size, set_tcp_nodelay, socket_acceptconn, socket_domain,
};
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, listen, socket_with};
use rustix::process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};

use crate::excerpt::Excerpt;

/// How many connections may wait to be accepted; Linux caps it at `net.core.somaxconn`.
pub const BACKLOG_CONNECTIONS: usize = 4096;

/// The most that the system keeps of what a connection has received and of what it is to send. The
/// system's own limit, to which these buffers grow for clients that do not read, is megabytes.
const SOCKET_BUFFER_BYTES: usize = 256 << 10;

/// Where to listen, as written on the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListenAddress {
    /// `:PORT`: every address of this machine, IPv6 and IPv4.
    All(u16),
    /// `HOST:PORT`: a name or an address; IPv6 addresses stand in brackets.
    Host(String),
}

impl FromStr for ListenAddress {
    type Err = String;

    fn from_str(address: &str) -> Result<ListenAddress, String> {
        let expected = || {
            let found = Excerpt::of(address);
            format!("expected HOST:PORT, [IPV6]:PORT or :PORT, found {found}")
        };
        let (host, port) = address.rsplit_once(':').ok_or_else(expected)?;
        let is_bare_ipv6 = host.contains(':') && !(host.starts_with('[') && host.ends_with(']'));
        if is_bare_ipv6 || !port.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(expected());
        }
        let port = port.parse().map_err(|_| expected())?;
        match host {
            "" => Ok(ListenAddress::All(port)),
            _ => Ok(ListenAddress::Host(address.to_owned())),
        }
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ListenAddress::All(port) => write!(to, ":{port}"),
            ListenAddress::Host(address) => to.write_str(address),
        }
    }
}

impl ListenAddress {
    /// Binds the first of the addresses that can be bound, and listens there.
    ///
    /// # Errors
    /// The last address's error, such as the address being in use or not allowed.
    pub fn listen(&self) -> io::Result<TcpListener> {
        match self {
            // A kernel without IPv6 still has all the addresses there are.
            ListenAddress::All(port) => {
                listen_on((Ipv6Addr::UNSPECIFIED, *port).into()).or_else(|error| {
                    match error
                        .raw_os_error()
                        .map(rustix::io::Errno::from_raw_os_error)
                    {
                        Some(rustix::io::Errno::AFNOSUPPORT | rustix::io::Errno::ADDRNOTAVAIL) => {
                            listen_on((Ipv4Addr::UNSPECIFIED, *port).into())
                        }
                        _ => Err(error),
                    }
                })
            }
            ListenAddress::Host(address) => {
                let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
                for address in address.to_socket_addrs()? {
                    match listen_on(address) {
                        Ok(listener) => return Ok(listener),
                        Err(error) => last = error,
                    }
                }
                Err(last)
            }
        }
    }
}

/// The variables by which systemd says that it has bound the sockets already (`sd_listen_fds(3)`).
const SOCKET_ACTIVATION: [&str; 2] = ["LISTEN_PID", "LISTEN_FDS"];

/// The first descriptor that is passed on by systemd (`sd_listen_fds(3)`).
const FIRST_DESCRIPTOR: i32 = 3;

/// Takes the socket that systemd has bound for this process, if it has: `None` if not.
///
/// # Errors
/// When there are several, or what there is does not listen for TCP connections.
pub fn from_systemd() -> io::Result<Option<TcpListener>> {
    let Some(count) = systemd_sockets() else {
        return Ok(None);
    };
    if count != "1" {
        let found = Excerpt::of(count);
        let line = format!("expected one socket from systemd, LISTEN_FDS is {found}");
        return Err(io::Error::other(line));
    }
    // A second handle, since the number alone is nothing that could be owned.
    let own = pidfd_open(getpid(), PidfdFlags::empty())?;
    let socket = pidfd_getfd(&own, FIRST_DESCRIPTOR, PidfdGetfdFlags::empty())?;
    adopt(socket).map(Some)
}

/// True if systemd holds the socket as well; that also is so for the images that come after the one
/// that it was passed to.
#[must_use]
pub fn is_shared() -> bool {
    systemd_sockets().is_some()
}

fn systemd_sockets() -> Option<String> {
    let [process, count] = SOCKET_ACTIVATION.map(|name| std::env::var(name).ok());
    count.filter(|_| process == Some(std::process::id().to_string()))
}

/// Takes over a socket that was bound before.
///
/// # Errors
/// When it does not listen for TCP connections.
pub fn adopt(socket: OwnedFd) -> io::Result<TcpListener> {
    let is_internet = |family| matches!(family, AddressFamily::INET | AddressFamily::INET6);
    if !is_internet(socket_domain(&socket)?) || !socket_acceptconn(&socket)? {
        return Err(io::Error::other(
            "the socket does not listen for TCP connections",
        ));
    }
    set_connection_options(&socket)?;
    Ok(TcpListener::from(socket))
}

/// Sets what accepted sockets inherit.
fn set_connection_options(socket: &OwnedFd) -> io::Result<()> {
    // A response is written at once or in large pieces: waiting for more to send costs 40 ms, and
    // saves nothing.
    set_tcp_nodelay(socket, true)?;
    // Linux reserves as much again for what it needs beside the bytes.
    set_socket_send_buffer_size(socket, SOCKET_BUFFER_BYTES / 2)?;
    Ok(set_socket_recv_buffer_size(
        socket,
        SOCKET_BUFFER_BYTES / 2,
    )?)
}

fn listen_on(address: SocketAddr) -> io::Result<TcpListener> {
    let family = match address {
        SocketAddr::V4(_) => AddressFamily::INET,
        SocketAddr::V6(_) => AddressFamily::INET6,
    };
    let socket = socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    set_socket_reuseaddr(&socket, true)?;
    if address.is_ipv6() {
        // `[::]` is IPv4 as well, whatever net.ipv6.bindv6only says.
        set_ipv6_v6only(&socket, !address.ip().is_unspecified())?;
    }
    set_connection_options(&socket)?;
    bind(&socket, &address)?;
    listen(
        &socket,
        i32::try_from(BACKLOG_CONNECTIONS).unwrap_or(i32::MAX),
    )?;
    Ok(TcpListener::from(socket))
}
