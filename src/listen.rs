//! An address to a listening socket, with the options that accepted sockets inherit from it.
//!
//! Invariant: a listener from here accepts connections at once. Knows nothing of HTTP.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{FileType, lstat, unlink};
use rustix::io::Errno;
use rustix::net::sockopt::{
    set_ipv6_v6only, set_socket_recv_buffer_size, set_socket_reuseaddr,
    set_socket_send_buffer_size, set_tcp_nodelay, socket_acceptconn, socket_domain, socket_type,
};
use rustix::net::{
    AddressFamily, SocketAddrAny, SocketAddrUnix, SocketFlags, SocketType, bind, connect,
    getsockname, listen, socket_with,
};
use rustix::process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};

use crate::excerpt::Excerpt;
use crate::proxy::UNIX;

/// More sockets than this are refused.
pub const LISTENERS_MAX: usize = 16;

/// The longest path of a socket: `sun_path` of unix(7) without its last byte.
const SOCKET_PATH_BYTES_MAX: usize = 107;

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
    /// `unix:PATH`: a socket in the file system.
    Unix(PathBuf),
}

/// A socket that listens, for TCP or at a path.
#[derive(Debug)]
pub struct Listener {
    socket: OwnedFd,
}

/// Where a socket listens.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum LocalAddress {
    Internet(SocketAddr),
    Unix(PathBuf),
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl From<Listener> for OwnedFd {
    fn from(listener: Listener) -> OwnedFd {
        listener.socket
    }
}

impl Listener {
    /// A second handle of the same socket.
    ///
    /// # Errors
    /// When there is no descriptor for it.
    pub fn try_clone(&self) -> io::Result<Listener> {
        let socket = self.socket.try_clone()?;
        Ok(Listener { socket })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// When the system does not say, or says something unknown.
    pub fn local_address(&self) -> io::Result<LocalAddress> {
        let address = getsockname(&self.socket)?;
        match SocketAddrUnix::try_from(address.clone()) {
            Ok(address) => {
                let path = address.path_bytes().unwrap_or_default();
                let path = std::ffi::OsStr::from_bytes(path);
                Ok(LocalAddress::Unix(PathBuf::from(path)))
            }
            Err(_) => Ok(LocalAddress::Internet(address.try_into()?)),
        }
    }
}

/// The address of a peer; for every client of a Unix socket, [`UNIX`].
#[must_use]
pub fn peer_address(peer: Option<SocketAddrAny>) -> IpAddr {
    let peer = peer.and_then(|peer| SocketAddr::try_from(peer).ok());
    peer.map_or(UNIX, |peer| peer.ip().to_canonical())
}

impl FromStr for ListenAddress {
    type Err = String;

