"""Which Python code a plan may name, as notifiers and as checks of type ``python``. Everything else that a
plan says is data, so this is the only way from a plan to code.

A notifier's path must be allowed by the setting ``allowed_notifiers``. It is compared before the module is
imported; that the class is one of Airflow's notifiers is checked by ``tasks/``, before it is called. A check
must be a function that its author marked with :func:`drs_check`, or its path must be allowed by
``allowed_checks``.
"""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, TypeVar

from drs.errors import InvalidField
from drs.plan import Plan
from drs.plan.checks import PythonCheck

NOTIFIERS = ("airflow.providers.*", "airflow.*")
"""The notifiers that plans may name by default: those of Airflow's providers, and Airflow's own."""
_MARK = "__drs_check__"

Function = TypeVar("Function", bound=Callable[..., Any])


def drs_check(function: Function) -> Function:
    """Mark a function as a check that plans may name in a check of type ``python``.

    A plan is configuration. So it can have only those functions called whose author wrote them for that.
    """
    setattr(function, _MARK, True)
    return function


@dataclass(frozen=True, slots=True)
class AllowedCode:
    """The dotted paths that plans may name, with ``*`` for any text.

    :param notifiers: classes of notifiers
    :param checks: functions of checks, in addition to those that are marked
    """

    notifiers: tuple[str, ...] = NOTIFIERS
    checks: tuple[str, ...] = ()

    @classmethod
    def of(cls, notifiers: str | None, checks: str | None) -> AllowedCode:
        """By the texts of the settings: paths between commas. ``None`` means that a setting is not there."""
        return cls(
            NOTIFIERS if notifiers is None else _patterns(notifiers),
            () if checks is None else _patterns(checks),
        )


@dataclass(frozen=True, slots=True)
class NamedCode:
    """A notifier or check that a plan names.

    :param key: its place in the plan
    :param path: the dotted path of the class or function
    :param is_notifier: true for a notifier, false for a check
    """

    key: str
    path: str
    is_notifier: bool


def named_code(plan: Plan, waves: Iterable[str] | None = None) -> Iterator[NamedCode]:
    """The code that the plan names, in the order of the plan's keys.

    :param waves: only the checks of these waves; ``None``: of all waves
    """
    chosen = {wave.name for wave in plan.waves} if waves is None else set(waves)
    groups = {group for wave in plan.waves if wave.name in chosen for group in wave.protection_groups}
    for name, group in plan.protection_groups.items():
        if name in groups:
            yield from _checks(f"protection_groups.{name}", group.validation)
    for position, wave in enumerate(plan.waves):
        if wave.name in chosen:
            yield from _checks(f"waves[{position}]", wave.validation)
    for position, notifier in enumerate(plan.notifications.notifiers):
        yield NamedCode(f"notifications.notifiers[{position}].notifier", notifier.notifier, is_notifier=True)


def refusal(named: NamedCode, allowed: AllowedCode) -> InvalidField | None:
    """Why this code may not be called, as far as that can be said without importing it."""
    return (_refused_notifier if named.is_notifier else _refused_check)(named.path, allowed)


def require_allowed_notifier(path: str, allowed: AllowedCode) -> None:
    """Compare a notifier's path with the setting, before its module is imported.

    :raises InvalidField: the path is not allowed
    """
    if refused := _refused_notifier(path, allowed):
        raise refused


def check_function(path: str, allowed: AllowedCode) -> Callable[..., Any]:
    """Import the function of a check.

    :raises InvalidField: it may not be called
    :raises Exception: whatever its module raises when it is imported
    """
    if refused := _refused_check(path, allowed):
        raise refused
    module, _, name = path.rpartition(".")
    function = getattr(importlib.import_module(module), name)
    if not callable(function):
        raise InvalidField(
            f"{path} is not a function, so it cannot be a check.",
            remedy=f"Name a function of {module}, or correct the path in the plan.",
        )
    if not _allows(allowed.checks, path) and not _is_marked(function):
        raise InvalidField(
            f"{path} is not a check: a plan may name only functions that are marked as checks.",
            remedy=f"If {path} was written as a check, put @drs_check (from drs.validation) before it, or "
            "add its path to the setting allowed_checks of every part of Airflow: "
            f"{_setting('ALLOWED_CHECKS', allowed.checks, path)}. Otherwise correct the path in the plan.",
        )
    return function  # type: ignore[no-any-return]


def _refused_notifier(path: str, allowed: AllowedCode) -> InvalidField | None:
    if _allows(allowed.notifiers, path):
        return None
    listed = ", ".join(allowed.notifiers) or "none"
    return InvalidField(
        f"The notifier {path} is not allowed. The setting allowed_notifiers in section [drs] allows: "
        f"{listed}.",
        remedy="If plans may use this notifier, add its path to the setting of every part of Airflow: "
        f"{_setting('ALLOWED_NOTIFIERS', allowed.notifiers, path)}. Otherwise correct the path in the plan.",
    )


def _refused_check(path: str, allowed: AllowedCode) -> InvalidField | None:
    if path.partition(".")[0] not in sys.stdlib_module_names or _allows(allowed.checks, path):
        return None
    return InvalidField(
        f"{path} is not a check: it belongs to Python's standard library.",
        remedy="Name a function of your own that is marked with @drs_check (from drs.validation).",
    )


def _checks(place: str, checks: Iterable[object]) -> Iterator[NamedCode]:
    for position, check in enumerate(checks):
        if isinstance(check, PythonCheck):
            yield NamedCode(f"{place}.validation[{position}].function", check.function, is_notifier=False)


def _is_marked(function: object) -> bool:
    return inspect.isroutine(function) and getattr(function, _MARK, None) is True


def _allows(patterns: Iterable[str], path: str) -> bool:
    return any(fnmatchcase(path, pattern) for pattern in patterns)


def _patterns(text: str) -> tuple[str, ...]:
    return tuple(text.replace(",", " ").split())


def _setting(name: str, patterns: Iterable[str], path: str) -> str:
    return f"AIRFLOW__DRS__{name}={','.join((*patterns, path))}"
