"""A browser looks at the status page; its screenshots stay in target/interop/log."""

import os

import processes
from folders import CACHE, LOG


def check(servers, scratch):
    folder = LOG / "status_page_screenshots"
    folder.mkdir()
    # A browser leaves files in both.
    environment = os.environ | {"HOME": str(scratch), "TMPDIR": str(scratch)}
    command = ["node", CACHE / "node/status_page.mjs", servers["gateway"], folder]
    processes.check("status page", command, env=environment)
