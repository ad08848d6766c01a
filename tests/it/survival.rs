//! The process with a journal: killed, started again, on a full disk, beside another one.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use prometheus_aggregation_gateway::gateway::{Gateway, Start};
use prometheus_aggregation_gateway::journal::Disk;
use prometheus_aggregation_gateway::rules::Rules;
use rustix::process::Signal;

use crate::push_text::PushText;
use crate::running_gateway::{
    RunningGateway, ScratchFolder, command, said, scratch_folder, wait_until,
};

fn journal(folder: &ScratchFolder) -> String {
    let path = folder.path().join("sums");
    path.to_str().expect("it is ours").to_owned()
}

#[track_caller]
fn kill(mut gateway: RunningGateway) {
    gateway.signal(Signal::KILL);
    gateway.wait();
}

#[test]
fn a_killed_gateway_goes_on() {
    let folder = scratch_folder();
    let journal = journal(&folder);
    let flags = ["-journal", &journal];
    for round in 1..=5 {
        let gateway = RunningGateway::start(&flags);
        for _ in 0..10 {
            assert_eq!(
                gateway
                    .push("/metrics/job/a", "# TYPE a counter\na 1\n")
                    .code,
                200
            );
        }
        assert_eq!(gateway.push("/metrics", "a{\n").code, 400);
        let sums = format!("# TYPE a counter\na{{job=\"a\"}} {round}0\n");
        assert_eq!(gateway.scrape(), sums);
        kill(gateway);
    }
    // What a writing leaves that was cut short is cut off.
    let mut file = OpenOptions::new().append(true).open(&journal).unwrap();
    file.write_all(b"torn").unwrap();
    let gateway = RunningGateway::start(&flags);
    assert_eq!(gateway.scrape(), "# TYPE a counter\na{job=\"a\"} 50\n");
    kill(gateway);
    let output = command(&["-journal", &journal, "-listen", "127.0.0.1:0", "-check"]).output();
    assert_eq!(output.unwrap().status.code(), Some(0));
}

/// It says what it does with the journal, and ends by SIGTERM as it does without.
#[test]
fn it_says_what_it_finds() {
    let folder = scratch_folder();
    let path = journal(&folder);
    let start = |line: &str| {
        let mut command = command(&["-journal", &path, "-listen", "127.0.0.1:0"]);
        let process = command.stderr(Stdio::piped()).spawn().unwrap();
        let gateway = RunningGateway::watch(process);
        gateway.wait_for_line(line);
        gateway
    };
    let mut gateway = start(&format!("journal {path}: 0 families, 0 series, read in "));
    gateway.wait_until_it_listens();
    gateway.push("/metrics", "a 1\nb 1\nb{x=\"y\"} 1\n");
    gateway.signal(Signal::TERM);
    assert_eq!(gateway.wait().code(), Some(0));
    let length = fs::metadata(&path).unwrap().len();
    let mut file = OpenOptions::new().append(true).open(&path).unwrap();
    file.write_all(b"torn").unwrap();
    let gateway = start(&format!(
        "journal {path}: 4 bytes cut off at byte {length}: it was being written when the \
         process or the machine ended"
    ));
    gateway.wait_for_line(&format!("journal {path}: 2 families, 3 series, read in "));
}

/// Senders were told of the reset, and push anew what they have counted since.
#[test]
fn a_missed_reset_is_made_at_the_start() {
    let folder = scratch_folder();
    let journal = journal(&folder);
    let two_hours_ago = SystemTime::now() - Duration::from_secs(7200);
    let two_hours_ago = two_hours_ago
        .duration_since(UNIX_EPOCH)
        .expect("it is later");
    let (disk, file) = Disk::open(journal.as_ref()).unwrap();
    let window_start = two_hours_ago.as_secs().cast_signed();
    let start = Start {
        window_start,
        time_millis: 0,
    };
    let opened = Gateway::open(Arc::new(disk), &file, Rules::default(), start);
    let (before, _) = opened.unwrap();
    before.push_text("", b"a 1\na{b=\"c\"} 1\n").unwrap();
    drop((before, file));
    let flags = ["-journal", &journal, "-crontab", "@every 1h"];
    let daily = RunningGateway::start(&["-journal", &journal, "-crontab", "@every 24h"]);
    assert_eq!(
        daily.scrape(),
        "# TYPE a untyped\na 1\na{b=\"c\"} 1\n",
        "none is due"
    );
    kill(daily);
    let mut command = command(&[&flags[..], &["-listen", "127.0.0.1:0"]].concat());
    let process = command.stderr(Stdio::piped()).spawn().unwrap();
    let mut gateway = RunningGateway::watch(process);
    // Nobody is answered before it.
    gateway.wait_for_line("reset: cleared 1 family, 2 series; next reset ");
    gateway.wait_until_it_listens();
    assert_eq!(gateway.scrape(), "");
    gateway.push("/metrics", "d 1\n");
    // It is made once, by nobody else, and is kept.
    gateway.signal(Signal::HUP);
    gateway.wait_for_line(" has taken over");
    assert_eq!(gateway.own_metric("aggregation_gateway_resets_total"), 1.0);
    kill(gateway);
    let gateway = RunningGateway::start(&flags);
    assert_eq!(gateway.scrape(), "# TYPE d untyped\nd 1\n");
    assert_eq!(gateway.own_metric("aggregation_gateway_resets_total"), 0.0);
}

