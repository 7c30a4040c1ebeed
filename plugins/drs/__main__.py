"""``python -m drs``."""

from __future__ import annotations

from drs.cli.console import run

if __name__ == "__main__":
    raise SystemExit(run())
