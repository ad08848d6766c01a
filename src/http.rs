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
//! | `answer`, `worker` | requests to answers |
//! | `connection` | what one client is at |
//! | `control` | what the gate is told, and shows of itself |
//! | `backend` | `tiny_http`, and the channels to it |
//! | `gate` | all clients: one thread |
//! | `front` | the gate, for the rest of the program |

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

/// Tells whoever runs the program. It must not wait.
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
