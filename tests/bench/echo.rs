//! The least that a server on `tiny_http` can do: it reads a body and answers two bytes. What the
//! gateway costs beyond that is its own.
//!
//! Usage: `echo ADDRESS`, with as many workers as the gateway has.

use std::net::TcpListener;
use std::sync::Arc;
use std::thread;

use rustix::net::sockopt::set_tcp_nodelay;
use tiny_http::{Response, Server};

const WORKERS: usize = 8;

fn main() {
    let address = std::env::args().nth(1).expect("usage: echo ADDRESS");
    let listener = TcpListener::bind(address).expect("the address is free");
    set_tcp_nodelay(&listener, true).expect("a socket has the option");
    let server = Server::from_listener(listener, None).expect("it listens");
    let server = Arc::new(server);
    for _ in 1..WORKERS {
        let server = Arc::clone(&server);
        thread::spawn(move || work(&server));
    }
    work(&server);
}

fn work(server: &Server) {
    while let Ok(mut request) = server.recv() {
        let mut body = Vec::new();
        let read = request.as_reader().read_to_end(&mut body);
        // Who has gone is not told.
        let _ = read.and_then(|_| request.respond(Response::from_string("{}")));
    }
}
