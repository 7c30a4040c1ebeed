"""Writes the IAM statement that allows an action. Pure."""

from __future__ import annotations

from collections.abc import Sequence


def statement(actions: Sequence[str]) -> str:
    """The statement for an IAM policy that allows these actions."""
    named = ", ".join(f'"{action}"' for action in actions)
    return f'{{"Effect": "Allow", "Action": [{named}], "Resource": "*"}}'


def allow(actions: Sequence[str]) -> str:
    """What to do about actions that the role's own policy does not allow: the statement to paste."""
    return (
        f"Add this statement to the policy of the role that the plan's connection uses: {statement(actions)}"
    )
