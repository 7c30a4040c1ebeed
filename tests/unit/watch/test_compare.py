"""What is a finding of the watch: runs that stand still, nobody's instances, places that it cannot read."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from drs.errors import AccessDenied, Code
from drs.run.records import RunRecord
from drs.watch.airflow_view import DagInAirflow, KeptJobs
from drs.watch.compare import WatchResult, by_age, compare
from drs.watch.findings import WatchFinding, as_error
from drs.watch.view import RunInAws, Unreadable
from tests.unit.drill import NOW, after, make_plan, make_run
from tests.unit.watch.sights import (
    DAG,
    HERE,
    PLACE,
    RUN,
    airflow,
    hours,
    in_airflow,
    instance,
    launch,
    view,
)


def only(found: WatchResult) -> WatchFinding:
    (finding,) = found.findings
    return finding


def codes(found: WatchResult) -> list[Code]:
    return [finding.code for finding in found.findings]


def facts(found: WatchResult) -> dict[str, str]:
    """Why each instance is no finding, by instance."""
    return {each.record.recovery_instance_id: why for each, _, _, why in found.facts}


# --- runs that stand still ------------------------------------------------------------------------------


def test_a_run_that_goes_on_is_no_finding() -> None:
    """Its instances are its own."""
    job = launch()
    run = in_airflow(tasks={"wave_database.validate": "deferred"})
    assert compare([view(instance(job=job))], [], airflow(run), after(600)) == WatchResult(())


def test_a_paused_dag_freezes_its_run() -> None:
    """The finding says how to go on, what the run has, and what that costs."""
    frozen = airflow(in_airflow(), dag=DagInAirflow("paused"))
    finding = only(compare([view(instance(job=launch()))], [], frozen, hours(2)))
    assert finding.code == Code.DRILL_FROZEN
    assert (finding.dag_id, finding.run_id) == (DAG, RUN.run_id)
    assert f"its DAG {DAG} is paused" in finding.message
    assert "It has 1 drill instance(s)" in finding.message
    assert f"Unpause the DAG {DAG}" in finding.remedy
    assert "i-1" in finding.details
    assert "0.19 USD so far" in finding.details


def test_a_paused_dag_without_an_active_run_is_no_finding() -> None:
    """Most plans are paused most of the time."""
    at_rest = airflow(in_airflow("success"), dag=DagInAirflow("paused"))
    assert compare([view()], [], at_rest, NOW) == WatchResult(())


@pytest.mark.parametrize("state", ["stale", "removed"])
def test_a_dag_that_airflow_cannot_read_freezes_its_run(state: Any) -> None:
    """The finding also says how to end the instances without Airflow."""
    frozen = airflow(in_airflow(), dag=DagInAirflow(state, "no file of the plan"), files=frozenset())
    finding = only(compare([view(instance(job=launch()))], [], frozen, NOW))
    assert finding.code == Code.DRILL_FROZEN
    assert "no file of the plan" in finding.message
    assert "put the plan's file back" in finding.remedy
    assert "aws drs terminate-recovery-instances --region us-east-1" in finding.remedy


def test_a_frozen_run_that_still_launches_says_so() -> None:
    """Its live job will launch an instance although the run stands still."""
    job = launch(status="STARTED", ended=None)
    frozen = airflow(in_airflow(), dag=DagInAirflow("paused"))
    finding = only(compare([view(jobs=(job,))], [], frozen, NOW))
    assert "Job drsjob-1" in finding.message
    assert "it will launch s-3c1730a9e0771ea14" in finding.message


@pytest.mark.parametrize(
    ("task", "state", "bound"),
    [
        ("wave_database.wait_until_launched", "deferred", 1 + 20 / 60),
        ("wave_database.wait_until_started", "deferred", 20 / 60),
        ("wave_database.validate", "running", 20 / 60),
        ("wave_database.start_recovery", "running", 45 / 60 + 30 / 3600),
        ("wave_application.approve", "awaiting_input", 4.25),
        ("terminate", "deferred", 2.25),
        ("evidence", "running", 0.5),
        ("preflight", "deferred", 0.75),
        ("wave_database.validate", "queued", 0.25),
        ("wave_database.validate", "up_for_retry", 0.25),
    ],
)
def test_a_task_that_is_silent_past_its_own_time_outs_freezes_its_run(
    task: str, state: str, bound: float
) -> None:
    """The bounds are those of the run's plan and 15 min; a task that waits for a worker has these alone."""
    plan = make_plan(
        waves=[
            {"name": "database", "protection_groups": ["database"]},
            {"name": "application", "protection_groups": ["application"], "approval": {"timeout": "4h"}},
        ]
    )
    known = airflow(in_airflow(run=make_run(plan, installation=HERE), tasks={task: state}))
    assert compare([view()], [], known, hours(bound)) == WatchResult(())
    finding = only(compare([view()], [], known, hours(bound) + dt.timedelta(seconds=1)))
    assert finding.code == Code.DRILL_FROZEN
    assert f"its task {task} has been {state} for" in finding.message


