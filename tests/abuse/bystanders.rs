//! Clients that keep their connections beside an attack, and must not lose them.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use super::client::Connection;

const COUNT: usize = 8;

/// Often enough for the shortest idle timeout of an attack.
const REQUEST_INTERVAL: Duration = Duration::from_secs(1);

const LOOK_INTERVAL: Duration = Duration::from_millis(20);

const REQUEST: &[u8] = b"GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n";

/// Connections on which a request is made now and then.
pub struct Bystanders {
    connections: Vec<Connection>,
    /// Those that were cut off or refused.
    pub lost: usize,
    pub first_failure: Option<String>,
}

impl Bystanders {
    /// Connects, and makes the first request on each connection.
    pub fn connect(address: SocketAddr, patience: Duration) -> Bystanders {
        let connected = (0..COUNT).filter_map(|_| Connection::open(address, patience).ok());
        let mut bystanders = Bystanders {
            connections: connected.collect(),
            lost: 0,
            first_failure: None,
        };
        bystanders.lost = COUNT - bystanders.connections.len();
        bystanders.ask();
        bystanders
    }

    /// Makes requests until it is over, and a last one then.
    pub fn run(&mut self, is_over: &AtomicBool) {
        let mut asked = Instant::now();
        while !is_over.load(SeqCst) {
            thread::sleep(LOOK_INTERVAL);
            if asked.elapsed() >= REQUEST_INTERVAL {
                self.ask();
                asked = Instant::now();
            }
        }
        self.ask();
    }

    fn ask(&mut self) {
        let Bystanders {
            connections,
            lost,
            first_failure,
        } = self;
        connections.retain_mut(|connection| {
            let why = match connection.round_trip(REQUEST) {
                Ok(answer) if answer.code != 200 => format!("{}: {}", answer.code, answer.body),
                Ok(answer) if answer.ends_connection => "told to use another one".to_owned(),
                Ok(_) => return true,
                Err(error) => format!("cut off: {error}"),
            };
            first_failure.get_or_insert(why);
            *lost += 1;
            false
        });
    }
}
