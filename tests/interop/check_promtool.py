"""What promtool says of scrapes, and promtool and Prometheus of scripts/deploy/alerts.yml."""

import json
import os
import re
import subprocess

import results
import web
from folders import LOG, ROOT
from processes import wait_until

# Exit status 3: remarks on the names and help that clients chose.
READ = {0, 3}
SEQUENCES = 200
NAMES = 300


def check_scrapes(servers):
    check_scrape(servers, "/metrics", READ)
    check_scrape(servers, "/-/metrics", {0})


def check_scrape(servers, path, statuses):
    page = web.get(servers["gateway"] + path)
    log = LOG / f"promtool{path.replace('/', '_')}"
    status = run_promtool(["check", "metrics"], log, page.encode())
    remarks = len(log.read_text().splitlines())
    results.check(
        f"promtool check metrics, {path}: status {status}, {remarks} remarks",
        page and status in statuses,
    )


def run_promtool(arguments, log, page=b""):
    with open(log, "w") as file:
        return subprocess.run(
            ["promtool", *arguments], cwd=ROOT, input=page, stdout=file,
            stderr=subprocess.STDOUT,
        ).returncode


def check_sequences(scratch):
    """The integration tests push random sequences, accepted and refused, and names beyond the
    alphabet; promtool reads what came of each. Returns the folder of the scrapes of sequences."""
    check_names(scratch)
    return check_test(scratch, "laws::any_sequence", "random sequences", SEQUENCES)


def check_names(scratch):
    test = "escaped_names::random_names"
    check_test(scratch, test, "random names with underscores", NAMES)


def check_test(scratch, test, what, count):
    """promtool reads the scrapes of a test, so many of them. Returns their folder."""
    folder = scratch / test.partition("::")[0]
    folder.mkdir()
    with open(LOG / folder.name, "w") as log:
        subprocess.run(
            ["cargo", "test", "--locked", "--test", "it", test], cwd=ROOT, stdout=log,
            stderr=subprocess.STDOUT, env=os.environ | {"SCRAPES": str(folder)},
        )
    scrapes = sorted(folder.glob("*.prom"))
    refused = [
        scrape for scrape in scrapes
        if run_promtool(["check", "metrics"], LOG / "promtool_sequence", scrape.read_bytes())
        not in READ
    ]
    results.expect(f"promtool reads the scrapes after {what}: scrapes", count, len(scrapes))
    results.expect(f"promtool reads the scrapes after {what}: refused", 0, len(refused))
    return folder


def check_alerts(servers):
    for command, file in [
        ("check", "scripts/deploy/alerts.yml"), ("test", "tests/interop/alerts.test.yml"),
    ]:
        status = run_promtool([command, "rules", file], LOG / f"promtool_{command}_rules")
        results.expect(f"promtool {command} rules {file}: status", 0, status)
    alerts = (ROOT / "scripts/deploy/alerts.yml").read_text()
    page = web.get(f"{servers['proxied']}/-/metrics")
    results.expect(
        "metrics of scripts/deploy/alerts.yml that /-/metrics lacks", [], lacking_metrics(alerts, page)
    )
    results.expect(
        "labels of scripts/deploy/alerts.yml that /-/metrics lacks", [], lacking_labels(alerts, page)
    )
    wait_until(10, lambda: not unhealthy_alerts(servers))
    results.expect("alerts that Prometheus cannot evaluate", [], unhealthy_alerts(servers))


def lacking_metrics(alerts, page):
    """An alert on a metric that is not there, or no longer by that name, never fires."""
    names = sorted(set(re.findall("aggregation_gateway_[a-z_]*", alerts)))
    return [
        name for name in names
        if f"\n# HELP {name} " not in f"\n{page}" or f"\n# TYPE {name} " not in f"\n{page}"
    ]


def lacking_labels(alerts, page):
    """Nor does one on a value that its label never has. (Those of `code` come with the first
    answer.)"""
    lacking = []
    for label, values in re.findall('(result|reason|resource)=~?"([^"]+)"', alerts):
        for value in values.split("|"):
            if not re.search(f'[{{,]{label}="{re.escape(value)}"', page):
                lacking.append(f"{label}={value}")
    return lacking


def unhealthy_alerts(servers):
    page = web.get(f"{servers['prometheus']}/api/v1/rules")
    if not page:
        return ["Prometheus does not answer"]
    rules = [rule for group in json.loads(page)["data"]["groups"] for rule in group["rules"]]
    unhealthy = [rule for rule in rules if rule["health"] != "ok"]
    return [f"{rule['name']}: {rule.get('lastError')}" for rule in unhealthy]
