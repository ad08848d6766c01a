//! What is no regular file, or a file of others, as the journal or as the new file beside it: the
//! start and `-check` refuse it with the same line, at once, and leave it as it is.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{FileTypeExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Stdio;

use rustix::fs::{CWD, FileType, Mode, mknodat};
use rustix::process::Signal;

use crate::running_gateway::{RunningGateway, command, scratch_folder, wait_until};

/// Makes something at a path; false where this user may not.
type Make = fn(&Path) -> bool;

fn fifo(path: &Path) -> bool {
    mknodat(CWD, path, FileType::Fifo, Mode::RWXU, 0).is_ok()
}

/// The console, whose opening could have effects.
fn device(path: &Path) -> bool {
    let console = rustix::fs::makedev(5, 1);
    mknodat(CWD, path, FileType::CharacterDevice, Mode::RWXU, console).is_ok()
}

fn directory(path: &Path) -> bool {
    fs::create_dir(path).is_ok()
}

fn socket(path: &Path) -> bool {
    UnixListener::bind(path).is_ok()
}

fn link_to_nothing(path: &Path) -> bool {
    symlink("nothing", path).is_ok()
}

fn link_to_itself(path: &Path) -> bool {
    symlink(path, path).is_ok()
}

fn link_to_a_fifo(path: &Path) -> bool {
    let fifo_path = path.with_extension("fifo");
    fifo(&fifo_path) && symlink(fifo_path, path).is_ok()
}

fn link_to_a_text(path: &Path) -> bool {
    let text = path.with_extension("text");
    fs::write(&text, "some text").is_ok() && symlink(text, path).is_ok()
}

fn text(path: &Path) -> bool {
    fs::write(path, "some text").is_ok()
}

const NO_FILE: &[(Make, &str)] = &[
    (fifo, "it is a FIFO, not a regular file"),
    (device, "it is a device, not a regular file"),
    (directory, "it is a directory, not a regular file"),
    (socket, "it is a socket, not a regular file"),
    (
        link_to_nothing,
        "it is a symbolic link to nothing; make the file that it leads to, or name another",
    ),
    (
        link_to_itself,
        // The words of the C library follow: each has its own for too many links.
        "cannot open it: ",
    ),
    (link_to_a_fifo, "it is a FIFO, not a regular file"),
    (
        link_to_a_text,
        "it is not a journal of this program; name another file, or move this one away",
    ),
];

const NOT_BESIDE: &[(Make, &str)] = &[
    (fifo, "is a FIFO; move it away"),
    (device, "is a device; move it away"),
    (directory, "is a directory; move it away"),
    (socket, "is a socket; move it away"),
    (link_to_nothing, "is a symbolic link; move it away"),
    (link_to_itself, "is a symbolic link; move it away"),
    (link_to_a_fifo, "is a symbolic link; move it away"),
    (link_to_a_text, "is a symbolic link; move it away"),
    (text, "is a file of another program; move it away"),
];

/// Runs the program with these flags until it ends, and gives its status and what it says.
#[track_caller]
fn run(flags: &[&str]) -> (Option<i32>, String) {
    let mut command = command(flags);
    let process = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
    let mut gateway = RunningGateway::watch(process.expect("it was built"));
    let status = gateway.wait();
    (status.code(), gateway.remaining_lines().join("\n"))
}

#[track_caller]
fn check(journal: &str, line: &str) {
    let flags = ["-journal", journal, "-listen", "127.0.0.1:0"];
    let expected = format!("journal {journal}: {line}");
    for flags in [&flags[..], &[&flags[..], &["-check"]].concat()] {
        let (code, said) = run(flags);
        // `-check` has no log, and says its name.
        let said = said
            .strip_prefix("prometheus-aggregation-gateway: ")
            .unwrap_or(&said);
        assert!(said.starts_with(&expected), "{flags:?}: {said}");
        assert_eq!(code, Some(1), "{flags:?}");
    }
}

