"""Pushes the numbers twice with curl, in the way that the job's name says:
curl_client.py URL NUMBERS JOB. The job `examples` pushes those of Pushgateway's README.

curl itself knows no format: what it sends stands beside the file of numbers, written by
pushed_numbers.py.
"""

import subprocess
import sys

url, numbers, job = sys.argv[1:]

# What must come of it is in sums.txt. `some_metric` is a counter in one and has no type in the
# other, which is as it is there.
EXAMPLES = {
    "some_job": "some_metric 3.14\n",
    "some_job/instance/some_instance": """# TYPE some_metric counter
some_metric{label="val1"} 42
# TYPE another_metric gauge
# HELP another_metric Just an example.
another_metric 2398.283
""",
}

TEXT = ["--data-binary", f"@{numbers}.prom"]
# Most versions of curl ask before they upload a file. One way does, the others do not.
UNASKED = ["--header", "Expect:"]
WAYS = {
    "curl-post": TEXT,
    "curl-put": [*UNASKED, "--upload-file", f"{numbers}.prom"],
    "curl-chunked": [*UNASKED, "--request", "POST", "--upload-file", "-"],
    "curl-http10": ["--http1.0", *TEXT],
    "curl-expect": ["--header", "Expect: 100-continue", *TEXT],
    "curl-gzip": ["--header", "Content-Encoding: gzip", "--data-binary", f"@{numbers}.prom.gz"],
    "curl-deflate": [
        "--header", "Content-Encoding: deflate", "--data-binary", f"@{numbers}.prom.zlib",
    ],
    "curl-openmetrics": [
        "--header", "Content-Type: application/openmetrics-text; version=1.0.0; charset=utf-8",
        "--data-binary", f"@{numbers}.openmetrics",
    ],
}


def push(path, options, stdin):
    """`stdin` is a pipe, of which curl cannot tell the length: it sends that in chunks."""
    curl = ["curl", "--silent", "--show-error", "--fail-with-body", "--max-time", "10"]
    found = subprocess.run(
        [*curl, *options, f"{url}/metrics/job/{path}"], input=stdin, stdout=subprocess.PIPE
    )
    if found.returncode != 0:
        sys.exit(f"Error: curl {found.returncode}: {found.stdout.decode().strip()}")
    return found.stdout.decode()


def main():
    with open(f"{numbers}.prom", "rb") as file:
        text = file.read()
    for _ in range(2):
        if job != "examples":
            answer = push(job, WAYS[job], text)
            continue
        for path, example in EXAMPLES.items():
            answer = push(path, ["--data-binary", "@-"], example.encode())
    print(answer)


if __name__ == "__main__":
    main()
