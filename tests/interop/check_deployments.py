"""What is in scripts/deploy, read by the programs that it is for. (scripts/ship starts the image with
the options of compose.yml; tests/it/documents.rs holds names, ports and versions against each other.)
"""

import json
import subprocess
import sys
from pathlib import Path

import web
from folders import DEPLOY, LOG
from results import check, expect

# Grafana's own: each gateway, and a window in which there are some scrapes.
VARIABLES = {"$instance": ".+", "$__rate_interval": "1m", "[2m]": "[1h]"}


def check_all(servers):
    check_read("compose.yml", "docker-compose", ["--file", "compose.yml", "config"])
    validate = Path(sys.executable).parent / "kubernetes-validate"
    check_read("kubernetes.yml", validate, ["--strict", "kubernetes.yml"])
    check_read("prometheus.yml", "promtool", ["check", "config", "prometheus.yml"])
    check_dashboard(servers)


def check_read(file, program, arguments):
    with open(LOG / file, "w") as log:
        status = subprocess.run(
            [program, *arguments], cwd=DEPLOY, stdout=log, stderr=subprocess.STDOUT
        ).returncode
    expect(f"{Path(program).name} reads {file}: status", 0, status)


def check_dashboard(servers):
    dashboard = json.loads((DEPLOY / "dashboard.json").read_text())
    variable = dashboard["templating"]["list"][1]["query"]["query"]
    names = variable.removeprefix("label_values(").removesuffix(", instance)")
    queries = [(panel["title"], target["expr"]) for panel in dashboard["panels"]
               for target in panel["targets"]]
    queries += [("instances", names)]
    queries += [(one["name"], one["expr"]) for one in dashboard["annotations"]["list"]]
    # Durations and sizes are of pushes in the window, which others may have made long ago.
    for _ in range(3):
        web.post(f"{servers['gateway']}/metrics/job/dashboard", "dashboard_total 1\n")
        web.wait_for_scrapes(servers["prometheus"])
    expect(f"dashboard.json: of {len(queries)} queries, those without a number", [],
           without_result(servers, queries))
    places = [tuple(panel["gridPos"].values()) for panel in dashboard["panels"]]
    check(f"dashboard.json: {len(places)} panels, each at a place of its own",
          len(set(places)) == len(places) > 20)


def without_result(servers, queries):
    return [title for title, promql in queries if not numbers(servers, promql)]


def numbers(servers, promql):
    for variable, value in VARIABLES.items():
        promql = promql.replace(variable, value)
    answer = web.query(servers["prometheus"], promql)
    found = answer.get("data", {}).get("result", [])
    return [one for one in found if one["value"][1] != "NaN"]
