//! Requests to routes to gateway calls to responses: the only HTTP, the only status codes.
//!
//! The gate reads requests and writes responses; it is the only one to know clients.
//! `tiny_http` and its workers answer requests that are whole. Knows no merge rules.
//!
//! | module | one job |
//! |---|---|
//! | [`head`] | bytes to the head of a request: pure |
//! | [`chunked`] | a chunked body to its data: pure |
//! | `raw_head` | what is rarely asked of a head: pure |
//! | [`route`] | method and path to what is wanted, and by whom: pure |
//! | [`response`] | a worker's response to a client's: pure |
//! | [`access`] | the tokens that requests have to show |
//! | [`exposition`] | an Accept field to the form of a scrape: pure |
//! | [`held`] | connections to bytes and back, for a hand-over: no I/O |
//! | `pace` | how fast a client is: pure |
//! | `exchange` | bodies and scrapes between the gate and the workers |
//! | `worker` | a request to its answer, by its route |
//! | `push`, `idempotency_key` | the answer to a push, its statuses among it |
//! | `admin`, `overview`, `query` | the answers to deletions and to the status page |
//! | `answer` | what an answer is made of |
//! | `connection` | what one client is at |
//! | `control` | what the gate is told, and shows of itself |
//! | `backend` | `tiny_http`, and the channels to it |
//! | `gate` | all clients and their deadlines: one thread |
//! | `front` | the gate, for the rest of the program |
//!
//! # Hostile clients
//!
//! No worker ever waits for a client, and the number of threads is constant: it does not matter how
//! many clients are slow. `scripts/abuse` does what follows, and measures honest clients meanwhile.
//!
//! - **Deadlines** are totals, however much arrives meanwhile.
//! - **Framing**: what two readers could understand differently is refused with 400: both
//!   `Content-Length` and `Transfer-Encoding`, either of them twice, two `Host` fields, folded
//!   lines, lone CRs or LFs, control characters, white space before a colon, odd chunk sizes. 411,
//!   414, 417, 431, 501 and 505 are as HTTP has them. Each refusal gets a response before its
//!   connection is closed, and what stands behind such a message is never taken for a request.
//! - **Connections**: beyond the limit, the connections that have been idle for longest are closed;
//!   if there are none, new ones are.
//! - **Memory** for requests and unread responses has one budget. A quarter of it is kept for short
//!   requests, which never wait for long ones. When the rest is used up, the long body that misses
//!   least goes on, the others wait, and the slow ones are closed with 408.
//! - **Workers**: one for short pushes, one for health checks, one for pages; the rest merge long
//!   bodies, up to 32 MiB at once.
//! - **Scrapes** are rendered piece by piece as they are read. There are at most four views; when
//!   all are held and others wait, readers slower than 256 KiB/s are closed.
//!
//! What an attacker can still do: keep a core busy by pushing or connecting; use up the connections
//! with requests that are never finished, for the deadline of a head each; hold all four views just
//! above the pace that is asked for, so that other scrapes get 503; fill the limits of series and
//! senders with names of their own. The gateway knows nobody but by tokens: a reverse proxy has to
//! limit each client.

pub mod access;
mod admin;
mod answer;
mod backend;
pub mod chunked;
mod connection;
mod control;
mod exchange;
pub mod exposition;
mod front;
mod gate;
pub mod head;
pub mod held;
mod idempotency_key;
mod overview;
mod pace;
mod push;
mod query;
mod raw_head;
pub mod response;
pub mod route;
mod worker;

use std::time::Duration;

use self::access::Access;
pub use self::admin::AdminApi;
use self::answer::Answer;
pub use self::backend::{WORKERS_MIN, check_folder};
pub use self::control::{FrontCommand, FrontLimits};
pub use self::front::{Front, pack, unpack};
pub use self::gate::GateEnd;
use self::head::Head;
pub use self::held::HeldConnection;
use self::route::Route;
use crate::clock::Clock;
use crate::gateway::{Gateway, JournalState};
use crate::log::LogEvent;
use crate::process::Usage;
use crate::proxy::TrustedProxy;
use crate::status::{Resource, Status, Stored, StoredJournal, StoredSenders};

/// Writes an event to the log. It must not wait.
pub type Log = fn(LogEvent);

/// What is served.
#[derive(Debug)]
pub struct Site {
    /// Where pushes go and scrapes come from.
    pub gateway: Gateway,
    /// The gateway's own counters.
    pub status: Status,
    /// When a push came.
    pub clock: Clock,
    /// The origins whose pages may see responses to pushes: none, `*` alone for all, or a list.
    pub cors: Vec<String>,
    /// Proxies that say who has sent a request.
    pub trusted_proxies: Vec<TrustedProxy>,
    /// Without a final slash.
    pub push_path: String,
    /// Who may push, and who may read.
    pub access: Access,
    /// Whether series can be deleted by requests.
    pub admin_api: AdminApi,
    /// The longest body that is read.
    pub body_bytes_max: usize,
    /// How long clients are waited for.
    pub deadlines: Deadlines,
}

/// How long clients are waited for; each is a total, however much comes meanwhile.
#[derive(Clone, Copy, Debug)]
pub struct Deadlines {
    /// For the head of a request.
    pub head: Duration,
    /// For its body.
    pub body: Duration,
    /// For a response to be read.
    pub answer: Duration,
    /// For the next request.
    pub idle: Duration,
}

impl Site {
    /// The page of the gateway's own metrics.
    #[must_use]
    pub fn status_page(&self) -> String {
        self.status.page(&self.stored())
    }

    /// What is stored, noted as used as well.
    fn stored(&self) -> Stored {
        let stored_journal = |state: JournalState| StoredJournal {
            bytes: state.bytes,
            snapshot_bytes: state.snapshot_bytes,
            trouble: state.trouble.map(|trouble| trouble.to_string()),
        };
        let held = self.gateway.size();
        self.status.front.set_used(Resource::Series, held.series);
        let keys = self.gateway.key_counts();
        let front = &self.status.front;
        front.set_used(Resource::IdempotencyKeys, keys.remembered);
        let senders = self.gateway.has_senders().then(|| self.stored_senders());
        Stored {
            senders,
            families: held.families,
            series: held.series,
            incomplete_natives: self.gateway.incomplete_natives(),
            early_key_swaps: keys.early_swaps,
            process: Usage::now(),
            journal: self.gateway.journal_state().map(stored_journal),
        }
    }

    /// Lets a request pass, or gives its refusal. A sender that leaves takes away what it has
    /// pushed, as it may by a push.
    fn check_access(&self, route: Route<'_>, head: &Head<'_>) -> Result<(), Answer> {
        let route = match route {
            Route::Delete { labels, .. } if self.gateway.names_sender(labels) == Ok(true) => {
                Route::Push { labels }
            }
            route => route,
        };
        self.access.check(route, head)
    }

    fn stored_senders(&self) -> StoredSenders {
        let counts = self.gateway.sender_counts();
        let front = &self.status.front;
        front.set_used(Resource::SenderSeries, counts.sizes.numbers);
        StoredSenders {
            live: counts.sizes.live,
            withdrawn: counts.sizes.withdrawn,
            numbers: counts.sizes.numbers,
            forgotten: counts.forgotten,
            restarted_series: counts.restarted,
            late_series: counts.late,
        }
    }
}
