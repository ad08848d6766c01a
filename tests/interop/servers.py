"""The servers that a run needs: gateways, Prometheus, nginx; on loopback only, on free ports."""

import shutil
import socket
from urllib.parse import urlsplit

import configurations
import processes
import results
import web
from folders import CACHE, DEPLOY, ROOT
from processes import wait_until

WINDOW_SECONDS = 8
GATEWAYS = [
    "gateway", "windowed", "compared", "proxied", "shard_a", "shard_b", "workers", "summaries",
]
PROMETHEUSES = ["prometheus", "protobuf"]
NGINXES = ["nginx", "sharding", "hashing"]
# Prometheus scrapes three gateways, five for their own metrics, and the shards twice.
TARGETS = 12


def start_all(program, scratch):
    """A dictionary of the servers' names and addresses."""
    servers = find_addresses()
    for name in GATEWAYS:
        start_gateway(program, scratch, servers, name)
    web.certificate = make_certificate(scratch)
    start_nginx(scratch, "nginx", configurations.proxy(servers["nginx"], servers["proxied"]))
    start_nginx(scratch, "sharding", configurations.sharding(servers))
    start_nginx(scratch, "hashing", configurations.hashing(servers))
    start_prometheus(
        scratch / "prometheus", servers["prometheus"], configurations.prometheus(servers)
    )
    # It asks for protobuf then.
    start_prometheus(
        scratch / "protobuf", servers["protobuf"], configurations.protobuf(servers), "protobuf",
        ["--enable-feature=native-histograms"],
    )
    for name in GATEWAYS:
        if not wait_until(10, lambda: web.answers(f"{servers[name]}/-/healthy")):
            processes.give_up(f"no gateway: {processes.log_of(name)}")
    for name in NGINXES:
        if not wait_until(10, lambda: web.nginx_status(servers[name]) != "000"):
            processes.give_up(f"no nginx: {processes.log_of(name)}")
    for name in PROMETHEUSES:
        if not wait_until(30, lambda: web.answers(f"{servers[name]}/-/ready")):
            processes.give_up(f"no Prometheus: {processes.log_of(name)}")
    return servers


def find_addresses():
    names = [*GATEWAYS, *NGINXES, *PROMETHEUSES, "readme", "readme_prometheus"]
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in names]
    servers = {}
    for name, one in zip(names, sockets):
        scheme = "https" if name in NGINXES else "http"
        servers[name] = f"{scheme}://127.0.0.1:{one.getsockname()[1]}"
        one.close()
    return servers


def start_gateway(program, scratch, servers, name):
    options = {
        "windowed": ["-crontab", f"@every {WINDOW_SECONDS}s"],
        # With all that adds metrics to /-/metrics, since its page is held against the alerts.
        "proxied": ["-crontab", "@yearly", "-journal", scratch / "proxied"],
        # A schedule that resets nothing while this runs; a journal, for what is lost without one.
        "shard_a": ["-crontab", "@yearly", "-journal", scratch / "shard_a"],
        "shard_b": ["-crontab", "@yearly", "-journal", scratch / "shard_b"],
        "workers": [
            "-crontab", "* * * * *", "-journal", scratch / "workers",
            "-sender-label", "worker", "-sender-timeout", "5s",
        ],
        "summaries": ["-keep-summaries"],
    }.get(name, [])
    processes.start(name, [program, "-listen", urlsplit(servers[name]).netloc, *options])


def make_certificate(scratch):
    folder = scratch / "tls"
    folder.mkdir()
    succeeded, line = processes.run("certificate", [
        "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
        "-subj", "/CN=push", "-addext", "subjectAltName=IP:127.0.0.1",
        "-keyout", folder / "key.pem", "-out", folder / "certificate.pem",
    ])
    if not succeeded:
        processes.give_up(f"no certificate: {line}")
    return folder / "certificate.pem"


def start_nginx(scratch, name, configuration):
    """In surroundings of its own."""
    folder = scratch / name
    folder.mkdir()
    (folder / "tls").symlink_to("../tls")
    (folder / "push.conf").write_text(configuration)
    (folder / "nginx.conf").write_text(configurations.surroundings(name))
    processes.start(name, ["nginx", "-e", "stderr", "-p", f"{folder}/", "-c", "nginx.conf"])


def start_prometheus(folder, url, configuration, name="prometheus", flags=()):
    folder.mkdir(exist_ok=True)
    (folder / "prometheus.yml").write_text(configuration)
    shutil.copy(DEPLOY / "alerts.yml", folder)
    processes.start(name, [
        "prometheus", f"--config.file={folder}/prometheus.yml",
        f"--storage.tsdb.path={folder}/tsdb", f"--web.listen-address={urlsplit(url).netloc}",
        *flags,
    ])


def check_targets(servers):
    prometheus = servers["prometheus"]
    wait_until(20, lambda: web.ask(prometheus, "sum(up)") == str(TARGETS))
    results.expect(
        "Prometheus scrapes three gateways, five for their own metrics, and the shards twice: up",
        str(TARGETS), web.ask(prometheus, "sum(up)"),
    )


def command(program):
    """A Python program of this folder, run by the Python that has prometheus_client."""
    return [CACHE / "venv/bin/python", ROOT / "tests/interop" / program]
