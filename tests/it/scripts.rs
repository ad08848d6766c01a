//! What scripts say of themselves: `--help` prints the comment at the top, and nothing else runs.

use std::fs;
use std::path::Path;
use std::process::Command;

#[test]
fn scripts_print_their_top_comment() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts");
    let mut scripts = 0;
    for entry in fs::read_dir(folder).expect("it is there") {
        let path = entry.expect("it can be read").path();
        if path.is_dir() {
            continue; // what is deployed is no script
        }
        let text = fs::read_to_string(&path).expect("it is text");
        let Some(rest) = text.strip_prefix("#!/usr/bin/env bash\n") else {
            continue;
        };
        scripts += 1;
        let comment = rest.lines().take_while(|line| line.starts_with('#'));
        let lines = comment.map(|line| line.trim_start_matches('#'));
        let expected: String = lines
            .map(|line| format!("{}\n", line.strip_prefix(' ').unwrap_or(line)))
            .collect();
        let output = Command::new(&path).arg("--help").output();
        let output = output.expect("there is bash");
        let printed = String::from_utf8(output.stdout).expect("it is text");
        assert_eq!(printed, expected, "{}", path.display());
        assert_eq!((output.status.code(), output.stderr), (Some(0), Vec::new()));
    }
    assert!(scripts >= 12);
}
