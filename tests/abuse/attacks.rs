//! The attacks, in the order of the table.

mod budget;
mod chunks;
mod crowds;
mod disk;
mod exhaustion;
mod framing;
mod heads;
mod hellos;
mod lengths;
mod pipelines;
mod readers;
mod resets;
mod slow;
mod versions;

use super::gateway::Confinement;
use super::honest::Scrapes;
use super::target::Target;
use slow::DEADLINE_FLAGS;

/// What the honest client may expect meanwhile.
#[derive(Clone, Copy, PartialEq)]
pub enum Promise {
    /// To be answered quickly, with no request refused.
    Latency,
    /// To be answered again soon after.
    Recovery,
}

/// What happens to connections that others keep open during an attack.
#[derive(Clone, Copy, PartialEq)]
pub enum Bystanders {
    Survive,
    /// The attack takes all connections that there may be, so idle ones may be closed.
    MayBeClosed,
}

/// One way to abuse a gateway.
pub struct Attack {
    pub name: &'static str,
    pub promise: Promise,
    pub confinement: Confinement,
    /// Flags and their values. A flag that the gateway does not know is left out.
    pub flags: &'static [(&'static str, &'static str)],
    /// Where the gateway listens.
    pub listen: &'static str,
    pub scrapes: Scrapes,
    pub bystanders: Bystanders,
    pub mebibytes_max: u64,
    pub run: fn(&Target),
}

/// What a gateway may take beside an attack, unless the attack says something else.
const MEBIBYTES_MAX: u64 = 600;

impl Attack {
    const fn of(name: &'static str, run: fn(&Target)) -> Attack {
        Attack {
            name,
            promise: Promise::Latency,
            confinement: Confinement::None,
            flags: &[],
            listen: "127.0.0.1:0",
            scrapes: Scrapes::InTurn,
            bystanders: Bystanders::Survive,
            mebibytes_max: MEBIBYTES_MAX,
            run,
        }
    }

    /// One that is about deadlines, which are short then.
    const fn slow(name: &'static str, run: fn(&Target)) -> Attack {
        Attack {
            flags: DEADLINE_FLAGS,
            ..Attack::of(name, run)
        }
    }

    /// One beside which a scrape takes long.
    const fn scraped(self) -> Attack {
        Attack {
            scrapes: Scrapes::Apart,
            ..self
        }
    }

    const fn exhausting(name: &'static str, confinement: Confinement, run: fn(&Target)) -> Attack {
        Attack {
            promise: Promise::Recovery,
            confinement,
            bystanders: Bystanders::MayBeClosed,
            ..Attack::of(name, run)
        }
    }
}

/// What the honest client is compared with: itself, alone.
pub const BASELINE: Attack = Attack::of("no-attack", crowds::nobody);

/// All of them.
pub const ATTACKS: &[Attack] = &[
    Attack::of("lengths-hung-up", lengths::hung_up),
    Attack::of("lengths-kept-open", lengths::kept_open),
    Attack::of("ambiguous-lengths", lengths::ambiguous),
    Attack::of("http2-request-lines", hellos::http2_request_lines),
    Attack::of("http2-prefaces", hellos::http2_prefaces),
    Attack::of("tls-hellos", hellos::tls_hellos),
    Attack::of("random-bytes", hellos::random_bytes),
    Attack::of("upgrades", hellos::upgrades),
    Attack::slow("stalled-uploads", slow::stalled_uploads),
    Attack::slow("trickled-uploads", slow::trickled_uploads),
    Attack::slow("unread-scrapes", slow::unread_scrapes).scraped(),
    Attack::slow("half-open-heads", slow::half_open_heads),
    Attack::slow("trickled-heads", slow::trickled_heads),
    Attack::slow("idle-connections", slow::idle_connections),
    Attack::exhausting(
        "few-descriptors",
        Confinement::Descriptors(exhaustion::DESCRIPTORS),
        exhaustion::connections,
    ),
    Attack::exhausting(
        "few-descriptors-http2",
        Confinement::Descriptors(exhaustion::DESCRIPTORS),
        exhaustion::http2_request_lines,
    ),
    Attack::exhausting(
        "few-threads",
        Confinement::Threads(exhaustion::THREADS),
        exhaustion::connections,
    ),
    Attack::exhausting(
        "few-threads-http2",
        Confinement::Threads(exhaustion::THREADS),
        exhaustion::http2_request_lines,
    ),
    Attack::of("endless-header", exhaustion::endless_header),
    Attack::of("endless-headers", exhaustion::endless_headers),
    Attack::of("pipelined-unread", exhaustion::pipelined_unread),
    Attack::of("resets", resets::resets),
    Attack::of("chunk-sizes", chunks::sizes),
    Attack::of("chunk-lines-endless", chunks::endless_lines),
    Attack::of("chunked-too-long", chunks::too_long),
    Attack::of("expectations", heads::expectations),
    Attack::of("pipelined-pushes", heads::pipelined_pushes),
    Attack::of("heads", heads::heads),
    Attack::of("pipelined-heads", pipelines::heads),
    Attack::of("pipelined-heads-fast", pipelines::heads_fast),
    Attack::of("pipelined-own-metrics", pipelines::own_metrics),
    Attack::of("refused-pushes", pipelines::refused_pushes),
    Attack::of("unread-own-metrics", pipelines::unread_own_metrics),
    Attack::slow("half-closed-gets", readers::half_closed_gets).scraped(),
    Attack::of("slow-histogram-scrapes", readers::slow_histogram_scrapes).scraped(),
    Attack::of("slow-scrapes-and-pushes", readers::slow_scrapes_and_pushes).scraped(),
    Attack::of("slow-scrapes-of-series", readers::slow_scrapes_of_series).scraped(),
    Attack::of("slow-readers", readers::slow_readers).scraped(),
    Attack::of("idle-crowd", crowds::idle),
    Attack::of("idle-crowd-endless-heads", crowds::endless_heads),
    Attack::of("hand-over", crowds::hand_over),
    Attack {
        flags: &[("-max-connections", crowds::CONNECTIONS_MAX)],
        bystanders: Bystanders::MayBeClosed,
        ..Attack::of("connection-flood", crowds::flood_all)
    },
    Attack {
        flags: &[("-max-connections", crowds::CONNECTIONS_MAX)],
        bystanders: Bystanders::MayBeClosed,
        ..Attack::of("busy-connections", crowds::busy)
    },
    Attack::of("hidden-framing", framing::hidden),
    Attack {
        listen: "0.0.0.0:0",
        ..Attack::of("same-source", framing::same_source)
    },
    Attack::of("non-ascii-headers", versions::non_ascii_headers),
    Attack::of("http10-no-length", versions::http10_no_length),
    Attack::of("http2-preface-reply", versions::http2_preface),
    Attack::of("continue-framing", versions::continue_framing),
    Attack {
        flags: budget::FLAGS,
        mebibytes_max: budget::MEBIBYTES_MAX,
        ..Attack::of("stalled-large-uploads", budget::stalled_uploads)
    },
    Attack {
        flags: budget::FLAGS,
        mebibytes_max: budget::MEBIBYTES_MAX,
        ..Attack::of("declared-lengths", budget::declared_lengths)
    },
    Attack::exhausting(
        "full-disk",
        Confinement::FullDisk(disk::DESCRIPTORS),
        disk::full,
    ),
];
