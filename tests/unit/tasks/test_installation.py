"""What survives a run's XComs, the run and its DAG: whose Airflow it was, and which run owned a plan last."""

from __future__ import annotations

import pytest

from drs import compat
from drs.launch.wave_record import new_timeline
from drs.run.records import Call, LaunchRecord, RunRecord
from drs.tasks import installation
from drs.tasks.installation import (
    INSTALLATION,
    KEPT_RUNS,
    installation_id,
    keep_launch,
    keep_run,
    kept_jobs,
    kept_run,
    kept_runs,
    known_installation,
    runs_with_kept_jobs,
)
from tests.unit.drill import APPLICATION, DATABASE, NOW, make_job, make_plan, make_run
from tests.unit.task_harness import FakeVariables

RUN = make_run(installation="installation-1", keep_instances=True, exclude_servers=("s-" + "a" * 17,))


@pytest.fixture(autouse=True)
def variables(monkeypatch: pytest.MonkeyPatch) -> FakeVariables:
    variables = FakeVariables()
    for module in (compat, installation):
        monkeypatch.setattr(module, "Variable", variables)
    return variables


def test_an_airflow_has_one_id_for_good(variables: FakeVariables) -> None:
    """The first run that asks makes it; to look for it makes none. Another Airflow gets another one."""
    assert known_installation() == ""
    assert variables.values == {}
    first = installation_id()
    assert first
    assert installation_id() == known_installation() == first == variables.values[INSTALLATION]
    variables.values.clear()
    assert installation_id() != first


def test_an_airflow_that_has_an_id_keeps_it(variables: FakeVariables) -> None:
    """People may set it, for example to move an Airflow."""
    variables.set(INSTALLATION, "production")
    assert installation_id() == "production"


def test_a_run_is_read_back_as_it_was_kept() -> None:
    """Clean-up needs all of it: token, plan, waves, and what the run was asked to do."""
    keep_run(RUN)
    assert kept_run(RUN.dag_id) == RUN


def test_only_the_last_run_of_a_plan_is_kept() -> None:
    """A plan has one run at a time. Other plans have their own."""
    keep_run(RUN)
    later = RUN.model_copy(update={"run_id": "run-2", "token": "another"})
    other = make_run(make_plan(name="billing"))
    keep_run(later)
    keep_run(other)
    assert kept_run(RUN.dag_id) == later
    assert kept_run(other.dag_id) == other
    assert kept_run("drs_drill__unknown") is None


def test_the_last_runs_of_all_plans_are_known(variables: FakeVariables) -> None:
    """Also of plans that are gone. Other variables do not count."""
    other = make_run(make_plan(name="billing"))
    for run in (RUN, other):
        keep_run(run)
    keep_launch(RUN, "database", launch("drsjob-1"))
    variables.set(f"{RUN.dag_id}__owner", RUN.run_id)
    variables.set("something__run", "else")
    assert sorted(kept_runs(), key=lambda run: run.dag_id) == [other, RUN]


LOST = Call(at=NOW, servers=DATABASE, tagged=False)


def launch(*jobs: str, lost: bool = False) -> LaunchRecord:
    """A wave's launch with these jobs, and with a call without a reply."""
    calls = [Call(at=NOW, servers=APPLICATION, tagged=False, job_id=job) for job in jobs]
    record = LaunchRecord(timeline=new_timeline(RUN.read_plan().launch, (), NOW), tags_refused=True)
    return record.model_copy(update={"calls": (*calls, *([LOST] if lost else []))})


def jobs(run: RunRecord) -> set[str]:
    kept = kept_jobs(run.dag_id, run.token)
    return set(kept.jobs) if kept else set()


def test_the_untagged_jobs_of_a_run_add_up() -> None:
    """Each wave adds its own."""
    assert kept_jobs(RUN.dag_id, RUN.token) is None
    keep_launch(RUN, "web", launch("drsjob-2"))
    keep_launch(RUN, "database", launch("drsjob-1"))
    keep_launch(RUN, "database", launch("drsjob-1"))
    assert jobs(RUN) == {"drsjob-1", "drsjob-2"}


def test_a_call_without_a_reply_is_kept_until_it_is_answered() -> None:
    """What it may have made is a drill of exactly its servers, made at that time, perhaps by others."""
    keep_launch(RUN, "database", launch(lost=True))
    keep_launch(RUN, "web", launch("drsjob-2"))
    kept = kept_jobs(RUN.dag_id, RUN.token)
    assert kept is not None
    made = make_job("drsjob-1", *DATABASE)
    assert kept.may_have_made(made)
    assert not kept.may_have_made(make_job("drsjob-1", *DATABASE[:1]))
    keep_launch(RUN, "database", launch(made.job_id))
    kept = kept_jobs(RUN.dag_id, RUN.token)
    assert kept is not None
    assert not kept.may_have_made(made)
    assert kept.jobs == {made.job_id, "drsjob-2"}


def test_the_jobs_of_one_run_are_never_another_run_s() -> None:
    """They would be terminated with it. A later run of the plan takes nothing from an earlier one."""
    keep_launch(RUN, "database", launch("drsjob-1"))
    later = RUN.model_copy(update={"run_id": "run-2", "token": "another"})
    assert jobs(later) == set()
    keep_launch(later, "database", launch("drsjob-2"))
    assert jobs(later) == {"drsjob-2"}
    assert jobs(RUN) == {"drsjob-1"}
    assert [kept.run for kept in runs_with_kept_jobs(RUN.dag_id)] == [RUN, later]


def test_only_the_last_runs_keep_their_untagged_jobs() -> None:
    """The Variable must not grow with every month. A run that adds a job counts as the last one."""
    runs = [RUN.model_copy(update={"token": f"token-{number}"}) for number in range(KEPT_RUNS + 1)]
    for run in runs[:-1]:
        keep_launch(run, "database", launch("drsjob-1"))
    keep_launch(runs[0], "web", launch("drsjob-2"))
    keep_launch(runs[-1], "web", launch("drsjob-3"))
    assert [kept.run for kept in runs_with_kept_jobs(RUN.dag_id)] == [*runs[2:-1], runs[0], runs[-1]]
    assert jobs(runs[0]) == {"drsjob-1", "drsjob-2"}
    assert jobs(runs[1]) == set()
