//! A panic is one count and one line on stderr, in whatever thread; at most one line in 10 s.

use std::any::Any;
use std::panic;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::{Duration, Instant};

use prometheus_aggregation_gateway::excerpt::Excerpt;
use prometheus_aggregation_gateway::http::Site;

use super::logger;

/// At most one line in so long.
const LINE_INTERVAL: Duration = Duration::from_secs(10);

/// Has panics said in one line, and counted.
pub fn say_in_one_line(site: &Arc<Site>) {
    let site = Arc::clone(site);
    let started = Instant::now();
    // In milliseconds since the start: when the next line may be written.
    let next_line = AtomicU64::new(0);
    panic::set_hook(Box::new(move |info| {
        let before = site.status.front.count_panic();
        let now = milliseconds(started.elapsed());
        let next = now + milliseconds(LINE_INTERVAL);
        let may_write = |due| (now >= due).then_some(next);
        if next_line.fetch_update(SeqCst, SeqCst, may_write).is_err() {
            return;
        }
        let place = info.location().map(ToString::to_string).unwrap_or_default();
        let what = Excerpt::of(message(info.payload()));
        logger::error(format!(
            "panic at {place}: {what}; please report it ({before} panics before it, see \
             aggregation_gateway_panics_total)"
        ));
    }));
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn message(payload: &(dyn Any + Send)) -> &str {
    let owned = payload.downcast_ref::<String>().map(String::as_str);
    let borrowed = payload.downcast_ref::<&str>().copied();
    owned.or(borrowed).unwrap_or("no message")
}
