"""Where things are. The logs of the last run stay in LOG, what was installed and built in CACHE."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
INTEROP = ROOT / "tests/interop"
CLIENTS = INTEROP / "clients"
CACHE = ROOT / "target/interop"
DEPLOY = ROOT / "scripts/deploy"
LOG = CACHE / "log"