def test_the_bounds_are_those_of_the_plan_with_which_the_run_began() -> None:
    """The file may have been edited since."""
    run = make_run(make_plan(cleanup={"timeout": "10h", "keep_for": "1h"}), installation=HERE)
    known = airflow(in_airflow(run=run, tasks={"terminate": "deferred"}))
    assert compare([view()], [], known, hours(11)) == WatchResult(())
    assert codes(compare([view()], [], known, hours(12))) == [Code.DRILL_FROZEN]


def test_a_task_that_waits_for_jobs_that_have_ended_freezes_its_run() -> None:
    """That is a triggerer that stands still, long before the task's own time-out."""
    run = in_airflow(tasks={"wave_database.wait_until_launched": "deferred"})
    seen = view(jobs=(launch(ended=after(600)), launch("drsjob-2", ended=after(660))))
    assert compare([seen], [], airflow(run), after(660 + 900)) == WatchResult(())
    finding = only(compare([seen], [], airflow(run), after(660 + 901)))
    assert "still waits for DRS, although its last job there ended 15 min 1 s ago" in finding.message
    assert "triggerer" in finding.remedy


@pytest.mark.parametrize(
    "other",
    [
        launch("drsjob-2", status="STARTED", ended=None),
        launch("drsjob-2", run=make_run(token="another"), status="STARTED", ended=None),
    ],
)
def test_a_task_whose_jobs_may_be_live_waits_for_its_own_time_out(other: Any) -> None:
    """A live job of its wave, or no job of its wave that is known."""
    run = in_airflow(tasks={"wave_database.wait_until_launched": "deferred"})
    jobs = (launch(), other) if other.tags["drs-drills:run"] == RUN.token else (other,)
    assert compare([view(jobs=jobs)], [], airflow(run), hours(1)) == WatchResult(())


def test_a_run_of_which_nothing_runs_or_waits_stands_still_after_a_while() -> None:
    """The scheduler takes seconds from task to task."""
    run = in_airflow(moved_at=after(600))
    assert compare([view()], [], airflow(run), after(600 + 900)) == WatchResult(())
    finding = only(compare([view()], [], airflow(run), after(600 + 901)))
    assert finding.code == Code.DRILL_FROZEN
    assert "no task of it has begun for 15 min 1 s" in finding.message


@pytest.mark.parametrize(
    ("part", "task_state", "found"),
    [("scheduler", "running", True), ("triggerer", "deferred", True), ("triggerer", "running", False)],
)
def test_a_component_that_is_down_freezes_the_runs_that_need_it(
    part: str, task_state: str, found: bool
) -> None:
    """Without a triggerer only deferred tasks stand still."""
    run = in_airflow(tasks={"wave_database.validate": task_state})
    known = airflow(run, down={part: "2026-03-01T05:00:00"})
    assert codes(compare([view()], [], known, NOW)) == ([Code.DRILL_FROZEN] if found else [])


def test_a_real_recovery_that_stands_still_is_named_as_one() -> None:
    """It is found as any run; nothing of it is called a drill's."""
    frozen = airflow(
        in_airflow(run=make_run(execution_type="RECOVERY", installation=HERE)), dag=DagInAirflow("paused")
    )
    finding = only(compare([view()], [], frozen, NOW))
    assert "(a RECOVERY)" in finding.message
    assert finding.execution_type == "RECOVERY"


# --- instances that are nobody's ------------------------------------------------------------------------