#[test]
fn no_file_is_no_journal() {
    let folder = scratch_folder();
    for (number, (make, line)) in NO_FILE.iter().enumerate() {
        let path = folder.path().join(number.to_string());
        if !make(&path) {
            println!("skipped: {line}");
            continue;
        }
        let before = fs::symlink_metadata(&path).unwrap().file_type();
        check(path.to_str().expect("it is ours"), line);
        assert_eq!(fs::symlink_metadata(&path).unwrap().file_type(), before);
    }
    assert!(
        !folder.path().join("nothing").exists(),
        "it was made through a link"
    );
    let text = folder.path().join("7.text");
    assert_eq!(fs::read(text).unwrap(), b"some text");
}

#[test]
fn nothing_of_others_is_written_over_beside() {
    let folder = scratch_folder();
    for (number, (make, line)) in NOT_BESIDE.iter().enumerate() {
        let path = folder.path().join(number.to_string());
        let beside = folder.path().join(format!("{number}.new"));
        if !make(&beside) {
            println!("skipped: {line}");
            continue;
        }
        let journal = path.to_str().expect("it is ours");
        let line = format!("cannot write a new file beside it: {journal}.new {line}");
        check(journal, &line);
    }
    assert!(
        !folder.path().join("nothing").exists(),
        "it was made through a link"
    );
    for text in ["8.new", "7.text"] {
        assert_eq!(fs::read(folder.path().join(text)).unwrap(), b"some text");
    }
}

/// What a killed gateway has left is no file of others.
#[test]
fn what_was_left_beside_is_removed() {
    let folder = scratch_folder();
    let path = folder.path().join("sums");
    let journal = path.to_str().expect("it is ours");
    let beside = folder.path().join("sums.new");
    for left in [&b""[..], b"AGGJOURN\x01\0\0\0", &[0; 4000], b"\0\0\0"] {
        fs::write(&beside, left).unwrap();
        let gateway = RunningGateway::start(&["-journal", journal]);
        assert!(!beside.exists());
        drop(gateway);
    }
    // A device of the same name that appears later keeps nobody from pushing, nor from ending.
    let mut gateway = RunningGateway::start(&["-journal", journal]);
    assert!(fifo(&beside));
    let long = format!("#{}\na 1\n", "#".repeat(3 << 20));
    assert_eq!(gateway.push("/metrics", &long).code, 200);
    gateway.wait_for_line("the journal cannot be rewritten: ");
    assert_eq!(gateway.push("/metrics", "a 1\n").code, 200);
    gateway.signal(Signal::HUP);
    gateway.wait_for_line("is a FIFO; move it away");
    assert!(fs::symlink_metadata(&beside).unwrap().file_type().is_fifo());
    gateway.signal(Signal::TERM);
    assert_eq!(gateway.wait().code(), Some(0));
}

/// A link to a file that is there is as good as its target, which is what is rewritten.
#[test]
fn a_link_to_a_file_is_followed() {
    let folder = scratch_folder();
    let (link, target) = (folder.path().join("link"), folder.path().join("target"));
    fs::File::create(&target).unwrap().write_all(b"").unwrap();
    symlink("target", &link).unwrap();
    let journal = link.to_str().expect("it is ours");
    let flags = ["-journal", journal];
    assert_eq!(run(&[&flags[..], &["-check"]].concat()).0, Some(0));
    let gateway = RunningGateway::start(&flags);
    assert_eq!(gateway.push("/metrics", "a 1\n").code, 200);
    wait_until(|| fs::metadata(&target).unwrap().len() > 36);
    gateway.signal(Signal::HUP);
    gateway.wait_for_line(" has taken over");
    gateway.signal(Signal::KILL);
    drop(gateway);
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    let gateway = RunningGateway::start(&["-journal", target.to_str().expect("it is ours")]);
    assert_eq!(gateway.scrape(), "# TYPE a untyped\na 1\n");
}
