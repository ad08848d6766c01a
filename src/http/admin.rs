//! Deleting: requests that forget series. Whoever may send them can take away what others counted,
//! so they are off without a flag.

use super::Site;
use super::answer::Answer;
use super::query::{other_parameter, parameter};
use super::response::REMOVED;
use crate::aggregate::Size;
use crate::excerpt::Excerpt;
use crate::gateway::{DeleteError, NotKept};

/// Whether series can be deleted by requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AdminApi {
    /// They can.
    On,
    /// Such requests are refused.
    Off,
}

/// Lets the sender that the path names leave, or forgets every series that carries the labels of
/// the path. It is answered 202, whether there was
/// one or not, as Pushgateway does: client libraries expect it.
pub fn delete(site: &Site, labels: &str, allowed: &'static str) -> Answer {
    if site.gateway.names_sender(labels) == Ok(true) {
        let left = site.gateway.sender_leaves(site.clock.now_millis(), labels);
        return left.map_or_else(|error| not_kept(&error), |()| Answer::empty(202));
    }
    if site.admin_api == AdminApi::Off {
        let line = "DELETE is off here; -enable-admin-api enables it";
        return Answer::refusal(405, line).with_field("Allow", allowed);
    }
    match site.gateway.delete_labels(site.clock.now_millis(), labels) {
        Ok(gone) => removed(gone),
        Err(DeleteError::NotKept(error)) => not_kept(&error),
        Err(error) => Answer::refusal(400, error),
    }
}

/// Forgets everything, or the family that the query names.
pub fn wipe(site: &Site, target: &str) -> Answer {
    if site.admin_api == AdminApi::Off {
        let line = "the admin API is off here; -enable-admin-api enables it";
        return Answer::refusal(404, line);
    }
    // A misspelt name would forget everything.
    if let Some(found) = other_parameter(target, "family") {
        let found = Excerpt::of(found);
        return Answer::refusal(
            400,
            format!("expected no parameter but family, found {found}"),
        );
    }
    let now_millis = site.clock.now_millis();
    let done = match parameter(target, "family").map(|name| name.map(String::from_utf8)) {
        Ok(None) => site.gateway.wipe(now_millis),
        Ok(Some(Ok(name))) if name.is_empty() => return wrong_family(b""),
        Ok(Some(Ok(name))) => site.gateway.delete_family(now_millis, &name),
        Ok(Some(Err(error))) => return wrong_family(error.as_bytes()),
        Err(value) => return wrong_family(value.as_bytes()),
    };
    done.map_or_else(|error| not_kept(&error), removed)
}

/// The gate says it in the log.
fn removed(Size { families, series }: Size) -> Answer {
    Answer::empty(202).with_field(REMOVED, format!("{families} {series}"))
}

fn wrong_family(found: &[u8]) -> Answer {
    let found = Excerpt::of(found);
    Answer::refusal(
        400,
        format!("family: expected a metric name, found {found}"),
    )
}

fn not_kept(error: &NotKept) -> Answer {
    Answer::refusal(503, error)
}
