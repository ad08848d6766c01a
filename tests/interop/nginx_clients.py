"""Clients that nginx is to keep away from the gateway: nginx_clients.py NGINX CERTIFICATE GATEWAY

Each kind has an address of its own, which nginx limits it by. The gateway is asked directly.
"""

import http.client
import re
import socket
import ssl
import sys
import time
from urllib.parse import urlsplit
from urllib.request import urlopen

nginx, certificate, gateway = sys.argv[1:]
nginx = urlsplit(nginx)
tls = ssl.create_default_context(cafile=certificate)

STALLED = 20
FLOOD = 300
BURST = 100
BODY_TIMEOUT_SECONDS = 10
SECONDS_MAX = 30

HEAD = "POST /metrics/job/nginx HTTP/1.1\r\nHost: nginx\r\n"


def get(path):
    with urlopen(gateway + path, timeout=10) as response:
        return response.read().decode()


def pushes():
    """How many pushes the gateway has heard of, by what became of them."""
    series = r'^aggregation_gateway_pushes_total{result="(.+)"} (.+)$'
    found = re.findall(series, get("/-/metrics"), re.MULTILINE)
    return {result: int(count) for result, count in found}


def counted(name):
    found = re.findall(rf"^{name}{{.*}} (.+)$", get("/metrics"), re.MULTILINE)
    return sum(map(float, found))


def connections_to_gateway():
    """How many there are, as the kernel says: those of nginx, for nobody else is connected."""
    port, established = f":{urlsplit(gateway).port:04X}", "01"
    with open("/proc/net/tcp") as file:
        rows = [line.split() for line in file]
    return sum(row[2].endswith(port) and row[3] == established for row in rows)


def connect(address):
    plain = socket.create_connection((nginx.hostname, nginx.port), SECONDS_MAX, (address, 0))
    return tls.wrap_socket(plain, server_hostname=nginx.hostname)


def push(address, text):
    connection = connect(address)
    connection.sendall(f"{HEAD}Content-Length: {len(text)}\r\n\r\n{text}".encode())
    return connection


def status(connection):
    """The status of the answer, or none if there was no answer."""
    words = connection.makefile("rb").readline().split()
    return int(words[1]) if words else None


def stall():
    """Uploads of which the half comes, and then nothing."""
    connections = [connect("127.0.0.2") for _ in range(STALLED)]
    for connection in connections:
        connection.sendall(f"{HEAD}Content-Length: 200000\r\n\r\n".encode() + 100_000 * b"#")
    return connections


def push_and_hang_up():
    """What came whole counts, even if its sender did not wait for the answer."""
    push("127.0.0.3", "nginx_hung_up_total 1").close()
    deadline = time.monotonic() + SECONDS_MAX
    while counted("nginx_hung_up_total") != 1:
        assert time.monotonic() < deadline, "a push whose sender hung up did not count"
        time.sleep(0.05)


def smuggle():
    """Two lengths, of which one has a second request hidden in the body of the first."""
    hidden = "POST /metrics HTTP/1.1\r\nContent-Length: 14\r\n\r\nnginx_hidden 1"
    body = f"0\r\n\r\n{hidden}"
    connection = connect("127.0.0.4")
    lengths = f"Transfer-Encoding: chunked\r\nContent-Length: {len(body)}\r\n"
    connection.sendall(f"{HEAD}{lengths}\r\n{body}".encode())
    answer = status(connection)
    assert answer == 400, f"a request of two lengths was answered with {answer}"


def flood():
    """More pushes than a client may: what is refused does not count, and others are not refused."""
    address = ("127.0.0.5", 0)
    connection = http.client.HTTPSConnection(
        nginx.hostname, nginx.port, context=tls, timeout=SECONDS_MAX, source_address=address
    )
    answers = []
    for _ in range(FLOOD):
        connection.request("PUT", "/metrics/job/nginx", "nginx_flood_total 1\n")
        response = connection.getresponse()
        response.read()
        answers.append(response.status)
    other = status(push("127.0.0.6", "nginx_other_total 1"))
    assert other == 200, f"who did not flood was answered with {other}"
    accepted, refused = answers.count(200), answers.count(429)
    assert accepted + refused == FLOOD, f"a flood was answered with {set(answers)}"
    assert accepted >= BURST and refused > 0, f"of a flood, {accepted} pushes were accepted"
    assert counted("nginx_flood_total") == accepted, "a refused push counts"
    return accepted


def main():
    pushes_before, connections_before = pushes(), connections_to_gateway()
    began = time.monotonic()
    stalled = stall()
    time.sleep(1)  # in which nginx would have passed on what there is
    connections = connections_to_gateway()
    assert connections <= connections_before, "stalled uploads reached the gateway"
    push_and_hang_up()
    smuggle()
    accepted = flood()
    answers = {status(connection) for connection in stalled}
    seconds = time.monotonic() - began
    assert answers <= {None, 408}, f"stalled uploads were answered with {answers}"
    assert seconds >= BODY_TIMEOUT_SECONDS, f"stalled uploads ended after {seconds:.1f} s"
    expected = pushes_before | {"accepted": pushes_before["accepted"] + 2 + accepted}
    assert pushes() == expected, f"the gateway heard of {pushes()}, not of {expected}"
    print(
        f"{STALLED} stalled uploads ended after {seconds:.0f} s and never reached the gateway; "
        f"{FLOOD - accepted} of a flood of {FLOOD} were refused"
    )


if __name__ == "__main__":
    main()
