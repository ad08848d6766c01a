"""Two gateways behind nginx, and Prometheus as what adds them up."""

import re
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import processes
import servers as starts
import web
from processes import wait_until
from results import check, expect

BOTH = """# TYPE shards_jobs_total counter
shards_jobs_total 1
# TYPE shards_files gauge
shards_files 3
# TYPE shards_seconds histogram
"""
# Two histograms, each of which lacks a bound of the other.
NARROW = """shards_seconds_bucket{le="1"} 1
shards_seconds_bucket{le="5"} 3
shards_seconds_bucket{le="+Inf"} 4
shards_seconds_sum 16.5
shards_seconds_count 4
"""
WIDE = """shards_seconds_bucket{le="2"} 2
shards_seconds_bucket{le="5"} 2
shards_seconds_bucket{le="+Inf"} 2
shards_seconds_sum 3
shards_seconds_count 2
"""


def check_all(servers, scratch, program):
    answers = push(servers, scratch)
    check_answers(servers, answers)
    web.wait_for_scrapes(servers["prometheus"])
    check_sums(servers)
    check_without_label(servers)
    check_apart(servers)
    check_paths(servers)
    check_lost(servers, scratch, program)


def push(servers, scratch):
    """60 pushes, 15 of each kind: with the bounds 1 and 5, or 2 and 5; with an instance, or
    without. Of each, the answer, its status and how many connections were made for it."""
    url = f"{servers['sharding']}/metrics/job/shards"
    answers = []
    with ThreadPoolExecutor() as pool:
        kept = []
        for place in [url, f"{url}/instance/host-1"]:
            for name, histogram in [("narrow", NARROW), ("wide", WIDE)]:
                file = scratch / name
                file.write_text(BOTH + histogram)
                for _ in range(5):
                    answers += push_counting_connections(file, [place])
                kept.append(pool.submit(push_counting_connections, file, [place] * 10))
        for one in kept:
            answers += one.result()
    status = web.nginx_status("--data", "shards_rare_total 7", url)
    expect("shards: a push that only one of them gets", "200", status)
    return answers


def push_counting_connections(file, urls):
    """On as few connections as curl needs."""
    end = " %{http_code} %{num_connects}\n"
    found = web.curl("--write-out", end, "--data-binary", f"@{file}", *urls)
    return [tuple(line.rsplit(" ", 2)) for line in found.splitlines()]


def check_answers(servers, answers):
    counts = Counter((status, connections) for _, status, connections in answers)
    expect("shards: accepted on new connections", 24, counts["200", "1"])
    expect("shards: accepted on kept ones", 36, counts["200", "0"])
    resets = {answer for answer, _, _ in answers if "nextResetTimestampSec" in answer}
    expect("shards: resets that they announce", 1, len(resets))
    of_a, of_b = accepted(servers["shard_a"]), accepted(servers["shard_b"])
    check(
        f"shards: of 61 pushes one got {of_a}, the other {of_b}",
        of_a > 20 and of_b > 20 and of_a + of_b == 61,
    )
    status = web.nginx_status(f"{servers['sharding']}/metrics")
    expect("shards: a scrape through nginx", "403", status)


def accepted(gateway):
    series = r'^aggregation_gateway_pushes_total{result="accepted"} (\d+)$'
    found = re.search(series, web.get(f"{gateway}/-/metrics"), re.MULTILINE)
    return int(found[1]) if found else 0


def check_sums(servers):
    expect_sum(servers, "60", "(shards_jobs_total)")
    expect_sum(servers, "180", "(shards_files)")
    expect_sum(servers, "585", "(shards_seconds_sum)")
    expect_sum(servers, "180", "(shards_seconds_count)")
    expect_sum(servers, "7", "(shards_rare_total)")
    expect_buckets(servers, "shards_seconds", {"1": "30", "2": "90", "5": "150", "+Inf": "180"})
    found = web.ask(
        servers["prometheus"], 'sum without (shard) (shards_jobs_total{instance="host-1"})'
    )
    expect("shards: what was pushed with an instance", "30", found)
    found = web.ask(servers["prometheus"], "count(shards_rare_total)")
    expect("shards: those that got what one was pushed", "1", found)


def expect_sum(servers, wanted, series):
    promql = f"sum without (instance, shard) {series}"
    expect(f"shards: {promql}", wanted, web.ask(servers["prometheus"], promql))


def expect_buckets(servers, histogram, buckets):
    for bound, wanted in buckets.items():
        promql = f'sum by (le) ({histogram}_bucket{{le="{bound}"}})'
        found = web.ask(servers["prometheus"], promql)
        expect(f"shards: sum by (le) of {histogram}, bound {bound}", wanted, found)


