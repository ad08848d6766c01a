//! The architecture as rules: who may import what, who may lock, open, spawn or ask the time; how
//! long things may get. Read as text, comments and strings left out.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What a module may import from this crate, and whether it is of the core. A module in a folder
/// of another one's name is a part of it.
const MODULES: &[(&str, Room, &[&str])] = &[
    ("base64", Room::Core, &[]),
    ("build", Room::Core, &[]),
    ("calendar", Room::Core, &[]),
    ("duration", Room::Core, &[]),
    ("excerpt", Room::Core, &[]),
    ("keyed_hash", Room::Core, &[]),
    ("label_limits", Room::Core, &["excerpt"]),
    ("log", Room::Core, &["calendar", "excerpt"]),
    ("metric", Room::Core, &["keyed_hash"]),
    ("number", Room::Core, &[]),
    ("percent_encoding", Room::Core, &[]),
    ("stable_hash", Room::Core, &[]),
    ("text_order", Room::Core, &[]),
    ("tokens", Room::Core, &["base64"]),
    ("compression", Room::Core, &["excerpt"]),
    (
        "grouping_key",
        Room::Core,
        &[
            "base64",
            "excerpt",
            "label_limits",
            "metric",
            "percent_encoding",
        ],
    ),
    (
        "parse",
        Room::Core,
        &[
            "excerpt",
            "grouping_key",
            "keyed_hash",
            "label_limits",
            "metric",
            "number",
        ],
    ),
    ("rules", Room::Core, &["excerpt", "metric"]),
    (
        "aggregate",
        Room::Core,
        &["excerpt", "keyed_hash", "metric", "rules", "text_order"],
    ),
    ("idempotency", Room::Core, &["stable_hash"]),
    (
        "overview",
        Room::Core,
        &[
            "aggregate",
            "calendar",
            "excerpt",
            "metric",
            "number",
            "percent_encoding",
        ],
    ),
    ("render", Room::Core, &["aggregate", "metric", "number"]),
    (
        "senders",
        Room::Core,
        &["aggregate", "metric", "rules", "stable_hash"],
    ),
    ("clock", Room::Shell, &[]),
    ("journal", Room::Shell, &[]),
    (
        "gateway",
        Room::Shell,
        &[
            "aggregate",
            "excerpt",
            "grouping_key",
            "idempotency",
            "journal",
            "keyed_hash",
            "label_limits",
            "metric",
            "parse",
            "render",
            "rules",
            "senders",
            "stable_hash",
        ],
    ),
    ("process", Room::Shell, &[]),
    ("schedule", Room::Shell, &["duration"]),
    (
        "status",
        Room::Shell,
        &["build", "metric", "overview", "process"],
    ),
    ("listen", Room::Shell, &["excerpt", "proxy"]),
    ("probe", Room::Shell, &["excerpt"]),
    ("proxy", Room::Shell, &["excerpt"]),
    (
        "http",
        Room::Shell,
        &[
            "aggregate",
            "clock",
            "compression",
            "excerpt",
            "gateway",
            "listen",
            "log",
            "overview",
            "parse",
            "percent_encoding",
            "probe",
            "process",
            "proxy",
            "render",
            "status",
            "tokens",
        ],
    ),
    ("handoff", Room::Shell, &["excerpt"]),
    (
        "cli",
        Room::Shell,
        &[
            "duration", "excerpt", "listen", "log", "metric", "probe", "proxy", "rules",
        ],
    ),
    (
        "main",
        Room::Shell,
        &[
            "aggregate",
            "build",
            "cli",
            "clock",
            "excerpt",
            "gateway",
            "handoff",
            "journal",
            "label_limits",
            "listen",
            "log",
            "probe",
            "process",
            "rules",
            "schedule",
            "http",
            "status",
            "tokens",
        ],
    ),
];

#[derive(PartialEq)]
enum Room {
    Core,
    Shell,
}

/// A word, and the modules that may use it.
const WORDS: &[(&str, &[&str])] = &[
    ("Mutex", &["gateway", "http", "status"]),
    ("RwLock", &["gateway"]),
    ("tiny_http", &["http"]),
    ("httparse", &["http"]),
    ("StatusCode", &["http"]),
    ("chrono", &["schedule", "main"]),
    ("cron", &["schedule"]),
    ("tz", &["schedule"]),
    ("pico_args", &["cli"]),
    (
        "rustix",
        &["handoff", "http", "journal", "listen", "main", "process"],
    ),
    ("nix", &["handoff", "main"]),
    ("constant_time_eq", &["tokens"]),
    ("crc32fast", &["compression", "journal"]),
    ("miniz_oxide", &["compression"]),
    ("std::thread", &["handoff", "http", "main"]),
    ("mpsc", &["main", "schedule"]),
    ("Instant", &["clock", "handoff", "http", "main", "status"]),
    ("SystemTime", &["clock", "status"]),
    (
        "std::fs",
        &["handoff", "http", "journal", "main", "process", "schedule"],
    ),
    (
        "std::env",
        &["build", "handoff", "http", "listen", "main", "schedule"],
    ),
    ("println", &[]),
    ("eprintln", &[]),
    ("unsafe", &[]),
    ("unimplemented", &[]),
    ("todo", &[]),
    ("dbg", &[]),
    ("unwrap", &[]),
];

