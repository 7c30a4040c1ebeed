"""The task of the DAG drs_watch: it is red as long as it finds anything, sends one message for each finding,
and ends only what it may end.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from airflow.sdk.bases.operator import ExecutorSafeguard
from airflow.sdk.exceptions import AirflowFailException, AirflowRuntimeError, ErrorType

from drs import compat
from drs.launch.wave_record import new_timeline
from drs.plan import Launch, Plan
from drs.run.records import Call, CleanupRecord, LaunchRecord, RunRecord
from drs.tasks import installation, watching
from drs.tasks.operators import watch
from drs.tasks.operators.watch import DrsWatchOperator
from drs.watch.compare import compare
from drs.watch.ending import may_end
from simulator.engine.faults import AccessDenied, InternalError
from tests.unit.drill import NOW, make_plan
from tests.unit.simulated import SimulatedDrill
from tests.unit.task_harness import FakeVariables
from tests.unit.tasks.test_send_messages import Noted
from tests.unit.watch import sights
from tests.unit.watch.sights import HERE

DAG, RUN = "drs_drill__orders", "manual__1"
NOTIFIER = "tests.unit.tasks.test_send_messages.Noted"
NOTED = {"notifiers": [{"notifier": NOTIFIER, "parameters": {"text": "{{ drs.subject }}"}}]}
Watch = Callable[..., "Watched"]


class Airflow:
    """An Airflow as the Task SDK shows it to the watch: runs, their tasks and records, and DAGs."""

    dag_id = "drs_watch"

    def __init__(self) -> None:
        self.files: dict[str, tuple[str, str]] = {}
        """The bundle and the file of each DAG that is not in the folder of the watch's own file."""
        self.runs: dict[tuple[str, str], str] = {}
        self.tasks: dict[str, str | None] = {"wave_database.wait_until_launched": "deferred"}
        self.paused: set[str] = set()
        self.deleted: set[str] = set()
        self.stores: dict[tuple[str, str], Any] = {}

    def get_dr_count(
        self, *, dag_id: str, run_ids: list[str] | None = None, states: list[str] | None = None
    ) -> int:
        return sum(
            dag == dag_id and run in (run_ids or [run]) and state in (states or [state])
            for (dag, run), state in self.runs.items()
        )

    def get_dagrun_state(self, dag_id: str, run_id: str) -> str:
        return self.runs[dag_id, run_id]

    def get_task_states(self, *, dag_id: str, run_ids: list[str]) -> dict[str, dict[str, str | None]]:
        return {run_ids[0]: dict(self.tasks)}

    def get_dag(self, dag_id: str) -> Any:
        if dag_id in self.deleted:
            error = SimpleNamespace(error=ErrorType.API_SERVER_ERROR, detail={"status_code": 404})
            raise AirflowRuntimeError(error)  # type: ignore[arg-type]
        bundle, file = self.files.get(dag_id, ("dags-folder", f"{dag_id}.py"))
        return SimpleNamespace(is_paused=dag_id in self.paused, bundle_name=bundle, relative_fileloc=file)

    def xcom_pull(self, *, task_ids: str, key: str, dag_id: str, run_id: str) -> Any:
        assert task_ids == "begin"
        store = self.stores.get((dag_id, run_id))
        return store.get(key) if store else None

    def delete(self, dag: str) -> None:
        """Delete a DAG as a person does: its runs and their XComs go with it."""
        self.runs = {key: state for key, state in self.runs.items() if key[0] != dag}
        self.stores = {key: store for key, store in self.stores.items() if key[0] != dag}


