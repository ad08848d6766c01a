//! SIGHUP: a fresh image of the program goes on in the same process, on the same socket.

use std::fs;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::running_gateway::{
    Connection, PATIENCE, RunningGateway, command, scratch_folder, wait_until,
};

const HAND_OVERS_TOTAL: &str = "aggregation_gateway_hand_overs_total";

const CONNECTIONS: &str = "aggregation_gateway_used{resource=\"connections\"}";

#[track_caller]
fn hand_over(gateway: &RunningGateway) {
    gateway.signal(Signal::HUP);
    gateway.wait_for_line(" has taken over");
}

/// Sums, the gateway's own counters and the process stay.
#[test]
fn everything_goes_on() {
    let folder = scratch_folder();
    let journal = folder.path().join("sums");
    let journal = journal.to_str().expect("it is ours");
    for flags in [&[][..], &["-journal", journal]] {
        let gateway = RunningGateway::start(flags);
        let body = "# HELP h Help.\n# TYPE h histogram\nh_bucket{le=\"1\"} 2\nh_sum 3\nh_count 4\n";
        for round in 1..=3 {
            assert_eq!(
                gateway
                    .push("/metrics/job/a", "# TYPE a counter\na 0.1\n")
                    .code,
                200
            );
            assert_eq!(gateway.push("/metrics", body).code, 200);
            assert_eq!(gateway.push("/metrics", "a{\n").code, 400);
            let before = (gateway.scrape(), counters(&gateway));
            hand_over(&gateway);
            let after = (gateway.scrape(), counters(&gateway));
            assert_eq!(after, before);
            assert_eq!(gateway.own_metric(HAND_OVERS_TOTAL), f64::from(round));
        }
        let start = gateway.own_metric("aggregation_gateway_start_time_seconds");
        let uptime = gateway.own_metric("aggregation_gateway_uptime_seconds");
        assert!(uptime > 0.0 && start > 1.7e9);
    }
}

/// What senders did before it counts on as well.
#[test]
fn counts_of_senders_go_on() {
    let gateway = RunningGateway::start(&["-sender-label", "instance"]);
    let push = |value: u32, start: &str| {
        let body = format!("# TYPE a_total counter\na_total {value}\n{start}");
        assert_eq!(gateway.push("/metrics/instance/x", &body).code, 200);
    };
    let began = "# TYPE a_created gauge\na_created 3\n";
    for round in 1..=2 {
        push(5, "");
        push(4, "");
        push(5, began);
        push(4, began);
        hand_over(&gateway);
        for what in ["restarted", "late"] {
            let name = format!("aggregation_gateway_sender_series_{what}_total");
            assert_eq!(gateway.own_metric(&name), f64::from(round), "{what}");
        }
    }
}

/// The gateway's own counters, without what counts itself and what time is in.
#[track_caller]
fn counters(gateway: &RunningGateway) -> Vec<String> {
    let changing = [
        HAND_OVERS_TOTAL,
        "uptime",
        "scrape",
        "status",
        "journal_",
        "used",
        "healthy",
        "connections",
        "queue_duration",
        "process_",
    ];
    let page = gateway.get("/-/metrics").body;
    let lines = page.lines().map(str::to_owned);
    lines
        .filter(|line| !changing.iter().any(|word| line.contains(word)))
        .collect()
}

/// While it is handed over again and again, nobody is refused and no acknowledged push is lost.
#[test]
fn nobody_is_refused() {
    let gateway = RunningGateway::start(&[]);
    let is_over = AtomicBool::new(false);
    let acknowledged: Vec<u32> = thread::scope(|scope| {
        let push = || {
            let mut acknowledged = 0;
            while !is_over.load(Relaxed) {
                // Connects, and waits for the whole answer.
                let reply = gateway.push("/metrics", "# TYPE a counter\na 1\n");
                assert!(matches!(reply.code, 200 | 503), "{reply:?}");
                acknowledged += u32::from(reply.code == 200);
            }
            acknowledged
        };
        let pushers: Vec<_> = (0..4).map(|_| scope.spawn(push)).collect();
        for _ in 0..5 {
            hand_over(&gateway);
        }
        is_over.store(true, Relaxed);
        let joined = pushers
            .into_iter()
            .map(|pusher| pusher.join().expect("no panic"));
        joined.collect()
    });
    let total: u32 = acknowledged.iter().sum();
    assert!(total > 0);
    assert_eq!(gateway.scrape(), format!("# TYPE a counter\na {total}\n"));
}

