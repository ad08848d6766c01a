"""Compares what prometheus_client reads in a scrape with what Prometheus stored of it:
parse_scrape.py GATEWAY_URL PROMETHEUS_URL JOB
"""

import json
import re
import sys
from urllib.parse import quote
from urllib.request import urlopen

from prometheus_client.parser import text_string_to_metric_families

gateway, prometheus, job = sys.argv[1:]


# Some of what was pushed: TYPE and HELP must have come through.
PUSHED = {
    ("py_jobs", "counter", "Jobs done.\nBy queue: \\o/"),
    ("node_jobs", "counter", "Jobs done.\nBy queue: \\o/"),
    ("go_client_jobs", "counter", "Jobs done.\nBy queue: \\o/"),
    ("py_files", "gauge", "Files open."),
    ("py_job_seconds", "histogram", "Seconds."),
    ("go_client_untyped", "unknown", "Untyped."),
    ("some_metric", "counter", ""),
    ("interop_jobs", "counter", "Jobs done."),
    ("interop_level", "gauge", "Level."),
    ("interop_job_seconds", "histogram", "Seconds."),
}


def get(url):
    with urlopen(url, timeout=10) as response:
        return response.read().decode()


def query(path):
    return json.loads(get(f"{prometheus}/api/v1/{path}"))["data"]


def series_of(text, families):
    instance = gateway.removeprefix("http://")
    # Python's parser calls a counter that is exposed as `x` by the name of `x_total`.
    counters = set(re.findall(r"^# TYPE (\S+) counter$", text, re.MULTILINE))
    series = {}
    for family in families:
        for sample in family.samples:
            name = family.name if family.name in counters else sample.name
            # Prometheus adds the target's own labels where a series has none of that name.
            labels = {"job": job, "instance": instance, **sample.labels, "__name__": name}
            key = tuple(sorted(labels.items()))
            assert key not in series, f"twice in the scrape: {key}"
            series[key] = sample.value
    return series


def series_stored():
    selector = '{__name__!~"up|scrape_.*",__name__=~".+",scraped="%s"}' % job
    return {
        tuple(sorted((k, v) for k, v in one["metric"].items() if k != "scraped")): float(
            one["value"][1]
        )
        for one in query(f"query?query={quote(selector)}")["result"]
    }


def families_of(families):
    # A set of tuples: python calls both the gauge `x` and the counter `x_total` by `x`.
    return {
        (family.name, family.type.replace("untyped", "unknown"), family.documentation)
        for family in families
    }


def families_stored():
    target = quote('{job="%s"}' % job)
    for one in query(f"targets/metadata?match_target={target}"):
        name, type_ = one["metric"], one["type"]
        yield name.removesuffix("_total") if type_ == "counter" else name, type_, one["help"]


def main():
    text = get(f"{gateway}/metrics")
    families = list(text_string_to_metric_families(text))
    read, stored = series_of(text, families), series_stored()
    for key in sorted(read.keys() | stored.keys()):
        assert read.get(key) == stored.get(key), (
            f"{dict(key)}: python reads {read.get(key)}, Prometheus has {stored.get(key)}"
        )
    missing = PUSHED - families_of(families)
    assert not missing, f"families that were pushed otherwise: {sorted(missing)}"
    differing = families_of(families) ^ set(families_stored())
    assert not differing, f"families that only one of them has: {sorted(differing)}"
    print(f"{len(read)} series of {len(families)} families agree with Prometheus")


main()
