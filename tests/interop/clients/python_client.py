"""Pushes with prometheus_client as its documentation says: python_client.py URL NUMBERS JOB

The job says how the numbers are pushed, twice. The job `examples` pushes all types of metrics in
the ways that are listed in sums.txt; values are dyadic there, so that sums are exact in any order.
"""

import sys
from concurrent.futures import ProcessPoolExecutor

from prometheus_client import (
    REGISTRY,
    CollectorRegistry,
    Counter,
    Enum,
    Gauge,
    Histogram,
    Info,
    Summary,
    disable_created_metrics,
    instance_ip_grouping_key,
    push_to_gateway,
    pushadd_to_gateway,
)
from prometheus_client.exposition import default_handler
from prometheus_client.openmetrics import exposition as openmetrics

PROCESSES = 4
PUSHES = 40


def registry_of_all_types():
    registry = CollectorRegistry()
    Counter("py_jobs", "Jobs done.\nBy queue: \\o/", ["queue"], registry=registry).labels(
        '"\\\nü/λ'
    ).inc(1.5)
    Gauge("py_files", "Files open.", registry=registry).set(5)
    duration = Histogram("py_job_seconds", "Seconds.", registry=registry, buckets=[0.5, 1, 2.5])
    for seconds in [0.25, 1, 2, 64]:
        duration.observe(seconds)
    Summary("py_batch_bytes", "Bytes of a batch.", registry=registry).observe(512)
    Info("py_build", "What was built.", registry=registry).info({"version": "1.2.3"})
    Enum("py_phase", "Where it is.", states=["idle", "busy"], registry=registry).state("busy")
    return registry


def registry_of_one_push():
    registry = CollectorRegistry()
    Counter("py_parallel_pushes", "Pushes by several processes.", registry=registry).inc()
    size = Histogram("py_parallel_size", "Sizes.", registry=registry, buckets=[1, 10])
    size.observe(4)
    return registry


def push_in_parallel(url):
    pushadd_to_gateway(url, job="py_parallel", registry=registry_of_one_push())


def push_with_grouping_keys(url, registry):
    pushadd_to_gateway(
        url,
        job="py/add",
        registry=registry,
        grouping_key={"path": "/tmp", "empty": "", "zone": "a +1%"},
    )
    pushadd_to_gateway(
        url, job="py_ip", registry=registry, grouping_key=instance_ip_grouping_key()
    )


def push_examples(url):
    # With the `*_created` gauges that are on by default.
    all_types = registry_of_all_types()
    for _ in range(2):
        push_to_gateway(url, job="py_push", registry=all_types)
        push_to_gateway(url, job="py_default", registry=REGISTRY)

    disable_created_metrics()
    all_types = registry_of_all_types()
    for _ in range(3):
        push_with_grouping_keys(url, all_types)

    with ProcessPoolExecutor(PROCESSES) as pool:
        list(pool.map(push_in_parallel, [url] * PUSHES))
    print(f"{2 * 2 + 3 * 2 + PUSHES} pushes, {PUSHES} of them by {PROCESSES} processes at once")


def read_numbers(file):
    """Records that end with NUL, of three fields divided by tabs."""
    with open(file, encoding="utf-8", newline="") as stream:
        for record in stream.read().split("\0")[:-1]:
            kind, label, value = record.split("\t")
            yield kind, label, float(value)


def registry_of(numbers, exemplar):
    registry = CollectorRegistry()
    jobs = Counter("interop_jobs", "Jobs done.", ["queue"], registry=registry)
    level = Gauge("interop_level", "Level.", ["place"], registry=registry)
    seconds = Histogram(
        "interop_job_seconds", "Seconds.", ["route"], registry=registry, buckets=[0.5, 1, 2.5]
    )
    for kind, label, value in numbers:
        if kind == "counter":
            jobs.labels(label).inc(value, exemplar)
        elif kind == "gauge":
            level.labels(label).set(value)
        else:
            seconds.labels(label).observe(value, exemplar)
    return registry


def push_openmetrics(url, job, registry):
    """The push functions write text only, but their handler may send what it likes."""

    def handler(url, method, timeout, headers, data):
        headers = [("Content-Type", openmetrics.CONTENT_TYPE_LATEST)]
        data = openmetrics.generate_latest(registry)
        return default_handler(url, method, timeout, headers, data)

    pushadd_to_gateway(url, job=job, registry=registry, handler=handler)


WAYS = {
    "python-push": push_to_gateway,
    "python-pushadd": pushadd_to_gateway,
    "python-gzip": lambda *args: push_to_gateway(*args, compression="gzip"),
    "python-snappy": lambda *args: push_to_gateway(*args, compression="snappy"),
    "python-openmetrics": push_openmetrics,
}


def main():
    url, numbers, job = sys.argv[1:]
    if job == "examples":
        push_examples(url)
        return
    exemplar = {"trace_id": "ü"} if job == "python-openmetrics" else None
    registry = registry_of(read_numbers(numbers), exemplar)
    for _ in range(2):
        WAYS[job](url, job, registry)


if __name__ == "__main__":
    main()
