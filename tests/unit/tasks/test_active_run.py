"""What other tasks see of the run that is active: what it is doing, and which jobs are its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from drs import compat
from drs.aws.jobs import Job
from drs.run.ledger import Ledger
from drs.run.ownership import DAG_TAG, RUN_ID_TAG, RUN_TAG, job_tags
from drs.run.records import Call, CleanupRecord, LaunchRecord, RunRecord, TerminateCall
from drs.run.timeline import Timeline
from drs.tasks import active_run, installation
from drs.tasks.active_run import activity_of_runs, is_active, jobs_of_active_run, owner_key
from drs.tasks.installation import keep_run
from tests.unit.drill import NOW, MemoryStore, make_job, make_plan, make_run
from tests.unit.task_harness import FakeVariables

THEIRS = make_run(make_plan(name="billing"), run_id="scheduled__2", token="theirs")
TIMELINE = Timeline(jobs="per_wave", server_delay=0, conflict_backoff=(30,), conflict_timeout=60, servers=())


class Airflow:
    """The task instance of a run of another plan, which may ask Airflow about all runs.

    :param runs: the state of each run, by its id; they are runs of plan billing
    """

    dag_id, run_id = "drs_drill__orders", "run-1"

    def __init__(self, runs: Mapping[str, str], states: Mapping[str, str | None] | None = None) -> None:
        self.runs = dict(runs)
        self.states = dict(states or {})
        self.stores: dict[str, MemoryStore] = {}

    def get_dr_count(self, *, dag_id: str, run_ids: list[str]) -> int:
        return len(set(run_ids) & set(self.runs)) if dag_id == THEIRS.dag_id else 0

    def get_dagrun_state(self, dag_id: str, run_id: str) -> str:
        assert dag_id == THEIRS.dag_id
        return self.runs[run_id]

    def get_task_states(self, *, dag_id: str, run_ids: list[str]) -> dict[str, dict[str, str | None]]:
        assert dag_id == THEIRS.dag_id
        return {run_ids[0]: self.states} if self.states else {}

    def ledger(self, run_id: str = THEIRS.run_id) -> Ledger:
        """The records of a run of plan billing."""
        return Ledger(self.stores.setdefault(run_id, MemoryStore()))

    def xcom_pull(self, *, task_ids: str, key: str, dag_id: str, run_id: str) -> Any:
        assert (task_ids, dag_id) == ("begin", THEIRS.dag_id)
        return self.stores[run_id].get(key) if run_id in self.stores else None


@pytest.fixture(autouse=True)
def variables(monkeypatch: pytest.MonkeyPatch) -> FakeVariables:
    variables = FakeVariables()
    for module in (active_run, compat, installation):
        monkeypatch.setattr(module, "Variable", variables)
    return variables


def job_of(run: RunRecord, **tags: str) -> Job:
    return make_job("drsjob-1", "s-1", tags={**job_tags(run, "database"), **tags})


def doing(states: Mapping[str, str | None], *, cleaned: bool = False) -> str | None:
    """What the run of the job is doing while its tasks have these states."""
    airflow = Airflow({THEIRS.run_id: "running"}, states)
    if cleaned:
        airflow.ledger().save_cleanup(CleanupRecord(started_at=NOW))
    return activity_of_runs(airflow)(job_of(THEIRS))


# --- what it is doing -------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", ["running", "queued"])
def test_a_run_that_has_not_ended_is_active(state: str) -> None:
    """It needs its instances, or is about to launch more."""
    airflow = Airflow({THEIRS.run_id: state}, {"wave_web.start_recovery": "deferred", "begin": "success"})
    assert is_active(airflow, THEIRS.dag_id, THEIRS.run_id)
    assert activity_of_runs(airflow)(job_of(THEIRS)) == "is active (wave_web.start_recovery)"


@pytest.mark.parametrize("runs", [{THEIRS.run_id: "success"}, {THEIRS.run_id: "failed"}, {}], ids=str)
def test_a_run_that_has_ended_or_was_deleted_does_nothing(runs: dict[str, str]) -> None:
    """What it left may be replaced."""
    airflow = Airflow(runs, {"terminate": "running"})
    assert not is_active(airflow, THEIRS.dag_id, THEIRS.run_id)
    assert activity_of_runs(airflow)(job_of(THEIRS)) is None


def test_a_run_that_waits_for_an_answer_says_so() -> None:
    """The reader can answer the question, and the other drill goes on."""
    states = {"wave_web.approve": "awaiting_input", "wave_db.validate": "running"}
    assert doing(states) == "is active: its task wave_web.approve waits for a person's answer"


@pytest.mark.parametrize("state", ["running", "deferred"])
def test_a_run_that_keeps_its_instances_for_a_while_says_so(state: str) -> None:
    """Its clean-up has not begun: ``cleanup.keep_for`` is not over."""
    kept = "has passed its waves and keeps its instances (cleanup.keep_for)"
    assert doing({"terminate": state}) == kept
    assert doing({"terminate": state}, cleaned=True) == "is cleaning up"


def test_a_run_between_two_tasks_is_active_too() -> None:
    """No task is running at this moment."""
    assert doing({"begin": "success", "terminate": None}) == "is active (no task is running)"
    assert doing({}) == "is active (no task is running)"


def test_a_run_is_found_by_its_token_if_its_id_does_not_fit_into_a_tag() -> None:
    """AWS does not allow all characters of a run id. The copy of the plan's last run has them."""
    run = THEIRS.model_copy(update={"run_id": "by hand (dräft)"})
    job = job_of(run)
    assert job.tags[RUN_ID_TAG] != run.run_id
    airflow = Airflow({run.run_id: "running"})
    assert activity_of_runs(airflow)(job) is None
    keep_run(run)
    assert activity_of_runs(airflow)(job) == "is active (no task is running)"


