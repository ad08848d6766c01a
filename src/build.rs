//! What this binary was built from, and for what.

use std::env::consts::{ARCH, OS};

/// Of `Cargo.toml`.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The commit of the sources, if the build was told.
pub const COMMIT: &str = match option_env!("GATEWAY_COMMIT") {
    Some(commit) => commit,
    None => "unknown",
};

/// Architecture, system and C library.
#[must_use]
pub fn target() -> String {
    let library = if cfg!(target_env = "musl") {
        "musl"
    } else {
        "gnu"
    };
    format!("{ARCH}-{OS}-{library}")
}

/// One line that says all of it.
#[must_use]
pub fn description() -> String {
    format!("{VERSION} (commit {COMMIT}, {})", target())
}
