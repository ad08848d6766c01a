//! How requests are read: cases of each rule, and laws over random connections.

mod random;
mod streams;