/// Clients stay connected, whatever they are at: nothing of what they have sent or are about to be
/// sent is lost, and nobody is told to use another connection.
#[test]
fn connections_are_kept() {
    let gateway = RunningGateway::start(&[]);
    let lines: String = (0..200_000)
        .map(|n| format!("long{{n=\"{n:060}\"}} 1\n"))
        .collect();
    assert_eq!(gateway.push("/metrics", &lines).code, 200);
    let scrape = gateway.scrape();
    let mut idle = gateway.connect();
    let mut in_head = gateway.connect();
    let mut in_body = gateway.begin_push(7, b"x ");
    let mut in_chunk = gateway.connect();
    let mut reader = gateway.connect();
    reader.send("GET", "/metrics", "", b"");
    in_head.send_bytes(b"POST /metrics HT");
    let chunked = b"POST /metrics HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nx ";
    in_chunk.send_bytes(chunked);
    for round in 0..3 {
        hand_over(&gateway);
        idle.send("POST", "/metrics", "", b"x 1\n");
        let reply = idle.reply("POST");
        assert_eq!(
            (reply.code, reply.header("Connection")),
            (200, None),
            "round {round}"
        );
    }
    // More than the sockets hold has been waiting for it.
    assert!(reader.reply("GET").body == scrape, "a scrape was cut off");
    in_head.send_bytes(b"TP/1.1\r\nContent-Length: 4\r\n\r\nx 1\n");
    in_body.send_bytes(b"1\n###");
    in_chunk.send_bytes(b"1\n\r\n0\r\n\r\n");
    for connection in [&mut in_head, &mut in_body, &mut in_chunk] {
        assert_eq!(connection.reply("POST").code, 200);
        connection.send("POST", "/metrics", "", b"x 1\n");
        assert_eq!(connection.reply("POST").code, 200);
    }
    let sums = gateway.scrape();
    assert_eq!(sums.lines().last(), Some("x 9"));
}

/// What a client has sent ahead is carried out, before and after.
#[test]
fn pipelined_requests_are_carried_out() {
    let gateway = RunningGateway::start(&[]);
    let push = "POST /metrics HTTP/1.1\r\nContent-Length: 4\r\n\r\nx 1\n";
    for _ in 0..5 {
        let mut connection = gateway.connect();
        gateway.signal(Signal::HUP);
        connection.send_bytes(push.repeat(1000).as_bytes());
        for _ in 0..1000 {
            assert_eq!(connection.reply("POST").code, 200);
        }
        gateway.wait_for_line(" has taken over");
    }
    assert_eq!(gateway.scrape(), "# TYPE x untyped\nx 5000\n");
}

