//! Cases of routes: method, target and push path to a route.

use prometheus_aggregation_gateway::http::route::{OverviewFormat, Route};

#[track_caller]
fn check(method: &str, target: &str, push_path: &str, expected: Route<'_>) {
    let route = Route::of(method, target, push_path);
    assert_eq!(route, expected, "{method} {target} with {push_path}");
}

fn push(labels: &str) -> Route<'_> {
    Route::Push { labels }
}

fn allows(allowed: &'static str) -> Route<'static> {
    Route::WrongMethod { allowed }
}

#[test]
fn pushes() {
    for (target, labels) in [
        ("/metrics", ""),
        ("/metrics/", ""),
        ("/metrics/job/x", "job/x"),
        ("/metrics/job/x/", "job/x/"),
        ("/metrics//job/x", "/job/x"),
        ("//metrics/job/x", "job/x"),
        ("////metrics", ""),
        ("/metrics?job=y", ""),
        ("/metrics/job/x?y=/z", "job/x"),
        ("/metrics/job/x#y?z", "job/x"),
        ("/metrics/job/http://h/x", "job/http://h/x"),
        ("/metrics?u=http://h/y", ""),
        ("http://h/metrics/job/x", "job/x"),
        ("HTTP://h:1//metrics/job/x?y", "job/x"),
        ("http://u@[::1]:80/metrics", ""),
        ("/metrics/job/%78", "job/%78"),
    ] {
        check("POST", target, "/metrics", push(labels));
        check("PUT", target, "/metrics", push(labels));
        check("OPTIONS", target, "/metrics", Route::Preflight);
    }
}

#[test]
fn pages() {
    for method in ["GET", "HEAD"] {
        for (target, route) in [
            ("/metrics", Route::Scrape),
            ("//metrics?x", Route::Scrape),
            ("http://h/metrics#x", Route::Scrape),
            ("/-/healthy", Route::Healthy),
            ("/-/ready", Route::Ready),
            ("/-/metrics", Route::OwnMetrics),
            ("http://h//-/ready?", Route::Ready),
        ] {
            check(method, target, "/metrics", route);
            check(method, target, "/push", route);
            check(method, target, "/-", route);
        }
    }
}

#[test]
fn push_paths() {
    check("POST", "/push/job/x", "/push", push("job/x"));
    check("POST", "/push/a/job/x", "/push/a", push("job/x"));
    check("POST", "/-/ready", "/-", push("ready"));
    check("POST", "/", "", push(""));
    check("POST", "/job/x", "", push("job/x"));
    check("POST", "http://h", "", push(""));
    check("POST", "http://h?x=/metrics", "", push(""));
    check("POST", "/metrics", "", push("metrics"));
    check("GET", "/metrics", "", Route::Scrape);
}

#[test]
fn the_status_page() {
    let html = Route::Overview(OverviewFormat::Html);
    for (target, route) in [
        ("/", html),
        ("//", html),
        ("http://h", html),
        ("http://", html),
        ("http://metrics", html),
        ("http://h?x=/metrics", html),
        ("http://h?/metrics", html),
        ("http://h#/metrics", html),
        ("/?/metrics", html),
        ("/#/metrics", html),
        ("/api/v1/status?q=x", Route::Overview(OverviewFormat::Json)),
    ] {
        for method in ["GET", "HEAD"] {
            check(method, target, "/metrics", route);
        }
        for method in ["POST", "PUT", "OPTIONS", "DELETE"] {
            check(method, target, "/metrics", allows("GET, HEAD"));
        }
    }
    check("GET", "/", "", html);
}

#[test]
fn no_such_path() {
    for target in [
        "*",
        "/metric",
        "/metricsx",
        "/Metrics",
        "/metrics%2f",
        "/x/metrics",
        "/-/",
        "/-",
        "/-/healthy/",
        "/-//ready",
        "/-/Ready",
    ] {
        for method in ["GET", "HEAD", "POST", "PUT", "OPTIONS", "DELETE"] {
            check(method, target, "/metrics", Route::NotFound);
        }
    }
}

#[test]
fn other_methods() {
    let [pages, pushes] = ["GET, HEAD", "POST, PUT, OPTIONS"].map(allows);
    let both = allows("GET, HEAD, POST, PUT, OPTIONS");
    for method in ["PATCH", "post", "get", "HEAD ", "x"] {
        check(method, "/metrics", "/metrics", both);
        check(method, "/metrics", "/push", pages);
        check(method, "/push", "/push", pushes);
        check(method, "/metrics/job/x", "/metrics", pushes);
        check(method, "/-/ready", "/metrics", pages);
        check(method, "/none", "/metrics", Route::NotFound);
    }
    for (target, push_path, labels, allowed) in [
        ("/metrics", "/metrics", "", "GET, HEAD, POST, PUT, OPTIONS"),
        ("/push/", "/push", "", "POST, PUT, OPTIONS"),
        ("/metrics/job/x", "/metrics", "job/x", "POST, PUT, OPTIONS"),
    ] {
        check(
            "DELETE",
            target,
            push_path,
            Route::Delete { labels, allowed },
        );
    }
    check("DELETE", "/metrics", "/push", pages);
    check("PUT", "/api/v1/admin/wipe?family=x", "", Route::Wipe);
    check("POST", "/api/v1/admin/wipe?family=x", "", allows("PUT"));
    check("GET", "/api/v1/admin/wipe", "/metrics", allows("PUT"));
    check("GET", "/metrics/job/x", "/metrics", pushes);
    check("POST", "/metrics", "/push", pages);
    check("OPTIONS", "/-/ready", "/metrics", pages);
}

#[test]
fn responses_that_pages_of_other_origins_may_see() {
    for (route, expected) in [
        (push(""), true),
        (Route::Preflight, true),
        (allows("GET"), true),
        (Route::Scrape, false),
        (Route::Healthy, false),
        (Route::Ready, false),
        (Route::OwnMetrics, false),
        (Route::NotFound, false),
    ] {
        assert_eq!(route.is_cross_origin(), expected, "{route:?}");
    }
}

/// Any text, also one that `read_head` would refuse as a target.
#[test]
fn no_target_panics() {
    let pieces = [
        "/", "//", ":", "://", "http", "?", "#", "*", "metrics", "\u{e4}", " ", "-",
    ];
    let mut random = crate::random::Random::new(1);
    for _ in 0..10_000 {
        let length = random.below(8);
        let target: String = (0..length).map(|_| *random.pick(&pieces)).collect();
        for push_path in ["", "/metrics", "/\u{e4}"] {
            let _ = Route::of(
                random.pick::<&str>(&["GET", "POST", "x"]),
                &target,
                push_path,
            );
        }
    }
}
