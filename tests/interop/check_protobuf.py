"""Scrapes as protobuf, by a Prometheus that asks for it: the same sums as by text, and native
histograms."""

import re
from urllib.request import Request, urlopen

import web
from folders import ROOT
from results import check, expect

BODY = """# HELP scraped_total Scraped, with a \\\\ and a\\nline feed.
# TYPE scraped_total counter
scraped_total{path="a\\\\b\\"c\\nd雪"} 9007199254740991
scraped_total 0.1
# TYPE scraped_level gauge
scraped_level -1.5
scraped_untyped 1e300
# TYPE scraped_seconds histogram
scraped_seconds_bucket{le="0.5"} 1.25
scraped_seconds_bucket{le="1"} 3
scraped_seconds_bucket{le="+Inf"} 4
scraped_seconds_sum 0.3
scraped_seconds_count 4
# TYPE scraped_summary summary
scraped_summary{quantile="0.5"} 1
scraped_summary_sum 2.5
scraped_summary_count 3
# TYPE "scraped.name_total" counter
{"scraped.name_total","a.b"="c"} 7
"""

# Where it reads protobuf, Prometheus 2 writes `le` in its own way, and reads the nearest integer of
# a count in a bucket.
SUMS = {
    r'scraped_total{path="a\\b\"c\nd雪"}': "9007199254740991",
    'scraped_total{path=""}': "0.1",
    "scraped_level": "-1.5",
    "scraped_untyped": "1e+300",
    'scraped_seconds_bucket{le="0.5"}': "1",
    'scraped_seconds_bucket{le="1.0"}': "3",
    'scraped_seconds_bucket{le="+Inf"}': "4",
    "count(scraped_seconds_bucket)": "3",
    "scraped_seconds_sum": "0.3",
    "scraped_seconds_count": "4",
    "scraped_summary_sum": "2.5",
    "scraped_summary_count": "3",
    "count(scraped_summary)": "none",
    'scraped_name_total{a_b="c"}': "7",
}


# Of what Go's client pushed twice (tests/it/data/protobuf), in schema 3: the last two of 16
# observations are in bucket 46. Java's has classic buckets as well.
GO, JAVA = "go-1.24-native.pb", "java-1.8-default.pb"
LOWER, UPPER = 2 ** (45 / 8), 2 ** (46 / 8)
NATIVE = {
    "histogram_count(go_native)": 16,
    "histogram_sum(go_native)": 116.42,
    "histogram_quantile(0.9, go_native)": LOWER + (UPPER - LOWER) * 0.2,
    "histogram_count(go_mixed)": 16,
    "histogram_count(go_native_empty)": 0,
    "histogram_count(java_lat_seconds)": 3,
    "histogram_sum(java_lat_seconds)": 55.05,
}


def push(servers):
    web.post(f"{servers['summaries']}/metrics", BODY)
    for name in [GO, GO, JAVA]:
        body = (ROOT / "tests/it/data/protobuf" / name).read_bytes()
        content_type = {"Content-Type": "application/vnd.google.protobuf; encoding=delimited"}
        url = f"{servers['summaries']}/metrics/job/native"
        with urlopen(Request(url, body, content_type, method="POST"), timeout=10):
            pass


def check_all(servers):
    protobuf = servers["protobuf"]
    web.wait_for_scrapes(protobuf)
    expect("protobuf: both targets are scraped", "2", web.ask(protobuf, "sum(up)"))
    for promql, value in SUMS.items():
        expect(f"protobuf: {promql}", value, web.ask(protobuf, promql))
    for promql, value in NATIVE.items():
        found = web.ask(protobuf, promql)
        is_same = re.fullmatch(r"[0-9.e+-]+", found) and abs(float(found) - value) < 1e-9
        check(f"protobuf: {promql} = {found}, expected {value}", is_same)
    by_text, by_protobuf = stored(servers["prometheus"]), stored(protobuf)
    differing = sorted(by_text.items() ^ by_protobuf.items())
    check(
        f"protobuf: {len(by_protobuf)} series are those of text, but for {differing[:2]}",
        len(by_protobuf) > 100 and not differing,
    )


def stored(prometheus):
    """What was scraped of the gateway that all clients push to."""
    selector = '{scraped="gateway",__name__!~"up|scrape_.*"}'
    series = web.query(prometheus, selector)["data"]["result"]
    series = [one for one in series if "value" in one]
    return {tuple(sorted(labels(one["metric"]))): one["value"][1] for one in series}


def labels(metric):
    for name, value in metric.items():
        is_whole = name == "le" and re.fullmatch(r"-?[0-9.e+-]+", value)
        yield name, float(value) if is_whole else value