class Watched:
    """A simulated drill, the Airflow that runs it, and the watch of both."""

    def __init__(self, drill: SimulatedDrill, variables: FakeVariables, plans: Path) -> None:
        self.drill = drill
        self.airflow = Airflow()
        self.variables = variables
        self.plans = plans

    def begin(self, state: str = "running") -> RunRecord:
        """The run has begun, and is in this state."""
        run = self.drill.run
        self.airflow.runs[run.dag_id, run.run_id] = state
        self.airflow.stores[run.dag_id, run.run_id] = self.drill.store
        installation.keep_run(run)
        self.drill.ledger.save_run(run)
        return run

    def end(self, state: str) -> None:
        self.airflow.runs[self.drill.run.dag_id, self.drill.run.run_id] = state

    def look(self) -> str:
        """One run of the watch: why it failed; empty if it is green."""
        context: Any = {"ti": self.airflow}
        try:
            DrsWatchOperator(task_id="watch").execute(context)
        except AirflowFailException as failure:
            return str(failure)
        return ""

    @property
    def memory(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.variables.values[watching.MEMORY])
        return found


@pytest.fixture
def variables(monkeypatch: pytest.MonkeyPatch) -> FakeVariables:
    found = FakeVariables()
    found.values[installation.INSTALLATION] = HERE
    for module in (compat, installation, watching):
        monkeypatch.setattr(module, "Variable", found)
    return found


