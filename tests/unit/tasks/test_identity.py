"""Clean-up finds out which run it belongs to, even if somebody deleted the run's records."""

from __future__ import annotations

import datetime as dt
import json
import logging
import types
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from drs import compat
from drs.errors import CleanupIncomplete
from drs.launch.wave_record import new_timeline
from drs.plan import Plan
from drs.run.ownership import INSTALLATION_TAG, job_tags
from drs.run.records import Call, LaunchRecord, RunRecord
from drs.tasks import identity, installation
from drs.tasks.identity import find_run, restore_launches
from drs.tasks.installation import INSTALLATION, keep_launch, keep_run
from simulator.engine.faults import TagsRefused
from simulator.engine.model import Job
from tests.unit.drill import APPLICATION, DATABASE, NOW, MemoryStore, make_plan
from tests.unit.simulated import OTHERS, SimulatedDrill
from tests.unit.task_harness import FakeTaskInstance, FakeVariables, make_context

LOG = logging.getLogger("drill")
HERE = "installation-1"
A, B = DATABASE
BEGUN = {"begin": "success"}


@pytest.fixture
def variables(monkeypatch: pytest.MonkeyPatch) -> FakeVariables:
    """Airflow's variables, of an Airflow that has its id."""
    variables = FakeVariables()
    variables.set(INSTALLATION, HERE)
    for module in (compat, installation):
        monkeypatch.setattr(module, "Variable", variables)
    return variables


class Lost:
    """A run that may have launched something and whose XComs somebody has deleted."""

    def __init__(self, run: SimulatedDrill, folder: Path) -> None:
        self.drill = run
        self.folder = folder
        self.record = run.run.model_copy(update={"run_id": FakeTaskInstance.run_id, "installation": HERE})
        run.run = self.record
        run.store = MemoryStore()
        self.started: dt.datetime | None = run.clock.now()
        self.states: dict[str, str | None] = dict(BEGUN)
        self.pushed: dict[tuple[str, str], Any] = {}

    @property
    def context(self) -> Any:
        context = make_context(self.states)
        context["ti"].pushed = self.pushed
        context["dag_run"] = types.SimpleNamespace(start_date=self.started, run_after=self.drill.run.began_at)
        return context

    def find(self) -> RunRecord | None:
        return find_run(self.context, self.drill.ledger, LOG)

    def write_plan(self, plan: Plan | None = None) -> None:
        text = json.dumps((plan or self.drill.plan).model_dump(mode="json", exclude_defaults=True))
        (self.folder / "orders.yaml").write_text(text)

    def start(self, *servers: str, is_drill: bool = True, **fields: Any) -> Job:
        """A job of this run; ``fields`` change the record that its tags are written from."""
        tags = job_tags(self.record.model_copy(update=fields), "database")
        return self.start_tagged(servers, tags, is_drill=is_drill)

    def start_tagged(self, servers: Sequence[str], tags: dict[str, str], *, is_drill: bool = True) -> Job:
        named = [(server, None) for server in servers]
        return self.drill.drs.start_recovery(named, is_drill=is_drill, tags=tags)


