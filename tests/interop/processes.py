"""Servers and clients as processes: each has a name, by which its log is called."""

import os
import signal
import subprocess
import sys
import time

import results
from folders import LOG

CLIENT_SECONDS_MAX = 120

running = {}


def start(name, command, **options):
    with open(LOG / name, "wb") as log:
        running[name] = subprocess.Popen(
            [str(word) for word in command], stdout=log, stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL, start_new_session=True, **options,
        )
    return running[name]


def run(name, command, **options):
    """Whether the command succeeds, and its last line, or its last error."""
    process = start(name, command, **options)
    try:
        status = process.wait(CLIENT_SECONDS_MAX)
    except subprocess.TimeoutExpired:
        status = f"none within {CLIENT_SECONDS_MAX} s"
    end(name)
    lines = log_of(name).splitlines() or [""]
    if status == 0:
        return True, lines[-1]
    errors = [line for line in lines if "Error" in line] or lines
    return False, f"status {status}, {errors[-1]}"


def check(name, command, **options):
    """A check that the command succeeds."""
    succeeded, line = run(name, command, **options)
    results.check(f"{name} program: {line}", succeeded)


def log_of(name):
    return (LOG / name).read_text(errors="replace")


def check_end(name):
    """A check that the gateway ends as it is asked to."""
    running[name].send_signal(signal.SIGTERM)
    try:
        status = running[name].wait(10)
        del running[name]
    except subprocess.TimeoutExpired:
        status = "none within 10 s"
    results.expect(f"SIGTERM ends the {name} gateway: status", 0, status)


def end(name):
    """Ends the process, and the processes that it started: a browser leaves some."""
    process = running.pop(name)
    signal_group(process, signal.SIGTERM)
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        pass
    signal_group(process, signal.SIGKILL)
    process.wait()


def signal_group(process, number):
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:
        pass  # all of it has ended


def end_all():
    for name in list(running):
        end(name)


def wait_until(seconds_max, condition):
    """Whether the condition came true in this time."""
    deadline = time.monotonic() + seconds_max
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def give_up(why):
    sys.exit(f"scripts/interop: {why}")
