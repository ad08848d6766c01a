"""scripts/deploy/nginx.conf, before one gateway: what it passes on, and what it keeps
away."""

import re

import processes
import servers as starts
import web
from results import expect
from web import allowed_origins, nginx_status

PREFLIGHT = [
    "--request", "OPTIONS", "--header", "Origin: https://page.example",
    "--header", "Access-Control-Request-Method: POST",
    "--header", "Access-Control-Request-Headers: content-type",
]
LONG_BYTES = 17_000_000


def check(servers, scratch):
    nginx = servers["nginx"]
    url = f"{nginx}/metrics/job/nginx"
    check_pushes(servers, url)
    check_origins(scratch, url)
    expect("nginx: a scrape", "403", nginx_status(f"{nginx}/metrics"))
    expect("nginx: a scrape of a group", "403", nginx_status(url))
    expect("nginx: /-/metrics", "404", nginx_status(f"{nginx}/-/metrics"))
    way_around = nginx_status("--path-as-is", f"{nginx}/metrics/../-/metrics")
    expect("nginx: /-/metrics by a way around", "404", way_around)
    arguments = [nginx, web.certificate, servers["proxied"]]
    processes.check("nginx_clients", [*starts.command("nginx_clients.py"), *arguments])
    process = processes.running["proxied"].pid
    hand_over = starts.command("nginx_hand_over.py")
    processes.check("nginx_hand_over", [*hand_over, *arguments, process])


def check_pushes(servers, url):
    expect("nginx: a push", "200", nginx_status("--data", "nginx_total 1", url))
    chunked = ["--header", "Transfer-Encoding: chunked"]
    found = nginx_status(*chunked, "--data", "nginx_total 1", url)
    expect("nginx: a chunked push", "200", found)
    found = nginx_status("--data", "nginx_total 4", f"{url}/path/a%2Fb")
    expect("nginx: a push with a path label of a/b", "200", found)
    page = web.get(f"{servers['proxied']}/metrics")
    found = " ".join(re.findall("^nginx_total(.*)$", page, re.MULTILINE))
    expect("nginx: each counts once", '{job="nginx"} 2 {job="nginx",path="a/b"} 4', found)


def check_origins(scratch, url):
    long = scratch / "17_mb"
    long.write_bytes(bytes(LONG_BYTES))
    send_long = ["--data-binary", f"@{long}", url]
    expect("nginx: a preflight", "204", nginx_status(*PREFLIGHT, url))
    expect("nginx: a preflight allows", "*", allowed_origins(*PREFLIGHT, url))
    expect("nginx: a push allows", "*", allowed_origins("--data", "other_total 1", url))
    expect("nginx: 17 MB", "413", nginx_status(*send_long))
    expect("nginx: 17 MB allow", "*", allowed_origins(*send_long))
