"""The beginning of a run: what may be asked for, whose turn it is, and what survives being cleared."""

from __future__ import annotations

import datetime as dt
import types
from collections.abc import Callable
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from drs import compat
from drs.dag_factory import run_parameters
from drs.plan import Plan
from drs.run.ledger import Ledger
from drs.run.records import Call, LaunchRecord
from drs.run.request import RUN_PARAMETERS
from drs.run.ticks import UNPAUSED_AT, KnownSchedule
from drs.run.timeline import Timeline
from drs.tasks import installation, schedules, send_messages
from drs.tasks.operators import begin
from drs.tasks.operators.begin import DrsBeginDrillOperator, DrsRefuseDrillOperator
from tests.unit.drill import MemoryStore, after, make_plan, make_run
from tests.unit.task_harness import FakeStateStore, FakeTaskInstance, FakeVariables, make_context
from tests.unit.versions import needs_task_store, task_store

NOW = after(0)
RUN = FakeTaskInstance.run_id
OWNER = f"{FakeTaskInstance.dag_id}__owner"
Begin = Callable[..., Any]


MADE = Call(at=NOW, servers=("s-1",), tagged=False, job_id="drsjob-1")
TIMELINE = Timeline(jobs="per_wave", server_delay=0, conflict_backoff=(30,), conflict_timeout=60, servers=())


@pytest.fixture
def variables(monkeypatch: pytest.MonkeyPatch) -> FakeVariables:
    variables = FakeVariables()
    for module in (begin, compat, installation, schedules):
        monkeypatch.setattr(module, "Variable", variables)
    monkeypatch.setattr(begin, "utc_now", lambda: NOW)
    return variables


@pytest.fixture
def state_store() -> FakeStateStore:
    return FakeStateStore()


@pytest.fixture
def begin_run(
    ledger: Ledger, variables: FakeVariables, state_store: FakeStateStore, monkeypatch: pytest.MonkeyPatch
) -> Begin:
    """Run the task ``begin``. Parameters that are not given have the defaults of the form."""

    kept = task_store(monkeypatch, state_store)

    def begin_run(
        *,
        plan: Plan | None = None,
        conf: dict[str, Any] | None = None,
        runs: dict[str, str] | None = None,
        task: Any = None,
        user: str | None = "ada",
        run_type: str = "manual",
        pushed: dict[tuple[str, str], Any] | None = None,
        due: dt.datetime = NOW,
        previous: dt.datetime | None = None,
        tries: int = 1,
        **params: Any,
    ) -> Any:
        plan = plan or make_plan()
        dag_run = types.SimpleNamespace(
            conf=params if conf is None else conf,
            dag_id=FakeTaskInstance.dag_id,
            run_id=RUN,
            run_type=run_type,
            run_after=due,
            triggering_user_name=user,
        )
        form = {name: param.value for name, param in run_parameters(plan).items()}
        context = make_context(runs=runs) | {
            "dag_run": dag_run,
            "params": form | params | dag_run.conf,
            **kept,
        }
        context["ti"].task_id = "begin"
        context["ti"].previous = previous and types.SimpleNamespace(run_after=previous)
        context["ti"].pushed = pushed or {}
        context["ti"].try_number = tries
        return (task or DrsBeginDrillOperator(task_id="begin", plan=plan)).execute(context)

    return begin_run


# --- what a run records -----------------------------------------------------------------------------------


def test_a_run_records_its_plan_and_what_was_asked(
    begin_run: Begin, ledger: Ledger, variables: FakeVariables
) -> None:
    """All later tasks read this record. A copy outlives the run's XComs, and names this Airflow."""
    plan = make_plan()
    result = begin_run(
        plan=plan, exclude_servers=["s-1"], keep_instances=True, reason="audit", waves=["application"]
    )
    run = ledger.run()
    assert run == make_run(
        plan,
        token=run.token,
        installation=variables.values["drs_installation"],
        began_at=NOW,
        run_id=RUN,
        waves=["application"],
        exclude_servers=["s-1"],
        keep_instances=True,
        reason="audit",
        initiator="ada (manual)",
    )
    assert installation.kept_run(run.dag_id) == run
    assert installation.kept_runs() == [run]
    assert run.read_plan() == plan
    assert result == {"token": run.token, "waves": ["application"]}


