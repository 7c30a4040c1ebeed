"""The names of a server's checks: a result refers to its check by this name."""

from __future__ import annotations

from collections.abc import Sequence

from drs.plan import Plan
from drs.plan.checks import Check

ALWAYS = "recovery_instance"
"""The check that every launched server must pass, whatever the plan says."""


def labelled(checks: Sequence[Check]) -> list[tuple[str, Check]]:
    """Each check with a name that is unique for the server: a second check of a name gets a number."""
    named: dict[str, Check] = {}
    for check in checks:
        label, number = check.label, 1
        while label in named:
            number += 1
            label = f"{check.label} ({number})"
        named[label] = check
    return list(named.items())


def asked_of(plan: Plan, wave: str, group: str) -> tuple[str, ...]:
    """The names of all checks that a server of the group must pass in the wave."""
    return (ALWAYS, *(label for label, _ in labelled(plan.checks_for(wave, group))))
