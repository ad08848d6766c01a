//! What is at a path: pure, so that the gate can tell requests apart as the workers do.
//!
//! | method, path | route |
//! |---|---|
//! | `POST`, `PUT` push path, `/<label>/<value>...` behind it | a push |
//! | `OPTIONS` the same | its CORS preflight |
//! | `DELETE` the same with labels | the deletion of series |
//! | `GET`, `HEAD` `/metrics` | a scrape |
//! | `GET`, `HEAD` `/`, `/api/v1/status` | the status page, and the same as JSON |
//! | `GET`, `HEAD` `/-/healthy`, `/-/ready`, `/-/metrics` | pages |
//! | `PUT` `/api/v1/admin/wipe` | the deletion of everything, or of a family |

/// Pushgateway's path.
const WIPE: &str = "/api/v1/admin/wipe";

/// The status page as JSON.
const STATUS: &str = "/api/v1/status";

/// The paths of answers about what is stored.
const API: &str = "/api/v1/";

/// Which token a request has to show, where there are token files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Credential {
    /// Anyone may send it.
    None,
    /// One of those who push.
    Push,
    /// One of those who read, or take away, what is stored.
    Scrape,
}

/// For whom the status page is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OverviewFormat {
    /// People.
    Html,
    /// Programs.
    Json,
}

/// Where a request goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route<'a> {
    /// A push; with what stands behind the push path.
    Push {
        /// The labels of the path, without a first slash.
        labels: &'a str,
    },
    /// The CORS preflight of a push.
    Preflight,
    /// The deletion of the series that carry these labels.
    Delete {
        /// The labels of the path, without a first slash.
        labels: &'a str,
        /// A list for the `Allow` field, where nothing can be deleted.
        allowed: &'static str,
    },
    /// The deletion of everything, or of the family that the query names.
    Wipe,
    /// The sums.
    Scrape,
    /// Whether the process is alive.
    Healthy,
    /// Whether pushes are taken.
    Ready,
    /// The gateway's own metrics.
    OwnMetrics,
    /// The status page.
    Overview(OverviewFormat),
    /// The path has other methods.
    WrongMethod {
        /// A list for the `Allow` field.
        allowed: &'static str,
    },
    /// There is no such path.
    NotFound,
}

impl<'a> Route<'a> {
    /// The route of a request; `push_path` is without a final slash.
    #[must_use]
    pub fn of(method: &str, target: &'a str, push_path: &str) -> Route<'a> {
        let path = path(target);
        let page = match path {
            "/metrics" => Some(Route::Scrape),
            "/-/healthy" => Some(Route::Healthy),
            "/-/ready" => Some(Route::Ready),
            "/-/metrics" => Some(Route::OwnMetrics),
            "/" => Some(Route::Overview(OverviewFormat::Html)),
            STATUS => Some(Route::Overview(OverviewFormat::Json)),
            _ => None,
        };
        let labels = match path.strip_prefix(push_path) {
            Some("") => Some(""),
            Some(behind) => behind.strip_prefix('/'),
            None => None,
        };
        if path == WIPE {
            // A page of another origin can send POST without asking first, but not PUT.
            return match method {
                "PUT" => Route::Wipe,
                _ => Route::WrongMethod { allowed: "PUT" },
            };
        }
        let allowed = match (page, labels) {
            (Some(_), Some(_)) => "GET, HEAD, POST, PUT, OPTIONS",
            (Some(_), None) => "GET, HEAD",
            (None, Some(_)) => "POST, PUT, OPTIONS",
            (None, None) => return Route::NotFound,
        };
        match (method, page, labels) {
            ("POST" | "PUT", _, Some(labels)) => Route::Push { labels },
            ("OPTIONS", _, Some(_)) => Route::Preflight,
            ("DELETE", _, Some(labels)) => Route::Delete { labels, allowed },
            ("GET" | "HEAD", Some(page), _) => page,
            _ => Route::WrongMethod { allowed },
        }
    }

    /// Which token a request for this route needs; `target` is the request's. `Site::check_access`
    /// takes a push token for a sender that leaves, which the path alone does not say.
    #[must_use]
    pub fn credential(self, target: &str) -> Credential {
        match self {
            Route::Push { .. } => Credential::Push,
            Route::Delete { .. }
            | Route::Wipe
            | Route::Scrape
            | Route::OwnMetrics
            | Route::Overview(_) => Credential::Scrape,
            // A preflight never carries credentials (Fetch standard, section 4.8).
            Route::Preflight | Route::Healthy | Route::Ready => Credential::None,
            // What is not there yet is not open by accident.
            Route::WrongMethod { .. } | Route::NotFound => match path(target) {
                "/" => Credential::Scrape,
                path if path.starts_with(API) => Credential::Scrape,
                _ => Credential::None,
            },
        }
    }

    /// Whether a browser's page may see the answer (Fetch standard, CORS protocol).
    #[must_use]
    pub fn is_cross_origin(self) -> bool {
        matches!(
            self,
            Route::Push { .. } | Route::Preflight | Route::WrongMethod { .. }
        )
    }
}

/// The path of a request target, which may be in absolute form (RFC 9112 section 3.2). Several
/// slashes at its begin are one: clients append `/metrics/job/x` to an address that ends in one.
pub(super) fn path(target: &str) -> &str {
    // The authority also ends there (RFC 3986 section 3.2).
    let target = &target[..target.find(['?', '#']).unwrap_or(target.len())];
    let path = match target.split_once("://") {
        Some((scheme, rest)) if !scheme.contains('/') => {
            rest.find('/').map_or("/", |slash| &rest[slash..])
        }
        _ => target,
    };
    let slashes = path.bytes().take_while(|byte| *byte == b'/').count();
    &path[slashes.saturating_sub(1)..]
}