def test_the_start_of_a_run_is_told_once(
    begin_run: Begin, xcom: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Airflow deletes the XCom of a task that it retries, but not the task's state store."""
    told: list[str] = []
    monkeypatch.setattr(begin, "notify_start", lambda context, ledger: told.append(ledger.run().run_id))
    begin_run()
    xcom.values.clear()
    begin_run()
    assert told == [RUN]


def test_every_run_has_a_token_of_its_own(
    begin_run: Begin, ledger: Ledger, state_store: FakeStateStore
) -> None:
    """Two Airflows may run the same plan with the same run id; the token tells their jobs apart."""
    begin_run()
    first = ledger.run().token
    state_store.values.clear()
    begin_run()
    assert ledger.run().token != first


@pytest.mark.parametrize(
    ("user", "run_type", "initiator"),
    [
        ("ada", "manual", "ada (manual)"),
        (None, "scheduled", "scheduled"),
        ("ada", "backfill", "ada (backfill)"),
    ],
)
def test_who_began_the_run_is_recorded(
    begin_run: Begin, ledger: Ledger, user: str | None, run_type: str, initiator: str
) -> None:
    """The record has the name of the person, or the schedule, and the type of run."""
    begin_run(user=user, run_type=run_type)
    assert (ledger.run().initiator, ledger.run().run_type) == (initiator, run_type)


# --- what may be asked ------------------------------------------------------------------------------------


def test_waves_come_in_the_order_of_the_plan(begin_run: Begin, ledger: Ledger) -> None:
    """In whatever order they were chosen."""
    begin_run(waves=["application", "database"])
    assert ledger.run().waves == ("database", "application")


@pytest.mark.parametrize(
    ("asked", "code", "told"),
    [
        ({"conf": {"wave": ["database"], "dry": 1}}, "INVALID_FIELD", "Unknown run parameter.*: dry, wave"),
        ({"waves": ["database", "mail"]}, "INVALID_FIELD", "The plan orders has no wave mail"),
        ({"waves": []}, "PLAN_HAS_NO_WAVES", "No wave was chosen"),
        ({"execution_type": "RECOVERY"}, "INVALID_EXECUTION_TYPE", "The plan orders allows no RECOVERY"),
    ],
)
def test_what_cannot_be_meant_is_refused(
    begin_run: Begin,
    ledger: Ledger,
    variables: FakeVariables,
    asked: dict[str, Any],
    code: str,
    told: str,
) -> None:
    """A wrong parameter is refused before the plan is claimed and before anything is recorded."""
    with pytest.raises(AirflowFailException, match=rf"\[{code}\] {told}"):
        begin_run(**asked)
    assert ledger.begun() is None
    assert variables.values == {}


def test_a_refusal_names_what_is_allowed(begin_run: Begin) -> None:
    """The message lists the known parameters, and the plan's waves."""
    with pytest.raises(AirflowFailException, match=f"takes: {', '.join(RUN_PARAMETERS)}"):
        begin_run(conf={"force": True})
    with pytest.raises(AirflowFailException, match="Choose from its waves: database, application"):
        begin_run(waves=["mail"])


# --- missed -----------------------------------------------------------------------------------------------


MOST = dt.timedelta(minutes=5)
LATE = MOST + dt.timedelta(seconds=1)
MONTHLY = make_plan(schedule="0 6 1 * *")


def seen_by_processor(variables: FakeVariables, since: float, schedule: str = "0 6 1 * *") -> None:
    """The DAG processor first read the plan's schedule that many seconds after the tick at NOW."""
    known = KnownSchedule(schedule=schedule, timezone="UTC", since=after(since))
    values = {FakeTaskInstance.dag_id: known.model_dump(mode="json")}
    variables.set(schedules.SCHEDULES, values, serialize_json=True)


@pytest.mark.parametrize("run_type", ["scheduled", "backfill"])
def test_a_run_that_missed_its_time_is_recorded_and_claims_nothing(
    begin_run: Begin, ledger: Ledger, variables: FakeVariables, run_type: str
) -> None:
    """After somebody unpaused the DAG, begin skips itself and says when the run was due. An active drill of
    the plan does not block it and is not disturbed.
    """
    variables.values[OWNER] = "run-0"
    with pytest.raises(
        AirflowSkipException, match="was due at 2026-03-01 05:54:59 UTC, and began 5 min 1 s later"
    ):
        begin_run(user=None, run_type=run_type, due=NOW - LATE, runs={"run-0": "running"})
    assert ledger.run().missed
    assert variables.values[OWNER] == "run-0"


def test_how_late_a_run_may_begin_is_a_setting(
    begin_run: Begin, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For an Airflow that is busy at the time of its drills."""
    monkeypatch.setenv("AIRFLOW__DRS__LATE_START", "6m")
    begin_run(run_type="scheduled", due=NOW - LATE)
    assert ledger.run().missed is None


@pytest.mark.parametrize("moment", ["the tick", "the unpausing"])
def test_a_tick_that_came_while_the_dag_was_paused_is_missed(
    begin_run: Begin, ledger: Ledger, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    """The scheduler's listener has noted in the run when the DAG was unpaused. A tick after that fires."""
    monkeypatch.setattr(begin, "utc_now", lambda: after(65))
    conf = {UNPAUSED_AT: after(60).isoformat()}
    if moment == "the tick":
        with pytest.raises(
            AirflowSkipException, match="its DAG was unpaused only after that, at 2026-03-01 06:01"
        ):
            begin_run(plan=MONTHLY, run_type="scheduled", conf=conf, due=NOW)
        assert ledger.run().missed
    else:
        begin_run(plan=MONTHLY, run_type="scheduled", conf=conf, due=after(60))
        assert ledger.run().missed is None


def test_a_missed_run_counts_the_ticks_for_which_there_was_no_run(
    begin_run: Begin, ledger: Ledger, variables: FakeVariables
) -> None:
    """After a long pause, Airflow makes a run only for its last tick."""
    daily = make_plan(schedule="0 6 * * *")
    seen_by_processor(variables, -86400 * 30, "0 6 * * *")
    conf = {UNPAUSED_AT: after(5).isoformat()}
    with pytest.raises(AirflowSkipException, match="for 3 earlier ticks after 2026-02-25 06:00:00 UTC"):
        begin_run(plan=daily, run_type="scheduled", conf=conf, previous=NOW - dt.timedelta(days=4))
    assert ledger.run().missed


def test_a_person_cannot_pass_what_the_listener_notes(begin_run: Begin) -> None:
    """It is no parameter of a run."""
    with pytest.raises(AirflowFailException, match=f"Unknown run parameter.*: {UNPAUSED_AT}"):
        begin_run(conf={UNPAUSED_AT: NOW.isoformat()})


@pytest.mark.parametrize(("since", "fires"), [(-30, True), (0, True), (20, False)])
def test_a_tick_from_before_its_schedule_was_known_is_missed(
    begin_run: Begin, ledger: Ledger, variables: FakeVariables, since: float, fires: bool
) -> None:
    """When a schedule is edited, Airflow at once makes a run for its last tick."""
    seen_by_processor(variables, since)
    if fires:
        begin_run(plan=MONTHLY, run_type="scheduled")
    else:
        with pytest.raises(AirflowSkipException, match="Airflow has known the plan's schedule"):
            begin_run(plan=MONTHLY, run_type="scheduled")
    assert bool(ledger.run().missed) is not fires


def test_a_tick_of_a_schedule_that_was_edited_a_moment_ago_is_missed(
    begin_run: Begin, variables: FakeVariables
) -> None:
    """The run was made by the old schedule, and the task reads the new file."""
    seen_by_processor(variables, -3600, "0 5 1 * *")
    with pytest.raises(AirflowSkipException, match="the plan's file was edited since"):
        begin_run(plan=MONTHLY, run_type="scheduled")


@pytest.mark.parametrize("run_type", ["manual", "backfill"])
def test_a_run_that_is_no_tick_does_not_depend_on_pause_and_schedule(
    begin_run: Begin, ledger: Ledger, variables: FakeVariables, run_type: str
) -> None:
    """Somebody asked for it."""
    seen_by_processor(variables, 20)
    begin_run(plan=MONTHLY, run_type=run_type)
    assert ledger.run().missed is None


@pytest.fixture
def notices(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The notices that a run sends."""
    sent: list[Any] = []
    monkeypatch.setattr(send_messages, "plan_notifiers", lambda plan: [("pager", lambda: _Pager(sent))])
    return sent


class _Pager:
    def __init__(self, sent: list[Any]) -> None:
        self._sent = sent

    def __call__(self, context: Any) -> None:
        self._sent.append(context["drs"])


def test_a_missed_tick_is_told_once_with_how_to_make_up_for_it(
    begin_run: Begin, xcom: MemoryStore, notices: list[Any]
) -> None:
    """Also if its task is tried again, or cleared."""
    for _ in range(2):
        with pytest.raises(AirflowSkipException):
            begin_run(run_type="scheduled", due=NOW - LATE)
        xcom.values.clear()
    (notice,) = notices
    assert (notice.event, notice.code) == ("missed", "")
    assert notice.subject == "DRILL of orders: missed"
    assert "DRILL of plan orders was missed: it launched nothing." in notice.message
    assert "Why: This scheduled run was due at 2026-03-01 05:54:59 UTC, and began" in notice.message
    make_up = '`python -m drs drill orders --reason "makes up for 2026-03-01 05:54 UTC"`'
    assert f"What to do: To make up for it, trigger a run by hand: {make_up}." in notice.message


@pytest.mark.parametrize(("run_type", "told"), [("scheduled", 1), ("backfill", 1), ("manual", 0)])
def test_a_tick_that_is_refused_is_told_once(
    begin_run: Begin,
    ledger: Ledger,
    xcom: MemoryStore,
    variables: FakeVariables,
    notices: list[Any],
    run_type: str,
    told: int,
) -> None:
    """A person who triggered a run sees that it is refused; nobody looks at a tick."""
    for _ in range(2):
        variables.values[OWNER] = "run-0"
        with pytest.raises(AirflowFailException, match="PLAN_ALREADY_EXECUTING"):
            begin_run(run_type=run_type, runs={"run-0": "running"})
        assert ledger.begun() is None
        xcom.values.clear()
    assert [(notice.event, notice.code) for notice in notices] == [
        ("missed", "PLAN_ALREADY_EXECUTING")
    ] * told
    for notice in notices:
        assert notice.subject == "DRILL of orders: refused, PLAN_ALREADY_EXECUTING"
        assert "Run run-0 of drs_drill__orders is active" in notice.message
        assert "To make up for it, trigger a run by hand: `python -m drs drill orders" in notice.message


def test_a_tick_that_a_wrong_setting_refuses_is_told(
    begin_run: Begin, notices: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """No scheduled drill would ever run, and nobody looks at Airflow."""
    monkeypatch.setenv("AIRFLOW__DRS__LATE_START", "never")
    with pytest.raises(AirflowFailException, match="late_start"):
        begin_run(run_type="scheduled")
    (notice,) = notices
    assert (notice.event, notice.code) == ("missed", "INVALID_FIELD")
    assert "Write it like this: late_start = 5m. To make up for it" in notice.message


def test_a_cleared_run_that_is_refused_is_no_tick(
    begin_run: Begin, variables: FakeVariables, notices: list[Any]
) -> None:
    """A person cleared it, and sees that it is refused."""
    begin_run(run_type="scheduled")
    notices.clear()
    variables.values[OWNER] = "run-0"
    with pytest.raises(AirflowFailException, match="PLAN_ALREADY_EXECUTING"):
        begin_run(run_type="scheduled", runs={"run-0": "running"})
    assert notices == []


@pytest.mark.parametrize(
    ("run_type", "late"), [("scheduled", MOST), ("manual", dt.timedelta(days=40))], ids=str
)
def test_a_run_on_time_and_one_by_hand_are_not_missed(
    begin_run: Begin, ledger: Ledger, run_type: str, late: dt.timedelta
) -> None:
    """A busy scheduler may be minutes late; a run that somebody triggers by hand is never late."""
    begin_run(run_type=run_type, due=NOW - late)
    assert ledger.run().missed is None


def test_a_run_on_time_that_is_cleared_later_is_not_missed(
    begin_run: Begin, ledger: Ledger, xcom: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It began in time, and somebody cleared it on purpose."""
    begin_run(run_type="scheduled")
    xcom.values.clear()
    monkeypatch.setattr(begin, "utc_now", lambda: after(7200))
    begin_run(run_type="scheduled")
    assert ledger.run().missed is None


def test_a_missed_run_stays_missed_when_it_is_cleared(
    begin_run: Begin, ledger: Ledger, xcom: MemoryStore
) -> None:
    """To catch up, somebody triggers a new run."""
    for _ in range(2):
        with pytest.raises(AirflowSkipException, match=r"Missed\. This"):
            begin_run(run_type="scheduled", due=NOW - LATE)
        xcom.values.clear()


# --- whose turn it is -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("owner", "runs"),
    [
        (None, {}),
        (RUN, {RUN: "running"}),
        ("run-0", {"run-0": "success"}),
        ("run-0", {"run-0": "failed"}),
        ("run-0", {}),
    ],
    ids=["nobody's", "its own", "of a run that passed", "of a run that failed", "of a run that was deleted"],
)
def test_a_free_plan_is_claimed(
    begin_run: Begin, variables: FakeVariables, owner: str | None, runs: dict[str, str]
) -> None:
    """After that the run owns the plan."""
    if owner:
        variables.values[OWNER] = owner
    begin_run(runs=runs)
    assert variables.values[OWNER] == RUN


@pytest.mark.parametrize("state", ["running", "queued"])
def test_a_plan_runs_once_at_a_time(
    begin_run: Begin, ledger: Ledger, variables: FakeVariables, state: str
) -> None:
    """The message names the active run, which keeps the plan. The refused run has no record and so cleans up
    nothing.
    """
    variables.values[OWNER] = "run-0"
    with pytest.raises(AirflowFailException, match=r"\[PLAN_ALREADY_EXECUTING\] Run run-0") as refused:
        begin_run(runs={"run-0": state})
    stop = "python -m drs stop orders --run run-0` (or mark it failed in the Airflow UI)"
    assert f"Wait for run-0 to end, or stop it with `{stop}" in str(refused.value)
    assert variables.values[OWNER] == "run-0"
    assert ledger.begun() is None


@pytest.mark.parametrize("ended", ["failed", "success"], ids=["it was stopped", "it ended"])
def test_a_plan_is_free_once_its_active_run_has_ended(
    begin_run: Begin, variables: FakeVariables, ended: str
) -> None:
    """As the remedy of PLAN_ALREADY_EXECUTING says: ``python -m drs stop`` marks the run failed."""
    variables.values[OWNER] = "run-0"
    with pytest.raises(AirflowFailException, match="PLAN_ALREADY_EXECUTING"):
        begin_run(runs={"run-0": "running"})
    begin_run(runs={"run-0": ended})
    assert variables.values[OWNER] == RUN


# --- cleared ----------------------------------------------------------------------------------------------


def test_a_cleared_run_is_still_the_same_run(
    begin_run: Begin, ledger: Ledger, xcom: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its XCom is deleted, but it keeps token and start time, by which its jobs are found. The parameters are
    the new ones.
    """
    begin_run()
    first = ledger.run()
    xcom.values.clear()
    monkeypatch.setattr(begin, "utc_now", lambda: after(7200))
    begin_run(reason="again", plan=make_plan(description="edited since"))
    second = ledger.run()
    assert (second.token, second.began_at) == (first.token, first.began_at)
    assert second.reason == "again"
    assert second.read_plan().description == "edited since"
    assert second.digest != first.digest


@pytest.mark.parametrize(("tries", "same"), [(2, True), (1, False)], ids=["cleared", "deleted"])
def test_a_run_is_known_by_its_copy_if_clearing_empties_the_task_s_store(
    begin_run: Begin,
    ledger: Ledger,
    xcom: MemoryStore,
    variables: FakeVariables,
    state_store: FakeStateStore,
    tries: int,
    same: bool,
) -> None:
    """As Airflow 3.4 does. A run that was deleted and triggered with the same id is another run."""
    begin_run()
    first = ledger.run()
    made = LaunchRecord(timeline=TIMELINE, tags_refused=True, calls=(MADE,))
    installation.keep_launch(first, "database", made)
    xcom.values.clear()
    state_store.values.clear()
    begin_run(tries=tries)
    assert (ledger.run().token == first.token) is same
    assert ledger.job_ids() == ({MADE.job_id} if same else set())


@pytest.mark.parametrize(
    "moved", [{"region": "eu-central-1"}, {"account_id": "444455556666"}], ids=["Region", "account"]
)
def test_a_cleared_run_does_not_move_to_another_place(
    begin_run: Begin, ledger: Ledger, xcom: MemoryStore, moved: dict[str, str]
) -> None:
    """Clean-up in another place would find no instances and call that proof. So the run keeps its record."""
    begin_run()
    first = ledger.run()
    xcom.values.clear()
    target = {"region": "us-east-1", "account_id": "111122223333", **moved}
    with pytest.raises(AirflowFailException, match=r"\[PLAN_CHANGED\] This run began in us-east-1"):
        begin_run(plan=make_plan(target=target))
    assert ledger.begun() == first


@needs_task_store
def test_what_begin_keeps_does_not_expire(begin_run: Begin, state_store: FakeStateStore) -> None:
    """A run may be cleared weeks later."""
    begin_run()
    from airflow.sdk.execution_time.context import NEVER_EXPIRE

    assert state_store.kept_for is NEVER_EXPIRE


def refuse(problems: str = "orders.yaml:3: waves: is missing") -> DrsRefuseDrillOperator:
    return DrsRefuseDrillOperator(task_id="begin", problems=problems)


@pytest.mark.parametrize(
    ("code", "again"),
    [
        ("PLAN_ALREADY_EXECUTING", {"runs": {"run-0": "running"}}),
        ("INVALID_FIELD", {"conf": {"force": True}}),
        ("INVALID_FIELD", {"task": refuse()}),
    ],
    ids=["another run is active", "a parameter is unknown", "the plan is broken"],
)
def test_a_cleared_run_that_is_refused_still_knows_what_it_launched(
    begin_run: Begin,
    ledger: Ledger,
    variables: FakeVariables,
    xcom: MemoryStore,
    code: str,
    again: dict[str, Any],
) -> None:
    """Its clean-up reads the records. In an account that refuses tags, only they name the run's jobs."""
    begin_run()
    first = ledger.run()
    launch = LaunchRecord(timeline=TIMELINE, tags_refused=True)
    xcom.values.clear()
    variables.values[OWNER] = "run-0"
    pushed = {("wave_application.start_recovery", "launch"): launch.model_dump(mode="json")}
    with pytest.raises(AirflowFailException, match=code):
        begin_run(**again, pushed=pushed)
    assert ledger.begun() == first
    assert (ledger.launch("database"), ledger.launch("application")) == (None, launch)


# --- a broken plan ----------------------------------------------------------------------------------------


def test_the_dag_of_a_broken_plan_begins_no_drill(
    begin_run: Begin, ledger: Ledger, variables: FakeVariables
) -> None:
    """The message says what is wrong with the file. Nothing is claimed or recorded."""
    with pytest.raises(AirflowFailException, match=r"\[INVALID_FIELD\]") as refused:
        begin_run(task=refuse())
    assert "orders.yaml:3: waves: is missing" in str(refused.value)
    assert "python -m drs validate" in str(refused.value)
    assert ledger.begun() is None
    assert variables.values == {}
