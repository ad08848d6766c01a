//! The one integration test crate. Cases are files under `data`; adding a case is adding a file.

mod cases;
mod concurrency;
mod http;
mod laws;
mod process;
mod random;
mod random_pushes;
mod running_gateway;
mod strict;
mod strict_reader;