/// Whatever clients are at, be it in the middle of a head, of a body, of a chunk or of a response,
/// each request of theirs is answered on the same connection, and counted once.
#[test]
fn clients_notice_nothing() {
    const CLIENTS: usize = 64;
    const HAND_OVERS: u32 = 100;
    let gateway = RunningGateway::start(&[]);
    let line = |n: u32| format!("long{{n=\"{n:060}\"}} 1\n");
    let lines: String = (0..LONG_LINES).map(line).collect();
    assert_eq!(gateway.push("/metrics", &lines).code, 200);
    let hand_overs = AtomicU32::new(0);
    let pushes: u32 = thread::scope(|scope| {
        let clients = (0..CLIENTS).map(|number| {
            let (connection, hand_overs) = (gateway.connect(), &hand_overs);
            scope.spawn(move || client(number, connection, hand_overs))
        });
        let clients: Vec<_> = clients.collect();
        for _ in 0..HAND_OVERS {
            hand_over(&gateway);
            hand_overs.fetch_add(1, Relaxed);
        }
        hand_overs.store(u32::MAX, Relaxed);
        let pushes = clients.into_iter().map(|one| one.join().expect("no panic"));
        pushes.sum()
    });
    assert!(pushes > HAND_OVERS, "{pushes} pushes");
    assert_eq!(gateway.own_metric(HAND_OVERS_TOTAL), f64::from(HAND_OVERS));
    let sums = gateway.scrape();
    assert_eq!(sums.lines().last(), Some(format!("x {pushes}").as_str()));
}

const LONG_LINES: u32 = 8_000;

/// One of the clients: it sends a part of something, waits for a hand-over, and sends the rest.
/// Gives how many pushes were answered with 200.
fn client(number: usize, mut connection: Connection, hand_overs: &AtomicU32) -> u32 {
    let push = "POST /metrics HTTP/1.1\r\nContent-Length: 4\r\n\r\nx 1\n";
    let chunked = "POST /metrics HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n\
                   2;a=b\r\nx \r\n02\r\n1\n\r\n0\r\nA: b\r\n\r\n";
    let mut pushes = 0;
    loop {
        let before = hand_overs.load(Relaxed);
        if before == u32::MAX {
            return pushes;
        }
        let (bytes, count) = match number % 4 {
            0 => (push.to_owned(), 1),
            1 => (push.repeat(20), 20),
            2 => (chunked.to_owned(), 1),
            _ => ("GET /metrics HTTP/1.1\r\n\r\n".to_owned(), 0),
        };
        // Of each kind, at sixteen places from the begin to the end.
        let cut = bytes.len() * (number / 4) / 15;
        connection.send_bytes(&bytes.as_bytes()[..cut]);
        wait_until(|| hand_overs.load(Relaxed) != before);
        connection.send_bytes(&bytes.as_bytes()[cut..]);
        for _ in 0..count {
            let reply = connection.reply("POST");
            assert_eq!((reply.code, reply.header("Connection")), (200, None));
            pushes += 1;
        }
        if count == 0 {
            let scrape = connection.reply("GET").body;
            let long = scrape.lines().filter(|line| line.starts_with("long{"));
            assert_eq!(long.count(), LONG_LINES as usize);
        }
    }
}

/// The time that a client may take goes on.
#[test]
fn deadlines_are_kept() {
    let gateway = RunningGateway::start(&["-body-timeout", "2s"]);
    let start = Instant::now();
    let mut slow = gateway.begin_push(7, b"x ");
    let mut hand_overs = 0;
    thread::scope(|scope| {
        let refused = scope.spawn(|| slow.reply("POST").code);
        while !refused.is_finished() {
            hand_over(&gateway);
            hand_overs += 1;
            assert!(
                start.elapsed() < PATIENCE,
                "the time begins with each hand-over"
            );
        }
        assert_eq!(refused.join().expect("no panic"), 408);
    });
    assert!(hand_overs > 1 && start.elapsed() >= Duration::from_secs(2));
}

/// As many as one message of descriptors does not hold.
#[test]
fn many_connections_are_kept() {
    let gateway = RunningGateway::start(&[]);
    let mut connections: Vec<Connection> = (0..600).map(|_| gateway.connect()).collect();
    wait_until(|| gateway.own_metric(CONNECTIONS) > 600.0);
    hand_over(&gateway);
    assert!(gateway.own_metric(CONNECTIONS) > 600.0);
    for connection in &mut connections {
        connection.send("POST", "/metrics", "", b"x 1\n");
        assert_eq!(connection.reply("POST").code, 200);
    }
    assert_eq!(gateway.scrape(), "# TYPE x untyped\nx 600\n");
}

