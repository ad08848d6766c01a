"""Another reader of the format and ours must agree: differential.py GATEWAY [SCRAPES_FOLDER]

Random valid bodies are pushed, each under a path label of its own, and scraped again.
prometheus_client's parser reads what was sent and what comes back, and every sample must be the
same. It also reads every scrape in the folder, which the integration tests put there.
"""

import random
import sys
import urllib.error
import urllib.request
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

ROUNDS = 300
LABEL_NAMES = ["a", "b", "code", "le_not", "z_9", "_x"]
LABEL_VALUES = [
    "", "1", "x y", "ü→雪", 'q"q', "b\\b", "l\nl", "{}", ",", "=", "#", " x ", "\t", "\\n",
]
VALUES = [0, 1, -1, 0.1, 1e-7, 123456789, 2**53, 2**53 + 2, 1e300, 5e-324, 3.5, 1 / 3, -1e17, 1e21]


def escape(value):
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def blank():
    return random.choice(["", "", "", " ", "\t", "  "])


def sample(name, labels, value):
    labels = list(labels.items())
    random.shuffle(labels)
    pairs = [f'{k}{blank()}={blank()}"{escape(v)}"' for k, v in labels]
    text = f"{blank()},{blank()}".join(pairs) + (random.choice(["", ","]) if pairs else "")
    braces = f"{{{blank()}{text}{blank()}}}" if pairs or random.random() < 0.2 else ""
    timestamp = f" {random.randrange(10**13)}" if random.random() < 0.1 else ""
    return f"{name}{braces} {blank()}{value!r}{timestamp}"


def label_sets(count):
    found = {}
    for _ in range(count):
        names = random.sample(LABEL_NAMES, random.randrange(4))
        labels = {name: random.choice(LABEL_VALUES) for name in names}
        found[tuple(sorted((k, v) for k, v in labels.items() if v))] = labels
    return found.values()


def histogram(name, labels):
    bounds = sorted(random.sample([-1, 0, 0.1, 0.25, 1, 2.5, 10, 1e6], random.randrange(5)))
    count, lines = 0, []
    for bound in [*bounds, "+Inf"]:
        count += random.randrange(5)
        lines.append(sample(f"{name}_bucket", {**labels, "le": str(bound)}, count))
    lines.append(sample(f"{name}_sum", labels, random.choice(VALUES)))
    lines.append(sample(f"{name}_count", labels, count))
    return lines


def body():
    lines = []
    for number in range(random.randrange(1, 6)):
        kind = random.choice(["counter", "gauge", "untyped", "histogram"])
        name = f"{kind}_{number}"
        if random.random() < 0.5:
            lines.append(f"# HELP {name} " + random.choice(["x", "ü \\\\ \\n y", "# {}"]))
        lines.append(f"# TYPE {name} {kind}")
        for labels in label_sets(4):
            if kind == "histogram":
                lines += histogram(name, labels)
            else:
                value = random.choice(VALUES)
                lines.append(sample(name, labels, abs(value) if kind == "counter" else value))
    return "\n".join(lines) + "\n"


def samples(text, skip=()):
    """Every sample as a key and a value; labels in `skip` and empty ones left out."""
    found = {}
    for family in text_string_to_metric_families(text):
        for one in family.samples:
            labels = {k: v for k, v in one.labels.items() if v and k not in skip}
            if family.type == "histogram" and "le" in labels:
                labels["le"] = float(labels["le"])
            key = (one.name, tuple(sorted(labels.items())))
            assert key not in found, f"twice: {key}"
            found[key] = one.value
    return found


def main():
    gateway = sys.argv[1]
    seed = random.randrange(2**32)
    random.seed(seed)
    sent = {}
    for number in range(ROUNDS):
        text = body()
        request = urllib.request.Request(
            f"{gateway}/metrics/round/{number}", data=text.encode(), method="POST"
        )
        try:
            urllib.request.urlopen(request, timeout=60).read()
        except urllib.error.HTTPError as error:
            sys.exit(f"Error: seed {seed}, refused: {error.read().decode()}\n{text}")
        for (name, labels), value in samples(text).items():
            sent[(name, tuple(sorted([*labels, ("round", str(number))])))] = value
    scrape = urllib.request.urlopen(f"{gateway}/metrics", timeout=60).read().decode()
    found = samples(scrape)
    for key in sent.keys() | found.keys():
        if sent.get(key) != found.get(key):
            sys.exit(f"Error: seed {seed}, {key}: sent {sent.get(key)}, found {found.get(key)}")
    read = 0
    for path in Path(sys.argv[2]).glob("*.prom") if len(sys.argv) > 2 else []:
        samples(path.read_bytes().decode())  # a raw CR may stand in a label value
        read += 1
    print(f"{ROUNDS} random bodies, {len(sent)} samples alike; {read} scrapes read")


main()