    fn from_str(address: &str) -> Result<ListenAddress, String> {
        if let Some(path) = address.strip_prefix("unix:") {
            return unix_address(path);
        }
        let is_port = !address.is_empty() && address.bytes().all(|byte| byte.is_ascii_digit());
        let hint = if is_port {
            "; put a colon before the port"
        } else {
            ""
        };
        let expected = || {
            let found = Excerpt::of(address);
            format!("expected HOST:PORT, [IPV6]:PORT, :PORT or unix:PATH, found {found}{hint}")
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

fn unix_address(path: &str) -> Result<ListenAddress, String> {
    if path.is_empty() || path.len() > SOCKET_PATH_BYTES_MAX || path.contains('\0') {
        let found = Excerpt::of(path);
        return Err(format!(
            "expected unix:PATH, a path of at most {SOCKET_PATH_BYTES_MAX} bytes, found {found}"
        ));
    }
    Ok(ListenAddress::Unix(PathBuf::from(path)))
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ListenAddress::All(port) => write!(to, ":{port}"),
            ListenAddress::Host(address) => to.write_str(address),
            ListenAddress::Unix(path) => write!(to, "unix:{}", path.display()),
        }
    }
}

impl ListenAddress {
    /// Binds the first of the addresses that can be bound, and listens there.
    ///
    /// # Errors
    /// The last address's error, such as the address being in use or not allowed.
    pub fn listen(&self) -> io::Result<Listener> {
        match self {
            // A kernel without IPv6 still has all the addresses there are.
            ListenAddress::All(port) => {
                listen_on((Ipv6Addr::UNSPECIFIED, *port).into()).or_else(|error| {
                    match error.raw_os_error().map(Errno::from_raw_os_error) {
                        Some(Errno::AFNOSUPPORT | Errno::ADDRNOTAVAIL) => {
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
            ListenAddress::Unix(path) => listen_at(path),
        }
    }
}

/// Binds a path. A socket that is there is removed only if nobody listens at it any more: a process
/// that was killed leaves one.
fn listen_at(path: &Path) -> io::Result<Listener> {
    let address = SocketAddrUnix::new(path)?;
    let new_socket = |flags| socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None);
    let socket = new_socket(SocketFlags::CLOEXEC)?;
    if let Err(error) = bind(&socket, &address) {
        if error != Errno::ADDRINUSE {
            return Err(error.into());
        }
        let found = FileType::from_raw_mode(lstat(path)?.st_mode);
        if found != FileType::Socket {
            return Err(io::Error::other("what is there is no socket"));
        }
        // Where too many wait to be accepted, connecting would wait as well.
        let probe = new_socket(SocketFlags::CLOEXEC | SocketFlags::NONBLOCK)?;
        if connect(&probe, &address) != Err(Errno::CONNREFUSED) {
            return Err(error.into());
        }
        unlink(path)?;
        bind(&socket, &address)?;
    }
    listening(socket)
}

/// The variables by which systemd says that it has bound the sockets already (`sd_listen_fds(3)`).
const SOCKET_ACTIVATION: [&str; 2] = ["LISTEN_PID", "LISTEN_FDS"];

/// The first descriptor that is passed on by systemd (`sd_listen_fds(3)`).
const FIRST_DESCRIPTOR: i32 = 3;

/// Takes the sockets that systemd has bound for this process; none if it has not.
///
/// # Errors
/// When there are too many, or one of them does not listen for connections.
pub fn from_systemd() -> io::Result<Vec<Listener>> {
    let Some(count) = systemd_sockets() else {
        return Ok(Vec::new());
    };
    let in_bounds = |count: &usize| (1..=LISTENERS_MAX).contains(count);
    let Some(sockets) = count.parse().ok().filter(in_bounds) else {
        let found = Excerpt::of(count);
        let line =
            format!("expected 1 to {LISTENERS_MAX} sockets from systemd, LISTEN_FDS is {found}");
        return Err(io::Error::other(line));
    };
    // A second handle of each, since a number alone is nothing that could be owned.
    let own = pidfd_open(getpid(), PidfdFlags::empty())?;
    let numbers = (FIRST_DESCRIPTOR..).take(sockets);
    let sockets = numbers.map(|number| pidfd_getfd(&own, number, PidfdGetfdFlags::empty()));
    sockets.map(|socket| adopt(socket?)).collect()
}

/// True if systemd holds the sockets as well; that also is so for the images that come after the
/// one that they were passed to.
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
/// When it does not listen for connections.
pub fn adopt(socket: OwnedFd) -> io::Result<Listener> {
    let family = socket_domain(&socket)?;
    let is_internet = matches!(family, AddressFamily::INET | AddressFamily::INET6);
    let is_stream = socket_type(&socket)? == SocketType::STREAM;
    let is_known = is_stream && (is_internet || family == AddressFamily::UNIX);
    if !is_known || !socket_acceptconn(&socket)? {
        return Err(io::Error::other(
            "the socket does not listen for TCP connections or at a path",
        ));
    }
    if is_internet {
        set_connection_options(&socket)?;
    }
    Ok(Listener { socket })
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

fn listen_on(address: SocketAddr) -> io::Result<Listener> {
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
    listening(socket)
}

fn listening(socket: OwnedFd) -> io::Result<Listener> {
    let backlog = i32::try_from(BACKLOG_CONNECTIONS).unwrap_or(i32::MAX);
    listen(&socket, backlog)?;
    Ok(Listener { socket })
}