/// `@every` counts from the start of the first image.
#[test]
fn the_schedule_keeps_its_time() {
    let gateway = RunningGateway::start(&["-crontab", "@every 1h"]);
    let next = gateway.push("/metrics", "x 1\n").body;
    let deadline = Instant::now() + Duration::from_millis(1100);
    while Instant::now() < deadline {
        hand_over(&gateway);
    }
    assert_eq!(gateway.push("/metrics", "x 1\n").body, next);
}

/// When the new program would not run, the old one goes on, and says why.
#[test]
fn a_broken_program_does_not_take_over() {
    let folder = scratch_folder();
    let program = folder.path().join("gateway");
    // By another process: one that is just being started by another test would hold a file open
    // that this one writes, and a program that is being written cannot be run.
    let replace = |by: &str| {
        let new = folder.path().join("new");
        let mut install = Command::new("install");
        let status = install.arg("--mode=755").arg(by).arg(&new).status();
        assert!(status.expect("coreutils are there").success());
        fs::rename(&new, &program).expect("it is beside it");
    };
    let script = |text: &str| {
        let path = folder.path().join("script");
        fs::write(&path, format!("#!/bin/sh\n{text}\n")).expect("the folder can be written");
        replace(path.to_str().expect("it is ours"));
    };
    let copy = || replace(&crate::running_gateway::program());
    copy();
    let gateway = RunningGateway::start_program(&program, &[]);
    gateway.push("/metrics", "x 1\n");
    let check = |line: &str| {
        gateway.signal(Signal::HUP);
        let refused = gateway.wait_for_line("SIGHUP: ");
        assert!(
            refused.starts_with("SIGHUP: not handed over, going on: "),
            "{refused}"
        );
        assert!(refused.contains(line), "{refused}");
        assert_eq!(gateway.push("/metrics", "x 1\n").code, 200);
    };
    script("echo unknown flag >&2; exit 2");
    check("-check ended with exit status: 2: unknown flag");
    fs::remove_file(&program).expect("it is there");
    check("cannot be started: No such file or directory");
    script("exit 0");
    check("-check ended with exit status: 0");
    script("yes | head --bytes=1000000 >&2; exit 3");
    check("-check ended with exit status: 3: ");
    // It says yes, and then cannot be run: connections are as they were.
    let mut in_body = gateway.begin_push(7, b"x ");
    let mut idle = gateway.connect();
    script("chmod a-x \"$0\"; echo ok");
    check("Permission denied");
    in_body.send_bytes(b"1\n###");
    assert_eq!(in_body.reply("POST").code, 200);
    idle.send("POST", "/metrics", "", b"x 1\n");
    assert_eq!(idle.reply("POST").code, 200);
    copy();
    hand_over(&gateway);
    assert_eq!(gateway.scrape(), "# TYPE x untyped\nx 8\n");
}

/// A journal that was moved away just before a hand-over is rewritten by whoever has the sums.
#[test]
fn a_journal_that_is_gone_is_handed_over_all_the_same() {
    let folder = scratch_folder();
    let path = folder.path().join("sums");
    let journal = path.to_str().expect("it is ours");
    let gateway = RunningGateway::start(&["-journal", journal]);
    for round in 1..=5 {
        assert_eq!(gateway.push("/metrics", "x 1\n").code, 200);
        fs::rename(&path, folder.path().join("moved")).unwrap();
        gateway.signal(Signal::HUP);
        let outcome = gateway.wait_for_line("over");
        if outcome.contains("not handed over") {
            let line =
                "going on: the journal was moved away or removed; a new one is being written";
            assert!(outcome.contains(line), "{outcome}");
        }
        wait_until(|| gateway.get("/-/ready").code == 200);
        assert!(path.exists());
        assert_eq!(gateway.scrape(), format!("# TYPE x untyped\nx {round}\n"));
    }
    let again = fs::read(&path).unwrap();
    fs::write(folder.path().join("copy"), again).unwrap();
    let copy = folder.path().join("copy");
    let copied = RunningGateway::start(&["-journal", copy.to_str().expect("it is ours")]);
    assert_eq!(copied.scrape(), "# TYPE x untyped\nx 5\n");
}

