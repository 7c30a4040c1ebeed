"""The alarm at the RTO: Airflow calls it for every run, and it notifies people only if waves are not up."""

from __future__ import annotations

import asyncio
import datetime as dt
from typing import Any

import pytest

from drs.dag_factory import drill_dag, rto_alert
from drs.run.ledger import Ledger
from drs.run.records import CleanupRecord, Resolution, WaveResolution
from drs.tasks import rto_alarm
from drs.tasks.rto_alarm import rto_has_passed
from tests.unit.drill import NOW, after, make_plan, make_run
from tests.unit.tasks.test_send_messages import Noted, noted

PLAN = make_plan(objectives={"rto": "1h"}, notifications=noted(text="{{ drs.message }}"))


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch, xcom: Any) -> list[Any]:
    monkeypatch.setattr(rto_alarm, "_XComStore", lambda dag_id, run_id: xcom)
    monkeypatch.setenv("AIRFLOW__DRS__ALLOWED_NOTIFIERS", "tests.*")
    Noted.said = []
    return Noted.said


def ring(state: str = "running") -> None:
    """Call the callback as Airflow does."""
    dag_run = {"dag_id": "drs_drill__orders", "dag_run_id": "run-1", "state": state}
    asyncio.run(rto_has_passed(context={"dag_run": dag_run, "deadline": {}}))


def test_waves_that_are_not_up_are_told(
    ledger: Ledger, said: list[Any], caplog: pytest.LogCaptureFixture
) -> None:
    """They are named once, by the plan's notifiers and in the triggerer's log. A wave whose checks still run
    is not up.
    """
    ledger.save_run(make_run(PLAN))
    for gate in ("started", "launched", "validated"):
        ledger.save_reached("database", gate, after(60))
    for gate in ("started", "launched"):
        ledger.save_reached("application", gate, after(60))
    ring()
    ring()
    (message,) = said
    assert "DRILL of plan orders has exceeded its RTO of 1 h." in message
    assert "not launched and validated: application\n" in message
    assert message.strip() in caplog.text


def test_a_drill_whose_waves_are_up_is_in_time(ledger: Ledger, said: list[Any]) -> None:
    """Its instances may be kept for hours. A wave that this run leaves out does not count."""
    ledger.save_run(make_run(PLAN))
    left_out = WaveResolution(left_out="its groups contain no server")
    ledger.save_resolution(Resolution(waves={"database": WaveResolution(), "application": left_out}))
    ledger.save_reached("database", "validated", after(60))
    ring()
    assert said == []


@pytest.mark.parametrize("run", [{"dry_run": True}, {"missed": "its time went by"}], ids=str)
def test_a_run_that_launches_nothing_has_no_rto(ledger: Ledger, said: list[Any], run: dict[str, Any]) -> None:
    ledger.save_run(make_run(PLAN, **run))
    ring()
    assert said == []


def test_a_run_that_was_refused_has_no_rto(ledger: Ledger, said: list[Any]) -> None:
    ring()
    assert said == []


def test_a_run_that_is_over_has_been_told_of(ledger: Ledger, said: list[Any]) -> None:
    """People were notified of its failure, at the latest when its clean-up began."""
    ledger.save_run(make_run(PLAN))
    ring("failed")
    ledger.save_cleanup(CleanupRecord(started_at=NOW))
    ring()
    assert said == []


def test_a_real_recovery_is_told_of_too(ledger: Ledger, said: list[Any]) -> None:
    """The RTO matters most in a real recovery."""
    ledger.save_run(make_run(PLAN, execution_type="RECOVERY"))
    ring()
    assert said[0].startswith("THIS IS A REAL RECOVERY")


def test_only_a_plan_with_an_rto_has_an_alarm() -> None:
    """The alarm comes when the RTO has passed since the run was queued."""
    alert = rto_alert(PLAN)
    assert alert is not None
    assert (alert.interval, alert.callback.path) == (
        dt.timedelta(hours=1),
        "drs.tasks.rto_alarm.rto_has_passed",
    )
    assert drill_dag(PLAN).deadline == [alert]
    assert not drill_dag(make_plan()).deadline
