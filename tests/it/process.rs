//! The process: its flags, what it says, its resets, its end.

use std::env::consts::ARCH;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::process::Stdio;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use prometheus_aggregation_gateway::listen::ListenAddress;
use prometheus_aggregation_gateway::probe::{self, ProbeUrl};
use rustix::process::Signal;

use crate::running_gateway::{PATIENCE, RunningGateway, command, said, wait_until};

/// `-probe` is for who has no curl, such as a container's health check.
#[test]
fn a_page_is_probed() {
    let gateway = RunningGateway::start(&[]);
    let probe = |url: &str| {
        let output = command(&["-probe", url]).output().expect("it was built");
        assert_eq!(output.stdout, b"");
        let stderr = String::from_utf8(output.stderr).expect("it is text");
        (output.status.code(), stderr)
    };
    let failed = |url: &str, why: &str| {
        let line = format!("prometheus-aggregation-gateway: {url}: {why}\n");
        (Some(1), line)
    };
    let at = format!("http://{}", gateway.address);
    assert_eq!(probe(&format!("{at}/-/healthy")), (Some(0), String::new()));
    let localhost = format!("http://localhost:{}/metrics", gateway.address.port());
    assert_eq!(probe(&localhost), (Some(0), String::new()));
    let missing = format!("{at}/missing");
    assert_eq!(probe(&missing), failed(&missing, "answered with 404"));
    // The page of an address alone is the root.
    assert_eq!(probe(&at).0, Some(0));
    let wrong = probe("a:1");
    let expected =
        "flag -probe: expected a URL such as http://127.0.0.1:9091/-/healthy, found `a:1`";
    assert_eq!(wrong.0, Some(2));
    assert!(wrong.1.contains(expected), "{}", wrong.1);
    let silent = TcpListener::bind("127.0.0.1:0").expect("there is a free port");
    let silent = format!("http://{}/", silent.local_addr().expect("it is bound"));
    assert!(silent.parse::<ProbeUrl>().is_ok_and(|page| {
        let line = format!("{silent}: no answer within 100ms");
        probe::probe(&page, Duration::from_millis(100)) == Err(line)
    }));
    drop(gateway);
    let refused = "Connection refused (os error 111)";
    assert_eq!(probe(&missing), failed(&missing, refused));
    assert_eq!(probe("http://[::1]:1/x").0, Some(1));
}

#[test]
fn what_is_a_page_to_probe() {
    for url in [
        "https://a/",
        "http://",
        "http://:1/",
        "http://a:b/",
        "http://a b/",
        "http://u@a/",
    ] {
        assert!(url.parse::<ProbeUrl>().is_err(), "{url}");
    }
    for url in ["http://a:80/", "http://[::1]:1/x:y", "http://a:65535/?b=c"] {
        assert_eq!(
            url.parse::<ProbeUrl>().map(|page| page.to_string()),
            Ok(url.to_owned())
        );
    }
}

/// Wrong arguments end it with status 2 and one line, before anything is bound.
#[test]
fn wrong_arguments() {
    #[track_caller]
    fn check(arguments: &[&str], line: &str) {
        // The port is taken: who binds first would end with 1.
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap().to_string();
        let mut arguments = arguments.to_vec();
        if !arguments.iter().any(|argument| argument.contains("listen")) {
            arguments.extend(["-listen", &address]);
        }
        let output = command(&arguments).output().unwrap();
        assert_eq!(said(&output.stderr), format!("{line}\n"));
        assert_eq!(output.status.code(), Some(2));
    }
    check(&["--nonsense=1"], "unknown flag `--nonsense`; see -help");
    check(&["-listen"], "flag -listen needs a value");
    let expected = "flag -listen: expected HOST:PORT, [IPV6]:PORT, :PORT or unix:PATH, found";
    check(
        &["-listen", "9091"],
        &format!("{expected} `9091`; put a colon before the port"),
    );
    check(
        &["-listen", "localhost"],
        &format!("{expected} `localhost`"),
    );
    check(&["-listen", ":70000"], &format!("{expected} `:70000`"));
    check(&["-listen", ":+80"], &format!("{expected} `:+80`"));
    check(&["-listen", "::1:80"], &format!("{expected} `::1:80`"));
    check(
        &["-workers", "0"],
        "flag -workers: expected a whole number from 1 to 1024, found `0`",
    );
    check(
        &["-push-path", "push"],
        "flag -push-path: expected a path such as /metrics/, found `push`",
    );
    check(
        &["-push-path", "/a?b"],
        "flag -push-path: expected a path such as /metrics/, found `/a?b`",
    );
    check(
        &["-cors", "a\r\nb"],
        "flag -cors: expected *, none or origins such as https://example.org, found `a\\r\\nb`",
    );
    check(
        &["-crontab", "60 * * * *"],
        "crontab: minute \"60\" is out of range 0-59",
    );
    let number = "expected a whole number from 1, such as 5000 or 1e6, found";
    for flag in ["series", "labels", "idempotency-keys", "connections"] {
        let line = |found| format!("flag -max-{flag}: {number} `{found}`");
        check(&[&format!("-max-{flag}=1k")], &line("1k"));
        check(&[&format!("-max-{flag}"), "0"], &line("0"));
    }
    let line = "flag -version takes no value, found `-version=1`";
    check(&["-version=1"], line);
    let path = "flag -push-path: expected a path such as /metrics/, found";
    check(&["-push-path", "/a//b"], &format!("{path} `/a//b`"));
    check(&["-next", "1"], "flag -next needs -crontab");
    check(
        &["-after", "2026-03-29T00:59:30Z"],
        "flag -after needs -next",
    );
    let after = "flag -after: expected an instant such as 2026-03-29T00:59:30Z, found";
    let preview = ["-crontab", "@daily", "-next", "1", "-after", "today"];
    check(&preview, &format!("{after} `today`"));
}

