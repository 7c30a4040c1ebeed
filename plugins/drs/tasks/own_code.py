"""The code that plans name, where it is used in Airflow: which notifiers and checks may be called.

Each path is compared with the settings before its module is imported, and a class is called only after it was
seen to be one of Airflow's notifiers.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator

from airflow.sdk import BaseNotifier

from drs import settings
from drs.errors import Code, InvalidField
from drs.plan import Plan
from drs.preflight import Finding, PreflightInputs
from drs.run.own_code import AllowedCode, NamedCode, check_function, named_code, require_allowed_notifier


def notifier_class(path: str, allowed: AllowedCode) -> type[BaseNotifier]:
    """Import a notifier's class.

    :raises InvalidField: it may not be called: its path is not allowed, or it is not one of Airflow's
    :raises Exception: whatever its module raises when it is imported
    """
    require_allowed_notifier(path, allowed)
    module, _, name = path.rpartition(".")
    found = getattr(importlib.import_module(module), name)
    if not (isinstance(found, type) and issubclass(found, BaseNotifier)):
        raise InvalidField(
            f"{path} is not an Airflow notifier, so it was not called.",
            remedy="Name a class that is derived from airflow.sdk.BaseNotifier.",
        )
    return found


def code_findings(inputs: PreflightInputs) -> Iterator[Finding]:
    """What is wrong with the code that the run's plan names.

    A notifier that cannot be imported here is only a warning, because a message that is not sent fails no
    drill. In a RECOVERY the same holds for a notifier that is not allowed.
    """
    allowed = settings.allowed_code()
    plan = inputs.plan
    for named in named_code(plan, inputs.waves):
        finding = _finding(plan, named, allowed)
        if finding is not None:
            warns = named.is_notifier and inputs.execution_type == "RECOVERY"
            yield finding.as_warning() if warns else finding


def _finding(plan: Plan, named: NamedCode, allowed: AllowedCode) -> Finding | None:
    place = f"Plan {plan.name}, {named.key}:"
    try:
        (notifier_class if named.is_notifier else check_function)(named.path, allowed)
    except InvalidField as error:
        return Finding(code=error.code, seen=f"{place} {error.message}", remedy=error.remedy)
    except (Exception, SystemExit) as error:  # a module may raise anything
        found = Finding(
            code=Code.INVALID_FIELD,
            seen=f"{place} {named.path} cannot be imported by Airflow's worker: {type(error).__name__}: "
            f"{error}.",
            remedy="Install its package, or put its module into the plugins folder, on every machine that "
            "runs a worker or a triggerer. Or correct the path in the plan.",
        )
        return found.as_warning() if named.is_notifier else found
    return None
