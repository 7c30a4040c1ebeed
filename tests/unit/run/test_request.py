"""What a person may ask of a run: each parameter is accepted, or refused with what is allowed."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from drs.dag_factory import run_parameters
from drs.errors import DrillError, InvalidExecutionType, InvalidField, MissingField
from drs.plan import Plan
from drs.run.request import RUN_PARAMETERS, Request, read_request
from tests.unit.drill import NOW, make_plan

WAVES = [
    {"name": "database", "protection_groups": ["database"], "approval": {}},
    {"name": "application", "protection_groups": ["application"], "approval": {"skippable": True}},
]
RECOVERABLE = make_plan(allow_recovery=True)


def read(plan: Plan | None = None, *, run_type: str = "manual", **params: Any) -> Request:
    plan = plan or make_plan()
    form = {name: param.value for name, param in run_parameters(plan).items()}
    return read_request(plan, form | params, conf=params, run_type=run_type, now=NOW)


def refused(kind: type[DrillError], plan: Plan | None = None, **asked: Any) -> str:
    with pytest.raises(kind) as error:
        read(plan, **asked)
    return str(error.value)


def test_the_form_and_the_record_have_the_same_parameters() -> None:
    """Every parameter of the form is read, and no other one is."""
    assert set(run_parameters(make_plan())) == set(RUN_PARAMETERS)


def test_a_run_of_which_nothing_is_asked_is_a_drill_of_the_whole_plan() -> None:
    """It launches from the latest state, cleans up, and waits for every approval of the plan."""
    assert read() == Request(
        execution_type="DRILL",
        waves=("database", "application"),
        exclude_servers=(),
        recovery_point=None,
        dry_run=False,
        keep_instances=False,
        skip_approvals=False,
        reason="",
    )


# --- execution type ---------------------------------------------------------------------------------------


def test_a_recovery_is_started_by_hand_with_a_reason_where_the_plan_allows_it() -> None:
    """The tests below leave out one of these conditions each."""
    assert read(RECOVERABLE, execution_type="RECOVERY", reason="fire").execution_type == "RECOVERY"


@pytest.mark.parametrize("asked", ["recovery", "FAILOVER", "", None])
@pytest.mark.parametrize(
    ("plan", "allowed"), [(make_plan(), "DRILL alone"), (RECOVERABLE, "DRILL or RECOVERY")]
)
def test_another_type_is_refused_with_what_is_allowed(plan: Plan, allowed: str, asked: str | None) -> None:
    """Nothing is guessed, not even when only the case of the letters differs."""
    assert f"may be {allowed}" in refused(InvalidExecutionType, plan, execution_type=asked, reason="fire")


def test_a_plan_must_allow_a_recovery() -> None:
    """The message says how to allow it."""
    assert "allow_recovery: true" in refused(InvalidExecutionType, execution_type="RECOVERY", reason="fire")


def test_a_plan_that_allows_a_recovery_is_recovered_by_a_new_run() -> None:
    """The key and the parameters are those of the remedy."""
    told = refused(InvalidExecutionType, execution_type="RECOVERY", reason="fire")
    assert "write `allow_recovery: true` into the plan's file, then trigger a new run" in told
    assert read(RECOVERABLE, execution_type="RECOVERY", reason="fire").execution_type == "RECOVERY"


@pytest.mark.parametrize(
    "run_type", ["scheduled", "backfill", "operator_triggered", "asset_triggered", "asset_materialization"]
)
def test_nothing_but_a_person_starts_a_recovery(run_type: str) -> None:
    """Airflow can start a run in other ways. Each is named and refused."""
    told = refused(
        InvalidExecutionType, RECOVERABLE, run_type=run_type, execution_type="RECOVERY", reason="fire"
    )
    assert f"started this run as {run_type}" in told


@pytest.mark.parametrize("reason", [None, "", "  "])
def test_a_recovery_needs_a_reason(reason: str | None) -> None:
    """The remedy has an example to copy."""
    told = refused(MissingField, RECOVERABLE, execution_type="RECOVERY", reason=reason)
    assert '"execution_type": "RECOVERY", "reason": "' in told


# --- recovery point ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("asked", [None, "", "latest"])
def test_the_latest_state_is_the_default(asked: str | None) -> None:
    """It can also be asked for by the word latest."""
    assert read(recovery_point=asked).recovery_point is None


@pytest.mark.parametrize("asked", ["2026-03-01T05:00Z", "2026-03-01T06:00:00+01:00"])
def test_a_recovery_point_is_a_moment(asked: str) -> None:
    """It may be given in any time zone."""
    assert read(recovery_point=asked).recovery_point == dt.datetime(2026, 3, 1, 5, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ("yesterday", "is not an ISO 8601 time"),
        ("2026-03-01T05:00", "has no time zone"),
        ("2026-03-01", "has no time zone"),
        ("2026-03-01T06:00:01Z", "is in the future; it is now 2026-03-01T06:00:00Z"),
        ("9999-12-31T23:59:59-23:59", "is in the future"),
        ("0001-01-01T00:00:00+23:59", "is before November 2021, when AWS opened DRS"),
        ("2021-10-31T23:59Z", "is before November 2021"),
        ("2" * 1_000_000, "has 1000000 characters, and is not an ISO 8601 time"),
    ],
)
def test_what_is_no_moment_of_the_past_is_refused_with_an_example(asked: str, told: str) -> None:
    """The example in the message would be accepted."""
    text = refused(InvalidField, recovery_point=asked)
    assert told in text
    assert len(text) < 500
    assert "such as 2026-03-01T05:00Z" in text
    assert read(recovery_point="2026-03-01T05:00Z")


# --- approvals --------------------------------------------------------------------------------------------


def test_approvals_may_be_skipped_where_one_is_skippable() -> None:
    """The other approvals are still asked for."""
    assert read(make_plan(waves=WAVES), skip_approvals=True).skip_approvals


def test_skipping_what_cannot_be_skipped_is_an_error() -> None:
    """A person who asks to skip approvals expects that some are skipped. The message names the waves that
    would ask.
    """
    strict = make_plan(waves=[WAVES[0], {**WAVES[1], "approval": {}}])
    assert "can be skipped (waves: database, application)" in refused(
        InvalidField, strict, skip_approvals=True
    )
    assert "asks for no approval before a wave" in refused(InvalidField, skip_approvals=True)


def test_the_approval_of_a_recovery_is_never_skippable() -> None:
    """The message says so to a person who tries."""
    told = refused(InvalidField, RECOVERABLE, execution_type="RECOVERY", reason="fire", skip_approvals=True)
    assert "The approval of a RECOVERY can never be skipped." in told


def test_every_parameter_that_is_unknown_is_named() -> None:
    """The message also lists the parameters that exist."""
    told = refused(InvalidField, wave=["database"], dry=True)
    assert "Unknown run parameter(s): dry, wave." in told
    assert "execution_type, waves, exclude_servers, recovery_point, dry_run" in told
