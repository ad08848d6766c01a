//! Which file a hand-over starts: what a name leads to then, not what it led to at the start.

use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::process::Signal;

use crate::running_gateway::{RunningGateway, program, scratch_folder};

/// A folder with this name before one without it in the path, and the name alone as the program.
fn start(folder: &Path, name: &str) -> RunningGateway {
    let program = folder.join(name);
    let mut command = Command::new(&program);
    command.arg0(name).args(["-listen", "127.0.0.1:0"]);
    command.env("PATH", format!("/no/such/folder:{}", folder.display()));
    let process = command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn();
    RunningGateway::of(process.expect("the program is there"))
}

/// Copies the program in a process of its own: what a process has open for writing cannot be
/// started, and the children of other tests have this one's files open until they are.
#[track_caller]
fn copy_program(to: &Path) {
    let status = Command::new("cp").arg(program()).arg(to).status();
    assert!(status.is_ok_and(|status| status.success()));
}

#[track_caller]
fn hand_over(gateway: &RunningGateway) {
    gateway.signal(Signal::HUP);
    let line = gateway.wait_for_line("over");
    assert!(line.ends_with(" has taken over"), "{line}");
}

/// Which file it runs.
fn runs(gateway: &RunningGateway) -> String {
    let path = fs::read_link(format!("/proc/{}/exe", gateway.id())).expect("it runs");
    path.to_string_lossy().into_owned()
}

/// Its file is replaced, as by a package manager, again and again.
#[test]
fn a_bare_name_is_found_when_its_file_was_replaced() {
    let folder = scratch_folder();
    let (name, path) = ("some-gateway", folder.path().join("some-gateway"));
    copy_program(&path);
    let gateway = start(folder.path(), name);
    for _ in 0..2 {
        let next = folder.path().join("next");
        copy_program(&next);
        fs::rename(&next, &path).unwrap();
        assert!(runs(&gateway).ends_with(" (deleted)"));
        hand_over(&gateway);
        assert_eq!(Path::new(&runs(&gateway)), path);
    }
}

/// It is a link to a file of a version, as some have it, and leads to another version later.
#[test]
fn a_bare_name_is_followed_when_it_leads_elsewhere() {
    let folder = scratch_folder();
    let (name, link) = ("some-gateway", folder.path().join("some-gateway"));
    for version in ["1", "2"] {
        copy_program(&folder.path().join(version));
    }
    symlink("1", &link).unwrap();
    let gateway = start(folder.path(), name);
    fs::remove_file(&link).unwrap();
    symlink("2", &link).unwrap();
    hand_over(&gateway);
    assert_eq!(Path::new(&runs(&gateway)), folder.path().join("2"));
}

/// Another program of the same name comes first in the path: it is not taken for this one.
#[test]
fn a_name_of_another_program_is_not_followed() {
    let (folder, other) = (scratch_folder(), scratch_folder());
    let own = folder.path().join("own");
    copy_program(&own);
    fs::copy("/bin/false", other.path().join("some-gateway")).unwrap();
    let mut command = Command::new(&own);
    command
        .arg0("some-gateway")
        .args(["-listen", "127.0.0.1:0"]);
    command.env("PATH", other.path());
    let process = command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn();
    let gateway = RunningGateway::of(process.expect("the program is there"));
    hand_over(&gateway);
    assert_eq!(Path::new(&runs(&gateway)), own);
}