#[test]
fn help_and_version() {
    for flag in ["-help", "--help", "-h"] {
        let output = command(&[flag]).output().unwrap();
        assert_eq!(output.status.code(), Some(0));
        let text = String::from_utf8(output.stdout).unwrap();
        for name in [
            "listen",
            "crontab",
            "push-path",
            "cors",
            "max-body-bytes",
            "max-series",
            "max-labels",
            "max-label-bytes",
            "next",
            "after",
            "workers",
            "version",
            "help",
        ] {
            assert!(text.contains(&format!("\n  -{name} ")), "{text}");
        }
    }
    for flag in ["-version", "--version"] {
        let output = command(&[flag]).output().unwrap();
        assert_eq!(output.status.code(), Some(0));
        let expected = concat!(
            "prometheus-aggregation-gateway ",
            env!("CARGO_PKG_VERSION"),
            " (commit "
        );
        let printed = String::from_utf8(output.stdout).unwrap();
        let behind = printed.strip_prefix(expected);
        let (commit, target) = behind.and_then(|behind| behind.split_once(", ")).unwrap();
        let is_word = |c: char| c.is_ascii_alphanumeric() || c == '-';
        assert!(
            !commit.is_empty() && commit.chars().all(is_word),
            "{printed}"
        );
        let target = target.strip_suffix(")\n").unwrap();
        assert!(target.starts_with(&format!("{ARCH}-linux-")), "{printed}");
    }
}

/// The way to try a schedule, without a port.
#[test]
fn next_resets_are_printed() {
    #[track_caller]
    fn check(arguments: &[&str], printed: &str) {
        let output = command(arguments)
            .env("TZ", "CET-1CEST,M3.5.0,M10.5.0/3")
            .output()
            .unwrap();
        assert_eq!(String::from_utf8(output.stdout).unwrap(), printed);
        assert_eq!((output.status.code(), output.stderr), (Some(0), Vec::new()));
    }
    check(
        &[
            "-crontab",
            "30 2 * * *",
            "-next",
            "3",
            "-after",
            "2026-10-24T12:00:00+02:00",
        ],
        "2026-10-25T02:30:00+02:00\n2026-10-25T02:30:00+01:00\n2026-10-26T02:30:00+01:00\n",
    );
    check(
        &[
            "--next=2",
            "--crontab=@every 1h30m",
            "--after=2026-01-01T00:00:00Z",
        ],
        "2026-01-01T02:30:00+01:00\n2026-01-01T04:00:00+01:00\n",
    );
    check(&["-crontab", "0 0 31 2 *", "-next", "3"], "never\n");
}

/// Nobody reads what it prints.
#[test]
fn closed_output_is_no_panic() {
    let mut process = command(&["-help"]).stdout(Stdio::piped()).spawn().unwrap();
    drop(process.stdout.take());
    assert!(process.wait().unwrap().code().is_some_and(|code| code <= 1));
}

