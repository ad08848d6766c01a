"""Real clients push; Prometheus, which scrapes the gateway, is asked for the sums."""

import os
import re

import processes
import pushed_numbers
import results
import web
from folders import INTEROP
from recorder import Recorder
from ways import EXAMPLES, PROGRAMS, WAYS

PUSHES = 2


def push_all(servers, scratch):
    """Runs all clients; the recorder has seen what they sent."""
    numbers = scratch / "numbers"
    pushed_numbers.write(numbers)
    # A browser leaves files in both.
    environment = os.environ | {"HOME": str(scratch), "TMPDIR": str(scratch)}
    for client in EXAMPLES:
        command = [*PROGRAMS[client], servers["gateway"], numbers, "examples"]
        processes.check(client, command, env=environment)
    recorder = Recorder(servers["gateway"])
    for way in WAYS:
        command = [*PROGRAMS[way.program], recorder.url, numbers, way.job]
        succeeded, line = processes.run(way.job, command, env=environment)
        results.check(f"{way.job}: two pushes are accepted {line}".rstrip(), succeeded)
    return recorder


def check_sums(servers):
    for line in (INTEROP / "sums.txt").read_text().splitlines():
        if found := re.fullmatch(r"([^#].*) \| (.+) \| (.+)", line):
            what, promql, wanted = found.groups()
            results.expect(what, wanted, web.ask(servers["prometheus"], promql))


def check_numbers(servers, recorder):
    """A row of a table for each way, with a heading."""
    stored = stored_samples(servers)
    rows = [("client", "each push", "responses", "sums")]
    for way in WAYS:
        requests, statuses = recorder.pushes(way.job)
        results.expect(f"{way.job}: pushes", [way.sends] * PUSHES, requests)
        wanted = pushed_numbers.samples(PUSHES, way.lacks)
        found = stored.get(way.job, {})
        differences = [
            f"{name} {dict(labels)}: {found.get((name, labels))} instead of "
            f"{wanted.get((name, labels))}"
            for name, labels in sorted(wanted.keys() | found.keys(), key=str)
            if found.get((name, labels)) != wanted.get((name, labels))
        ]
        text = f"{len(differences)} of {len(wanted)} differ, {differences[:1]}"
        text = text if differences else f"all {len(wanted)} are exact"
        results.check(f"{way.job}: sums: {text}", not differences)
        row = f"{len(differences)} differ" if differences else f"{len(wanted)} exact"
        rows.append((way.job, " / ".join(sorted(set(requests))), " ".join(statuses), row))
    return rows


def stored_samples(servers):
    """What Prometheus has of the numbers: a dictionary of jobs, each one of samples as
    pushed_numbers has them."""
    promql = '{__name__=~"interop_.+",scraped="gateway"}'
    stored = {}
    answer = web.query(servers["prometheus"], promql)
    for series in answer.get("data", {"result": []})["result"]:
        labels = series["metric"]
        name, job = labels.pop("__name__"), labels.pop("job")
        # The target's, which Prometheus adds.
        del labels["scraped"], labels["instance"]
        if "le" in labels:
            labels["le"] = float(labels["le"])
        key = (name, tuple(sorted(labels.items())))
        stored.setdefault(job, {})[key] = float(series["value"][1])
    return stored
