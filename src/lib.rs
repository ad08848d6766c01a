//! An aggregating push gateway for Prometheus: it adds up what many senders push (text,
//! `OpenMetrics`, protobuf), and Prometheus scrapes the sums. A cron schedule may clear them.
//!
//! ```text
//! bytes --parse--> Push --check, log, merge--> Aggregate --render--> bytes
//! ```
//!
//! The modules in reading order. All before [`clock`] are the core: no I/O, clock, thread or lock.
//!
//! | module | one job | what always holds there |
//! |---|---|---|
//! | [`base64`] | base64 to bytes | all of it, or nothing |
//! | [`build`] | version, commit, target | constants |
//! | [`calendar`] | unix times and durations to text | the same everywhere: UTC |
//! | [`duration`] | a duration to seconds | at least one |
//! | [`excerpt`] | input quoted in messages | one short line, whatever the input |
//! | [`keyed_hash`] | the hash of a text | nobody outside can foretell it |
//! | [`label_limits`] | how much of a series is read | what is within them is not refused |
//! | [`log`] | an event to a line, and how many there may be | one line of printable text |
//! | [`metric`] | the vocabulary | a value of these types is valid |
//! | [`number`] | a number to text | one way for each, read back as the same |
//! | [`percent_encoding`] | text of a URL to bytes | all of it, or nothing |
//! | [`stable_hash`] | the hash of what is kept | the same in the next process |
//! | [`tokens`] | a file of tokens, and who shows one | constant time; they are in no message |
//! | [`compression`] | a compressed body to its contents | checked, and bounded while it is made |
//! | [`grouping_key`] | the labels of a path | valid names, escaped values |
//! | [`parse`] | bytes to a push | no panic, linear time; its result is valid |
//! | [`rules`] | what flags decide about merging | its text says all of it |
//! | [`aggregate`] | the merge rules, the store | what is stored can be exposed |
//! | [`idempotency`] | the keys of pushes | a push is found again for ten minutes |
//! | [`overview`] | the status page | no pushed text becomes markup; bounded |
//! | [`render`] | an aggregate to text | same aggregate, same bytes; `parse` reads them back |
//! | [`senders`] | what each sender has pushed last | a sender's gauges stand in the sums, once |
//! | [`clock`] | the time of changes | it never goes back |
//! | [`journal`] | what was accepted, in a file | what it took is found again, once; bytes only |
//! | [`gateway`] | push, scrape, clear | the only locks of the sums; no scrape waits for the disk |
//! | [`process`] | what the system says of this process | unknown is not zero |
//! | [`schedule`] | crontab to the next instant | each occurrence once, whatever the clock does |
//! | [`status`] | what the gateway says of itself | nobody waits for anybody |
//! | [`listen`] | an address to a socket | bound with the options that connections inherit |
//! | [`probe`] | a page of a server to whether it answers | as anyone else would ask |
//! | [`proxy`] | who has sent what a proxy forwards | only trusted proxies are believed |
//! | [`http`] | requests to responses | the only HTTP, the only status codes |
//! | [`handoff`] | socket and sums to a fresh image | tried out before; bytes only |
//! | [`cli`] | flags to a configuration | what is in a configuration can be used |
//!
//! The dependencies, and why each is here:
//!
//! | crate | what for | why not without |
//! |---|---|---|
//! | `tiny_http` | HTTP/1.1 | named by the owner |
//! | `cron` | the fields of a crontab | named by the owner |
//! | `chrono` | calendar and time zones | named by the owner; `cron` speaks it |
//! | `pico-args` | flags | named by the owner |
//! | `constant_time_eq` | comparing tokens | a compiler may undo what is written for that |
//! | `crc32fast` | checksums of journal and gzip | std has none, and a table of our own is slower |
//! | `foldhash` | the keyed hash of a name, a label set | std's takes 2.7 times as long |
//! | `hashbrown` | tables of places in lists | std keeps each key a second time |
//! | `dlmalloc` | the allocator of static builds | musl's takes a third longer for bulk pushes |
//! | `miniz_oxide` | DEFLATE | std has none; 26 kB without unsafe code and without C |
//! | `httparse` | the head of a request to its parts | a second opinion on what is valid there |
//! | `nix` | blocked signals, `execve` that leaves them so | rustix has neither |
//! | `tz-rs` | zone files and rules (`TZ`) | chrono's takes another zone where it cannot read one |
//! | `rustix` | `epoll`, options of sockets, locks, handles to pass on | std has none of them |

pub mod base64;
pub mod build;
pub mod calendar;
pub mod duration;
pub mod excerpt;
pub mod keyed_hash;
pub mod label_limits;
pub mod log;
pub mod metric;
pub mod number;
pub mod percent_encoding;
pub mod stable_hash;
pub mod tokens;

pub mod compression;
pub mod grouping_key;
pub mod parse;

pub mod rules;

pub mod aggregate;
pub mod idempotency;
pub mod overview;
pub mod render;
pub mod senders;

pub mod clock;
pub mod journal;

pub mod gateway;
pub mod process;
pub mod schedule;
pub mod status;

pub mod listen;
pub mod probe;
pub mod proxy;

pub mod http;

pub mod handoff;

pub mod cli;