#[test]
fn address_in_use() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = command(&["-listen", &address]).output().unwrap();
    let stderr = said(&output.stderr);
    // What stands between is of the C library.
    let expected = format!("cannot listen on {address}: Address ");
    assert!(stderr.starts_with(&expected), "{stderr}");
    let hint = " in use (os error 98); another process listens there: choose another address with \
                -listen\n";
    assert!(stderr.ends_with(hint), "{stderr}");
    assert_eq!(output.status.code(), Some(1));
}

/// `:PORT` is IPv6 and IPv4.
#[test]
fn both_address_families() {
    let gateway = RunningGateway::start_on(":0", &[]);
    let port = gateway.address.port();
    let streams = [
        TcpStream::connect((Ipv4Addr::LOCALHOST, port)),
        TcpStream::connect((Ipv6Addr::LOCALHOST, port)),
    ];
    for stream in streams {
        let mut stream = stream.expect("it listens on this family");
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
            .write_all(b"GET /-/healthy HTTP/1.0\r\n\r\n")
            .unwrap();
        let mut reply = String::new();
        stream.read_to_string(&mut reply).unwrap();
        assert!(reply.starts_with("HTTP/1.0 200 OK\r\n"), "{reply}");
    }
}

#[test]
fn start_says_what_to_do() {
    let gateway = RunningGateway::start(&[]);
    assert_eq!(
        gateway.wait_for_line("crontab"),
        "no -crontab: no scheduled reset"
    );
    let port = gateway.address.port();
    let push = format!(
        "push: echo 'some_metric 3.14' | curl --data-binary @- \
         http://127.0.0.1:{port}/metrics/job/some_job"
    );
    assert_eq!(gateway.wait_for_line("push"), push);
    let scrape = format!("scrape: curl http://127.0.0.1:{port}/metrics");
    assert_eq!(gateway.wait_for_line("scrape"), scrape);
    let gateway = RunningGateway::start_on(":0", &[]);
    let scrape = format!(
        "scrape: curl http://localhost:{}/metrics",
        gateway.address.port()
    );
    assert_eq!(gateway.wait_for_line("scrape"), scrape);
    let gateway = RunningGateway::start(&["-crontab", "0 0 1 1 *"]);
    let line = gateway.wait_for_line("crontab");
    assert!(
        line.starts_with("crontab \"0 0 1 1 *\": next reset 2"),
        "{line}"
    );
    assert!(line.ends_with("-01-01T00:00:00+00:00 (UTC)"), "{line}");
    let gateway = RunningGateway::start(&["-crontab", "0 0 31 2 *"]);
    let line = gateway.wait_for_line("crontab");
    let expected = "crontab \"0 0 31 2 *\": warning: it never fires, the sums are never cleared";
    assert_eq!(line, expected);
    assert_eq!(gateway.push("/metrics", "x 1\n").body, "{}");
    let gateway = RunningGateway::start(&["-crontab", "*/90 * * * *\n"]);
    let line = gateway.wait_for_line("crontab \"*/90 * * * *\": minute");
    let expected = "crontab \"*/90 * * * *\": minute \"*/90\" is 0 alone: its step is \
                    larger than its range; for other intervals use @every";
    assert_eq!(line, expected);
}

/// `-check` warns of what the start will warn of.
#[test]
fn check_warns_of_large_steps() {
    let output = command(&["-crontab", "*/90 * * * *", "-check"]).output();
    let output = output.expect("the gateway runs");
    assert!(output.status.success());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("\": minute \"*/90\" is 0 alone"), "{said}");
}

/// Both spellings of the flag; the answer to a push is the next reset and 30 s.
#[test]
fn next_reset_is_announced() {
    for flags in [&["-crontab", "*/5 * * * *"][..], &["--crontab=*/5 * * * *"]] {
        let gateway = RunningGateway::start(flags);
        let before = unix_seconds();
        let reply = gateway.push("/metrics", "x 1\n");
        let after = unix_seconds();
        let next = |seconds: u64| (seconds / 300 + 1) * 300 + 30;
        let json = |seconds| format!("{{\"nextResetTimestampSec\":{seconds}}}");
        let expected = [json(next(before)), json(next(after))];
        assert!(
            expected.contains(&reply.body),
            "{} not in {expected:?}",
            reply.body
        );
    }
}

