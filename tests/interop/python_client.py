"""Pushes with prometheus_client as its documentation says: python_client.py HOST:PORT

What must come of it is in sums.txt. Values are dyadic, so that sums are exact in any order.
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

gateway = sys.argv[1]

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


def push_in_parallel(_):
    pushadd_to_gateway(gateway, job="py_parallel", registry=registry_of_one_push())


def push_with_grouping_keys(registry):
    pushadd_to_gateway(
        gateway,
        job="py/add",
        registry=registry,
        grouping_key={"path": "/tmp", "empty": "", "zone": "a +1%"},
    )
    pushadd_to_gateway(
        gateway, job="py_ip", registry=registry, grouping_key=instance_ip_grouping_key()
    )


def main():
    # The *_created gauges, on by default, are added up like any gauge.
    all_types = registry_of_all_types()
    for _ in range(2):
        push_to_gateway(gateway, job="py_push", registry=all_types)
        push_to_gateway(gateway, job="py_default", registry=REGISTRY)

    disable_created_metrics()
    all_types = registry_of_all_types()
    for _ in range(3):
        push_with_grouping_keys(all_types)

    with ProcessPoolExecutor(PROCESSES) as pool:
        list(pool.map(push_in_parallel, range(PUSHES)))
    print(f"{2 * 2 + 3 * 2 + PUSHES} pushes, {PUSHES} of them by {PROCESSES} processes at once")


if __name__ == "__main__":
    main()
