//! No room for the journal.

use std::fs;
use std::io::Write;
use std::time::Duration;

use super::super::gateway::SMALL_DISK;
use super::super::target::Target;

/// What the gateway may have.
pub const DESCRIPTORS: u32 = 128;

const CONNECTIONS: usize = 300;
const ROUNDS: usize = 3;
const DURATION: Duration = Duration::from_secs(2);

/// While nothing can be written, connections come that the gateway might leave to a new image of
/// itself. The process must live, and take pushes again when there is room.
pub fn full(target: &Target) {
    let ballast = format!("/proc/{}/root{SMALL_DISK}/ballast", target.process);
    match fs::File::create(&ballast) {
        // It ends with an error, since it fills the disk.
        Ok(mut file) => while file.write_all(&[0; 4096]).is_ok() && !target.is_over() {},
        Err(error) => return target.complain(format!("the disk cannot be filled: {error}")),
    }
    let mut kept = Vec::new();
    for _ in 0..ROUNDS {
        kept.extend(target.crowd(CONNECTIONS, |number| {
            let stream = target.open(b"GET /metrics HTTP/2.0\r\nHost: x\r\n\r\n")?;
            number.is_multiple_of(2).then_some(stream)
        }));
        target.hold(DURATION);
    }
    drop(kept);
    if let Err(error) = fs::remove_file(&ballast) {
        target.complain(format!(
            "the disk cannot be emptied, so the gateway has ended: {error}"
        ));
    }
}