#[test]
fn check_tells_what_would_be_refused() {
    #[track_caller]
    fn check(flags: &[&str], environment: &[(&str, &str)], status: i32, line: &str) {
        let mut command = command(&[flags, &["-check"]].concat());
        let output = command.envs(environment.iter().copied()).output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(
            (output.status.code(), stderr.contains(line)),
            (Some(status), true),
            "{stderr}"
        );
    }
    let folder = scratch_folder();
    let path = folder.path().join("sums");
    let journal = path.to_str().expect("it is ours");
    check(&["-journal", journal, "-crontab", "@daily"], &[], 0, "");
    assert!(!path.exists(), "it was only asked");
    let nowhere = ["-journal", "/no/such/folder/sums"];
    check(
        &nowhere,
        &[],
        1,
        "cannot open it: No such file or directory",
    );
    check(&["-crontab", "@never"], &[], 2, "crontab");
    check(
        &["-journal", ""],
        &[],
        2,
        "flag -journal: expected the path of a file",
    );
    fs::write(&path, "AGGJOURN\x09\0\0\0").unwrap();
    check(
        &["-journal", journal],
        &[],
        1,
        "it is in format 9, this program reads format 2",
    );
    let budget = ["-max-buffered-bytes", "100"];
    check(&budget, &[], 2, "is less than twice -max-body-bytes");
    let announced = "AGGREGATION_GATEWAY_HAND_OVER";
    check(&[], &[(announced, "4")], 0, "");
    check(
        &[],
        &[(announced, "1")],
        1,
        "is in format `1`, this program takes format 4",
    );
    let output = command(&[]).env(announced, "4").output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(
        stderr.contains("what is handed over does not arrive"),
        "{stderr}"
    );
}

/// systemd passes the socket as descriptor 3 (sd_listen_fds(3)).
#[test]
fn a_socket_can_be_passed_by_systemd() {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    let activate = "exec 3<&0 0</dev/null; LISTEN_PID=$$ LISTEN_FDS=$1 exec \"$2\" -listen :1";
    let program = &crate::running_gateway::program();
    let start = |count: &str, socket: OwnedFd| {
        let mut shell = Command::new("sh");
        let shell = shell
            .args(["-c", activate, "sh", count, program])
            .stdin(socket);
        shell
            .stderr(Stdio::piped())
            .spawn()
            .expect("there is a shell")
    };
    let mut gateway = RunningGateway::of(start("1", socket.try_clone().unwrap().into()));
    assert_eq!(gateway.address, address);
    gateway.push("/metrics", "x 1\n");
    hand_over(&gateway);
    assert_eq!(gateway.push("/metrics", "x 1\n").code, 200);
    assert_eq!(gateway.scrape(), "# TYPE x untyped\nx 2\n");
    // It is systemd's as well: who connects while nobody is there waits for the next one.
    gateway.signal(Signal::TERM);
    assert_eq!(gateway.wait().code(), Some(0));
    let mut waiting = gateway.connect();
    waiting.send("GET", "/-/healthy", "", b"");
    let next = RunningGateway::of(start("1", socket.try_clone().unwrap().into()));
    assert_eq!(waiting.reply("GET").code, 200);
    drop(next);
    for (count, socket, line) in [
        (
            "17",
            OwnedFd::from(socket),
            "expected 1 to 16 sockets from systemd, LISTEN_FDS is `17`",
        ),
        (
            "1",
            fs::File::open("/dev/null").unwrap().into(),
            "socket activation: ",
        ),
    ] {
        let output = start(count, socket).wait_with_output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(stderr.contains(line), "{stderr}");
        assert_eq!(output.status.code(), Some(1));
    }
}
