"""Workers that count in the default registry of prometheus_client and push all of it, again and
again, each under a name of its own: python_workers.py URL SECONDS

Two work at any time; in the middle, one of them ends and another one begins. Nobody counts around a
full minute, when the gateway is reset: what is counted between the last scrape and a reset no
scrape can show. All go on to push, which tells the gateway that they live.

The last line printed is what all of them have counted, as JSON.
"""

import json
import os
import random
import sys
import time

PUSH_SECONDS = 0.4
# Long enough to be scraped once, at one scrape a second.
QUIET_SECONDS = 3


def main():
    url, seconds = sys.argv[1], float(sys.argv[2])
    begin = time.time()
    lives = [
        (begin, begin + seconds),
        (begin, begin + seconds / 2),
        (begin + seconds / 2, begin + seconds),
    ]
    pipes = [start(url, number, *life) for number, life in enumerate(lives)]
    counted = [json.loads(pipe.read()) for pipe in pipes]
    for _ in pipes:
        _, status = os.wait()
        assert status == 0
    totals = {name: sum(one[name] for one in counted) for name in counted[0]}
    # The one that has ended early may still be remembered.
    totals["level"] = counted[0]["level"] + counted[2]["level"]
    print(json.dumps(totals))


def start(url, number, begin, end):
    """A forked worker; it writes what it has counted to the pipe."""
    reads, writes = os.pipe()
    if os.fork():
        os.close(writes)
        return os.fdopen(reads)
    os.close(reads)
    try:
        time.sleep(max(0, begin - time.time()))
        counted = work(url, number, end)
        os.write(writes, json.dumps(counted).encode())
    except BaseException as error:
        print(f"Error: {error!r}", file=sys.stderr, flush=True)
        os._exit(1)
    os._exit(0)


def work(url, number, end):
    from prometheus_client import Counter, Gauge, Histogram

    jobs = Counter("workers_jobs", "Jobs done.")
    seconds = Histogram("workers_job_seconds", "Seconds.", buckets=[0.5, 1, 2.5])
    level = Gauge("workers_level", "Level.")
    counted = {"jobs": 0, "seconds": 0, "sum": 0, "level": 0}
    chance = random.Random(number)
    name = f"{time.time_ns()}-{os.getpid()}"
    born = time.time()
    while time.time() < end:
        if may_count(born, end):
            for _ in range(chance.randint(1, 20)):
                jobs.inc()
                counted["jobs"] += 1
                value = chance.randint(0, 16) / 4
                seconds.observe(value)
                counted["seconds"] += 1
                counted["sum"] += value
            counted["level"] = chance.randint(-9, 9)
            level.set(counted["level"])
        push(url, name)
        time.sleep(PUSH_SECONDS)
    push_until_accepted(url, name)
    return counted


def may_count(born, end):
    """Not before a scrape has shown the zeros, nor around a reset, nor at the end, so that the last
    push has all of it."""
    now = time.time()
    is_quiet = now % 60 < QUIET_SECONDS or now % 60 > 60 - QUIET_SECONDS
    return born + QUIET_SECONDS < now < end - QUIET_SECONDS and not is_quiet


def push(url, name):
    """One try: what is refused or lost, the next push says again."""
    from prometheus_client import push_to_gateway, REGISTRY

    try:
        push_to_gateway(
            url, job="workers", registry=REGISTRY, grouping_key={"worker": name}, timeout=2
        )
        return True
    except OSError:
        return False


def push_until_accepted(url, name):
    deadline = time.time() + 20
    while not push(url, name):
        assert time.time() < deadline, "no push is accepted"
        time.sleep(0.1)


if __name__ == "__main__":
    main()
