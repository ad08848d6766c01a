//! Tokens: every route by every credential.

use std::fs;
use std::path::PathBuf;

use prometheus_aggregation_gateway::http::route::{Credential, Route};
use prometheus_aggregation_gateway::tokens::{Credentials, Denial, Tokens};
use rustix::process::Signal;

use crate::running_gateway::{Reply, RunningGateway, ScratchFolder, scratch_folder};

pub const PUSH: &str = "push-token-0123456789";
pub const SCRAPE: &str = "scrape-token-0123456789";

/// What a request says of its sender.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Shown {
    Nothing,
    Push,
    Scrape,
    Wrong,
}

impl Shown {
    const ALL: [Shown; 4] = [Shown::Nothing, Shown::Push, Shown::Scrape, Shown::Wrong];

    fn field(self) -> String {
        match self {
            Shown::Nothing => String::new(),
            Shown::Push => bearer(PUSH),
            Shown::Scrape => bearer(SCRAPE),
            Shown::Wrong => bearer("push-token-0123456788"),
        }
    }
}

pub fn bearer(token: &str) -> String {
    format!("Authorization: Bearer {token}\r\n")
}

pub struct Files {
    pub folder: ScratchFolder,
}

impl Files {
    pub fn new() -> Files {
        let files = Files {
            folder: scratch_folder(),
        };
        files.write("push", &format!("# pushers\n\n{PUSH}\r\n"));
        files.write("scrape", &format!("other-token-0123456789\n{SCRAPE}"));
        files
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn write(&self, name: &str, contents: &str) {
        fs::write(self.path(name), contents).expect("the folder is ours");
    }

    fn flags(&self, names: &[&str]) -> Vec<String> {
        let flag = |name: &&str| format!("-{name}-token-file={}", self.path(name).display());
        names.iter().map(flag).collect()
    }

    pub fn start(&self, names: &[&str]) -> RunningGateway {
        let flags = self.flags(names);
        let mut flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        flags.push("-enable-admin-api");
        RunningGateway::start(&flags)
    }
}

/// Method, path, body, what it needs, and the status with that.
const REQUESTS: &[(&str, &str, &str, Credential, u16)] = &[
    ("POST", "/metrics", "x 1\n", Credential::Push, 200),
    ("PUT", "/metrics/job/a", "x 1\n", Credential::Push, 200),
    ("POST", "//metrics/job/a", "x 1\n", Credential::Push, 200),
    ("POST", "http://h/metrics", "x 1\n", Credential::Push, 200),
    ("POST", "/metrics", "", Credential::Push, 200),
    ("POST", "/metrics", "x{\n", Credential::Push, 400),
    ("OPTIONS", "/metrics", "", Credential::None, 204),
    ("GET", "/metrics", "", Credential::Scrape, 200),
    ("GET", "http://h//metrics?x", "", Credential::Scrape, 200),
    ("HEAD", "/metrics", "", Credential::Scrape, 200),
    ("GET", "/-/metrics", "", Credential::Scrape, 200),
    ("HEAD", "/-/metrics", "", Credential::Scrape, 200),
    ("GET", "/-/healthy", "", Credential::None, 200),
    ("HEAD", "/-/ready", "", Credential::None, 200),
    ("DELETE", "/metrics/job/a", "", Credential::Scrape, 202),
    ("PUT", "/api/v1/admin/wipe", "", Credential::Scrape, 202),
    ("POST", "/api/v1/admin/wipe", "", Credential::Scrape, 405),
    ("GET", "/api/v1/none", "", Credential::Scrape, 404),
    ("GET", "/api/v1/", "", Credential::Scrape, 404),
    ("GET", "/", "", Credential::Scrape, 200),
    ("HEAD", "/?q=x", "", Credential::Scrape, 200),
    ("GET", "/api/v1/status", "", Credential::Scrape, 200),
    ("PUT", "/", "", Credential::Scrape, 405),
    ("GET", "/none", "", Credential::None, 404),
    ("PATCH", "/metrics", "", Credential::None, 405),
    ("POST", "/-/metrics", "x 1\n", Credential::None, 405),
    ("GET", "/metrics/job/a", "", Credential::None, 405),
];

fn is_admitted(needed: Credential, shown: Shown, guarded: &[&str]) -> bool {
    match needed {
        Credential::None => true,
        Credential::Push => !guarded.contains(&"push") || shown == Shown::Push,
        Credential::Scrape => !guarded.contains(&"scrape") || shown == Shown::Scrape,
    }
}

#[test]
fn every_route_by_every_credential() {
    let files = Files::new();
    for guarded in [&["push", "scrape"][..], &["push"], &["scrape"], &[]] {
        let gateway = files.start(guarded);
        for (method, path, body, needed, code) in REQUESTS {
            for shown in Shown::ALL {
                let reply = gateway.request(method, path, &shown.field(), body.as_bytes());
                let admitted = is_admitted(*needed, shown, guarded);
                let expected = if admitted { *code } else { 401 };
                let request = format!("{method} {path} {shown:?} {guarded:?}");
                assert_eq!(reply.code, expected, "{request}");
                assert_eq!(
                    challenges(&reply),
                    if admitted { 0 } else { 2 },
                    "{request}"
                );
                assert_eq!(
                    Route::of(method, path, "/metrics").credential(path),
                    *needed
                );
            }
        }
    }
}

/// Needs nothing but the route: every method, known or not, of every path.
#[test]
fn no_route_is_forgotten() {
    let methods = [
        "GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "get", "x",
    ];
    for path in [
        "/metrics",
        "/metrics/job/x",
        "/push",
        "/-/metrics",
        "/api/v1/admin/wipe",
        "/api/v1/status",
        "/",
    ] {
        for push_path in ["", "/metrics", "/push", "/api/v1"] {
            for method in methods {
                let route = Route::of(method, path, push_path);
                let is_open = route.credential(path) == Credential::None;
                let may_be_open = match route {
                    Route::Preflight | Route::Healthy | Route::Ready => true,
                    Route::WrongMethod { .. } | Route::NotFound => {
                        path != "/" && !path.starts_with("/api/v1/")
                    }
                    _ => false,
                };
                assert_eq!(is_open, may_be_open, "{method} {path} with {push_path}");
            }
        }
    }
}

fn challenges(reply: &Reply) -> usize {
    let lines = reply.head.lines();
    let challenges = lines.filter_map(|line| line.strip_prefix("WWW-Authenticate: "));
    let schemes: Vec<_> = challenges
        .filter_map(|value| value.split(' ').next())
        .collect();
    assert!(
        schemes.is_empty() || schemes == ["Bearer", "Basic"],
        "{schemes:?}"
    );
    schemes.len()
}

#[test]
fn a_refusal_says_what_to_do() {
    let files = Files::new();
    let gateway = files.start(&["push", "scrape"]);
    let how = |flag| {
        format!(
            "; send `Authorization: Bearer TOKEN` with a token of -{flag}-token-file, or Basic \
             with any user and the token as password\n"
        )
    };
    for (field, line) in [
        ("", "a token is needed here, and none was sent"),
        (
            &bearer("x"),
            "the token is not one of those that are accepted here",
        ),
        (
            &bearer(PUSH).repeat(2),
            "several Authorization fields were sent",
        ),
        (
            "Authorization: Digest x\r\n",
            "the Authorization field is neither Bearer nor Basic",
        ),
    ] {
        let reply = gateway.request("POST", "/metrics", field, b"x 1\n");
        assert_eq!(
            (reply.code, reply.body),
            (401, format!("{line}{}", how("push")))
        );
    }
    let reply = gateway.get("/metrics");
    assert_eq!(
        reply.body.split_once(';').map(|(_, how)| how),
        how("scrape").strip_prefix(';')
    );
    let refused = gateway
        .request("GET", "/-/metrics", &bearer(SCRAPE), b"")
        .body;
    let count = "aggregation_gateway_pushes_total{result=\"unauthorized\"} 4";
    assert!(refused.lines().any(|line| line == count), "{refused}");
}

/// RFC 7617: any user, the token as password.
#[test]
fn basic() {
    let files = Files::new();
    let gateway = files.start(&["push", "scrape"]);
    // job:push-token-0123456789, :push-token-0123456789, push-token-0123456789, and a wrong one.
    for (pair, code) in [
        ("am9iOnB1c2gtdG9rZW4tMDEyMzQ1Njc4OQ==", 200),
        ("OnB1c2gtdG9rZW4tMDEyMzQ1Njc4OQ==", 200),
        ("OnB1c2gtdG9rZW4tMDEyMzQ1Njc4OQ", 200),
        ("cHVzaC10b2tlbi0wMTIzNDU2Nzg5", 401),
        ("am9iOnB1c2gtdG9rZW4tMDEyMzQ1Njc4OA==", 401),
        ("am9iOnB1c2gtdG9rZW4tMDEyMzQ1Njc4OQ=x", 401),
        ("", 401),
    ] {
        for scheme in ["Basic", "basic", "BASIC "] {
            let field = format!("authorization: {scheme} {pair}\r\n");
            let reply = gateway.request("POST", "/metrics", &field, b"x 1\n");
            assert_eq!(reply.code, code, "{field}");
        }
    }
}

/// Neither is a body asked for, nor read, nor is what stands behind it taken for a request.
#[test]
fn it_is_refused_before_its_body() {
    let files = Files::new();
    let gateway = files.start(&["push", "scrape"]);
    let push = |fields: &str| format!("POST /metrics HTTP/1.1\r\n{fields}\r\n");
    for fields in [
        "Expect: 100-continue\r\nContent-Length: 4\r\n",
        "Content-Length: 16000000\r\n",
        "Content-Length: 999999999999\r\n",
        "Transfer-Encoding: chunked\r\n",
        "Content-Length: 4\r\n",
    ] {
        let mut connection = gateway.connect();
        connection.send_bytes(push(fields).as_bytes());
        let reply = connection.reply("POST");
        assert_eq!(reply.code, 401, "{fields}");
        assert_eq!(reply.header("Connection"), Some("close"));
        let _ = connection.try_send_bytes(b"GET /-/healthy HTTP/1.1\r\n\r\n");
        connection.end_output();
        assert_eq!(connection.read_to_end(), b"");
    }
    let expected = format!(
        "{}Expect: 100-continue\r\nContent-Length: 4\r\n",
        bearer(PUSH)
    );
    let mut connection = gateway.connect();
    connection.send_bytes(push(&expected).as_bytes());
    assert_eq!(connection.reply("POST").code, 100);
    connection.send_bytes(b"x 1\n");
    assert_eq!(connection.reply("POST").code, 200);
}

/// Each of them shows its own token; what has no body leaves its connection open.
#[test]
fn pipelined_requests() {
    let files = Files::new();
    let gateway = files.start(&["push", "scrape"]);
    let get = |field: &str| format!("GET /metrics HTTP/1.1\r\n{field}\r\n");
    let push =
        |field: &str| format!("POST /metrics HTTP/1.1\r\nContent-Length: 4\r\n{field}\r\nx 1\n");
    let mut connection = gateway.connect();
    let requests = [
        (get(""), 401),
        (push(&bearer(PUSH)), 200),
        (get(&bearer(PUSH)), 401),
        (get(&bearer(SCRAPE)), 200),
        (push(&bearer(SCRAPE)), 401),
        (push(&bearer(PUSH)), 0),
    ];
    let bytes: String = requests
        .iter()
        .map(|(request, _)| request.as_str())
        .collect();
    connection.send_bytes(bytes.as_bytes());
    for (request, code) in &requests[..5] {
        assert_eq!(connection.reply("GET").code, *code, "{request}");
    }
    assert_eq!(connection.read_to_end(), b"");
    let mut old = gateway.connect();
    old.send_bytes(b"GET /metrics HTTP/1.0\r\n\r\n");
    let reply = String::from_utf8(old.read_to_end()).expect("it is text");
    assert!(
        reply.starts_with("HTTP/1.0 401 Unauthorized\r\n"),
        "{reply}"
    );
    let mut old = gateway.connect();
    old.send_bytes(format!("GET /metrics HTTP/1.0\r\n{}\r\n", bearer(SCRAPE)).as_bytes());
    let reply = String::from_utf8(old.read_to_end()).expect("it is text");
    assert!(
        reply.ends_with("\r\n\r\n# TYPE x untyped\nx 1\n"),
        "{reply}"
    );
}

/// A page of another origin may ask whether it may, and read why it may not.
#[test]
fn pages_of_other_origins() {
    let files = Files::new();
    let gateway = files.start(&["push", "scrape"]);
    let asked = "Origin: https://a\r\nAccess-Control-Request-Method: POST\r\n\
                 Access-Control-Request-Headers: authorization\r\n";
    let reply = gateway.request("OPTIONS", "/metrics", asked, b"");
    let allowed = reply
        .header("Access-Control-Allow-Headers")
        .unwrap_or_default();
    assert!(reply.code == 204 && allowed.split(", ").any(|name| name == "Authorization"));
    let refused = gateway.request("POST", "/metrics", "Origin: https://a\r\n", b"x 1\n");
    assert_eq!(refused.header("Access-Control-Allow-Origin"), Some("*"));
    assert_eq!(
        (
            refused.code,
            gateway
                .get("/metrics")
                .header("Access-Control-Allow-Origin")
        ),
        (401, None)
    );
}

/// What a client has sent of a request goes on, with its token.
#[test]
fn requests_are_handed_over_with_their_tokens() {
    let files = Files::new();
    let gateway = files.start(&["push", "scrape"]);
    let mut in_body = gateway.connect();
    let head = "POST /metrics HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 4\r\n";
    in_body.send_bytes(format!("{head}{}\r\n", bearer(PUSH)).as_bytes());
    assert_eq!(in_body.reply("POST").code, 100);
    in_body.send_bytes(b"x ");
    let mut in_head = gateway.connect();
    in_head.send_bytes(b"GET /metrics HTTP/1.1\r\nAuthorization: Bearer scrape-to");
    gateway.signal(Signal::HUP);
    gateway.wait_for_line(" has taken over");
    in_body.send_bytes(b"1\n");
    assert_eq!(in_body.reply("POST").code, 200);
    in_head.send_bytes(b"ken-0123456789\r\n\r\n");
    assert_eq!(in_head.reply("GET").body, "# TYPE x untyped\nx 1\n");
}

#[test]
fn no_token_is_shown() {
    let files = Files::new();
    let mut gateway = files.start(&["push", "scrape"]);
    for token in [PUSH, SCRAPE, "wrong-token-0123456789"] {
        gateway.request("POST", "/metrics", &bearer(token), b"x{\n");
        gateway.request("GET", "/metrics", &bearer(token), b"");
    }
    let page = gateway
        .request("GET", "/-/metrics", &bearer(SCRAPE), b"")
        .body;
    let arguments = fs::read_to_string(format!("/proc/{}/cmdline", gateway.id()));
    gateway.signal(Signal::TERM);
    gateway.wait();
    let said = gateway.remaining_lines().join("\n");
    for text in [page, arguments.expect("it runs"), said] {
        assert!(!text.contains("token-0123456789"), "{text}");
    }
}

#[test]
fn what_is_admitted() {
    let tokens = Tokens::read(b"0123456789abcdef\n0123456789abcde+\n").expect("they are long");
    let admit = |field: &str| tokens.admit(Credentials::Field(field.as_bytes()));
    for field in [
        "Bearer 0123456789abcdef",
        "bearer  0123456789abcde+ ",
        "Basic OjAxMjM0NTY3ODlhYmNkZSs=",
        "BASIC YTowMTIzNDU2Nzg5YWJjZGVm",
    ] {
        assert_eq!(admit(field), Ok(()), "{field}");
    }
    for field in [
        "Bearer 0123456789abcde",
        "Bearer 0123456789abcdeff",
        "Bearer ",
        "Bearer \t",
        "Bearer 0123456789abcdef,0123456789abcdef",
        "Basic YTo=",
    ] {
        assert_eq!(admit(field), Err(Denial::Unknown), "{field}");
    }
    for field in [
        "",
        "0123456789abcdef",
        "Bearer",
        "Basic x",
        "Basic ",
        "Basic eA==",
        "Basic -_==",
    ] {
        assert_eq!(admit(field), Err(Denial::Unreadable), "{field}");
    }
    assert_eq!(tokens.admit(Credentials::None), Err(Denial::Missing));
    assert_eq!(tokens.admit(Credentials::Several), Err(Denial::Several));
    let shown = Credentials::Field(b"Bearer 0123456789abcdef");
    assert_eq!(Tokens::NONE.admit(shown), Err(Denial::Unknown));
    assert_eq!(
        Tokens::NONE.admit(Credentials::Field(b"Bearer ")),
        Err(Denial::Unknown)
    );
    assert_eq!(format!("{tokens:?}"), "2 tokens");
}