@pytest.fixture
def lost(
    drill: Callable[..., SimulatedDrill],
    variables: FakeVariables,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Lost:
    run = drill()
    monkeypatch.setattr(identity, "DrsHook", lambda **_: run.hook)
    monkeypatch.setenv("AIRFLOW__DRS__PLANS_FOLDER", str(tmp_path))
    lost = Lost(run, tmp_path)
    lost.write_plan()
    return lost


# --- where the record is ----------------------------------------------------------------------------------


def test_the_run_s_own_record_comes_first(lost: Lost, caplog: pytest.LogCaptureFixture) -> None:
    """Nothing else is looked at."""
    lost.drill.ledger.save_run(lost.record)
    keep_run(lost.record.model_copy(update={"token": "another"}))
    assert lost.find() == lost.record
    assert "records are gone" not in caplog.text


def test_a_run_without_xcoms_is_found_by_its_copy(lost: Lost, caplog: pytest.LogCaptureFixture) -> None:
    """The copy is in Airflow's Variables. It is put back, and the log says where it comes from."""
    record = lost.record.model_copy(update={"keep_instances": True, "waves": ("database",)})
    keep_run(record)
    lost.start(A, token="another")  # not asked for
    assert lost.find() == record
    assert lost.drill.ledger.begun() == record
    assert "comes from the copy in Airflow's Variables" in caplog.text


def test_a_copy_of_another_run_of_the_plan_is_not_taken(lost: Lost) -> None:
    """A later run owns the plan by then. The jobs in AWS say which token the run has."""
    keep_run(lost.record.model_copy(update={"run_id": "run-2", "token": "another"}))
    lost.start(A)
    found = lost.find()
    assert found is not None
    assert (found.run_id, found.token) == (lost.record.run_id, lost.record.token)


def test_a_run_without_any_copy_is_found_by_the_tags_of_its_jobs(
    lost: Lost, caplog: pytest.LogCaptureFixture
) -> None:
    """With the plan as its file is now. Every wave of it is cleaned up."""
    began = lost.drill.clock.now()
    lost.drill.pass_time(60)
    first = lost.start(A)
    lost.drill.pass_time(60)
    lost.start(B)
    lost.start_tagged([OTHERS[0]], {})
    found = lost.find()
    assert found == RunRecord(
        token=lost.record.token,
        installation=HERE,
        dag_id=lost.record.dag_id,
        run_id=lost.record.run_id,
        began_at=first.created,
        plan=lost.drill.plan.model_dump(mode="json"),
        digest=lost.drill.plan.digest,
        waves=("database", "application"),
    )
    assert first.created == began + dt.timedelta(seconds=60)
    assert lost.drill.ledger.begun() == found
    assert "comes from the tags of its jobs in AWS" in caplog.text


def test_a_job_that_aws_dates_before_the_run_is_found(lost: Lost) -> None:
    """The worker's clock is minutes ahead."""
    lost.start(A)
    lost.started = lost.drill.clock.now() + dt.timedelta(minutes=14)
    assert lost.find() is not None


def test_a_run_that_was_queued_only_is_looked_for_since_it_was_due(lost: Lost) -> None:
    """Airflow has no start of it."""
    lost.start(A)
    lost.started = None
    assert lost.find() is not None


def test_a_real_recovery_stays_one(lost: Lost) -> None:
    """Its jobs say so. Nothing that it launched may ever be terminated."""
    lost.start(A, is_drill=False)
    found = lost.find()
    assert found is not None
    assert not found.is_drill


def test_what_was_found_is_cleaned_up(lost: Lost) -> None:
    """The launch itself is found by its tags, although no record names it."""
    lost.start(A)
    lost.drill.finish_jobs()
    found = lost.find()
    assert found is not None
    lost.drill.run = found
    record = lost.drill.clean_up()
    assert record.proven
    assert [item.server_id for item in record.instances] == [A]
    assert lost.drill.instances() == set()


# --- nothing, for certain ---------------------------------------------------------------------------------


def test_a_run_was_empty_only_if_aws_says_so(lost: Lost, caplog: pytest.LogCaptureFixture) -> None:
    """DRS was asked, and the log says that."""
    lost.start_tagged([OTHERS[0]], {})
    with caplog.at_level("INFO"):
        assert lost.find() is None
    assert "DRS was asked, and lists no job of this run: it launched nothing." in caplog.text
    assert lost.drill.ledger.begun() is None


def test_a_run_that_was_refused_at_its_beginning_is_not_looked_for(lost: Lost) -> None:
    """No task after ``begin`` can have run, so AWS need not be asked, nor the plan's file be there."""
    lost.states = {"begin": "failed"}
    (lost.folder / "orders.yaml").unlink()
    assert lost.find() is None


# --- not certain ------------------------------------------------------------------------------------------


def test_untagged_drills_of_the_plan_s_servers_may_be_the_run_s(lost: Lost) -> None:
    """The account may refuse tags. They are named, and nothing is called empty."""
    theirs = lost.start_tagged([APPLICATION[0], OTHERS[0]], {})
    other = lost.start_tagged([OTHERS[1]], {})
    with pytest.raises(CleanupIncomplete, match=f"jobs without tags .*{theirs.id}") as failed:
        lost.find()
    assert other.id not in failed.value.message
    assert "Their instances were not touched" in failed.value.message
    assert lost.drill.ledger.begun() is None


def test_a_plan_whose_servers_are_found_by_tags_may_have_drilled_any(lost: Lost) -> None:
    """Nobody knows any more which servers had the tags when the run began."""
    groups = {"database": {"server_tags": {"Tier": "db"}}, "application": {"source_servers": APPLICATION}}
    lost.write_plan(make_plan(protection_groups=groups))
    theirs = lost.start_tagged([OTHERS[1]], {})
    with pytest.raises(CleanupIncomplete, match=theirs.id):
        lost.find()


@pytest.mark.parametrize("what", ["a recovery", "long ago", "with a run's tag"])
def test_other_jobs_are_not_the_run_s(lost: Lost, what: str) -> None:
    """A drill makes no recovery, a run made no job before it began, and a tagged job has its run."""
    if what == "a recovery":
        lost.start_tagged([A], {}, is_drill=False)
    elif what == "long ago":
        lost.start_tagged([A], {})
        lost.started = lost.drill.clock.now() + dt.timedelta(minutes=16)
    else:
        lost.start(A, run_id="run-2", token="another")
    assert lost.find() is None


@pytest.mark.parametrize("theirs", ["another Airflow", "an older version"])
def test_a_run_of_the_same_id_in_another_airflow_is_not_this_run(lost: Lost, theirs: str) -> None:
    """Two Airflows may run one plan on one schedule. Terminating its instances would end a drill of the
    other.
    """
    job = lost.start(A, token="another", installation="installation-2" if theirs == "another Airflow" else "")
    assert (INSTALLATION_TAG in job.tags) is (theirs == "another Airflow")
    with pytest.raises(CleanupIncomplete, match=f"not certainly of this Airflow: {job.id}"):
        lost.find()
    assert lost.drill.ledger.begun() is None


def test_an_airflow_that_has_lost_its_id_cannot_be_sure(lost: Lost, variables: FakeVariables) -> None:
    """Somebody deleted all of its Variables. To look for a run makes no new id."""
    job = lost.start(A)
    variables.values.clear()
    with pytest.raises(CleanupIncomplete, match=f"not certainly of this Airflow: {job.id}"):
        lost.find()
    assert variables.values == {}


def test_jobs_of_another_airflow_do_not_hide_the_run_s_own(lost: Lost) -> None:
    """They bear another token."""
    lost.start(A, token="another", installation="installation-2")
    lost.start(B)
    found = lost.find()
    assert found is not None
    assert found.token == lost.record.token


def test_two_runs_of_the_same_id_are_not_told_apart(lost: Lost) -> None:
    """Somebody deleted a run and triggered it again under the same id."""
    lost.start(A)
    lost.start(B, token="another")
    with pytest.raises(CleanupIncomplete, match="not certainly"):
        lost.find()


def test_without_the_plan_s_file_nobody_knows_where_to_look(lost: Lost) -> None:
    """The remedy has the tag by which a person finds the jobs."""
    lost.start(A)
    (lost.folder / "orders.yaml").unlink()
    with pytest.raises(CleanupIncomplete, match="so is a readable file of plan orders") as failed:
        lost.find()
    assert f"drs-drills:dag-run={lost.record.run_id}" in failed.value.remedy


def test_only_the_run_s_own_plan_says_where_to_look(lost: Lost) -> None:
    """The folder has other plans too. One of them comes first, another one is broken."""
    other = make_plan(name="billing", target={"region": "eu-central-1", "account_id": "444455556666"})
    text = json.dumps(other.model_dump(mode="json", exclude_defaults=True))
    (lost.folder / "billing.yaml").write_text(text)
    (lost.folder / "archive.yaml").write_text("name: archive\nwaves: 3\n")
    lost.start(A)
    found = lost.find()
    assert found is not None
    assert found.read_plan() == lost.drill.plan


def test_without_the_plans_folder_nobody_knows_either(lost: Lost, monkeypatch: pytest.MonkeyPatch) -> None:
    """Clean-up says the same: its message has the tag."""
    lost.start(A)
    monkeypatch.setenv("AIRFLOW__DRS__PLANS_FOLDER", str(lost.folder / "nowhere"))
    with pytest.raises(CleanupIncomplete, match="so is a readable file of plan orders"):
        lost.find()


def test_a_broken_plan_file_does_not_say_where_to_look(lost: Lost) -> None:
    """It may name another account by then."""
    (lost.folder / "orders.yaml").write_text("name: orders\nwaves: 3\n")
    with pytest.raises(CleanupIncomplete, match="a readable file of plan orders"):
        lost.find()


# --- the launches -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["in the ledger", "in a copy", "in AWS"])
def test_the_launches_that_the_ledger_lacks_are_put_back(lost: Lost, where: str) -> None:
    """From the copies that the launching tasks keep. A launch that the ledger has stays as it is."""
    drill = lost.drill
    drill.launch("database")
    application = drill.launch("application")
    kept = drill.ledger.launch("database")
    assert kept is not None
    older = LaunchRecord(timeline=kept.timeline.relaunched(DATABASE, drill.clock.now()))
    lost.pushed = {
        ("wave_database.start_recovery", "launch"): older.model_dump(mode="json"),
        ("wave_application.start_recovery", "launch"): application.model_dump(mode="json"),
    }
    drill.store = MemoryStore()
    drill.ledger.save_launch("database", kept)
    if where == "in the ledger":
        drill.ledger.save_run(lost.record)
    elif where == "in a copy":
        keep_run(lost.record)
    assert lost.find() is not None
    assert drill.ledger.launch("database") == kept
    assert drill.ledger.launch("application") == application


def test_jobs_without_tags_that_no_record_names_any_more_are_cleaned_up(lost: Lost) -> None:
    """The account refuses tags, and somebody deleted all XComs, even the copies of the launches. The ids of
    the jobs are kept in an Airflow Variable.
    """
    drill = lost.drill
    drill.simulation.arm(TagsRefused(kind="tags_refused"))
    kept = drill.launch("application")
    mine = drill.launch("database")
    theirs = lost.start_tagged([OTHERS[0]], {})
    drill.finish_jobs()
    keep_run(lost.record)
    keep_launch(lost.record, "application", kept)
    keep_launch(lost.record, "database", mine)
    lost.pushed = {("wave_application.start_recovery", "launch"): kept.model_dump(mode="json")}
    drill.store = MemoryStore()
    assert lost.find() == lost.record
    assert drill.ledger.launch("application") == kept
    assert drill.ledger.job_ids() == kept.all_job_ids | mine.all_job_ids
    record = drill.clean_up()
    assert record.proven
    assert {item.server_id for item in record.instances} == {*DATABASE, *APPLICATION}
    assert [item.job_id for item in drill.drs.recovery_instances.values()] == [theirs.id]
    assert lost.find() == lost.record
    assert drill.ledger.job_ids() >= kept.all_job_ids | mine.all_job_ids


def test_a_wave_that_is_launched_again_after_that_keeps_the_plan_s_timeline(lost: Lost) -> None:
    """The record that names only jobs has the wave's own settings."""
    keep_run(lost.record)
    made = Call(at=NOW, servers=DATABASE, tagged=False, job_id="drsjob-0123456789abcdef0")
    timeline = new_timeline(lost.record.read_plan().launch, (), NOW)
    keep_launch(lost.record, "database", LaunchRecord(timeline=timeline, calls=(made,), tags_refused=True))
    lost.find()
    record = lost.drill.ledger.launch("database")
    assert record is not None
    assert record.timeline.server_delay == 15
    assert record.timeline.servers == ()
    assert record.all_job_ids == {"drsjob-0123456789abcdef0"}
    assert lost.drill.ledger.launch("application") is None


def test_a_call_without_a_reply_is_restored_with_its_wave(lost: Lost) -> None:
    """Clean-up then looks for the job that it may have made, and names it; it does not call itself proven."""
    drill = lost.drill
    drill.simulation.arm(TagsRefused(kind="tags_refused"))
    launch = drill.launch("database")
    lost_reply = (launch.calls[-1].model_copy(update={"job_id": None}),)
    timeline = new_timeline(lost.record.read_plan().launch, (), NOW)
    keep_run(lost.record)
    keep_launch(
        lost.record, "database", launch.model_copy(update={"calls": lost_reply, "timeline": timeline})
    )
    drill.store = MemoryStore()
    lost.find()
    record = drill.ledger.launch("database")
    assert record is not None
    assert record.unanswered == lost_reply
    drill.finish_jobs()
    assert drill.clean_up().unsure == (drill.drills()[-1].id,)
    assert len(drill.instances()) == len(DATABASE)


def test_a_wave_that_was_never_launched_gets_no_record(lost: Lost) -> None:
    """Its task has kept no copy."""
    restore_launches(lost.context, lost.drill.ledger, lost.record)
    assert lost.drill.ledger.launch("database") is None
