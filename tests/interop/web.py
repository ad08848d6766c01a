"""Requests to the servers: plainly, to Prometheus, and with curl through nginx."""

import json
import subprocess
import time
import urllib.error
import urllib.request
from urllib.parse import quote

from processes import wait_until

certificate = None  # of nginx, when there is one


def get(url):
    """The page, or an empty text if there is none."""
    try:
        with urllib.request.urlopen(url, timeout=10) as response:
            return response.read().decode()
    except OSError:
        return ""


def post(url, text):
    """The answer to a push, or an empty text if it was refused."""
    try:
        request = urllib.request.Request(url, data=text.encode(), method="POST")
        with urllib.request.urlopen(request, timeout=10) as response:
            return response.read().decode()
    except OSError:
        return ""


def answers(url):
    try:
        with urllib.request.urlopen(url, timeout=5):
            return True
    except OSError:
        return False


def query(prometheus, promql):
    """What Prometheus answers; an error as well, which has a text."""
    try:
        with urllib.request.urlopen(
            f"{prometheus}/api/v1/query?query={quote(promql)}", timeout=10
        ) as response:
            return json.load(response)
    except urllib.error.HTTPError as error:
        return json.load(error)
    except OSError as error:
        return {"error": str(error)}


def ask(prometheus, promql):
    """The value of the one series that a PromQL expression gives, or `none`."""
    answer = query(prometheus, promql)
    if "error" in answer:
        return answer["error"]
    series = answer["data"]["result"]
    if len(series) == 1:
        return series[0]["value"][1]
    return f"{len(series)} series" if series else "none"


def wait_for_scrapes(prometheus):
    """Until what is pushed now is in Prometheus, from all targets."""
    since = time.time()
    promql = f"min(timestamp(up)) > bool {since:.3f}"
    wait_until(10, lambda: ask(prometheus, promql) == "1")


def curl(*arguments):
    """What curl prints of a request that trusts the certificate of nginx."""
    return subprocess.run(
        ["curl", "--silent", "--max-time", "10", "--cacert", str(certificate), *arguments],
        stdout=subprocess.PIPE,
    ).stdout.decode()


def nginx_status(*arguments):
    """The status of curl's request; 000 if there was no response."""
    return curl("--output", "/dev/null", "--write-out", "%{http_code}", *arguments)


def allowed_origins(*arguments):
    """All of them: a browser takes exactly one."""
    head = curl("--output", "/dev/null", "--dump-header", "-", *arguments)
    name = "access-control-allow-origin:"
    lines = [line for line in head.splitlines() if line.lower().startswith(name)]
    return " ".join(line[len(name):].strip() for line in lines)