@pytest.mark.parametrize("state", ["success", "failed"])
def test_what_an_ended_run_has_left_is_nobody_s(state: str) -> None:
    """Also if the run is green: a person can mark every task as success."""
    finding = only(compare([view(instance(job=launch()))], [], airflow(in_airflow(state)), hours(1)))
    assert finding.code == Code.ORPHANED_DRILL_INSTANCE
    assert f"the run has ended ({state})" in finding.message
    assert f"`python -m drs cleanup orders --run {RUN.run_id}`" in finding.remedy
    assert "i-1" in finding.details
    assert "drsjob-1" in finding.details
    assert "0.10 USD" in finding.details
    assert finding.orphan is not None


def test_what_a_deleted_run_has_left_is_nobody_s() -> None:
    """Airflow was asked for the run that the tags name, and does not know it."""
    finding = only(compare([view(instance(job=launch()))], [], airflow(in_airflow(None)), hours(1)))
    assert finding.code == Code.ORPHANED_DRILL_INSTANCE
    assert "Airflow does not know this run any more" in finding.message
    assert RUN.run_id in finding.message


def test_without_a_plan_file_the_aws_cli_ends_it() -> None:
    """`drs cleanup` would not find the plan."""
    known = airflow(in_airflow(None), files=frozenset())
    finding = only(compare([view(instance(job=launch()))], [], known, hours(1)))
    assert "drs cleanup" not in finding.remedy
    assert (
        "aws drs terminate-recovery-instances --region us-east-1 --recovery-instance-ids i-1"
        in finding.remedy
    )


def test_a_live_job_whose_run_has_ended_is_a_finding_too() -> None:
    """It will launch an instance, and nobody waits for it."""
    job = launch(status="PENDING", ended=None)
    finding = only(compare([view(jobs=(job,))], [], airflow(in_airflow("failed")), NOW))
    assert finding.code == Code.ORPHANED_DRILL_INSTANCE
    assert "A launch of plan orders" in finding.message
    assert finding.keys == ("orphan 111122223333/us-east-1 drsjob-1",)
    assert "DRS cannot cancel a job" in finding.remedy


def test_what_a_rule_keeps_is_a_fact() -> None:
    """It is shown with the rule, and is no finding."""
    known = airflow(
        in_airflow("success"), kept={RUN.token: KeptJobs(frozenset({"drsjob-1"}), "the plan says so")}
    )
    found = compare([view(instance(job=launch()))], [], known, hours(9))
    assert found.findings == ()
    assert facts(found) == {"i-1": "kept by rule: the plan says so"}


def test_what_the_same_run_launched_beside_that_is_nobody_s_and_not_the_watch_s_to_end() -> None:
    """Clean-up never saw this job. The watch cannot end it without what is kept, so a person must."""
    known = airflow(in_airflow("success"), kept={RUN.token: KeptJobs(frozenset({"drsjob-1"}), "asked")})
    late = instance("i-2", launch("drsjob-2"))
    found = compare([view(instance(job=launch()), late)], [], known, hours(9))
    finding = only(found)
    assert finding.keys == ("orphan 111122223333/us-east-1 i-2",)
    assert finding.orphan is None
    assert facts(found) == {"i-1": "kept by rule: asked"}


def test_a_doubt_about_what_is_kept_is_in_the_message() -> None:
    """The evidence of a deleted run may be out of reach."""
    known = airflow(in_airflow(None), doubts={RUN.token: "The bucket is gone."})
    assert (
        "as far as is known (The bucket is gone)"
        in only(compare([view(instance(job=launch()))], [], known, NOW)).message
    )


@pytest.mark.parametrize("installation", ["another", ""])
def test_another_airflow_s_instances_are_facts(installation: str) -> None:
    """A runbook's jobs, and those of older versions, name no installation."""
    other = make_run(make_plan(name="billing"), installation=installation, token="another")
    found = compare([view(instance(job=launch(run=other)))], [], airflow(), hours(99))
    assert found.findings == ()
    assert "another Airflow's" in facts(found)["i-1"]


def test_a_run_of_the_same_name_in_another_airflow_is_not_this_one() -> None:
    """Two Airflows may drill one plan, with the same run id even."""
    other = make_run(installation="another", token="another")
    found = compare([view(instance(job=launch(run=other)))], [], airflow(in_airflow("success")), hours(99))
    assert found.findings == ()