@pytest.fixture
def watched(
    drill: Callable[..., SimulatedDrill],
    variables: FakeVariables,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Watch:
    """Make a drill of the plan `orders` and the watch of it."""
    monkeypatch.setattr(ExecutorSafeguard, "test_mode", True)
    once = {"config_kwargs": {"retries": {"total_max_attempts": 1}}}
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", json.dumps({"conn_type": "aws", "extra": once}))
    plans = tmp_path / "plans"
    plans.mkdir()
    monkeypatch.setenv("AIRFLOW__DRS__PLANS_FOLDER", str(plans))
    monkeypatch.setenv("AIRFLOW__DRS__ALLOWED_NOTIFIERS", "airflow.*, tests.*, no.such.*")
    monkeypatch.setenv("AIRFLOW__DRS__EVIDENCE_PATH", str(tmp_path / "evidence"))
    Noted.said = []

    def make(plan: Plan | None = None, **run: Any) -> Watched:
        plan = plan or make_plan(notifications=NOTED)
        text = yaml.safe_dump(plan.model_dump(mode="json", exclude_unset=True))
        (plans / f"{plan.name}.yaml").write_text(text)
        simulated = drill(plan, **{"run_id": RUN, "installation": HERE, **run})
        monkeypatch.setattr(watch, "utc_now", simulated.clock.now)
        return Watched(simulated, variables, plans)

    return make


def launched(watched: Watched) -> None:
    """The run's wave `database` is launched."""
    watched.drill.launch()
    watched.drill.finish_jobs()


def hour(watched: Watched) -> None:
    watched.drill.pass_time(3601)


def said() -> list[str]:
    return list(Noted.said)


def terminations(watched: Watched) -> int:
    return sum(job.type == "TERMINATE" for job in watched.drill.drs.jobs.values())


# --- green ----------------------------------------------------------------------------------------------


def test_a_drill_that_goes_on_is_green(watched: Watch) -> None:
    """Nothing is sent."""
    seen = watched()
    seen.begin()
    launched(seen)
    assert (seen.look(), said()) == ("", [])


def test_an_airflow_that_never_drilled_is_green(watched: Watch, variables: FakeVariables) -> None:
    """It has no id yet, and drill instances of others are no findings."""
    seen = watched()
    variables.values.clear()
    launched(seen)
    assert seen.look() == ""


# --- c: the DAG was paused ------------------------------------------------------------------------------


def test_a_paused_dag_is_red_until_it_is_unpaused_and_people_are_notified_once(watched: Watch) -> None:
    """When it is paused again, they are notified again."""
    seen = watched()
    seen.begin()
    launched(seen)
    seen.airflow.paused.add(DAG)
    for _ in range(2):
        failure = seen.look()
        assert failure.startswith(f"[DRILL_FROZEN] Run {RUN} of plan orders (a drill)")
        assert f"Unpause the DAG {DAG}" in failure
    assert said() == ["DRILL_FROZEN: a drill of orders stands still"]
    seen.airflow.paused.clear()
    assert seen.look() == ""
    seen.airflow.paused.add(DAG)
    assert "DRILL_FROZEN" in seen.look()
    assert len(said()) == 2


def test_a_plan_file_that_is_gone_freezes_its_run(watched: Watch) -> None:
    """Airflow then has no DAG for the run. A broken file keeps the DAG, which lets the run end."""
    seen = watched()
    seen.begin()
    (seen.plans / "orders.yaml").write_text("name: [")
    assert seen.look() == ""
    (seen.plans / "orders.yaml").unlink()
    failure = seen.look()
    assert "[DRILL_FROZEN]" in failure
    assert "the plans folder has no file of plan orders any more" in failure


def test_a_plans_folder_that_is_gone_freezes_every_run(watched: Watch) -> None:
    """Then Airflow drops the DAGs of all plans."""
    seen = watched()
    seen.begin()
    (seen.plans / "orders.yaml").unlink()
    seen.plans.rmdir()
    assert "the plans folder cannot be read" in seen.look()


@pytest.mark.parametrize("elsewhere", [("git", f"{DAG}.py"), ("dags-folder", f"emea/{DAG}.py")])
def test_a_plan_of_another_folder_is_not_missed(watched: Watch, elsewhere: tuple[str, str]) -> None:
    """A second DAG bundle, or a second folder with a DAG file, has plans of its own: that the watch's folder
    does not have them says nothing.
    """
    seen = watched()
    seen.begin()
    (seen.plans / "orders.yaml").unlink()
    seen.airflow.files[DAG] = elsewhere
    assert seen.look() == ""
    seen.airflow.paused.add(DAG)
    assert "[DRILL_FROZEN]" in seen.look()


def test_a_dag_that_airflow_does_not_know_freezes_its_run(watched: Watch) -> None:
    """Any other error of Airflow is not taken for that."""
    seen = watched()
    seen.begin()
    seen.airflow.deleted.add(DAG)
    assert "somebody deleted it" in seen.look()


def test_a_run_that_does_not_move_is_found_by_what_the_watch_remembers(watched: Watch) -> None:
    """Airflow tells the watch the states of tasks, not since when."""
    seen = watched()
    seen.begin()
    seen.airflow.tasks = {"begin": "success", "preflight": None}
    assert seen.look() == ""
    seen.drill.pass_time(901)
    assert "no task of it has begun for 15 min 1 s" in seen.look()
    seen.airflow.tasks = {"begin": "success", "preflight": "running"}
    assert seen.look() == ""


# --- d: the DAG was deleted -----------------------------------------------------------------------------


def test_what_a_deleted_dag_has_left_is_red_and_by_default_stays(watched: Watch) -> None:
    """The plan's people are notified, for the plan's last run is kept outside of the DAG."""
    seen = watched()
    seen.begin()
    launched(seen)
    seen.airflow.delete(DAG)
    for _ in range(2):
        failure = seen.look()
        assert failure.startswith(f"[ORPHANED_DRILL_INSTANCE] 2 drill instance(s) of plan orders, run {RUN}")
        assert f"`python -m drs cleanup orders --run {RUN}`" in failure
        hour(seen)
    assert said() == ["ORPHANED_DRILL_INSTANCE: 2 drill instance(s) of orders left"]
    assert terminations(seen) == 0


def test_with_watch_terminates_it_ends_after_an_hour(
    watched: Watch, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The first look says when. One step in each look: the look after the last one is green, and forgets."""
    monkeypatch.setenv("AIRFLOW__DRS__WATCH_TERMINATES", "True")
    seen = watched()
    seen.begin()
    launched(seen)
    seen.airflow.delete(DAG)
    assert "the watch terminates them ([drs] watch_terminates)" in seen.look()
    seen.drill.pass_time(3500)
    assert seen.look()
    assert terminations(seen) == 0
    seen.drill.pass_time(101)
    assert "[ORPHANED_DRILL_INSTANCE]" in seen.look()
    assert terminations(seen) == 1
    assert seen.look(), "they are still there while DRS works on it"
    assert terminations(seen) == 1
    seen.drill.finish_jobs()
    assert seen.drill.instances() == set()
    assert seen.look() == ""
    assert seen.memory["found"] == {}


def test_what_aws_refuses_to_terminate_is_said(watched: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    """The finding stays, with the reason."""
    monkeypatch.setenv("AIRFLOW__DRS__WATCH_TERMINATES", "True")
    seen = watched()
    seen.begin()
    launched(seen)
    seen.airflow.delete(DAG)
    seen.look()
    hour(seen)
    seen.drill.simulation.arm(AccessDenied(kind="access_denied", operations=["TerminateRecoveryInstances"]))
    failure = seen.look()
    assert failure.startswith("[ORPHANED_DRILL_INSTANCE]")
    assert "The watch could not terminate everything" in failure
    assert "drs:TerminateRecoveryInstances" in failure


def test_a_run_that_was_cleared_meanwhile_is_left_alone(
    watched: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Airflow is asked once more before anything is terminated."""
    monkeypatch.setenv("AIRFLOW__DRS__WATCH_TERMINATES", "True")
    seen = watched()
    seen.begin("success")
    launched(seen)
    seen.look()
    hour(seen)
    monkeypatch.setattr(watch, "is_active", lambda ti, dag, run: (dag, run) == (DAG, RUN))
    assert "[ORPHANED_DRILL_INSTANCE]" in seen.look()
    assert terminations(seen) == 0


# --- f: every task was marked success -------------------------------------------------------------------


def test_a_green_run_that_never_cleaned_up_is_red_here(watched: Watch) -> None:
    """Airflow says success, AWS says two instances."""
    seen = watched()
    seen.begin()
    launched(seen)
    seen.end("success")
    assert "the run has ended (success), and no rule keeps them" in seen.look()


def test_a_run_that_cleaned_up_is_green(watched: Watch) -> None:
    """Also while DRS lists what EC2 has terminated."""
    seen = watched()
    seen.begin()
    launched(seen)
    seen.drill.clean_up()
    seen.end("failed")
    assert seen.look() == ""


def test_what_the_run_kept_by_rule_is_green(watched: Watch) -> None:
    """Its own record of clean-up says so; that of an earlier version of the jobs would not cover them."""
    seen = watched()
    seen.begin()
    launched(seen)
    jobs = tuple(seen.drill.drs.jobs)
    kept = CleanupRecord(started_at=seen.drill.clock.now(), jobs=jobs, kept=True, why_kept="asked")
    seen.drill.ledger.save_cleanup(kept)
    seen.end("success")
    assert seen.look() == ""
    seen.drill.ledger.save_cleanup(kept.model_copy(update={"jobs": jobs[:1]}))
    assert "1 drill instance(s) of plan orders" in seen.look()


def test_evidence_that_cannot_be_read_leaves_the_finding_and_forbids_its_end(
    watched: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rule may keep what a deleted run has left, and nobody can say."""
    monkeypatch.setenv("AIRFLOW__DRS__WATCH_TERMINATES", "True")
    monkeypatch.setenv("AIRFLOW__DRS__EVIDENCE_PATH", "nowhere://bucket")
    seen = watched()
    seen.begin()
    launched(seen)
    seen.airflow.delete(DAG)
    assert "as far as is known" in seen.look()
    hour(seen)
    seen.look()
    assert terminations(seen) == 0


# --- while the watch looks ------------------------------------------------------------------------------


def test_a_run_that_ends_while_the_watch_looks_has_left_nothing(
    watched: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """AWS is read again before anything is called left."""
    seen = watched()
    seen.begin()
    launched(seen)
    state = seen.airflow.get_dagrun_state

    def ends(dag_id: str, run_id: str) -> str:
        if seen.drill.instances():
            seen.drill.clean_up()
            seen.end("success")
        return state(dag_id, run_id)

    monkeypatch.setattr(seen.airflow, "get_dagrun_state", ends)
    assert seen.look() == ""


def test_a_place_that_cannot_be_read_is_red_and_hides_no_other(watched: Watch) -> None:
    """People are notified if it still cannot be read at the next look; nothing there is forgotten."""
    seen = watched()
    seen.begin()
    launched(seen)
    seen.airflow.paused.add(DAG)
    seen.look()
    fault = InternalError(kind="internal_error", operations=["DescribeRecoveryInstances"], when="before")
    seen.drill.simulation.arm(fault)
    failure = seen.look()
    assert "[DRILL_FROZEN]" in failure
    assert "[DRS_UNAVAILABLE] The watch cannot read account 111122223333, Region us-east-1" in failure
    assert said() == ["DRILL_FROZEN: a drill of orders stands still"]


def test_a_connection_that_leads_elsewhere_is_red_once_its_plan_was_drilled(
    watched: Watch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The watch would look at another account's drills. Where none was ever run, nothing can be left."""
    target = {"region": "us-east-1", "account_id": "999988887777"}
    seen = watched(make_plan(target=target))
    assert seen.look() == ""
    assert (
        "no drill was ever run there: The watch cannot read account 999988887777" in capsys.readouterr().out
    )
    seen.begin("success")
    assert "[ACCOUNT_MISMATCH] The watch cannot read account 999988887777" in seen.look()


# --- who is notified ------------------------------------------------------------------------------------


def setting(*texts: str) -> str:
    return json.dumps([{"notifier": NOTIFIER, "parameters": {"text": text}} for text in texts])


def test_the_watch_s_own_notifiers_get_what_has_no_plan_any_more(
    watched: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In addition to the people that the plan of the last run named."""
    monkeypatch.setenv("AIRFLOW__DRS__WATCH_NOTIFIERS", setting("own: {{ drs.code }} {{ drs.plan }}"))
    seen = watched()
    seen.begin()
    launched(seen)
    seen.airflow.delete(DAG)
    (seen.plans / "orders.yaml").unlink()
    failure = seen.look()
    assert "The plan's file is gone" in failure
    assert said() == [
        "ORPHANED_DRILL_INSTANCE: 2 drill instance(s) of orders left",
        "own: ORPHANED_DRILL_INSTANCE orders",
    ]


def test_the_watch_s_own_notifiers_get_what_concerns_nobody_named(
    watched: Watch, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The plan names no notifier. If nobody is named at all, the log says so."""
    seen = watched(make_plan())
    seen.begin()
    seen.airflow.paused.add(DAG)
    seen.look()
    assert said() == []
    assert "Nobody is notified" in capsys.readouterr().out
    seen.airflow.paused.clear()
    seen.look()
    monkeypatch.setenv("AIRFLOW__DRS__WATCH_NOTIFIERS", setting("{{ drs.code }}"))
    seen.airflow.paused.add(DAG)
    seen.look()
    assert said() == ["DRILL_FROZEN"]


def test_a_broken_setting_of_notifiers_is_red_and_hides_no_finding(
    watched: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The plan's own people are notified all the same."""
    monkeypatch.setenv("AIRFLOW__DRS__WATCH_NOTIFIERS", "my.Pager")
    seen = watched()
    seen.begin()
    seen.airflow.paused.add(DAG)
    failure = seen.look()
    assert "[DRILL_FROZEN]" in failure
    assert "[INVALID_FIELD] The setting watch_notifiers" in failure
    assert said() == ["DRILL_FROZEN: a drill of orders stands still"]


def test_a_notifier_that_fails_hides_no_finding(watched: Watch, capsys: pytest.CaptureFixture[str]) -> None:
    """The log has a warning."""
    broken = {"notifiers": [{"notifier": "no.such.Notifier", "parameters": {}}]}
    seen = watched(make_plan(notifications=broken))
    seen.begin()
    seen.airflow.paused.add(DAG)
    assert "[DRILL_FROZEN]" in seen.look()
    assert "Notice 'watch' by notifier no.such.Notifier failed" in capsys.readouterr().out


def test_a_watch_that_is_cut_off_while_it_sends_does_not_send_again(
    watched: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has written that people were notified before it begins to send."""
    seen = watched()
    seen.begin()
    seen.airflow.paused.add(DAG)

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(watch, "deliver", killed)
        with pytest.raises(KeyboardInterrupt):
            seen.look()
    assert "[DRILL_FROZEN]" in seen.look()
    assert said() == []


def test_a_memory_that_somebody_damaged_begins_again(watched: Watch) -> None:
    """The watch does not fail for it."""
    seen = watched()
    seen.variables.values[watching.MEMORY] = json.dumps({"found": 7})
    assert seen.look() == ""


# --- what it may end ------------------------------------------------------------------------------------


def test_it_may_end_only_what_is_certain() -> None:
    """By default it may; each of these facts forbids it."""
    token = sights.RUN.token
    compared = sights.airflow(sights.in_airflow("success"))
    (finding,) = compare([sights.view(sights.instance(job=sights.launch()))], [], compared, NOW).findings
    assert finding.orphan is not None
    assert may_end(finding, compared) == make_plan()
    elsewhere = make_plan(target={"region": "eu-central-1", "account_id": "111122223333"})
    facts: list[dict[str, Any]] = [
        {"installation": "another"},
        {"installation": ""},
        {"busy": frozenset({sights.DAG})},
        {"doubts": {token: "unreadable"}},
        {"plans": {}},
        {"plans": {sights.DAG: elsewhere}},
    ]
    for forbids in facts:
        known = sights.airflow(sights.in_airflow("success"), **forbids)
        assert may_end(finding, known) is None, forbids


def test_what_nobody_tagged_is_never_ended(watched: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    """The run recorded its untagged job, so it is a finding; but only tags are proof enough to terminate."""
    monkeypatch.setenv("AIRFLOW__DRS__WATCH_TERMINATES", "True")
    seen = watched()
    seen.begin()
    monkeypatch.setattr("drs.launch.wave_launch.job_tags", lambda run, wave: {})
    launched(seen)
    seen.end("success")
    assert "[ORPHANED_DRILL_INSTANCE]" in seen.look()
    hour(seen)
    seen.look()
    assert terminations(seen) == 0
    assert len(seen.drill.instances()) == 2


def kept(*calls: Call) -> LaunchRecord:
    """What is kept of a wave's launch that made these calls."""
    return LaunchRecord(timeline=new_timeline(Launch(), (), calls[0].at), calls=calls, tags_refused=True)


def test_an_earlier_run_s_untagged_job_is_found_after_later_runs(
    watched: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A person marked all of it success or deleted the DAG, and later runs own the plan: no tag, no ledger
    and no last run shows whose the instances are, only the jobs that were kept.
    """
    seen = watched()
    run = seen.begin()
    monkeypatch.setattr("drs.launch.wave_launch.job_tags", lambda run, wave: {})
    calls = seen.drill.launch().calls
    installation.keep_launch(run, "database", kept(*calls))
    seen.drill.finish_jobs()
    seen.airflow.delete(run.dag_id)
    for number in (2, 3):
        later = run.model_copy(update={"run_id": f"run-{number}", "token": f"later-{number}"})
        installation.keep_run(later)
        other = calls[0].model_copy(update={"job_id": f"drsjob-{number}"})
        installation.keep_launch(later, "database", kept(other))
    found = seen.look()
    assert "[ORPHANED_DRILL_INSTANCE] 2 drill instance(s)" in found
    assert f"run {run.run_id}" in found


def test_a_job_that_a_lost_call_of_a_deleted_run_may_have_made_is_found(
    watched: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker died before the reply came, the account refuses tags, and the DAG was deleted: only the call
    was kept. The watch names the instances, and may not end them.
    """
    monkeypatch.setenv("AIRFLOW__DRS__WATCH_TERMINATES", "True")
    seen = watched()
    run = seen.begin()
    monkeypatch.setattr("drs.launch.wave_launch.job_tags", lambda run, wave: {})
    calls = seen.drill.launch().calls
    lost = [call.model_copy(update={"job_id": None, "tagged": False}) for call in calls]
    installation.keep_launch(run, "database", kept(*lost))
    seen.drill.finish_jobs()
    assert seen.look() == ""
    seen.airflow.delete(run.dag_id)
    assert "[ORPHANED_DRILL_INSTANCE] 2 drill instance(s)" in seen.look()
    hour(seen)
    seen.look()
    assert terminations(seen) == 0
