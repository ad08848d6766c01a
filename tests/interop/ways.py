"""Who pushes the numbers in which way: the job, the program that takes it, what must be seen of
each push, and the numbers that the client cannot express."""

from typing import NamedTuple

import servers
from folders import CACHE, CLIENTS

PROGRAMS = {
    "python": servers.command("clients/python_client.py"),
    "multiprocess": servers.command("clients/python_multiprocess.py"),
    "node": ["node", CACHE / "node/node_client.mjs"],
    "go": [CACHE / "go_client"],
    "rust-prometheus": [CACHE / "rust/debug/rust-prometheus"],
    "rust-exporter": [CACHE / "rust/debug/rust-exporter"],
    "rust-client": [CACHE / "rust/debug/rust-client"],
    "cpp": [CACHE / "cpp_client"],
    "perl": ["perl", CLIENTS / "perl_client.pl"],
    "curl": servers.command("clients/curl_client.py"),
    "browser": ["node", CACHE / "node/browser.mjs"],
}

# They also push examples, of which sums.txt says what must come.
EXAMPLES = ["python", "node", "go", "curl", "browser"]


class Way(NamedTuple):
    job: str
    program: str
    sends: str
    lacks: tuple = ()


WAYS = [
    Way("python-push", "python", "PUT text"),
    Way("python-pushadd", "python", "POST text"),
    Way("python-gzip", "python", "PUT text gzip"),
    Way("python-snappy", "python", "PUT text snappy"),
    Way("python-openmetrics", "python", "POST OpenMetrics with exemplars"),
    Way("python-multiprocess", "multiprocess", "POST text"),
    Way("node-push", "node", "PUT no type chunked"),
    Way("node-pushadd", "node", "POST no type chunked"),
    Way("node-gzip", "node", "POST no type gzip chunked"),
    Way("node-openmetrics", "node", "POST OpenMetrics with exemplars chunked"),
    Way("go-protobuf", "go", "PUT protobuf"),
    Way("go-text", "go", "PUT text"),
    Way("go-openmetrics", "go", "POST OpenMetrics with exemplars"),
    Way("rust-prometheus-push", "rust-prometheus", "PUT protobuf"),
    Way("rust-prometheus-add", "rust-prometheus", "POST protobuf"),
    # Its counters are whole numbers.
    Way("rust-exporter", "rust-exporter", "POST no type", (("counter", "fractions"),)),
    Way("rust-client", "rust-client", "POST OpenMetrics"),
    Way("cpp-push", "cpp", "POST text"),
    Way("cpp-add", "cpp", "PUT text"),
    Way("perl", "perl", "POST text"),
    Way("browser-gzip", "browser", "POST no type gzip"),
    Way("browser-deflate", "browser", "POST no type deflate"),
    Way("curl-post", "curl", "POST form"),
    Way("curl-put", "curl", "PUT no type"),
    Way("curl-chunked", "curl", "POST no type chunked"),
    Way("curl-http10", "curl", "POST form HTTP/1.0"),
    Way("curl-expect", "curl", "POST form 100-continue"),
    Way("curl-gzip", "curl", "POST form gzip"),
    Way("curl-deflate", "curl", "POST form deflate"),
    Way("curl-openmetrics", "curl", "POST OpenMetrics"),
]