def test_a_run_is_known_by_its_token_where_its_jobs_name_no_installation() -> None:
    """They may have been started by an older version."""
    old = make_run(installation="")
    found = compare([view(instance(job=launch(run=old)))], [], airflow(in_airflow("failed", run=old)), NOW)
    assert codes(found) == [Code.ORPHANED_DRILL_INSTANCE]


def test_instances_without_tags_are_facts() -> None:
    """Somebody started them in the console; or DRS no longer lists their job."""
    seen = view(instance("i-1", launch(run=None)), instance("i-2", None, "drsjob-9"))
    found = compare([seen], [], airflow(), hours(99))
    assert found.findings == ()
    assert set(facts(found)) == {"i-1", "i-2"}
    assert all("no tags of a run" in why for why in facts(found).values())


def test_an_untagged_job_that_a_run_recorded_is_that_run_s() -> None:
    """The account refuses tags. The run's own record of DRS's reply is certain."""
    run = in_airflow("success", jobs=frozenset({"drsjob-1"}))
    finding = only(compare([view(instance(job=launch(run=None)))], [], airflow(run), NOW))
    assert finding.code == Code.ORPHANED_DRILL_INSTANCE
    assert finding.run_id == RUN.run_id


def test_another_run_of_the_plan_does_not_own_what_the_first_has_left() -> None:
    """Its token is another."""
    second: RunRecord = make_run(installation=HERE, token="second", run_id="manual__2")
    known = airflow(in_airflow(run=second, moved_at=NOW))
    assert codes(compare([view(instance(job=launch()))], [], known, NOW)) == [Code.ORPHANED_DRILL_INSTANCE]


# --- places ---------------------------------------------------------------------------------------------


def test_a_place_that_cannot_be_read_is_a_finding_and_hides_no_other() -> None:
    """The watch is blind there, and says so."""
    blind = Unreadable(PLACE, AccessDenied("AWS refused it.", remedy="Add a statement."), passing=False)
    elsewhere = PLACE._replace(region="eu-central-1")
    seen = view(instance(job=launch()), place=elsewhere)
    found = compare([seen], [blind], airflow(in_airflow("failed")), NOW)
    assert codes(found) == [Code.ORPHANED_DRILL_INSTANCE, Code.ACCESS_DENIED]
    assert "cannot read account 111122223333, Region us-east-1" in found.findings[1].message
    assert found.findings[1].remedy == "Add a statement."


def test_all_findings_are_one_error_under_the_code_of_the_first() -> None:
    """A single one is an error of its own, with its table."""
    frozen = airflow(in_airflow(), dag=DagInAirflow("paused"))
    other = make_run(make_plan(name="billing"), installation=HERE, token="another")
    both = compare(
        [view(instance(job=launch()), instance("i-2", launch("drsjob-2", other)))], [], frozen, NOW
    )
    error = as_error(both.findings)
    assert error.code == Code.DRILL_FROZEN
    assert "2 findings" in error.message
    assert "[ORPHANED_DRILL_INSTANCE]" in error.message
    single = as_error(both.findings[:1])
    assert (single.message, single.details) == (both.findings[0].message, both.findings[0].details)


# --- without Airflow ------------------------------------------------------------------------------------


def judged(
    age: float, *, older_than: dt.timedelta | None = dt.timedelta(hours=6), kept: KeptJobs | None = None
) -> WatchResult:
    def asked(run: RunInAws) -> KeptJobs | None:
        assert run.key.token == RUN.token
        return kept

    return by_age(
        [view(instance(job=launch()))],
        lambda _: older_than,
        hours(age),
        kept=asked,
        files=frozenset({DAG}),
        why="it began {age} ago",
    )


def test_without_airflow_the_age_decides() -> None:
    """A younger run may still be active, and is shown."""
    young = judged(6)
    assert (young.findings, facts(young)) == ((), {"i-1": "its run may still be active"})
    finding = only(judged(6.1))
    assert finding.code == Code.ORPHANED_DRILL_INSTANCE
    assert "it began 6 h 6 min ago" in finding.message
    assert finding.orphan is None, "the command line never ends it by itself"


def test_without_airflow_evidence_still_says_what_is_kept() -> None:
    """And another Airflow's instances stay facts."""
    assert facts(judged(9, kept=KeptJobs(frozenset({"drsjob-1"}), "asked"))) == {"i-1": "kept by rule: asked"}
    assert "another Airflow's" in facts(judged(9, older_than=None))["i-1"]
