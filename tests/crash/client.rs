//! A client of HTTP/1.1 that tells apart all the ways in which a request may stay unanswered.

use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// No request takes so long. One that does is hung, which is a fault of the gateway.
const PATIENCE: Duration = Duration::from_secs(30);

/// A whole answer.
#[derive(Debug)]
pub struct Answer {
    pub code: u16,
    pub body: String,
    /// It announces that its connection takes no more requests.
    pub ends_connection: bool,
    /// The push had been added when it came before.
    pub is_repeated: bool,
}

/// Why there is no answer.
#[derive(Debug)]
pub enum NoAnswer {
    /// Nobody listens: ECONNREFUSED. Nothing was sent.
    Refused,
    /// The system has no port left to connect from: they rest for a while after a connection.
    NoPort,
    /// There is no connection for another reason. Nothing was sent.
    NotConnected(String),
    /// The connection ended before the answer did; what was sent may have been done or not.
    Broken(&'static str),
    /// Nothing comes.
    Hung,
    /// There is an answer, with this code instead of the page.
    NotThere(u16),
}

/// Reads a page, on a connection of its own.
pub fn get(address: SocketAddr, path: &str) -> Result<String, NoAnswer> {
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n");
    let answer = Connection::open(address)?.round_trip(request.as_bytes())?;
    match answer.code {
        200 => Ok(answer.body),
        code => Err(NoAnswer::NotThere(code)),
    }
}

/// A connection that is kept from one request to the next.
pub struct Connection {
    reader: BufReader<TcpStream>,
}

impl Connection {
    pub fn open(address: SocketAddr) -> Result<Connection, NoAnswer> {
        let connected = TcpStream::connect_timeout(&address, PATIENCE).and_then(|stream| {
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            stream.set_write_timeout(Some(PATIENCE))?;
            Ok(stream)
        });
        match connected {
            Ok(stream) => Ok(Connection {
                reader: BufReader::new(stream),
            }),
            Err(error) => Err(match error.kind() {
                ErrorKind::ConnectionRefused => NoAnswer::Refused,
                ErrorKind::AddrNotAvailable => NoAnswer::NoPort,
                ErrorKind::TimedOut => NoAnswer::Hung,
                _ => NoAnswer::NotConnected(error.to_string()),
            }),
        }
    }

    pub fn round_trip(&mut self, request: &[u8]) -> Result<Answer, NoAnswer> {
        let written = self.reader.get_mut().write_all(request);
        written.map_err(|error| because("while the request was sent", &error))?;
        let mut line = String::new();
        self.line(&mut line, "before the answer")?;
        let code = line.split(' ').nth(1).and_then(|code| code.parse().ok());
        let mut answer = Answer {
            code: code.ok_or(NoAnswer::Broken(NOT_HTTP))?,
            body: String::new(),
            ends_connection: false,
            is_repeated: false,
        };
        let (mut length, mut is_chunked) = (0, false);
        loop {
            self.line(&mut line, IN_ANSWER)?;
            let header = line.to_ascii_lowercase();
            match header.split_once(": ") {
                Some(("content-length", value)) => length = number(value, 10)?,
                Some(("transfer-encoding", value)) => is_chunked = value == "chunked",
                Some(("connection", value)) => answer.ends_connection = value == "close",
                Some(("idempotent-replayed", value)) => answer.is_repeated = value == "true",
                Some(_) => {}
                None => break,
            }
        }
        let body = if is_chunked {
            self.chunked_body()?
        } else {
            self.exactly(length)?
        };
        answer.body = String::from_utf8(body).map_err(|_| NoAnswer::Broken(NOT_HTTP))?;
        Ok(answer)
    }

    /// RFC 9112 section 7.1, without extensions and trailers.
    fn chunked_body(&mut self) -> Result<Vec<u8>, NoAnswer> {
        let (mut body, mut line) = (Vec::new(), String::new());
        loop {
            self.line(&mut line, IN_ANSWER)?;
            let size = number(&line, 16)?;
            body.extend(self.exactly(size)?);
            self.exactly(2)?;
            if size == 0 {
                return Ok(body);
            }
        }
    }

    fn exactly(&mut self, length: usize) -> Result<Vec<u8>, NoAnswer> {
        let mut bytes = vec![0; length];
        let read = self.reader.read_exact(&mut bytes);
        read.map_err(|error| because(IN_ANSWER, &error))?;
        Ok(bytes)
    }

    /// Reads a line, and takes its end off.
    fn line(&mut self, line: &mut String, when: &'static str) -> Result<(), NoAnswer> {
        line.clear();
        let read = self.reader.read_line(line);
        read.map_err(|error| because(when, &error))?;
        if !line.ends_with("\r\n") {
            let is_first = line.is_empty() && when != IN_ANSWER;
            return Err(NoAnswer::Broken(if is_first {
                "closed before the answer"
            } else {
                IN_ANSWER
            }));
        }
        line.truncate(line.len() - "\r\n".len());
        Ok(())
    }
}

const IN_ANSWER: &str = "within the answer";
const NOT_HTTP: &str = "by what is no answer";

fn because(when: &'static str, error: &io::Error) -> NoAnswer {
    match error.kind() {
        ErrorKind::WouldBlock | ErrorKind::TimedOut => NoAnswer::Hung,
        _ => NoAnswer::Broken(when),
    }
}

fn number(text: &str, radix: u32) -> Result<usize, NoAnswer> {
    usize::from_str_radix(text, radix).map_err(|_| NoAnswer::Broken(NOT_HTTP))
}
