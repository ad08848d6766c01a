//! A client of HTTP/1.1 whose every wait has an end.

use std::io::{self, BufRead, BufReader, Error, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// A whole answer.
#[derive(Debug)]
pub struct Answer {
    pub code: u16,
    pub body: String,
    /// Its connection takes no more requests.
    pub ends_connection: bool,
}

/// A connection that is kept from one request to the next.
pub struct Connection {
    reader: BufReader<TcpStream>,
}

impl Connection {
    /// Connects; this, each read and each write may take as long as `patience`.
    pub fn open(address: SocketAddr, patience: Duration) -> io::Result<Connection> {
        let stream = TcpStream::connect_timeout(&address, patience)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(patience))?;
        stream.set_write_timeout(Some(patience))?;
        Ok(Connection::of(stream))
    }

    /// Reads answers from a connection whose timeouts are set.
    pub fn of(stream: TcpStream) -> Connection {
        Connection {
            reader: BufReader::new(stream),
        }
    }

    pub fn into_stream(self) -> TcpStream {
        self.reader.into_inner()
    }

    pub fn round_trip(&mut self, request: &[u8]) -> io::Result<Answer> {
        self.send(request)?;
        self.answer()
    }

    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.reader.get_mut().write_all(bytes)
    }

    /// Waits for the first byte of the next answer.
    pub fn wait(&mut self) -> io::Result<()> {
        match self.reader.fill_buf()? {
            [] => Err(ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }

    /// Reads the next answer, which may be one of those with 1xx.
    pub fn answer(&mut self) -> io::Result<Answer> {
        let line = self.line()?;
        let code = line.split(' ').nth(1).and_then(|code| code.parse().ok());
        let mut answer = Answer {
            code: code.ok_or_else(not_http)?,
            body: String::new(),
            ends_connection: line.starts_with("HTTP/1.0"),
        };
        let (mut length, mut is_chunked) = (None, false);
        loop {
            let header = self.line()?.to_ascii_lowercase();
            match header.split_once(": ") {
                Some(("content-length", value)) => length = Some(number(value, 10)?),
                Some(("transfer-encoding", value)) => is_chunked = value == "chunked",
                Some(("connection", value)) => answer.ends_connection = value == "close",
                Some(_) => {}
                None => break,
            }
        }
        let body = match length {
            _ if matches!(answer.code, 100..200 | 204) => Vec::new(),
            _ if is_chunked => self.chunked_body()?,
            Some(length) => self.exactly(length)?,
            None => self.rest()?,
        };
        answer.body = String::from_utf8(body).map_err(|_| not_http())?;
        Ok(answer)
    }

    /// RFC 9112 section 7.1, without extensions and trailers.
    fn chunked_body(&mut self) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let size = number(&self.line()?, 16)?;
            body.extend(self.exactly(size)?);
            self.exactly("\r\n".len())?;
            if size == 0 {
                return Ok(body);
            }
        }
    }

    fn exactly(&mut self, length: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; length];
        self.reader.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    /// What comes until the other side closes.
    fn rest(&mut self) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.reader.read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// Reads a line, and takes its end off.
    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        self.reader.read_line(&mut line)?;
        match line.strip_suffix("\r\n") {
            Some(line) => Ok(line.to_owned()),
            None => Err(ErrorKind::UnexpectedEof.into()),
        }
    }
}

/// True if nothing came in time, as opposed to the end of the connection.
pub fn is_timeout(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

fn not_http() -> Error {
    Error::new(ErrorKind::InvalidData, "what came is no answer")
}

fn number(text: &str, radix: u32) -> io::Result<usize> {
    usize::from_str_radix(text, radix).map_err(|_| not_http())
}
