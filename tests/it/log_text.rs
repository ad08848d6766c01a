//! Lines of the log as tests compare them.

/// A line of the log without its time and level; another one as it is.
pub fn unstamped(line: &str) -> &str {
    let is_time = |time: &str| time.len() == "2026-11-26T19:05:56.123".len();
    let behind_time = line.split_once("Z ").filter(|(time, _)| is_time(time));
    let behind_level = behind_time.and_then(|(_, rest)| rest.split_once(' '));
    behind_level.map_or(line, |(_, rest)| rest)
}

/// What a gateway has said on stderr, without times and levels, or without its name.
pub fn said(stderr: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    let lines = text.lines().map(unstamped);
    let program = "prometheus-aggregation-gateway: ";
    let lines = lines.map(|line| line.strip_prefix(program).unwrap_or(line));
    lines.fold(String::new(), |lines, line| lines + line + "\n")
}
