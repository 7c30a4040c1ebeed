"""Reads the action that an access error names, and writes the IAM statement that allows it. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence


def denied_action(message: str) -> str | None:
    """The action that an access error names, such as ``drs:StartRecovery``; ``None`` if it names none."""
    found = re.search(r"not authorized to perform:? ([a-z0-9-]+:[A-Za-z]+)", message)
    if found:
        return found.group(1)
    called = re.search(r"\((\w+)\) when calling the (\w+) operation", message)
    if not called:
        return None
    service = "ec2" if called.group(1) == "UnauthorizedOperation" else "drs"
    return f"{service}:{called.group(2)}"


def statement(actions: Sequence[str]) -> str:
    """The statement for an IAM policy that allows these actions."""
    named = ", ".join(f'"{action}"' for action in actions)
    return f'{{"Effect": "Allow", "Action": [{named}], "Resource": "*"}}'


def allow(actions: Sequence[str]) -> str:
    """What to do about denied actions: the statement to paste."""
    return (
        "Add this statement to the policy of the role that the plan's connection uses, then clear this task: "
        f"{statement(actions)}"
    )