/// Words that the core must not know, beyond those above. It may share what does not change (`Arc`)
/// and hold what is a constant once it is there (`LazyLock`): nobody waits for anybody by that.
const NOT_IN_THE_CORE: &[&str] = &[
    "io::Error",
    "std::net",
    "std::time",
    "atomic",
    "Condvar",
    "Barrier",
    "OnceLock",
    "Duration",
];

const FUNCTION_LINES_MAX: usize = 70;
const LINE_CHARACTERS_MAX: usize = 100;
const FILE_LINES_MAX: usize = 500;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every Rust file below these folders.
fn rust_files(folders: &[&str]) -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> = folders.iter().map(|folder| root().join(folder)).collect();
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder can be read") {
            let path = entry.expect("a folder can be read").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    files.sort();
    files
}

/// The name of the module that a file of `src` is or belongs to.
fn module(path: &Path) -> String {
    let inside = path.strip_prefix(root().join("src")).expect("it is in src");
    let first = inside
        .iter()
        .next()
        .expect("a path has parts")
        .to_string_lossy();
    first.trim_end_matches(".rs").to_owned()
}

/// The code of a file: comments and what stands in strings are cut out, line by line. That is
/// right for this code's style, where strings do not run over comment marks.
fn code(text: &str) -> String {
    let mut code = String::new();
    for line in text.lines() {
        let mut is_string = false;
        let mut characters = line.chars().peekable();
        while let Some(character) = characters.next() {
            match character {
                '\\' if is_string => {
                    characters.next();
                }
                '"' => is_string = !is_string,
                '\'' if !is_string && characters.peek() == Some(&'"') => {
                    characters.next();
                }
                '/' if !is_string && characters.peek() == Some(&'/') => break,
                _ if is_string => {}
                _ => code.push(character),
            }
        }
        code.push('\n');
    }
    code
}

/// True if the word stands in the code, not as a part of a longer one.
fn has_word(code: &str, word: &str) -> bool {
    let is_part = |character: char| character.is_alphanumeric() || character == '_';
    code.match_indices(word).any(|(at, _)| {
        !code[..at].ends_with(is_part) && !code[at + word.len()..].starts_with(is_part)
    })
}

/// The modules of this crate that a file names by `crate::` or by the crate's name.
fn imports(code: &str) -> Vec<String> {
    let is_part = |character: char| character.is_alphanumeric() || character == '_';
    ["crate::", "prometheus_aggregation_gateway::"]
        .iter()
        .flat_map(|path| {
            code.match_indices(path)
                .map(|(at, _)| &code[at + path.len()..])
        })
        .map(|rest| rest[..rest.find(|c| !is_part(c)).unwrap_or(rest.len())].to_owned())
        .collect()
}

#[test]
fn modules_know_what_they_may() {
    for path in rust_files(&["src"]) {
        let name = module(&path);
        let text = fs::read_to_string(&path).expect("a source can be read");
        let code = code(&text);
        if name == "lib" {
            let is_list = |line: &str| line.is_empty() || line.starts_with("pub mod ");
            assert!(code.lines().all(is_list), "lib.rs holds code");
            continue;
        }
        let (_, room, may) = MODULES
            .iter()
            .find(|(module, ..)| *module == name)
            .unwrap_or_else(|| panic!("{} is in no room; put it into MODULES", path.display()));
        for import in imports(&code) {
            let is_allowed = import == name || may.contains(&import.as_str());
            assert!(is_allowed, "{} must not import {import}", path.display());
        }
        for (word, modules) in WORDS {
            let is_allowed = modules.contains(&name.as_str()) || !has_word(&code, word);
            assert!(is_allowed, "{} must not use `{word}`", path.display());
        }
        for word in NOT_IN_THE_CORE {
            let is_allowed = *room != Room::Core || !has_word(&code, word);
            assert!(
                is_allowed,
                "{} is of the core and must not use {word}",
                path.display()
            );
        }
    }
}

