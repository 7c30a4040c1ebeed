"""Reads what a person asks of a run, in the form or in ``conf``, and checks it against the plan. Pure."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from drs.errors import InvalidExecutionType, InvalidField, MissingField, PlanHasNoWaves
from drs.plan import Plan
from drs.run.records import ExecutionType
from drs.text import shown
from drs.text.tables import first_of

MANUAL = "manual"
"""Airflow's word for a run that somebody started, in the UI or over the API."""
LATEST = "latest"
FIRST_POSSIBLE = dt.datetime(2021, 11, 1, tzinfo=dt.UTC)
"""AWS opened DRS in November 2021: no recovery point is older."""
_LONGEST_TIME = 40
_MOST_SHOWN = 80


@dataclass(frozen=True, slots=True)
class Request:
    """The run parameters, as the run's record stores them. Each field has the name of its parameter."""

    execution_type: ExecutionType
    waves: tuple[str, ...]
    exclude_servers: tuple[str, ...]
    recovery_point: dt.datetime | None
    dry_run: bool
    keep_instances: bool
    skip_approvals: bool
    reason: str


RUN_PARAMETERS = tuple(field.name for field in dataclasses.fields(Request))


def read_request(
    plan: Plan, params: Mapping[str, Any], *, conf: Collection[str], run_type: str, now: dt.datetime
) -> Request:
    """Read a run's parameters.

    :param params: every run parameter, as Airflow validated it
    :param conf: the keys of the run's ``conf``
    :param run_type: Airflow's word for how the run was started
    :raises InvalidField: a parameter is unknown or wrong
    :raises InvalidExecutionType: it is neither DRILL nor RECOVERY, or this run may not be a RECOVERY
    :raises MissingField: a RECOVERY has no reason
    :raises PlanHasNoWaves: no wave is chosen
    """
    if unknown := sorted(set(conf) - set(RUN_PARAMETERS)):
        raise InvalidField(
            f"Unknown run parameter(s): {_named(unknown)}.",
            remedy=f"A run of this plan takes: {', '.join(RUN_PARAMETERS)}.",
        )
    reason = str(params["reason"] or "").strip()
    if params["skip_approvals"]:
        _check_skippable(plan)
    return Request(
        execution_type=_execution_type(plan, params["execution_type"], run_type, reason),
        waves=_waves(plan, params["waves"]),
        exclude_servers=tuple(params["exclude_servers"] or ()),
        recovery_point=_recovery_point(params["recovery_point"], now),
        dry_run=bool(params["dry_run"]),
        keep_instances=bool(params["keep_instances"]),
        skip_approvals=bool(params["skip_approvals"]),
        reason=reason,
    )


def _named(names: Sequence[str]) -> str:
    """The first of the names that somebody sent, each of them cut."""
    return first_of([shown.line(name[:_MOST_SHOWN]) for name in names])


def _execution_type(plan: Plan, asked: Any, run_type: str, reason: str) -> ExecutionType:
    if asked == "DRILL":
        return "DRILL"
    allowed = "DRILL or RECOVERY" if plan.allow_recovery else "DRILL alone"
    if asked != "RECOVERY":
        raise InvalidExecutionType(
            f"There is no execution_type {_named([str(asked)])}.",
            remedy=f"A run of plan {plan.name} may be {allowed}.",
        )
    if not plan.allow_recovery:
        raise InvalidExecutionType(
            f"The plan {plan.name} allows no RECOVERY. This run touched nothing.",
            remedy=(
                f"A run of this plan may be {allowed}. To recover for real, write `allow_recovery: true` "
                "into the plan's file, then trigger a new run."
            ),
        )
    if run_type != MANUAL:
        raise InvalidExecutionType(
            f"Airflow started this run as {run_type}, and only a run that a person starts may be a RECOVERY.",
            remedy="Trigger the DAG by hand, in the Airflow UI or over its REST API.",
        )
    if not reason:
        raise MissingField(
            "A RECOVERY needs a reason, which is shown to the person who approves it.",
            remedy='For example {"execution_type": "RECOVERY", "reason": "<why>"}.',
        )
    return "RECOVERY"


def _waves(plan: Plan, asked: Any) -> tuple[str, ...]:
    """The chosen waves, in the plan's order."""
    names = [wave.name for wave in plan.waves]
    if strange := [str(name) for name in asked if name not in names]:
        raise InvalidField(
            f"The plan {plan.name} has no wave {_named(strange)}.",
            remedy=f"Choose from its waves: {', '.join(names)}.",
        )
    if not asked:
        raise PlanHasNoWaves("No wave was chosen for this run.")
    return tuple(name for name in names if name in asked)


def _recovery_point(asked: Any, now: dt.datetime) -> dt.datetime | None:
    if not asked or asked == LATEST:
        return None
    remedy = (
        f"Write {LATEST}, or a time with a UTC offset, such as {now - dt.timedelta(hours=1):%Y-%m-%dT%H:%M}Z."
    )
    if len(asked) > _LONGEST_TIME:
        raise InvalidField(
            f"recovery_point has {len(asked)} characters, and is not an ISO 8601 time.", remedy=remedy
        )
    named = shown.line(asked)
    try:
        point = dt.datetime.fromisoformat(asked)
    except ValueError:
        raise InvalidField(f"recovery_point {named} is not an ISO 8601 time.", remedy=remedy) from None
    if point.tzinfo is None:
        raise InvalidField(f"recovery_point {named} has no time zone.", remedy=remedy)
    if point < FIRST_POSSIBLE:  # also what cannot be expressed in UTC, which begins with the year 1
        raise InvalidField(
            f"recovery_point {named} is before {FIRST_POSSIBLE:%B %Y}, when AWS opened DRS.", remedy=remedy
        )
    if point > now:
        raise InvalidField(
            f"recovery_point {named} is in the future; it is now {now:%Y-%m-%dT%H:%M:%S}Z.",
            remedy=remedy,
        )
    return point.astimezone(dt.UTC)


def _check_skippable(plan: Plan) -> None:
    """Refuse skip_approvals if no approval of the plan can be skipped: the person wants some skipped."""
    approvals = {wave.name: wave.approval for wave in plan.waves if wave.approval}
    if any(approval.skippable for approval in approvals.values()):
        return
    if approvals:
        what = f"No approval of plan {plan.name} can be skipped (waves: {', '.join(approvals)})."
        more = ", or write `skippable: true` into the wave's approval"
    else:
        what, more = f"The plan {plan.name} asks for no approval before a wave.", ""
    if plan.allow_recovery:
        what += " The approval of a RECOVERY can never be skipped."
    raise InvalidField(f"skip_approvals: {what}", remedy=f"Leave skip_approvals out{more}.")
