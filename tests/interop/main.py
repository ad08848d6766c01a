"""Runs all of it: see scripts/interop, which starts this with a Python that has prometheus_client.

main.py [GATEWAY]
"""

import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path

import check_clients
import check_deployments
import check_names
import check_nginx
import check_page
import check_promtool
import check_protobuf
import check_readme
import check_reset
import check_shards
import check_workers
import install
import processes
import results
import servers as starts
import web
from folders import LOG, ROOT

BUILT = Path(os.environ.get("CARGO_TARGET_DIR", "target")) / "release"


def check_all(program, scratch):
    servers = starts.start_all(program, scratch)
    starts.check_targets(servers)
    workers = check_workers.Workers(servers, scratch, program)
    check_names.push(servers)
    check_protobuf.push(servers)
    recorder = check_clients.push_all(servers, scratch)
    web.wait_for_scrapes(servers["prometheus"])
    check_clients.check_sums(servers)
    check_names.check(servers)
    check_protobuf.check_all(servers)
    rows = check_clients.check_numbers(servers, recorder)
    check_promtool.check_scrapes(servers)
    parse = starts.command("parse_scrape.py")
    processes.check("parser", [*parse, servers["gateway"], servers["prometheus"], "gateway"])
    check_promtool.check_alerts(servers)
    check_nginx.check(servers, scratch)
    check_shards.check_all(servers, scratch, program)
    check_reset.check_all(servers)
    check_readme.check_all(servers, scratch, program)
    check_workers.check_all(workers)
    check_deployments.check_all(servers)
    sequences = check_promtool.check_sequences(scratch)
    compare = starts.command("differential.py")
    processes.check("differential", [*compare, servers["compared"], sequences])
    check_page.check(servers, scratch)
    for name in ["gateway", "windowed", "proxied", "shard_a", "shard_b", "workers", "summaries"]:
        processes.check_end(name)
    results.print_table(rows)


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("scripts/interop: ended by SIGTERM"))
    gateway = sys.argv[1] if len(sys.argv) > 1 else None
    program = ROOT / (gateway or BUILT / "prometheus-aggregation-gateway")
    shutil.rmtree(LOG, ignore_errors=True)
    LOG.mkdir(parents=True)
    install.install_all(gateway)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
        try:
            check_all(program, Path(scratch))
        finally:
            processes.end_all()
    results.print_counts()
    sys.exit(results.failed > 0)


main()
