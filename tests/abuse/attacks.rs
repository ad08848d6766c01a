//! The attacks, in the order of the table.

mod chunks;
mod exhaustion;
mod heads;
mod hellos;
mod lengths;
mod resets;
mod slow;

use super::gateway::Confinement;
use super::target::Target;
pub use slow::DEADLINE_FLAGS;

/// What the honest client may expect meanwhile.
#[derive(Clone, Copy, PartialEq)]
pub enum Promise {
    /// To be answered quickly.
    Latency,
    /// To be answered again soon after.
    Recovery,
}

/// One way to abuse a gateway.
pub struct Attack {
    pub name: &'static str,
    pub promise: Promise,
    pub confinement: Confinement,
    /// Whether it is about the deadlines, which are short then.
    pub kind: Kind,
    pub run: fn(&Target),
}

/// What it plays on.
#[derive(Clone, Copy, PartialEq)]
pub enum Kind {
    Bytes,
    Slowness,
}

impl Attack {
    const fn of(name: &'static str, run: fn(&Target)) -> Attack {
        Attack {
            name,
            promise: Promise::Latency,
            confinement: Confinement::None,
            kind: Kind::Bytes,
            run,
        }
    }

    const fn slow(name: &'static str, run: fn(&Target)) -> Attack {
        Attack {
            kind: Kind::Slowness,
            ..Attack::of(name, run)
        }
    }

    const fn exhausting(name: &'static str, confinement: Confinement, run: fn(&Target)) -> Attack {
        Attack {
            promise: Promise::Recovery,
            confinement,
            ..Attack::of(name, run)
        }
    }
}

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
    Attack::slow("unread-scrapes", slow::unread_scrapes),
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
    Attack::exhausting(
        "endless-header",
        Confinement::None,
        exhaustion::endless_header,
    ),
    Attack::exhausting(
        "endless-headers",
        Confinement::None,
        exhaustion::endless_headers,
    ),
    Attack::exhausting(
        "pipelined-unread",
        Confinement::None,
        exhaustion::pipelined_unread,
    ),
    Attack::of("resets", resets::resets),
    Attack::of("chunk-sizes", chunks::sizes),
    Attack::of("chunk-lines-endless", chunks::endless_lines),
    Attack::of("chunked-too-long", chunks::too_long),
    Attack::of("expectations", heads::expectations),
    Attack::of("pipelined-pushes", heads::pipelined_pushes),
    Attack::of("heads", heads::heads),
];