/// The reading order of `lib.rs` names every module there is.
#[test]
fn modules_are_listed() {
    let text = fs::read_to_string(root().join("src/lib.rs")).expect("lib.rs is there");
    let mut listed: Vec<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';'))
        .collect();
    let in_table = |module: &&str| text.contains(&format!("//! | [`{module}`] |"));
    assert!(
        listed.iter().all(in_table),
        "the table of lib.rs lacks a module"
    );
    let mut modules: Vec<&str> = MODULES.iter().map(|(module, ..)| *module).collect();
    modules.retain(|module| *module != "main");
    assert_eq!(listed, modules);
    listed.sort_unstable();
    listed.dedup();
    assert_eq!(listed.len(), modules.len());
}

#[test]
fn sizes() {
    for path in rust_files(&["src", "tests/it"]) {
        let text = fs::read_to_string(&path).expect("a source can be read");
        let lines: Vec<&str> = text.lines().collect();
        let file = path.display();
        assert!(
            lines.len() <= FILE_LINES_MAX,
            "{file} has {} lines",
            lines.len()
        );
        let mut function: Option<(usize, &str)> = None;
        for (number, line) in (1..).zip(&lines) {
            let length = line.chars().count();
            assert!(
                length <= LINE_CHARACTERS_MAX,
                "{file}:{number} has {length} characters"
            );
            let trimmed = line.trim_start();
            let indent = &line[..line.len() - trimmed.len()];
            let is_function = ["fn ", "pub fn ", "pub(super) fn ", "pub(crate) fn "]
                .iter()
                .any(|start| trimmed.starts_with(start));
            match function {
                None if is_function && !trimmed.ends_with(['}', ';']) => {
                    function = Some((number, indent));
                }
                Some((start, of_function)) if trimmed == "}" && indent == of_function => {
                    let length = number - start + 1;
                    assert!(
                        length <= FUNCTION_LINES_MAX,
                        "{file}:{start} has {length} lines"
                    );
                    function = None;
                }
                // It was a declaration, without a body.
                Some((_, of_function)) if trimmed.ends_with(';') && indent == of_function => {
                    function = None;
                }
                _ => {}
            }
        }
    }
}

#[test]
fn names() {
    const BANNED: [&str; 6] = ["util", "utils", "common", "helper", "helpers", "misc"];
    for path in rust_files(&["src"]) {
        let name = path
            .file_stem()
            .expect("a file has a name")
            .to_string_lossy()
            .into_owned();
        assert!(
            !BANNED.contains(&name.as_str()),
            "{} says nothing",
            path.display()
        );
        let text = fs::read_to_string(&path).expect("a source can be read");
        let code = code(&text);
        let has_bool = |line: &&str| line.contains("fn ") && line.contains(": bool");
        if let Some(line) = code.lines().find(has_bool) {
            panic!(
                "{}: a bool parameter says nothing at the call: {line}",
                path.display()
            );
        }
    }
}

/// Every dependency earns its row in `lib.rs`.
#[test]
fn dependencies_have_their_row() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).expect("Cargo.toml is there");
    let lib = fs::read_to_string(root().join("src/lib.rs")).expect("lib.rs is there");
    let sections = manifest.split("\n[").filter(|section| {
        let head = section.lines().next().unwrap_or_default();
        head.ends_with("dependencies]") && !head.starts_with("dev-")
    });
    let lines = sections.flat_map(|section| section.lines().skip(1));
    let named = lines.filter(|line| !line.starts_with('#'));
    let names: Vec<&str> = named
        .filter_map(|line| Some(line.split_once(" = ")?.0))
        .collect();
    assert!(names.len() >= 4);
    for name in names {
        assert!(
            lib.contains(&format!("//! | `{name}` | ")),
            "{name} has no row in lib.rs"
        );
    }
    let is_abort = |line: &str| line.starts_with("panic");
    assert!(
        !manifest.lines().any(is_abort),
        "a panic must not end the process"
    );
}

/// The top level is what the owner asked for.
#[test]
fn top_level() {
    let output = Command::new("git")
        .args(["ls-files"])
        .current_dir(root())
        .output();
    let Some(output) = output.ok().filter(|output| output.status.success()) else {
        println!("not a git checkout: the top level was not looked at");
        return;
    };
    let listing = String::from_utf8(output.stdout).expect("our names are UTF-8");
    let mut counts = BTreeMap::new();
    for path in listing.lines() {
        *counts
            .entry(path.split('/').next().expect("split gives one"))
            .or_insert(0) += 1;
    }
    let known = [
        ".ci",
        ".gitignore",
        "CHANGELOG.md",
        "Cargo.lock",
        "Cargo.toml",
        "LICENSE",
        "README.md",
        "scripts",
        "src",
        "tests",
    ];
    let unknown: Vec<_> = counts.keys().filter(|name| !known.contains(name)).collect();
    assert!(
        unknown.is_empty(),
        "beyond the agreed top level: {unknown:?}"
    );
}
