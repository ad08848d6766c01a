"""Names beyond the alphabet, as Debian's Prometheus scrapes them: with underscores."""

import web
from results import expect

BODY = """# TYPE "interop.requests_total" counter
{"interop.requests_total","http.method"="GET"} 2
# TYPE "interop.taken_total" counter
{"interop.taken_total"} 1
# TYPE interop_taken_total counter
interop_taken_total 4
# TYPE "interop.seconds" histogram
{"interop.seconds_bucket","k8s.pod"="a",le="1"} 1
{"interop.seconds_bucket","k8s.pod"="a",le="+Inf"} 3
{"interop.seconds_sum","k8s.pod"="a"} 5
{"interop.seconds_count","k8s.pod"="a"} 3
"""

SUMS = {
    'interop_requests_total{http_method="GET"}': "2",
    "interop_taken_total": "4",
    'interop_seconds_bucket{k8s_pod="a",le="1"}': "1",
    'interop_seconds_sum{k8s_pod="a"}': "5",
    'interop_seconds_count{k8s_pod="a"}': "3",
}


def push(servers):
    web.post(f"{servers['gateway']}/metrics", BODY)


def check(servers):
    for series, value in SUMS.items():
        found = web.ask(servers["prometheus"], series)
        expect(f"names beyond the alphabet: {series}", value, found)