def test_the_plan_s_last_run_is_not_asked_about_for_the_job_of_an_earlier_one() -> None:
    """The earlier run has ended. Its leftover does not belong to the run that is active now."""
    keep_run(THEIRS.model_copy(update={"run_id": "scheduled__3", "token": "later"}))
    airflow = Airflow({THEIRS.run_id: "failed", "scheduled__3": "running"})
    job = job_of(THEIRS)
    assert (job.tags[DAG_TAG], job.tags[RUN_TAG]) == (THEIRS.dag_id, "theirs")
    assert activity_of_runs(airflow)(job) is None


# --- its jobs ---------------------------------------------------------------------------------------------


def test_the_jobs_of_the_active_run_are_those_on_its_record(variables: FakeVariables) -> None:
    """Those of its waves and of its clean-up; none once it has ended."""
    airflow = Airflow({THEIRS.run_id: "running"})
    variables.set(owner_key(THEIRS.dag_id), THEIRS.run_id)
    ledger = airflow.ledger()
    ledger.save_run(THEIRS)
    ledger.save_launch(
        "database",
        LaunchRecord(timeline=TIMELINE, calls=(Call(at=NOW, servers=("s-1",), job_id="drsjob-1"),)),
    )
    calls = (TerminateCall(job_id="drsjob-2", instances=("i-1",)), TerminateCall(instances=("i-2",)))
    ledger.save_cleanup(CleanupRecord(started_at=NOW, terminate_calls=calls))
    assert jobs_of_active_run(airflow, THEIRS.dag_id) == {"drsjob-1", "drsjob-2"}
    airflow.runs[THEIRS.run_id] = "success"
    assert jobs_of_active_run(airflow, THEIRS.dag_id) == frozenset()


def test_a_plan_that_nobody_has_drilled_has_no_active_run() -> None:
    """It has no owner."""
    assert jobs_of_active_run(Airflow({THEIRS.run_id: "running"}), THEIRS.dag_id) == frozenset()
