//! The gateway asks itself whether it is alive, by its own socket, as anyone else would.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::Duration;

use super::pool::connect;

const REQUEST: &[u8] = b"GET /-/healthy HTTP/1.0\r\n\r\n";

/// True if the gateway that listens there answers.
pub fn is_alive(listener: &TcpListener, patience: Duration) -> bool {
    let answers = || {
        let mut connection = connect(listener, patience)?;
        connection.set_read_timeout(Some(patience)).ok()?;
        connection.set_write_timeout(Some(patience)).ok()?;
        connection.write_all(REQUEST).ok()?;
        let mut start = [0; "HTTP/1.0 200".len()];
        connection.read_exact(&mut start).ok()?;
        start.ends_with(b" 200").then_some(())
    };
    answers().is_some()
}
