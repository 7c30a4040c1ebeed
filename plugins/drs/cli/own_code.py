"""Which code plans may name, by this process's environment. Nothing is imported here, so a check's mark is
not seen: Airflow's preflight looks for it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from drs.plan import Plan, PlanProblem
from drs.run.own_code import AllowedCode, named_code, refusal

NOTIFIERS, CHECKS = "AIRFLOW__DRS__ALLOWED_NOTIFIERS", "AIRFLOW__DRS__ALLOWED_CHECKS"


def allowed_code() -> AllowedCode:
    """What the environment allows; the defaults where it says nothing."""
    return AllowedCode.of(os.environ.get(NOTIFIERS), os.environ.get(CHECKS))


def code_problems(plan: Plan, file: Path) -> Iterator[PlanProblem]:
    """The code of the plan that certainly may not be called.

    :param file: the plan's file
    """
    allowed = allowed_code()
    for named in named_code(plan):
        if refused := refusal(named, allowed):
            message = f"{refused.message}{_where(named.is_notifier)}"
            yield PlanProblem(file, None, named.key, refused.code, message, refused.remedy)


def _where(is_notifier: bool) -> str:
    if is_notifier and NOTIFIERS not in os.environ:
        return (
            f" This command reads the setting from {NOTIFIERS}, which is not set here: this is the default."
        )
    return ""
