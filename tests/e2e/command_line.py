"""Commands of the command line as processes of their own, against the stack."""

from __future__ import annotations

import subprocess
import sys

from demo.stack import REPOSITORY, Stack


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "drs", *arguments]


def environment(stack: Stack) -> dict[str, str]:
    return {**stack.environment, "DRS_AIRFLOW_URL": stack.api.url}


def drs(stack: Stack, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run one command to its end."""
    return subprocess.run(
        command(*arguments),
        env=environment(stack),
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
