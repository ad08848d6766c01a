//! Reads a connection as the gate does: the same calls of `read_head` and `Chunked` in the same
//! order, with the same state between two reads, but without sockets and deadlines.
//!
//! Fuzz targets share this file.

use prometheus_aggregation_gateway::http::chunked::{ChunkError, Chunked};
use prometheus_aggregation_gateway::http::head::{
    Expectation, Framing, Head, HeadError, Persistence, Version, read_head,
};

use super::second_reader::Request;

/// How the bytes of a connection end; see the second reader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    Between,
    Within,
    Closed,
    Refused { code: u16, message: String },
}

/// The requests of a connection, and what follows them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    pub requests: Vec<Request>,
    pub end: End,
}

/// A connection between two reads.
pub struct Connection {
    body_bytes_max: usize,
    /// Read, but part of no request yet.
    input: Vec<u8>,
    scanned: usize,
    upload: Option<Upload>,
    /// Number of bytes that the client has sent.
    received: usize,
    requests: Vec<Request>,
    /// Closed or refused.
    end: Option<End>,
}

/// A request whose body is not complete.
struct Upload {
    head: Vec<u8>,
    body: Vec<u8>,
    rest: Rest,
}

enum Rest {
    Length(usize),
    Chunked(Chunked),
}

/// Reads all bytes of a connection at once.
pub fn read(bytes: &[u8], body_bytes_max: usize) -> Reading {
    let mut connection = Connection::new(body_bytes_max);
    connection.receive(bytes);
    connection.reading()
}

impl Connection {
    pub fn new(body_bytes_max: usize) -> Connection {
        Connection {
            body_bytes_max,
            input: Vec::new(),
            scanned: 0,
            upload: None,
            received: 0,
            requests: Vec::new(),
            end: None,
        }
    }

    /// One read.
    pub fn receive(&mut self, bytes: &[u8]) {
        if self.end.is_some() {
            return;
        }
        self.received += bytes.len();
        self.input.extend_from_slice(bytes);
        while self.end.is_none() && !self.input.is_empty() {
            let input = std::mem::take(&mut self.input);
            let used = match self.upload.take() {
                Some(upload) => self.go_on(upload, &input),
                None => self.begin(&input),
            };
            // A head that is not complete is not read again before more has come.
            if used == 0 && self.upload.is_none() {
                self.input = input;
                break;
            }
            self.input = input[used..].to_vec();
        }
    }

    /// What was read so far.
    pub fn reading(&self) -> Reading {
        let end = match &self.end {
            Some(end) => end.clone(),
            None if self.upload.is_some() || !self.input.is_empty() => End::Within,
            None => End::Between,
        };
        Reading {
            requests: self.requests.clone(),
            end,
        }
    }

    /// The connection in the next image of the process, which reads the request in hand again.
    pub fn hand_over(self) -> Connection {
        if self.end.is_some() {
            return self;
        }
        let mut input = Vec::new();
        if let Some(upload) = self.upload {
            input = upload.head;
            match upload.rest {
                Rest::Length(_) => input.extend(upload.body),
                Rest::Chunked(chunked) => input.extend(chunked.encoded(&upload.body)),
            }
        }
        input.extend(self.input);
        let mut next = Connection::new(self.body_bytes_max);
        next.requests = self.requests;
        next.receive(&input);
        next.received = self.received;
        next
    }

    /// Reads a request at the begin of `input`. Gives how much of it was used.
    fn begin(&mut self, input: &[u8]) -> usize {
        let read = read_head(input, &mut self.scanned);
        let head = match read {
            Ok(None) => return 0,
            Ok(Some(head)) => head,
            Err(error) => {
                self.refuse_head(&error);
                return 0;
            }
        };
        self.scanned = 0;
        let raw = &input[..head.bytes];
        assert_eq!(read_head(raw, &mut 0), Ok(Some(head.clone())));
        let rest = match head.framing {
            Framing::None => Rest::Length(0),
            Framing::Length(length) => match usize::try_from(length) {
                Ok(length) if length <= self.body_bytes_max => Rest::Length(length),
                _ => {
                    self.refuse_body(ChunkError::TooLong);
                    return 0;
                }
            },
            Framing::Chunked => Rest::Chunked(Chunked::default()),
        };
        let upload = Upload {
            head: raw.to_vec(),
            body: Vec::new(),
            rest,
        };
        head.bytes + self.go_on(upload, &input[head.bytes..])
    }

    /// Reads more of a body at the begin of `input`. Gives how much of it was used.
    fn go_on(&mut self, mut upload: Upload, input: &[u8]) -> usize {
        let (used, is_end) = match &mut upload.rest {
            Rest::Length(left) => {
                let used = input.len().min(*left);
                upload.body.extend_from_slice(&input[..used]);
                *left -= used;
                (used, *left == 0)
            }
            Rest::Chunked(chunked) => {
                match chunked.decode(input, &mut upload.body, self.body_bytes_max) {
                    Ok(decoded) => (decoded.bytes, decoded.is_end),
                    Err(error) => {
                        self.refuse_body(error);
                        return 0;
                    }
                }
            }
        };
        assert!(is_end || used == input.len(), "input is left over");
        assert!(upload.body.len() <= self.body_bytes_max);
        if !is_end {
            self.upload = Some(upload);
            return used;
        }
        let end = self.received - (input.len() - used);
        let Ok(Some(head)) = read_head(&upload.head, &mut 0) else {
            panic!("the head was read before");
        };
        self.requests.push(request(&head, upload.body, end));
        if head.persistence == Persistence::Close {
            self.end = Some(End::Closed);
        }
        used
    }

    fn refuse_head(&mut self, error: &HeadError) {
        self.end = Some(End::Refused {
            code: error.code(),
            message: error.to_string(),
        });
    }

    fn refuse_body(&mut self, error: ChunkError) {
        let code = match error {
            ChunkError::TooLong => 413,
            _ => 400,
        };
        self.end = Some(End::Refused {
            code,
            message: error.to_string(),
        });
    }
}

fn request(head: &Head<'_>, body: Vec<u8>, end: usize) -> Request {
    Request {
        method: head.method.to_owned(),
        target: head.target.to_owned(),
        minor: match head.version {
            Version::Http10 => 0,
            Version::Http11 => 1,
        },
        body,
        keeps_alive: head.persistence == Persistence::KeepAlive,
        awaits_continue: head.expectation == Expectation::Continue,
        end,
    }
}
