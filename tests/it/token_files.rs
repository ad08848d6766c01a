//! The files that tokens are read from, at the start and while the gateway runs.

use std::fs;
use std::process::Command;

use rustix::process::Signal;

use crate::running_gateway::{RunningGateway, command};
use crate::tokens::{Files, PUSH, bearer};

/// The tokens of a file are those of its last good state, whatever comes, across hand-overs.
#[test]
fn files_are_read_again() {
    let files = Files::new();
    let gateway = files.start(&["push"]);
    let push = |token: &str| {
        gateway
            .request("POST", "/metrics", &bearer(token), b"x 1\n")
            .code
    };
    let next = "next-token-0123456789";
    files.write("push", &format!("{PUSH}\n{next}\n"));
    assert!(
        gateway
            .wait_for_line("read again")
            .ends_with("read again, 2 tokens")
    );
    assert_eq!((push(PUSH), push(next)), (200, 200));
    files.write("push", &format!("{next}\n"));
    assert!(
        gateway
            .wait_for_line("read again")
            .ends_with("read again, 1 token")
    );
    assert_eq!((push(PUSH), push(next)), (401, 200));
    files.write("push", "short\n");
    let line = gateway.wait_for_line("flag -push-token-file");
    assert!(
        line.ends_with("; the tokens from before are still accepted"),
        "{line}"
    );
    assert!(!line.contains("short"), "{line}");
    assert_eq!((push(PUSH), push(next)), (401, 200));
    gateway.signal(Signal::HUP);
    let line = gateway.wait_for_line("SIGHUP");
    let why = "line 1: a token has at least 16 bytes, this one has 5";
    assert!(
        line.contains("not handed over, going on") && line.contains(why),
        "{line}"
    );
    assert_eq!((push(PUSH), push(next)), (401, 200));
    fs::remove_file(files.path("push")).expect("it is there");
    gateway.wait_for_line("No such file or directory");
    assert_eq!((push(PUSH), push(next)), (401, 200));
    files.write("push", PUSH);
    gateway.signal(Signal::HUP);
    gateway.wait_for_line(" has taken over");
    assert_eq!((push(PUSH), push(next)), (200, 401));
}

/// A file that cannot be used ends the start, and is said by `-check`.
#[test]
fn files_that_cannot_be_used() {
    let files = Files::new();
    let check = |path: &str, status: i32, why: &str| {
        for flag in ["-push-token-file", "-scrape-token-file"] {
            for more in [&[][..], &["-check"]] {
                let arguments = [&[flag, path, "-listen", "127.0.0.1:0"], more].concat();
                let output = command(&arguments).output().expect("it was built");
                let said = String::from_utf8(output.stderr).expect("it is text");
                let line = format!("prometheus-aggregation-gateway: flag {flag}: {why}\n");
                assert_eq!((output.status.code(), said), (Some(status), line));
            }
        }
    };
    let long = "x".repeat(4097);
    for (contents, why) in [
        ("", "it has no token; write one a line"),
        ("\n # no token\n\n", "it has no token; write one a line"),
        (
            "#\n0123456789abcde",
            "line 2: a token has at least 16 bytes, this one has 15; `openssl rand -hex 32` \
             makes a good one",
        ),
        (
            "0123456789 abcdef",
            "line 1: a token is letters, digits and signs of ASCII without blanks",
        ),
        (&long, "line 1: a token has at most 4096 bytes"),
        (
            &"0123456789abcdef\n".repeat(101),
            "it has more than 100 tokens",
        ),
        (&"#\n".repeat(500_000), "it is longer than 819200 bytes"),
    ] {
        files.write("bad", contents);
        let path = files.path("bad");
        let path = path.to_str().expect("it is ours");
        check(path, 1, &format!("{path}: {why}"));
    }
    let missing = files.path("missing");
    let missing = missing.to_str().expect("it is ours");
    check("/", 1, "/: it is not a regular file");
    check("", 2, "expected the path of a file");
    let gone = "cannot be read: No such file or directory (os error 2)";
    check(missing, 1, &format!("{missing}: {gone}"));
    check(
        "push",
        2,
        "`push` without a slash is a credential of systemd, but $CREDENTIALS_DIRECTORY is not \
         set (LoadCredential= sets it); for a file of the working directory, begin with ./",
    );
}

/// A name without a slash is one of systemd's credentials.
#[test]
fn credentials_of_systemd() {
    let files = Files::new();
    for (name, code) in [("push", 0), ("none", 1)] {
        let mut command = command(&["-push-token-file", name, "-check"]);
        command.env("CREDENTIALS_DIRECTORY", files.folder.path());
        let output = command.output().expect("it was built");
        assert_eq!(output.status.code(), Some(code), "{output:?}");
    }
}

/// A file that turns bad between the trial of a hand-over and the hand-over lets nobody in, and the
/// sums are kept: the new program cannot know the tokens from before.
#[test]
fn a_file_that_turns_bad_within_a_hand_over() {
    let files = Files::new();
    let program = files.path("gateway");
    let replace = |by: &str| {
        let new = files.path("new");
        let status = Command::new("install")
            .args(["--mode=755", by])
            .arg(&new)
            .status();
        assert!(status.expect("coreutils are there").success());
        fs::rename(new, &program).expect("it is beside it");
    };
    let real = crate::running_gateway::program();
    replace(&real);
    let flag = format!("-push-token-file={}", files.path("push").display());
    let gateway = RunningGateway::start_program(&program, &[&flag]);
    let push = |token: &str| {
        let reply = gateway.request("POST", "/metrics", &bearer(token), b"x 1\n");
        reply.code
    };
    assert_eq!(push(PUSH), 200);
    let bad = files.path("push");
    let script = format!(
        "#!/bin/sh\ncase \"$*\" in *-check) echo ok ;; *) echo x >{}; exec {real} \"$@\" ;; esac\n",
        bad.display()
    );
    files.write("script", &script);
    replace(files.path("script").to_str().expect("it is ours"));
    gateway.signal(Signal::HUP);
    let line = gateway.wait_for_line("nobody is let in until it can be used");
    assert!(line.starts_with("flag -push-token-file: "), "{line}");
    gateway.wait_for_line(" has taken over");
    assert_eq!((push(PUSH), push("x")), (401, 401));
    files.write("push", PUSH);
    gateway.wait_for_line("read again, 1 token");
    assert_eq!(push(PUSH), 200);
    assert_eq!(gateway.scrape(), "# TYPE x untyped\nx 2\n");
}
