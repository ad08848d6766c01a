"""What nginx and Prometheus are configured with: the README's blocks, with nothing changed but the
addresses, so that the README says what works."""

import getpass
import re
from urllib.parse import urlsplit

from folders import LOG, ROOT


def readme_block(section, language):
    """The first block of the README's section that is in this language."""
    readme = (ROOT / "README.md").read_text()
    text = re.search(rf"^## {section}$(.*?)(?=^## |\Z)", readme, re.MULTILINE | re.DOTALL)[1]
    return re.search(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)[1]


def address(url):
    return urlsplit(url).netloc


def in_shards(text, servers):
    text = text.replace("10.0.0.1:9091", address(servers["shard_a"]))
    return text.replace("10.0.0.2:9091", address(servers["shard_b"]))


def proxy(nginx, gateway):
    """nginx before one gateway."""
    block = readme_block("Behind a reverse proxy", "nginx")
    block = block.replace("listen 443 ssl;", f"listen {address(nginx)} ssl;")
    return block.replace("server 127.0.0.1:9091;", f"server {address(gateway)};")


def sharding(servers):
    """nginx before two gateways: the same, with the upstream of the section on several gateways."""
    upstream = in_shards(readme_block("Growing beyond one machine", "nginx"), servers)
    before_one = proxy(servers["sharding"], servers["shard_a"])
    return upstream + re.sub(r"^upstream .*?^}$", "", before_one, flags=re.MULTILINE | re.DOTALL)


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
    return "".join([
        "global: {scrape_interval: 1s, evaluation_interval: 1s}\n",
        f"rule_files: [{ROOT}/scripts/deploy/alerts.yml]\n",
        "scrape_configs:\n",
        scrape("gateway", servers["gateway"], "/metrics"),
        scrape("windowed", servers["windowed"], "/metrics"),
        scrape("workers", servers["workers"], "/metrics"),
        scrape("own", servers["gateway"], "/-/metrics"),
        in_shards(readme_block("Growing beyond one machine", "yaml"), servers),
        bare_scrape(servers),
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
