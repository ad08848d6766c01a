//! Many pushers, scrapers and resets at once.

use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use prometheus_aggregation_gateway::gateway::Gateway;

use crate::push_text::PushText;
use crate::running_gateway::{RunningGateway, wait_until};
use crate::strict;

const PUSHERS: usize = 8;
const PUSHES: usize = 100;

/// A counter of its own and one in common, a histogram with bounds of its own, for each pusher.
fn body(pusher: usize) -> String {
    format!(
        "# TYPE own_{pusher} counter\nown_{pusher}{{pusher=\"{pusher}\"}} 1\n\
         # TYPE common counter\ncommon 1\n\
         # TYPE seconds histogram\nseconds_bucket{{le=\"{pusher}\"}} 1\n\
         seconds_bucket{{le=\"+Inf\"}} 2\nseconds_sum 3\nseconds_count 2\n"
    )
}

/// tiny_http's thread pool forgets some of the connections that come in a burst: see `pool`. Fresh
/// gateways, since a pool that has grown hides it.
#[test]
fn every_connection_of_a_burst_is_answered() {
    for burst in [5, 6, 12, 40, 6, 6, 12] {
        let gateway = RunningGateway::start(&[]);
        let mut connections: Vec<_> = (0..burst).map(|_| gateway.connect()).collect();
        for connection in &mut connections {
            connection.send("GET", "/-/healthy", "", b"");
        }
        // All are kept open until all are answered.
        for connection in &mut connections {
            assert_eq!(connection.reply("GET").code, 200);
        }
    }
}

/// Totals are exact, scrapes are valid all along and show whole pushes only.
#[test]
fn totals_are_exact() {
    let gateway = RunningGateway::start(&["-workers", "4"]);
    // A scrape is written in several pieces, and the families of a push are in the first and last.
    let between: String = (0..10_000)
        .map(|number| format!("d{{a=\"{number}\"}} 1\n"))
        .collect();
    assert_eq!(gateway.push("/metrics", &between).code, 200);
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let scraper = scope.spawn(|| {
            let mut scrapes = 0;
            while !is_over.load(Ordering::Relaxed) {
                let families = strict::read(&gateway.scrape()).expect("a scrape is valid");
                assert_pushes_are_whole(&families);
                scrapes += 1;
            }
            scrapes
        });
        let pushers: Vec<_> = (0..PUSHERS)
            .map(|pusher| {
                let gateway = &gateway;
                scope.spawn(move || {
                    let mut connection = gateway.connect();
                    for _ in 0..PUSHES {
                        connection.send("POST", "/metrics", "", body(pusher).as_bytes());
                        assert_eq!(connection.reply("POST").code, 200);
                    }
                })
            })
            .collect();
        pushers
            .into_iter()
            .for_each(|pusher| pusher.join().expect("all were acknowledged"));
        is_over.store(true, Ordering::Relaxed);
        assert!(scraper.join().expect("all scrapes were valid") > 0);
    });
    let scrape = gateway.scrape();
    for pusher in 0..PUSHERS {
        assert!(scrape.contains(&format!("own_{pusher}{{pusher=\"{pusher}\"}} {PUSHES}\n")));
        let below = PUSHES * (pusher + 1);
        assert!(scrape.contains(&format!("seconds_bucket{{le=\"{pusher}\"}} {below}\n")));
    }
    let all = PUSHERS * PUSHES;
    for line in [
        format!("common {all}"),
        format!("seconds_bucket{{le=\"+Inf\"}} {}", all * 2),
        format!("seconds_sum {}", all * 3),
        format!("seconds_count {}", all * 2),
    ] {
        assert!(
            scrape.contains(&format!("\n{line}\n")),
            "{line} is not in\n{scrape}"
        );
    }
}

/// Every push adds one to `common`, one to an `own_` and two to the count of `seconds`.
fn assert_pushes_are_whole(families: &[strict::Family]) {
    let sum = |name: &str| -> f64 {
        let samples = families.iter().flat_map(|family| &family.samples);
        samples
            .filter(|sample| sample.name.starts_with(name))
            .map(|sample| sample.value)
            .sum()
    };
    assert_eq!(sum("common"), sum("own_"));
    assert_eq!(sum("common") * 2.0, sum("seconds_count"));
}

/// A reset is one event between two pushes: no push is split by it.
#[test]
fn resets_fall_between_pushes() {
    let gateway = Gateway::default();
    let cleared = AtomicUsize::new(0);
    thread::scope(|scope| {
        // Each push makes the same two series: a reset that split one would clear one of them.
        for _ in 0..4 {
            scope.spawn(|| {
                while cleared.load(Ordering::Relaxed) < 100 {
                    gateway.push_text("", b"a 1\nb 1\n").expect("it is valid");
                }
            });
        }
        wait_until(|| {
            let series = gateway.reset(0, 0).expect("there is no journal").series;
            // What is to be seen is there before the pushers end.
            let seen = cleared.fetch_add(usize::from(series != 0), Ordering::Relaxed);
            assert!(matches!(series, 0 | 2), "half a push was cleared");
            seen >= 100
        });
    });
    let scrape = String::from_utf8(gateway.scrape()).expect("a scrape is UTF-8");
    let families = strict::read(&scrape).expect("a scrape is valid");
    let values: Vec<f64> = families
        .iter()
        .map(|family| family.samples[0].value)
        .collect();
    assert!(values.is_empty() || values[0] == values[1], "{scrape}");
}

/// What a push was checked against is what it is merged into: of two that contradict each other,
/// one is refused, whichever comes first.
#[test]
fn one_of_two_conflicting_pushes_is_refused() {
    for _ in 0..2000 {
        let gateway = Gateway::default();
        let start = Barrier::new(2);
        let push = |body: &str| {
            start.wait();
            gateway.push_text("", body.as_bytes()).is_ok()
        };
        let (histogram, counter) = thread::scope(|scope| {
            let histogram = scope.spawn(|| push("# TYPE h histogram\nh_count 1\n"));
            let counter = scope.spawn(|| push("# TYPE h_count counter\nh_count 1\n"));
            (
                histogram.join().expect("no panic"),
                counter.join().expect("no panic"),
            )
        });
        assert!(
            histogram != counter,
            "histogram {histogram}, counter {counter}"
        );
        let scrape = String::from_utf8(gateway.scrape()).expect("a scrape is UTF-8");
        strict::read(&scrape).expect("a scrape is valid");
    }
}
