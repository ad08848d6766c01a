//! The one integration test crate. Cases are files under `data`; adding a case is adding a file.

mod cases;
mod http;
mod process;
mod running_gateway;
