//! Connections that `std` cannot open.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use rustix::net::sockopt::{
    Timeout, set_socket_recv_buffer_size, set_socket_reuseaddr, set_socket_timeout,
};
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, connect, socket_with};

/// Connects with the smallest receive buffer that the system gives. It is set before the window is
/// offered. This, each read and each write may take as long as `patience`.
pub fn connect_narrow(to: SocketAddr, patience: Duration) -> io::Result<TcpStream> {
    let stream = open(patience)?;
    set_socket_recv_buffer_size(&stream, 1)?;
    connect(&stream, &to)?;
    Ok(stream)
}

/// Connects from an address and port that another connection, to another address, may have too.
pub fn connect_from(from: SocketAddr, to: SocketAddr, patience: Duration) -> io::Result<TcpStream> {
    let stream = open(patience)?;
    set_socket_reuseaddr(&stream, true)?;
    bind(&stream, &from)?;
    connect(&stream, &to)?;
    Ok(stream)
}

fn open(patience: Duration) -> io::Result<TcpStream> {
    let kind = (
        AddressFamily::INET,
        SocketType::STREAM,
        SocketFlags::CLOEXEC,
    );
    let socket = socket_with(kind.0, kind.1, kind.2, None)?;
    // It bounds `connect` as well.
    set_socket_timeout(&socket, Timeout::Send, Some(patience))?;
    set_socket_timeout(&socket, Timeout::Recv, Some(patience))?;
    Ok(TcpStream::from(socket))
}
