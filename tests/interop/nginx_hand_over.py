"""Pushes through nginx while the gateway is replaced:
nginx_hand_over.py NGINX CERTIFICATE GATEWAY GATEWAY_PROCESS

Each sender has an address of its own, for nginx limits what comes from one. Every other one uses
PUT, which nginx would repeat if it were not told not to.
"""

import http.client
import os
import re
import signal
import ssl
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit
from urllib.request import urlopen

nginx, certificate, gateway, process = sys.argv[1:]
nginx = urlsplit(nginx)
tls = ssl.create_default_context(cafile=certificate)

SENDERS = 25
PUSHES_OF_EACH = 20
PUSHES = SENDERS * PUSHES_OF_EACH
# So that all of it takes longer than a hand-over.
PAUSE_SECONDS = 0.05
REFUSED_MAX = PUSHES // 20

lock = threading.Lock()
answers = Counter()


def read(path, series):
    with urlopen(gateway + path, timeout=10) as response:
        page = response.read().decode()
    found = re.search(rf"^{series} (.+)$", page, re.MULTILINE)
    return int(found[1]) if found else 0


def hand_overs():
    return read("/-/metrics", "aggregation_gateway_hand_overs_total")


def send(number):
    address = (f"127.0.1.{number + 1}", 0)
    connection = http.client.HTTPSConnection(
        nginx.hostname, nginx.port, context=tls, timeout=60, source_address=address
    )
    method = ["POST", "PUT"][number % 2]
    for _ in range(PUSHES_OF_EACH):
        connection.request(method, "/metrics/job/nginx", "nginx_hand_over_total 1\n")
        response = connection.getresponse()
        response.read()
        with lock:
            answers[response.status] += 1
            if answers.total() == PUSHES // 2:
                os.kill(int(process), signal.SIGHUP)
        time.sleep(PAUSE_SECONDS)


def main():
    hand_overs_before = hand_overs()
    with ThreadPoolExecutor(SENDERS) as pool:
        list(pool.map(send, range(SENDERS)))
    assert hand_overs() == hand_overs_before + 1, "there was no hand-over"
    total = read("/metrics", 'nginx_hand_over_total{job="nginx"}')
    seen = ", ".join(f"{count} x {status}" for status, count in sorted(answers.items()))
    # Of 502 and 504 nobody knows; whatever else was refused does not count.
    acknowledged, unknown = answers[200], answers[502] + answers[504]
    assert acknowledged <= total <= acknowledged + unknown, f"{seen}, but the sum is {total}"
    assert PUSHES - acknowledged <= REFUSED_MAX, f"too many were refused: {seen}"
    print(f"{PUSHES} pushes across a hand-over: {seen}, the sum is {total}")


if __name__ == "__main__":
    main()
