"""The numbers that every client pushes twice, and what two pushes must come to.

There is one table, so that all clients, formats and codings are held against the same sums. All
share the names of the metrics: whatever format they came in, they must come to one family. The job
tells the clients apart.
"""

import gzip
import zlib
from pathlib import Path

# A backslash before a letter only: metrics-exporter-prometheus takes others for escapes.
ODD = '"quoted" \\back\nü→雪🦀 {},=# '

NUMBERS = [
    ("counter", ODD, 3.0),
    ("counter", "fractions", 0.625),
    ("counter", "large", 2.0**49),  # of 15 digits, which is what Perl prints
    ("gauge", ODD, -2.75),
    ("gauge", "small", 1e-7),
    ("gauge", "large", -1e300),
    ("gauge", "zero", 0.0),
    ("histogram", ODD, 0.25),
    ("histogram", ODD, 1.0),
    ("histogram", ODD, 2.0),
    ("histogram", ODD, 64.0),
    ("histogram", "fractions", 0.125),
    ("histogram", "fractions", 0.75),
]
BOUNDS = [0.5, 1.0, 2.5]

# Of each kind: the name of its metric in the clients, the metric's one label, its help.
METRICS = {
    "counter": ("interop_jobs_total", "queue", "Jobs done."),
    "gauge": ("interop_level", "place", "Level."),
    "histogram": ("interop_job_seconds", "route", "Seconds."),
}


def samples(pushes, lacks=()):
    """All samples after so many pushes: a dictionary of (name, labels) to value, with `le` as a
    number. `lacks` are the (kind, label value) that a client cannot express."""
    found = {}
    for kind, value, number in NUMBERS:
        if (kind, value) in lacks:
            continue
        name, label, _ = METRICS[kind]
        labels = {label: value}
        if kind != "histogram":
            add(found, name, labels, pushes * number)
            continue
        for bound in [*BOUNDS, float("inf")]:
            within = pushes if number <= bound else 0
            add(found, f"{name}_bucket", labels | {"le": bound}, within)
        add(found, f"{name}_sum", labels, pushes * number)
        add(found, f"{name}_count", labels, pushes)
    return found


def add(found, name, labels, number):
    key = (name, tuple(sorted(labels.items())))
    found[key] = found.get(key, 0) + number


def write(path):
    """Writes PATH for the clients (records that end with NUL, of three fields divided by tabs), and
    beside it what clients send that do not render by themselves."""
    records = (f"{kind}\t{label}\t{number!r}\0" for kind, label, number in NUMBERS)
    path.write_text("".join(records), encoding="utf-8", newline="")
    text = exposition("interop_jobs_total").encode()
    openmetrics = exposition("interop_jobs").encode() + b"# EOF\n"
    for extension, content in {
        ".prom": text,
        ".prom.gz": gzip.compress(text),
        ".prom.zlib": zlib.compress(text),
        ".openmetrics": openmetrics,
    }.items():
        Path(f"{path}{extension}").write_bytes(content)


def exposition(counter):
    """The text of one push. `counter` is what the counter is called in its TYPE line, which is what
    OpenMetrics and text 0.0.4 differ in here."""
    lines = []
    for kind, (name, _, text) in METRICS.items():
        declared = counter if kind == "counter" else name
        lines += [f"# HELP {declared} {text}", f"# TYPE {declared} {kind}"]
        for (sample, labels), value in samples(1).items():
            if sample.startswith(name):
                pairs = ",".join(f'{key}="{escape(value)}"' for key, value in labels)
                lines.append(f"{sample}{{{pairs}}} {value!r}")
    return "\n".join(lines) + "\n"


def escape(value):
    if isinstance(value, float):
        return str(value).replace("inf", "+Inf")
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
