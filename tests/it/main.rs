//! The one integration test crate. Cases are files under `data`; adding a case is adding a file.

// Its lints are about interfaces and casts of code that others build on.
#![allow(clippy::pedantic)]

mod bodies;
mod cases;
mod clients;
mod compression;
mod compression_laws;
mod concurrency;
mod crontab;
mod decoder_laws;
mod documents;
mod faulty_disk;
mod faulty_lives;
mod first_reader;
mod forgetting;
mod formats;
mod hand_over;
mod http;
mod idempotency;
mod journal;
mod laws;
mod limits;
mod lives;
mod memory_disk;
mod moved_journal;
mod overwritten_journal;
mod path_labels;
mod pieces;
mod plain;
mod plain_metrics;
mod process;
mod program_path;
mod push_text;
mod random;
mod random_compressed;
mod random_pushes;
mod reader_laws;
mod removal;
mod requests;
mod rules;
mod running_gateway;
mod same_push;
mod second_decompressor;
mod second_reader;
mod special_files;
mod store;
mod strict;
mod strict_reader;
mod survival;
mod systemd;
mod tidy;