#[test]
fn reset_clears_everything() {
    let gateway = RunningGateway::start(&["-crontab", "@every 1s"]);
    let mut cleared = 0;
    // The reset may come between a push and the next; then there was something to clear.
    while cleared < 2 {
        assert_eq!(
            gateway
                .push("/metrics", "x{a=\"1\"} 1\nx{a=\"2\"} 1\ny 1\n")
                .code,
            200
        );
        let line = gateway.wait_for_line("reset: cleared ");
        if line.starts_with("reset: cleared 2 families, 3 series; next reset ") {
            cleared += 1;
            assert_eq!(gateway.scrape(), "");
        }
    }
    let resets = gateway.own_metric("aggregation_gateway_resets_total");
    let last = gateway.own_metric("aggregation_gateway_last_reset_timestamp_seconds");
    let next = gateway.own_metric("aggregation_gateway_next_reset_timestamp_seconds");
    assert!(resets >= 2.0);
    assert!(
        last <= next && next <= last + 5.0,
        "last {last}, next {next}"
    );
}

#[test]
fn signals_end_it() {
    for (signal, name) in [(Signal::TERM, "SIGTERM"), (Signal::INT, "SIGINT")] {
        let mut gateway = RunningGateway::start(&["-crontab", "@hourly"]);
        let address = gateway.address;
        gateway.signal(signal);
        let line = gateway.wait_for_line("SIG");
        assert_eq!(line, format!("{name}: finishing the requests in flight"));
        assert_eq!(gateway.wait().code(), Some(0));
        assert!(TcpStream::connect(address).is_err());
    }
}

/// A push whose body is still coming when the signal does is answered before the end.
#[test]
fn requests_in_flight_are_finished() {
    let mut gateway = RunningGateway::start(&["-workers", "2"]);
    let body = format!("x 1\n{}", "#".repeat(2000));
    let mut connection = gateway.begin_push(body.len(), &body.as_bytes()[..1500]);
    gateway.signal(Signal::TERM);
    gateway.wait_for_line("SIGTERM");
    // Meanwhile nobody else is let in.
    wait_until(|| TcpStream::connect(gateway.address).is_err());
    connection.send_bytes(&body.as_bytes()[1500..]);
    assert_eq!(connection.reply("POST").code, 200);
    assert_eq!(gateway.wait().code(), Some(0));
}

/// A scrape that is being read when the signal comes is read to its end, which is then its end,
/// too.
#[test]
fn a_scrape_is_read_to_its_end() {
    let mut gateway = RunningGateway::start(&[]);
    let lines: String = (0..100_000)
        .map(|n| format!("x{{n=\"{n:060}\"}} 1\n"))
        .collect();
    assert_eq!(gateway.push("/metrics", &lines).code, 200);
    let mut reader = gateway.connect();
    reader.send("GET", "/metrics", "", b"");
    let mut idle = gateway.connect();
    idle.send("GET", "/-/healthy", "", b"");
    assert_eq!(idle.reply("GET").code, 200);
    gateway.signal(Signal::TERM);
    gateway.wait_for_line("SIGTERM");
    assert_eq!(idle.read_to_end(), b"");
    assert_eq!(reader.reply("GET").body.lines().count(), 100_001);
    assert_eq!(reader.read_to_end(), b"");
    assert_eq!(gateway.wait().code(), Some(0));
    assert_eq!(gateway.remaining_lines(), Vec::<String>::new());
}

/// A push whose body never comes does not keep it from ending.
#[test]
fn a_stalled_request_is_given_up() {
    let mut gateway = RunningGateway::start(&["-workers", "2"]);
    let _connection = gateway.begin_push(5000, b"");
    gateway.signal(Signal::TERM);
    gateway.wait_for_line("1 request in flight was given up after 5 s");
    assert_eq!(gateway.wait().code(), Some(0));
}

/// Accepted connections inherit what was set on the listener.
#[test]
fn the_listener_has_its_options() {
    for address in ["127.0.0.1:0", "[::1]:0", ":0"] {
        let address: ListenAddress = address.parse().unwrap();
        let listener = address.listen().unwrap();
        let listener = TcpListener::from(OwnedFd::from(listener));
        let port = listener.local_addr().unwrap().port();
        let host = if address.to_string().contains("::") {
            "::1"
        } else {
            "127.0.0.1"
        };
        let _client = TcpStream::connect((host, port)).unwrap();
        let (accepted, _) = listener.accept().unwrap();
        assert!(accepted.nodelay().unwrap(), "{address}");
    }
}

fn unix_seconds() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs()
}
