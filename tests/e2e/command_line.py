"""Commands of the command line as processes of their own, against the stack."""

from __future__ import annotations

import re
import subprocess
import sys

from demo.stack import REPOSITORY, Stack
from tests.unit.repository.documented_pages import documented
from tests.unit.repository.quoted_output import is_quoted_from


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


def check_quoted(situation: str, name: str, printed: str, *, plan: str = "order-system") -> None:
    """Compare what a command printed with what the pages quote of it in this situation.

    :param plan: the plan here; on the pages it is order-system
    """
    commands, _ = documented()
    of_pages = [each for each in commands if (each.situation, each.name) == (situation, name)]
    assert of_pages
    for each in of_pages:
        assert is_quoted_from(each.quoted, re.sub(rf"(?<![a-z]){plan}(?![a-z])", "order-system", printed)), (
            f"{each}\n{printed}"
        )