def check_without_label(servers):
    """Why prometheus.yml has the label: where an instance was pushed, the target's does not tell
    the gateways apart."""
    for what, wanted, promql in [
        ("series with a pushed instance", "2", 'count(shards_jobs_total{instance="host-1"})'),
        ("without the label shard, the series that mix these up", "1",
         'count(bare_shards_jobs_total{instance="host-1"})'),
        ("without it, series without a pushed instance", "2",
         'count(bare_shards_jobs_total{instance!="host-1"})'),
    ]:
        expect(f"shards: {what}", wanted, web.ask(servers["prometheus"], promql))


def check_apart(servers):
    """Each gateway lacks a bound of the other's: one gateway would make 1, 3, 5 and 6 of it. The
    bucket of 2 is too low, as prometheus.yml says."""
    for histogram, shard in [(NARROW, "shard_a"), (WIDE, "shard_b")]:
        text = "# TYPE shards_seconds histogram\n" + histogram
        web.post(f"{servers[shard]}/metrics/job/apart", text.replace("shards_", "apart_"))
    web.wait_for_scrapes(servers["prometheus"])
    expect_buckets(servers, "apart_seconds", {"1": "1", "2": "2", "5": "5", "+Inf": "6"})


def check_paths(servers):
    """By path, each sender has one gateway, whatever the order of its path's labels."""
    senders = [f"s{number}" for number in range(12)]
    paths = [path for sender in senders for path in paths_of(sender)]
    found = statuses(servers["hashing"], "hashed_total 1", paths)
    expect("shards: pushes of 12 senders by path", ["200"] * 36, found)
    pages = [web.get(f"{servers[shard]}/metrics") for shard in ["shard_a", "shard_b"]]
    counts = [tuple(count_of(sender, page) for page in pages) for sender in senders]
    expect("shards: senders whose pushes are not at one gateway", [],
           [count for count in counts if sorted(count) != [0, 3]])
    check(f"shards: {len(set(counts))} gateways have senders by path", len(set(counts)) == 2)


def paths_of(sender):
    ordered = f"/metrics/job/hashed/instance/{sender}"
    return [ordered, f"/metrics/instance/{sender}/job/hashed", ordered]


def count_of(sender, page):
    found = re.search(rf'^hashed_total{{instance="{sender}",.*}} (\d+)$', page, re.MULTILINE)
    return int(found[1]) if found else 0


def statuses(nginx, text, paths):
    urls = [nginx + path for path in paths]
    found = web.curl("--data", text, "--write-out", "\n%{http_code}\n", *urls)
    return re.findall(r"^\d+$", found, re.MULTILINE)


def check_lost_path(servers):
    """By path there is no failover: the other gateway would count the sender whole once more."""
    before = web.get(f"{servers['shard_a']}/metrics")
    gone = [f"s{number}" for number in range(12) if not count_of(f"s{number}", before)]
    paths = [path for sender in gone[:3] for path in paths_of(sender)]
    found = statuses(servers["hashing"], "hashed_total 1", paths)
    expect("shards: pushes by path to the one that is gone", ["502"] * len(paths), found)
    check("shards: some of them there were", len(paths) >= 3)
    after = web.get(f"{servers['shard_a']}/metrics")
    moved = [sender for sender in gone if count_of(sender, after)]
    expect("shards: senders that moved to the other", [], moved)


def check_lost(servers, scratch, program):
    """nginx asks the gateway that is gone once in ten seconds, and gives the other one the rest."""
    prometheus = servers["prometheus"]
    processes.check_end("shard_b")
    paths = ["/metrics/job/shards"] * 6
    found = sorted(statuses(servers["sharding"], "shards_jobs_total 1", paths))
    expect("shards: 6 pushes while one is gone", ["200"] * 5 + ["502"], found)
    check_lost_path(servers)
    wait_until(10, lambda: web.ask(prometheus, "sum(up)") == str(starts.TARGETS - 3))
    web.wait_for_scrapes(prometheus)
    page = web.get(f"{servers['shard_a']}/metrics")
    remaining = re.findall(r"^shards_jobs_total{.* (\d+)$", page, re.MULTILINE)
    expect_sum(servers, str(sum(map(int, remaining))), "(shards_jobs_total)")
    starts.start_gateway(program, scratch, servers, "shard_b")
    wait_until(10, lambda: web.ask(prometheus, "sum(up)") == str(starts.TARGETS))
    web.wait_for_scrapes(prometheus)
    expect_sum(servers, "65", "(shards_jobs_total)")
