"""The message that people get of a finding is complete on its own."""

from __future__ import annotations

from drs.watch import messages
from drs.watch.airflow_view import DagInAirflow
from drs.watch.compare import compare
from tests.unit.drill import NOW
from tests.unit.watch.sights import RUN, airflow, hours, in_airflow, instance, launch, view

BASE = "http://airflow:8080"


def test_a_message_names_what_why_where_and_what_to_do() -> None:
    """It also says that it is sent once, and what stays red."""
    (finding,) = compare(
        [view(instance(job=launch()))], [], airflow(in_airflow("success")), hours(2)
    ).findings
    notice = messages.notice(finding, BASE)
    assert (notice.event, notice.code, notice.plan) == ("watch", "ORPHANED_DRILL_INSTANCE", "orders")
    assert (notice.account_id, notice.region, notice.run_id) == ("111122223333", "us-east-1", RUN.run_id)
    assert notice.subject == "ORPHANED_DRILL_INSTANCE: 1 drill instance(s) of orders left"
    for named in ("i-1", "s-3c1730a9e0771ea14", "drsjob-1", RUN.run_id, "m5.large", "0.19 USD", "2 h 0 min"):
        assert named in notice.message
    assert "What to do: `python -m drs cleanup orders" in notice.message
    assert "Where: account 111122223333, Region us-east-1" in notice.message
    assert f"{BASE}/dags/drs_drill__orders/runs/" in notice.message
    assert "This is sent once." in notice.message


def test_a_frozen_run_that_has_nothing_in_aws_has_a_message_too() -> None:
    """It was paused before its first wave."""
    frozen = airflow(in_airflow(), dag=DagInAirflow("paused"))
    (finding,) = compare([view()], [], frozen, NOW).findings
    notice = messages.notice(finding, BASE)
    assert notice.subject == "DRILL_FROZEN: a drill of orders stands still"
    assert "Where: Airflow" in notice.message


def test_drill_instances_that_are_no_findings_are_listed_with_the_reason() -> None:
    """For one whose EC2 instance could not be read, the age is that of its job."""
    unread = instance(job=launch())
    unread = type(unread)(
        unread.record.model_copy(update={"launched_at": None, "instance_type": None}), unread.job
    )
    listed = messages.facts_table([(unread, "orders", "manual__1", "kept by rule: asked")], hours(3))
    row = listed.splitlines()[-1]
    assert all(part in row for part in ("i-1", "3 h 0 min", "orders", "manual__1", "kept by rule: asked"))
