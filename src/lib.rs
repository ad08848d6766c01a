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
//! | [`keyed_hash`] | the hash of a text | no client can predict it |
//! | [`label_limits`] | limits on the labels of a series | a series within them is accepted |
//! | [`log`] | log events to lines, at a limited rate | one line of printable text |
//! | [`metric`] | names, labels, numbers, gauge modes, a push | a value of these types is valid |
//! | [`number`] | a number to text | one text for each, read back as the same number |
//! | [`percent_encoding`] | text of a URL to bytes | all of it, or nothing |
//! | [`stable_hash`] | the hash of what is stored in the journal | the same in the next process |
//! | [`text_order`] | comparing and sorting texts | byte order |
//! | [`tokens`] | token files, and requests that show one | constant time; never in a message |
//! | [`compression`] | a compressed body to its contents | checksums verified, size bounded |
//! | [`grouping_key`] | the labels of a path | valid names, escaped values |
//! | [`parse`] | bytes to a push | no panic, linear time; its result is valid |
//! | [`rules`] | which gauge mode, label or summary: by flags | their text is complete |
//! | [`aggregate`] | adding pushes up, the store | what is stored can be exposed |
//! | [`idempotency`] | idempotency keys | a key is remembered for ten minutes or more |
//! | [`overview`] | the status page | no pushed text becomes markup; bounded |
//! | [`render`] | an aggregate to text, protobuf | same aggregate, same bytes; `parse` reads them |
//! | [`senders`] | what each sender has pushed last | a live sender's gauges are in the sums once |
//! | [`clock`] | the time of changes | it never goes back |
//! | [`journal`] | accepted changes, in a file | what was appended is read back once; bytes only |
//! | [`gateway`] | push, scrape, clear | the only locks of the sums; no scrape waits for the disk |
//! | [`process`] | memory and descriptors of this process | unknown is not zero |
//! | [`schedule`] | crontab to the next instant | each occurrence once, whatever the clock does |
//! | [`status`] | the gateway's own metrics | counting never waits |
//! | [`listen`] | an address to a socket | bound with the options that connections inherit |
//! | [`probe`] | whether a URL answers 200 | asked as any client asks |
//! | [`proxy`] | the client of a request behind a proxy | only trusted proxies are believed |
//! | [`http`] | requests to responses | the only HTTP, the only status codes |
//! | [`handoff`] | sockets and sums to a new image of the process | tried out before; bytes only |
//! | [`cli`] | flags to a configuration | a configuration is valid |
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
//! | `foldhash` | the keyed hash of names and label sets | std's takes 2.7 times as long |
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
pub mod text_order;
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
