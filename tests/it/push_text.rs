//! Pushes and resets at a time that the test does not care about.

use prometheus_aggregation_gateway::gateway::{Accepted, Gateway, Merged, PushRequest, Refusal};
use prometheus_aggregation_gateway::parse::Format;
use prometheus_aggregation_gateway::senders::Replaced;

pub trait PushText {
    /// Pushes a body in the text format.
    fn push_text(&self, labels: &str, body: &[u8]) -> Result<Merged, Refusal>;
}

impl PushText for Gateway {
    fn push_text(&self, labels: &str, body: &[u8]) -> Result<Merged, Refusal> {
        let request = PushRequest {
            replaced: Replaced::Families,
            labels,
            key: None,
            format: Format::Text,
            body,
            time_millis: 0,
        };
        match self.push(&request)? {
            Accepted::Merged(merged) => Ok(merged),
            Accepted::Repeated => panic!("it has no key"),
        }
    }
}
