"""``python -m drs``."""

from __future__ import annotations

from drs.cli.console import run

# A plugins folder without its .airflowignore files has Airflow execute this file under its bare name, outside
# its package: then it must not end the process.
if __name__ == "__main__" and __package__:
    raise SystemExit(run())