/// All of it before anything is bound, but for what can only be seen by reading the whole journal.
#[test]
fn a_journal_that_cannot_be_used_is_refused() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let check = |path: &str, line: &str| {
        let output = command(&["-listen", &address, "-journal", path])
            .output()
            .unwrap();
        let stderr = said(&output.stderr);
        let expected = format!("journal {path}: {line}");
        assert!(stderr.starts_with(&expected), "{stderr}");
        assert_eq!(
            (stderr.lines().count(), output.status.code()),
            (1, Some(1)),
            "{stderr}"
        );
    };
    let folder = scratch_folder();
    let path = journal(&folder);
    check(
        "/no/such/folder/sums",
        "cannot open it: No such file or directory",
    );
    check(
        folder.path().to_str().unwrap(),
        "it is a directory, not a regular file",
    );
    fs::write(&path, "# TYPE a counter\n").unwrap();
    check(&path, "it is not a journal of this program");
    fs::remove_file(&path).unwrap();
    let beside = folder.path().join("sums.new");
    fs::create_dir(&beside).unwrap();
    let line =
        format!("cannot write a new file beside it: {path}.new is a directory; move it away");
    check(&path, &line);
    fs::remove_dir(&beside).unwrap();
    let gateway = RunningGateway::start(&["-journal", &path]);
    check(
        &path,
        "it is in use by another gateway; each needs a journal of its own",
    );
    gateway.push("/metrics", "a 1\n");
    gateway.push("/metrics", "a 1\n");
    kill(gateway);
    let mut bytes = fs::read(&path).unwrap();
    let first_push = bytes.windows(4).position(|word| word == b"push").unwrap();
    bytes[first_push + 10] ^= 1;
    fs::write(&path, bytes).unwrap();
    drop(taken);
    check(
        &path,
        &format!(
            "it is damaged at byte {}: its contents changed after they were written; restore it",
            first_push - 24
        ),
    );
}

/// Pushes are refused as long as there is no room, and what is acknowledged, scraped and recovered
/// agree all the time.
#[test]
fn a_full_disk() {
    let folder = scratch_folder();
    let Some(_mounted) = Mounted::small_at(folder.path()) else {
        return;
    };
    let path = journal(&folder);
    let gateway = RunningGateway::start(&["-journal", &path]);
    let body = format!("#{}\na 1\n", "#".repeat(10_000));
    let mut acknowledged = 0;
    let refused = loop {
        let reply = gateway.push("/metrics", &body);
        match reply.code {
            200 => acknowledged += 1,
            _ => break reply,
        }
    };
    assert_eq!(refused.code, 503);
    let line = "the journal cannot be written: No space left on device (os error 28)\n";
    assert_eq!(refused.body, line);
    let sums = format!("# TYPE a untyped\na {acknowledged}\n");
    assert_eq!(gateway.scrape(), sums);
    let ready = gateway.get("/-/ready");
    assert_eq!((ready.code, ready.body.as_str()), (503, line));
    assert_eq!(gateway.get("/-/healthy").code, 200);
    assert_eq!(gateway.own_metric("aggregation_gateway_journal_up"), 0.0);
    let reason = format!("journal_trouble_info{{reason=\"{}\"}}", line.trim_end());
    assert_eq!(
        gateway.own_metric(&format!("aggregation_gateway_{reason}")),
        1.0
    );
    gateway.wait_for_line("pushes are refused: the journal cannot be written: No space left");
    let threads = gateway.threads();
    for _ in 0..3 {
        gateway.signal(Signal::HUP);
        gateway.wait_for_line("SIGHUP: not handed over, going on: the journal cannot be written");
    }
    assert!(
        gateway.threads() <= threads + 3,
        "a front is left of each time"
    );
    kill(gateway);
    let gateway = RunningGateway::start(&["-journal", &path]);
    assert_eq!(gateway.scrape(), sums);
    while gateway.push("/metrics", &body).code == 200 {
        acknowledged += 1;
    }
    gateway.wait_for_line("pushes are refused");
    // Without a push, it finds out by itself that there is room again.
    remount(folder.path(), "size=1m");
    wait_until(|| gateway.get("/-/ready").code == 200);
    gateway.wait_for_line("pushes are accepted again");
    assert_eq!(gateway.push("/metrics", &body).code, 200);
    let sums = format!("# TYPE a untyped\na {}\n", acknowledged + 1);
    assert_eq!(gateway.scrape(), sums);
    kill(gateway);
    assert_eq!(RunningGateway::start(&["-journal", &path]).scrape(), sums);
}

/// A file system of a few pages, where the user who runs the tests may mount one.
struct Mounted<'a>(&'a Path);

impl Mounted<'_> {
    fn small_at(path: &Path) -> Option<Mounted<'_>> {
        let mut mount = Command::new("mount");
        mount
            .args(["-t", "tmpfs", "-o", "size=128k", "none"])
            .arg(path);
        match mount.output() {
            Ok(output) if output.status.success() => Some(Mounted(path)),
            Ok(output) => {
                let why = String::from_utf8_lossy(&output.stderr).into_owned();
                println!("skipped: no disk can be mounted that could be filled: {why}");
                None
            }
            Err(error) => {
                println!("skipped: there is no mount: {error}");
                None
            }
        }
    }
}

fn remount(path: &Path, options: &str) {
    let options = format!("remount,{options}");
    let status = Command::new("mount")
        .args(["-o", &options])
        .arg(path)
        .status();
    assert!(status.expect("it was there").success());
}

impl Drop for Mounted<'_> {
    fn drop(&mut self) {
        // Lazily, since the gateway may still be there.
        let _ = Command::new("umount").arg("--lazy").arg(self.0).status();
    }
}
