//! How requests are read: cases of each rule, and laws over random connections.

mod chunks;
mod heads;
mod random;
mod replies;
mod routes;
mod streams;
