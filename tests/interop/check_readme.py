"""The README's blocks, as they stand there but for the address: they configure a Prometheus, start
gateways, push to them, and query."""

import os
import re
from typing import NamedTuple
from urllib.parse import urlsplit

import install
import processes
import servers as starts
import web
from folders import CACHE, ROOT
from processes import wait_until
from results import check, expect

PROGRAM = "target/release/prometheus-aggregation-gateway"
ADDRESS = "localhost:9091"

# These run elsewhere: .ci/run begins with the commands of the first one, and scripts/ship makes, loads
# and runs the image of the second one.
ELSEWHERE = ["cargo build", "scripts/static"]

# What the gateways must show after the blocks that push to them, by the flag that a gateway is
# started with.
SUMS = {
    "": [
        'some_metric{job="some_job"} 6.28',
        'backups_total{job="nightly"} 6',
        'page_views_total{job="pages"} 2',
        'restores_total{job="nightly"} 1',
    ],
    "-sender-label": ['requests_total{job="shop"} 3'],
    "-push-token-file": [],
}

# The README shows the responses, and nothing else that curl says.
CURL_OPTIONS = "silent\nshow-error\nfail\n"


class Block(NamedTuple):
    language: str
    text: str
    line: int

    def starts_gateway(self):
        return self.text.splitlines()[-1].startswith(PROGRAM)


def blocks():
    readme = (ROOT / "README.md").read_text()
    for found in re.finditer(r"^```(\w+)\n(.*?)^```$", readme, re.MULTILINE | re.DOTALL):
        yield Block(found[1], found[2], readme[:found.start()].count("\n") + 2)


class Reader:
    """A person who tries all blocks from the top."""

    def __init__(self, servers, scratch, program):
        self.gateway, self.prometheus = servers["readme"], servers["readme_prometheus"]
        self.folder = scratch / "readme"
        self.flags, self.output, self.queries = [], "", []
        (self.folder / PROGRAM).parent.mkdir(parents=True)
        (self.folder / PROGRAM).symlink_to(program)
        (self.folder / ".curlrc").write_text(CURL_OPTIONS)

    def read(self, block):
        what = f"README, line {block.line}, {block.language}"
        text = block.text.replace(ADDRESS, urlsplit(self.gateway).netloc)
        match block.language:
            case "sh" if block.starts_gateway():
                self.start_gateway(what, text)
            case "text":
                check(f"{what}: so it is printed", self.output.endswith(text))
            case "yaml":
                self.start_prometheus(what, text)
            case "promql":
                self.queries += text.splitlines()
            case _:
                self.run(what, block, text)

    def start_gateway(self, what, text):
        if self.flags:
            self.check_sums()
            processes.end("readme")
        words = [*text.splitlines()[-1].split(), ""]
        self.flags.append(words[1])
        environment = os.environ | {"PAG_LISTEN": urlsplit(self.gateway).netloc}
        processes.start("readme", ["bash", "-c", text], cwd=self.folder, env=environment)
        healthy = wait_until(10, lambda: web.answers(f"{self.gateway}/-/healthy"))
        check(f"{what}: the gateway runs", healthy)

    def start_prometheus(self, what, text):
        """It scrapes once a second, so that a rate needs no minute."""
        configuration = "global: {scrape_interval: 1s}\n" + text
        starts.start_prometheus(self.folder, self.prometheus, configuration, "readme_prometheus")
        ready = wait_until(30, lambda: web.answers(f"{self.prometheus}/-/ready"))
        jobs = ready and wait_until(30, lambda: web.ask(self.prometheus, "count(up)") == "2")
        check(f"{what}: Prometheus has two targets", jobs)

    def run(self, what, block, text):
        command = self.command(block, text)
        environment = install.GO_ENVIRONMENT | {
            "CURL_HOME": str(self.folder), "README_PROGRAM": str(self.folder / "push.rs"),
        }
        name = f"readme_{block.line}"
        succeeded, line = processes.run(name, command, cwd=self.folder, env=environment)
        self.output = processes.log_of(name)
        check(f"{what}: {line}".rstrip(": "), succeeded)

    def command(self, block, text):
        match block.language:
            case "sh":
                return ["bash", "-e", "-c", text]
            case "python":
                return [CACHE / "venv/bin/python", "-c", text]
            case "js" if "import " in text:
                return ["node", self.written(CACHE / "node/readme.mjs", text)]
            case "js":
                page = self.written(self.folder / "page.js", text)
                return ["node", CACHE / "node/readme_page.mjs", self.gateway, page]
            case "go":
                return ["go", "run", self.written(self.folder / "push.go", text)]
            case "java":
                return ["java", self.written(self.folder / "Push.java", text)]
            case "rust":
                self.written(self.folder / "push.rs", text)
                return [*install.cargo_of_clients("run"), "--quiet", "--example", "readme"]
        processes.give_up(f"README, line {block.line}: nobody runs blocks of {block.language}")

    def written(self, file, text):
        file.write_text(text)
        return file

    def check_sums(self):
        """Of the gateway that has run until now. Two scrapes make a rate."""
        for _ in range(2):
            web.wait_for_scrapes(self.prometheus)
        page = web.get(f"{self.gateway}/metrics").splitlines()
        for line in SUMS.get(self.flags[-1], []):
            check(f"README: {line}", line in page)

    def check_queries(self):
        """Some have no answer, since nothing of that name is pushed."""
        answers = [web.query(self.prometheus, query) for query in self.queries]
        for query, answer in zip(self.queries, answers):
            check(f"README, {query}: {answer.get('error', 'is understood')}", "data" in answer)
        answered = [answer for answer in answers if answer.get("data", {}).get("result")]
        expect("README: queries about what it pushes", 2, len(answered))


def check_all(servers, scratch, program):
    reader = Reader(servers, scratch, program)
    own = [block for block in blocks() if not block.text.startswith(tuple(ELSEWHERE))]
    # Prometheus first, so that it sees all that is pushed.
    for block in sorted(own, key=lambda block: block.language != "yaml"):
        reader.read(block)
    reader.check_sums()
    reader.check_queries()
    expect("README: gateways that it starts", list(SUMS), reader.flags)
