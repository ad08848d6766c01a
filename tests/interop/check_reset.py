"""A gateway with a schedule: the reset that it announces, and what Prometheus sees of it."""

import re
import time

import processes
import web
from processes import wait_until
from results import check, expect
from servers import WINDOW_SECONDS

GRACE_SECONDS = 30
SERIES = 'in_window_total{job="window"}'


class Push:
    """One to the gateway with a schedule."""

    def __init__(self, gateway):
        self.before = int(time.time())
        self.answer = web.post(f"{gateway}/metrics/job/window", "in_window_total 1\n")
        self.after = int(time.time())
        found = re.fullmatch(r'{"nextResetTimestampSec":(\d+)}', self.answer)
        self.reset_at = int(found[1]) - GRACE_SECONDS if found else 0

    def is_early(self):
        """Whether there is time left for a scrape before the reset, which clears all that was
        pushed when there was not."""
        return self.reset_at - self.after >= WINDOW_SECONDS / 2


def push_early(gateway):
    """The last push, whether it was early or none was."""
    pushes = []

    def succeed():
        pushes.append(Push(gateway))
        return pushes[-1].is_early()

    wait_until(WINDOW_SECONDS + 2, succeed)
    return pushes[-1]


def check_all(servers):
    prometheus = servers["prometheus"]
    push = push_early(servers["windowed"])
    check(
        f"reset: announced within {WINDOW_SECONDS} s and {GRACE_SECONDS} s: {push.answer}",
        push.before <= push.reset_at <= push.after + WINDOW_SECONDS + 1,
    )
    wait_until(4, lambda: web.ask(prometheus, SERIES) == "1")
    expect("reset: what this window was pushed", "1", web.ask(prometheus, SERIES))
    wait_until(WINDOW_SECONDS + 4, lambda: web.ask(prometheus, SERIES) == "none")
    seconds_after = int(time.time()) - push.reset_at
    expect("reset: the series after it", "none", web.ask(prometheus, SERIES))
    check(f"reset: {seconds_after} s later than announced, not earlier", seconds_after >= 0)
    found = web.ask(prometheus, f"count_over_time({SERIES}[1m]) > bool 0")
    expect("reset: the series ended, its samples stay", "1", found)
    check("reset: logged", "reset: cleared 1 famil" in processes.log_of("windowed"))
