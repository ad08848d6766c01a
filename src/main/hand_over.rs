//! The hand-over to a fresh image of the program in this process.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use prometheus_aggregation_gateway::handoff::{Handoff, Image, memory_file};
use prometheus_aggregation_gateway::http::Site;
use prometheus_aggregation_gateway::journal::JournalFile;
use prometheus_aggregation_gateway::listen::Listener;

use super::logger;

/// Tells whether a hand-over is likely to succeed, or why not.
pub fn may_hand_over(image: &Image, site: &Site) -> Result<(), String> {
    site.gateway.check_journal();
    match site.gateway.not_kept() {
        Some(trouble) => Err(trouble.to_string()),
        None => image.try_out(),
    }
}

/// Hands the sockets, the connections and the sums to a new image, which goes on in this process.
/// When that is not possible, returns why, with the connections; then the gateway takes pushes.
pub fn hand_over(
    image: &Image,
    listeners: &[Listener],
    states: Vec<u8>,
    sockets: Vec<OwnedFd>,
    site: &Site,
) -> (String, Vec<u8>, Vec<OwnedFd>) {
    let sums = || -> io::Result<(OwnedFd, Vec<OwnedFd>)> {
        // The next image finds nothing but what is in the file.
        site.gateway.check_journal();
        let memory = || Ok(Arc::new(memory_file()?) as Arc<dyn JournalFile>);
        let sums = site.gateway.close(memory)?.descriptor()?;
        let listeners = listeners.iter().map(Listener::try_clone);
        let listeners = listeners.map(|listener| listener.map(OwnedFd::from));
        Ok((sums, listeners.collect::<io::Result<_>>()?))
    };
    let (error, states, sockets) = match sums() {
        Ok((sums, listeners)) => {
            let handoff = Handoff {
                listeners,
                sums,
                page: site.status_page() + &site.status.history_lines(),
                states,
                sockets,
            };
            // The thread that writes the log ends with this image.
            logger::flush();
            let error = image.exec(&handoff);
            (error, handoff.states, handoff.sockets)
        }
        Err(error) => (error, states, sockets),
    };
    site.gateway.reopen();
    (error.to_string(), states, sockets)
}
