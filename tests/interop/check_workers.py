"""Forked workers that push the state of their registries, each second and more often: through kill
-9 of the gateway, the retries after it, and a reset, Prometheus sees what they have counted."""

import json
import threading
import time
from urllib.parse import urlsplit

import processes
import servers as starts
import web
from processes import wait_until
from results import check, expect

# A full minute is among them, at which the gateway is reset.
RUN_SECONDS = 70
KILLS_AFTER_SECONDS = [9, 22, 47]
RANGE = f"{RUN_SECONDS * 3}s"


class Workers:
    """They work beside the other checks."""

    def __init__(self, servers, scratch, program):
        self.servers = servers
        self.thread = threading.Thread(target=self.run, args=(scratch, program))
        self.succeeded, self.line, self.level, self.kills = False, "", "", 0
        self.thread.start()

    def run(self, scratch, program):
        address = urlsplit(self.servers["workers"]).netloc
        command = [*starts.command("clients/python_workers.py"), address, RUN_SECONDS]
        began = time.monotonic()
        process = processes.start("python_workers", command)
        for seconds in KILLS_AFTER_SECONDS:
            time.sleep(max(0, began + seconds - time.monotonic()))
            self.kill(scratch, program)
        status = process.wait(RUN_SECONDS + processes.CLIENT_SECONDS_MAX)
        # At once, since their gauges go when they have been silent for a while.
        web.wait_for_scrapes(self.servers["prometheus"])
        self.level = web.ask(self.servers["prometheus"], "workers_level")
        lines = processes.log_of("python_workers").splitlines() or [""]
        self.succeeded, self.line = status == 0, lines[-1]
        processes.running.pop("python_workers")

    def kill(self, scratch, program):
        """As the machine's lack of memory would."""
        processes.running["workers"].kill()
        processes.running["workers"].wait()
        starts.start_gateway(program, scratch, self.servers, "workers")
        self.kills += 1


def check_all(workers):
    workers.thread.join()
    check(f"workers: all of their pushes are accepted in the end: {workers.line}", workers.succeeded)
    expect("workers: kill -9", len(KILLS_AFTER_SECONDS), workers.kills)
    if not workers.succeeded:
        return
    counted = json.loads(workers.line)
    prometheus = workers.servers["prometheus"]
    web.wait_for_scrapes(prometheus)
    for series, wanted in [
        ("workers_jobs_total", counted["jobs"]),
        ("workers_job_seconds_count", counted["seconds"]),
        ("workers_job_seconds_sum", counted["sum"]),
        ('workers_job_seconds_bucket{le="+Inf"}', counted["seconds"]),
    ]:
        check_increase(prometheus, series, wanted)
    resets = int(web.ask(prometheus, f"resets(workers_jobs_total[{RANGE}])"))
    check(f"workers: {resets} reset of the gateway in between", resets >= 1)
    level = str(counted["level"])
    expect("workers: the sum of the levels of those who live", level, workers.level)
    check_silence(prometheus)


def check_increase(prometheus, series, wanted):
    """What increase() adds up: each sample against the one before, and from zero after a reset. To
    that it adds what it expects of the time up to now, at most one and a half intervals more."""
    answer = web.query(prometheus, f"{series}[{RANGE}]")
    found, = answer["data"]["result"]
    values = [float(value) for _, value in found["values"]]
    pairs = zip(values, values[1:])
    counted = sum(value - before if value >= before else value for before, value in pairs)
    text = f"workers: the increase of {series} over the run is {counted}, counted were {wanted}"
    check(text, counted == wanted)
    increase = float(web.ask(prometheus, f"increase({series}[{RANGE}])"))
    extrapolated = increase / counted - 1
    text = f"workers: increase() says {increase:.2f}, {extrapolated:.2%} of it extrapolated"
    check(text, 0 <= extrapolated <= 1.5 / (len(values) - 1))


def check_silence(prometheus):
    """What a worker says of itself goes with it."""
    def has_gone():
        return web.ask(prometheus, "workers_level") == "none"

    check("workers: the levels go with the last of them", wait_until(30, has_gone))
