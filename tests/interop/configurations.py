"""What nginx and Prometheus are configured with: the files in scripts/deploy, with nothing changed but
addresses and intervals, and what they have as comments for several gateways."""

import getpass
import re
from urllib.parse import urlsplit

from folders import DEPLOY, LOG


def address(url):
    return urlsplit(url).netloc


def replaced(text, *pairs):
    """Each first text must be there: else the file is not what is tried."""
    for old, new in pairs:
        if old not in text:
            raise ValueError(f"expected {old!r} in a file of scripts/deploy")
        text = text.replace(old, new)
    return text


def uncommented(text, first):
    """The commented block that begins with this line, up to one that closes it."""
    block = re.search(rf"^#{re.escape(first)}.*?^#}}$", text, re.MULTILINE | re.DOTALL)[0]
    return re.sub("^#", "", block, flags=re.MULTILINE)


def in_shards(text, servers):
    return replaced(
        text,
        ("10.0.0.1:9091", address(servers["shard_a"])),
        ("10.0.0.2:9091", address(servers["shard_b"])),
    )


def proxy(nginx, gateway):
    """nginx before one gateway."""
    return replaced(
        (DEPLOY / "nginx.conf").read_text(),
        ("listen 443 ssl;", f"listen {address(nginx)} ssl;"),
        ("server 127.0.0.1:9091;", f"server {address(gateway)};"),
    )


def sharding(servers):
    """nginx before two gateways, by turns."""
    return with_upstream(servers, "sharding", "upstream aggregation_gateway {  # by turns")


def hashing(servers):
    """nginx before the same two gateways, by path."""
    text = with_upstream(servers, "hashing", "upstream aggregation_gateway {  # by path")
    return uncommented(text, "map $uri $sender {") + "\n" + text


def with_upstream(servers, nginx, first):
    text = proxy(servers[nginx], servers["shard_a"])
    upstream = in_shards(uncommented(text, first), servers)
    # A function, since the upstream is no pattern.
    return re.sub(r"^upstream .*?^}$", lambda _: upstream, text, 1, re.MULTILINE | re.DOTALL)


def surroundings(name):
    """Only the user who runs this may write there, so nginx has no other one for its workers."""
    return f"""user {getpass.getuser()};
daemon off;
pid nginx.pid;
events {{}}
http {{
    access_log {LOG}/{name}_access;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    include push.conf;
}}
"""


def prometheus(servers):
    """prometheus.yml for several gateways, and more jobs."""
    text = replaced(
        (DEPLOY / "prometheus.yml").read_text(),
        ("scrape_interval: 15s", "scrape_interval: 1s"),
        ("evaluation_interval: 15s", "evaluation_interval: 1s"),
        ("    #relabel_configs:", "    relabel_configs:"),
        ("    #  - source_labels: [__address__]", "      - source_labels: [__address__]"),
        ("    #    target_label: shard", "        target_label: shard"),
    )
    sums, itself = text.split("  - job_name: aggregation-gateway-itself\n")
    return "".join([
        replaced(sums, at(servers, ["shard_a", "shard_b"])),
        "  - job_name: aggregation-gateway-itself\n",
        replaced(itself, at(servers, OWN_METRICS)),
        scrape("gateway", servers["gateway"], "/metrics"),
        scrape("windowed", servers["windowed"], "/metrics"),
        scrape("workers", servers["workers"], "/metrics"),
        bare_scrape(servers),
    ])


# With a schedule, a journal and senders among them, for the dashboard shows all of it.
OWN_METRICS = ["gateway", "proxied", "workers", "shard_a", "shard_b"]


def at(servers, names):
    """The target of the file, and those that stand in for it."""
    return '"localhost:9091"', ", ".join(f'"{address(servers[name])}"' for name in names)


def protobuf(servers):
    """Of the Prometheus that asks for protobuf."""
    return "".join([
        "global: {scrape_interval: 1s}\n",
        "scrape_configs:\n",
        scrape("gateway", servers["gateway"], "/metrics"),
        scrape("summaries", servers["summaries"], "/metrics"),
    ])


def scrape(job, url, path):
    """`scraped` tells the targets apart, as job and instance are what was pushed (honor_labels)."""
    return f"""  - job_name: {job}
    honor_labels: true
    metrics_path: {path}
    static_configs: [{{targets: ["{address(url)}"], labels: {{scraped: {job}}}}}]
"""


def bare_scrape(servers):
    """The same two targets, but with no label that tells them apart."""
    shards = f'"{address(servers["shard_a"])}", "{address(servers["shard_b"])}"'
    return f"""  - job_name: bare
    honor_labels: true
    static_configs: [{{targets: [{shards}]}}]
    metric_relabel_configs:
      - {{source_labels: [__name__], target_label: __name__, replacement: bare_$1}}
"""
