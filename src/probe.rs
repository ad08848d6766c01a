//! Asks a gateway whether it answers, as anyone else would: it asks itself, and `-probe` asks any.

use std::fmt::{self, Display, Formatter};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::str::FromStr;
use std::time::Duration;

use crate::excerpt::Excerpt;

/// Where the gateway itself says that it is alive.
pub const HEALTHY: &str = "/-/healthy";

/// By this, the gateway knows its own questions, and does not count them.
pub const USER_AGENT: &str = "prometheus-aggregation-gateway-probe";

/// RFC 9110 section 4.2.1.
const DEFAULT_PORT: u16 = 80;

/// A page of some server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProbeUrl {
    /// A name or an address; one of IPv6 without its brackets.
    host: String,
    port: u16,
    /// Begins with a slash.
    path: String,
}

impl FromStr for ProbeUrl {
    type Err = String;

    fn from_str(url: &str) -> Result<ProbeUrl, String> {
        let wrong = || {
            let found = Excerpt::of(url);
            format!("expected a URL such as http://127.0.0.1:9091{HEALTHY}, found {found}")
        };
        let is_printable = url.bytes().all(|byte| byte.is_ascii_graphic());
        let rest = url.strip_prefix("http://").filter(|_| is_printable);
        let rest = rest.ok_or_else(wrong)?;
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        // The colons of an address of IPv6 are within brackets.
        let colon = authority
            .rfind(':')
            .filter(|&at| !authority[at..].contains(']'));
        let (host, port) = authority.split_at(colon.unwrap_or(authority.len()));
        let port = match port.strip_prefix(':') {
            Some(port) => port.parse().map_err(|_| wrong())?,
            None => DEFAULT_PORT,
        };
        let bare = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'));
        let host = bare.unwrap_or(host);
        if host.is_empty() || host.contains(['@', '?', '#', '[', ']']) {
            return Err(wrong());
        }
        Ok(ProbeUrl {
            host: host.to_owned(),
            port,
            path: if path.is_empty() { "/" } else { path }.to_owned(),
        })
    }
}

impl Display for ProbeUrl {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let ProbeUrl { host, port, path } = self;
        if host.contains(':') {
            write!(f, "http://[{host}]:{port}{path}")
        } else {
            write!(f, "http://{host}:{port}{path}")
        }
    }
}

/// Asks for a page.
///
/// # Errors
/// When it is not answered with 200, or nothing comes for as long as `patience`: one line.
pub fn probe(page: &ProbeUrl, patience: Duration) -> Result<(), String> {
    let status = || {
        let mut refused = ErrorKind::AddrNotAvailable.into();
        for address in (page.host.as_str(), page.port).to_socket_addrs()? {
            match TcpStream::connect_timeout(&address, patience) {
                Ok(connection) => return status(connection, &page.path, patience),
                Err(error) => refused = error,
            }
        }
        Err(refused)
    };
    match status() {
        Ok(200) => Ok(()),
        Ok(status) => Err(format!("{page}: answered with {status}")),
        // A timeout is one or the other, by the system.
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
            Err(format!("{page}: no answer within {patience:?}"))
        }
        Err(error) => Err(format!("{page}: {error}")),
    }
}

/// The status of the answer to a request for this path, if it is one.
///
/// # Errors
/// When nothing comes for as long as `patience`, or what comes is no answer.
pub fn status(mut connection: TcpStream, path: &str, patience: Duration) -> io::Result<u16> {
    connection.set_read_timeout(Some(patience))?;
    connection.set_write_timeout(Some(patience))?;
    let request = format!("GET {path} HTTP/1.0\r\nUser-Agent: {USER_AGENT}\r\n\r\n");
    connection.write_all(request.as_bytes())?;
    let mut start = [0; "HTTP/1.0 200".len()];
    let closed = |error: io::Error| match error.kind() {
        ErrorKind::UnexpectedEof => io::Error::other("it closed the connection without an answer"),
        _ => error,
    };
    connection.read_exact(&mut start).map_err(closed)?;
    let start = str::from_utf8(&start).unwrap_or_default();
    let status = start
        .starts_with("HTTP/1.")
        .then(|| start.get(9..)?.parse().ok());
    let no_answer = || io::Error::new(ErrorKind::InvalidData, "what comes is no answer");
    status.flatten().ok_or_else(no_answer)
}
