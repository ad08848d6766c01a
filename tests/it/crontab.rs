//! Crontab expressions, occurrences in any zone, and the loop that waits for them.

mod brute_force;
mod expressions;
mod local_zone;
mod occurrences;
mod simulation;
mod zones;
