"""Pushes what two processes counted together, as the multiprocess mode of prometheus_client has it:
python_multiprocess.py URL NUMBERS JOB

The mode is chosen by an environment variable before the library is imported, hence a program of
its own.
"""

import multiprocessing
import os
import sys
import tempfile

PROCESSES = 2


def count(process, numbers):
    """Every other number is counted by each of the processes."""
    from prometheus_client import Counter, Gauge, Histogram

    jobs = Counter("interop_jobs", "Jobs done.", ["queue"])
    level = Gauge("interop_level", "Level.", ["place"], multiprocess_mode="sum")
    seconds = Histogram("interop_job_seconds", "Seconds.", ["route"], buckets=[0.5, 1, 2.5])
    for kind, label, value in numbers[process::PROCESSES]:
        if kind == "counter":
            jobs.labels(label).inc(value)
        elif kind == "gauge":
            level.labels(label).set(value)
        else:
            seconds.labels(label).observe(value)


def push(url, job):
    from prometheus_client import CollectorRegistry, pushadd_to_gateway
    from prometheus_client.multiprocess import MultiProcessCollector

    registry = CollectorRegistry()
    MultiProcessCollector(registry)
    for _ in range(2):
        pushadd_to_gateway(url, job=job, registry=registry)


def main():
    url, file, job = sys.argv[1:]
    with open(file, encoding="utf-8", newline="") as stream:
        records = [record.split("\t") for record in stream.read().split("\0")[:-1]]
    numbers = [(kind, label, float(value)) for kind, label, value in records]
    with tempfile.TemporaryDirectory() as folder:
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder
        workers = [
            multiprocessing.Process(target=count, args=(process, numbers))
            for process in range(PROCESSES)
        ]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
            assert worker.exitcode == 0
        push(url, job)


if __name__ == "__main__":
    main()
