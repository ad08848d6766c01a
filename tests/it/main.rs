//! The one integration test crate. Cases are files under `data`; adding a case is adding a file.
//!
//! `GATEWAY=FILE cargo test --test it` tests another binary, such as the static one. After a change
//! of the flags, `WRITE_DOCUMENTS=1 cargo test documents` writes what is made of them.

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
mod escaped_names;
mod exposition;
mod faulty_disk;
mod faulty_lives;
mod first_reader;
mod flags;
mod forgetting;
mod formats;
mod hand_over;
mod held;
mod history;
mod http;
mod idempotency;
mod journal;
mod laws;
mod limits;
mod listeners;
mod lives;
mod log_lines;
mod log_text;
mod logging;
mod memory_disk;
mod moved_journal;
mod native_histograms;
mod native_pushes;
mod native_senders;
mod overview;
mod overview_laws;
mod overview_numbers;
mod overview_style;
mod overwritten_journal;
mod path_labels;
mod pieces;
mod plain;
mod plain_metrics;
mod process;
mod program_path;
mod proxies;
mod push_text;
mod push_times;
mod random;
mod random_compressed;
mod random_pushes;
mod reader_laws;
mod removal;
mod requests;
mod rules;
mod running_gateway;
mod same_push;
mod scripts;
mod second_decompressor;
mod second_reader;
mod sender_disk;
mod sender_lives;
mod sender_memory;
mod senders;
mod sha256;
mod special_files;
mod store;
mod strict;
mod strict_html;
mod strict_json;
mod strict_reader;
mod survival;
mod systemd;
mod tidy;
mod token_files;
mod tokens;
mod utf8_names;
