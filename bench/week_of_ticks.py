"""What becomes of each tick of a plan's schedule in a week in which everything happens to it.

    python -m bench.week_of_ticks

The plan has a tick every two minutes, each in the place of a day. Around the product there is a small Airflow
with a clock of its own: a scheduler, a DAG processor and a worker. The product is the real one: the listener,
the schedules that the DAG processor keeps, ``begin``, ``evidence``, the notices and the store. Airflow's own
timetable decides for which ticks there are runs. A drill takes 50 s here.

Writes a table in Markdown. The exit code is 1 if a tick has another fate than the scenario says.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime as dt
import json
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import structlog
from airflow.sdk import DAG
from airflow.sdk.bases.operator import ExecutorSafeguard
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException
from airflow.timetables import trigger
from airflow.timetables.base import DataInterval, TimeRestriction

from bench.campaign.stores import MemoryStorage, TaskStates, Variables, XComs
from drs.dag_factory import drill_dag, refusing_dag
from drs.evidence.store import EvidenceStore
from drs.plan import BrokenPlan, Plan
from drs.run.ticks import MissedTick
from drs.tasks import drill_task, installation, schedules, send_messages, unpaused
from drs.tasks.operators import begin, evidence

FIRST = dt.datetime(2026, 3, 2, 6, 0, tzinfo=dt.UTC)
MINUTE = dt.timedelta(minutes=1)
DAG_ID = "drs_drill__orders"
EVEN, ODD = "*/2 * * * *", "1-59/2 * * * *"
DRILL_TAKES = dt.timedelta(seconds=50)
PARSE_EVERY, SCHEDULE_EVERY = 30, 5
"""Seconds between two looks of the DAG processor at the plans, and of the scheduler at the DAGs."""


def at(text: str) -> dt.datetime:
    """The time so many minutes and seconds after the first tick, such as ``07:30``."""
    minutes, seconds = text.split(":")
    return FIRST + dt.timedelta(minutes=int(minutes), seconds=int(seconds))


def plan(schedule: str | None) -> Plan:
    return Plan.model_validate(
        {
            "name": "orders",
            "schedule": schedule,
            "target": {"region": "us-east-1", "account_id": "111122223333"},
            "protection_groups": {"web": {"source_servers": ["s-3c1730a9e0771ea14"]}},
            "waves": [{"name": "web", "protection_groups": ["web"]}],
        }
    )


@dataclass
class Run:
    """A run of the plan, as Airflow's database has it."""

    run_id: str
    run_type: str
    run_after: dt.datetime
    dag_id: str = DAG_ID
    conf: dict[str, Any] | None = None
    triggering_user_name: str | None = None
    start_date: dt.datetime | None = None
    state: str = "queued"
    ends: dt.datetime | None = None
    begin_state: str | None = None


@dataclass
class Airflow:
    """As much of Airflow as decides when a run begins.

    :param now: the clock of everything
    :param file: the plan's file
    """

    now: dt.datetime
    file: Plan | BrokenPlan
    paused: bool = True
    up: bool = True
    worker_free_at: dt.datetime = FIRST - dt.timedelta(days=1)
    runs: list[Run] = field(default_factory=list)
    audit_log: list[Any] = field(default_factory=list)
    variables: Variables = field(default_factory=Variables)
    xcoms: XComs = field(default_factory=XComs)
    states: dict[str, TaskStates] = field(default_factory=dict)
    notices: list[Any] = field(default_factory=list)
    evidence: EvidenceStore = field(default_factory=lambda: EvidenceStore(MemoryStorage()))
    next_tick: dt.datetime | None = None
    dag: DAG | None = None

    def second(self) -> None:
        """Let one second pass."""
        self.now += dt.timedelta(seconds=1)
        seconds = int((self.now - FIRST).total_seconds())
        for run in self.runs:
            if run.state == "running" and run.ends and run.ends <= self.now:
                run.state = "success"
        if not self.up:
            return
        if seconds % PARSE_EVERY == 10:
            self.parse()
        if seconds % SCHEDULE_EVERY == 2 and not self.paused:
            self.schedule()
        for run in self.runs:
            if run.state == "running" and run.begin_state is None and self._has_worker(run):
                self.begin(run)

    def _has_worker(self, run: Run) -> bool:
        assert run.start_date is not None
        return self.now >= max(run.start_date + dt.timedelta(seconds=2), self.worker_free_at)

    def parse(self) -> None:
        """The DAG processor reads the plan's file, also while the DAG is paused."""
        self.dag = drill_dag(self.file) if isinstance(self.file, Plan) else refusing_dag(self.file)
        schedules.keep_schedules({DAG_ID: self.dag}, Path("plans"))
        self._find_next_tick()

    def _find_next_tick(self) -> None:
        """As ``DagModel.calculate_dagrun_date_fields`` does."""
        if not isinstance(self.file, Plan) or not self.file.schedule:
            self.next_tick = None
            return
        automated = [run.run_after for run in self.runs if run.run_type == "scheduled"]
        last = DataInterval.exact(_pendulum(max(automated))) if automated else None
        info = trigger.CronTriggerTimetable(self.file.schedule, timezone=self.file.timezone).next_dagrun_info(
            last_automated_data_interval=last, restriction=TimeRestriction(None, None, catchup=False)
        )
        self.next_tick = info.run_after if info else None

    def schedule(self) -> None:
        """The scheduler makes the run that is due, and starts it."""
        if self.next_tick is None or self.next_tick > self.now:
            return
        due = dt.datetime.fromtimestamp(self.next_tick.timestamp(), dt.UTC)
        run = Run(f"scheduled__{due:%H:%M}", "scheduled", due)
        self.start(run)
        self._find_next_tick()

    def start(self, run: Run) -> None:
        self.runs.append(run)
        run.state, run.start_date = "running", self.now
        unpaused.note_unpaused(run)

    def trigger(self) -> None:
        """A person starts a run by hand."""
        self.start(Run(f"manual__{self.now:%H:%M}", "manual", self.now, triggering_user_name="ada"))

    def set_paused(self, paused: bool) -> None:
        """A person pauses or unpauses the DAG in the UI."""
        extra = json.dumps({"is_paused": paused, "method": "PATCH"})
        entry = SimpleNamespace(dttm=self.now, event="patch_dag", dag_id=DAG_ID, extra=extra)
        self.audit_log.insert(0, entry)
        self.paused = paused

    def begin(self, run: Run) -> None:
        """The worker runs ``begin``; if it fails or skips itself, ``evidence`` follows."""
        assert isinstance(self.file, Plan)
        context = self._context(run, "begin")
        operator = begin.DrsBeginDrillOperator(task_id="begin", plan=self.file)
        try:
            operator.execute(context)
        except AirflowSkipException:
            run.begin_state, run.state = "skipped", "success"
        except AirflowFailException:
            run.begin_state, run.state = "failed", "failed"
        else:
            run.begin_state, run.ends = "success", self.now + DRILL_TAKES
            return
        with contextlib.suppress(AirflowSkipException):
            task = evidence.DrsDrillEvidenceOperator(task_id="evidence")
            task.execute(self._context(run, "evidence"))

    def _context(self, run: Run, task_id: str) -> Any:
        params: dict[str, Any] = {
            "execution_type": "DRILL",
            "waves": ["web"],
            "exclude_servers": None,
            "recovery_point": None,
        }
        params |= dict.fromkeys(("dry_run", "keep_instances", "skip_approvals"), False) | {"reason": None}
        return {
            "ti": _TaskInstance(self, run, task_id),
            "dag_run": run,
            "params": params,
            "task_state_store": self.states.setdefault(run.run_id, TaskStates()),
        }


@dataclass
class _TaskInstance:
    airflow: Airflow
    run: Run
    task_id: str
    dag_id: str = DAG_ID
    try_number: int = 1
    max_tries: int = 0

    @property
    def run_id(self) -> str:
        return self.run.run_id

    def get_dr_count(self, *, dag_id: str, run_ids: list[str]) -> int:
        return sum(
            (run.dag_id, run.run_id) in {(dag_id, each) for each in run_ids} for run in self.airflow.runs
        )

    def get_dagrun_state(self, dag_id: str, run_id: str) -> str:
        runs = {(run.dag_id, run.run_id): run.state for run in self.airflow.runs}
        return runs[dag_id, run_id]

    def get_task_states(self, **_: Any) -> dict[str, dict[str, str | None]]:
        return {self.run_id: {"begin": self.run.begin_state}}

    def get_previous_dagrun(self) -> Run | None:
        before = [run for run in self.airflow.runs if run.run_after < self.run.run_after]
        return max(before, key=lambda run: run.run_after, default=None)

    def xcom_pull(self, *, task_ids: str, key: str, **_: Any) -> Any:
        return self.airflow.xcoms.get((DAG_ID, self.run_id, task_ids), key)


class _RunStore:
    """The XCom of the task ``begin``."""

    def __init__(self, airflow: Airflow, ti: _TaskInstance) -> None:
        self._xcoms, self._place = airflow.xcoms, (DAG_ID, ti.run_id, "begin")

    def get(self, key: str) -> Any:
        return self._xcoms.get(self._place, key)

    def set(self, key: str, value: Any) -> None:
        self._xcoms.set(self._place, key, value)


def _pendulum(moment: dt.datetime) -> Any:
    import pendulum

    return pendulum.instance(moment)


@contextlib.contextmanager
def around(airflow: Airflow) -> Iterator[None]:
    """Put this Airflow in the place of the real one."""
    replaced: list[tuple[Any, str, Any]] = [
        *((module, "Variable", airflow.variables) for module in (begin, installation, schedules)),
        *((module, "utc_now", lambda: airflow.now) for module in (begin, schedules, evidence)),
        (drill_task, "XComStore", lambda ti: _RunStore(airflow, ti)),
        (evidence, "store", lambda: airflow.evidence),
        (send_messages, "plan_notifiers", lambda _: [("pager", lambda: _keep(airflow))]),
        (unpaused, "entries_since", lambda after: [e for e in airflow.audit_log if e.dttm > after]),
        (trigger, "utcnow", lambda: _pendulum(airflow.now)),
        (ExecutorSafeguard, "test_mode", True),
    ]
    with contextlib.ExitStack() as stack:
        for where, name, instead in replaced:
            stack.enter_context(mock.patch.object(where, name, instead))
        yield


def _keep(airflow: Airflow) -> Callable[[Any], None]:
    return lambda context: airflow.notices.append((context["dag_run"].run_id, context["drs"]))


def _broken() -> BrokenPlan:
    return BrokenPlan("orders", Path("orders.yaml"), ())


def _set(**fields: Any) -> Callable[[Airflow], None]:
    def change(airflow: Airflow) -> None:
        for name, value in fields.items():
            setattr(airflow, name, value)

    return change


def _busy_until(text: str) -> Callable[[Airflow], None]:
    return _set(worker_free_at=at(text))


STEPS: list[tuple[str, str, Callable[[Airflow], None]]] = [
    ("-1:00", "a person unpauses the plan", lambda airflow: airflow.set_paused(False)),
    ("3:30", "a person triggers a drill by hand", Airflow.trigger),
    ("5:30", "a person pauses the plan", lambda airflow: airflow.set_paused(True)),
    ("7:00", "a person unpauses the plan, a minute after its tick", lambda a: a.set_paused(False)),
    ("9:30", "a person pauses the plan over three ticks", lambda airflow: airflow.set_paused(True)),
    ("14:20", "a person unpauses the plan, 20 s after its tick", lambda a: a.set_paused(False)),
    ("17:20", f'a person edits the schedule to "{ODD}"', _set(file=plan(ODD))),
    ("20:30", "the scheduler and the DAG processor are stopped", _set(up=False)),
    ("22:30", "they are started again, 90 s after a tick", _set(up=True)),
    ("24:30", "the scheduler and the DAG processor are stopped", _set(up=False)),
    ("32:00", "they are started again, 7 min after the first tick that they missed", _set(up=True)),
    ("34:30", "every worker is busy for 7 min", _busy_until("41:30")),
    ("44:30", "the plan's file is broken", _set(file=_broken())),
    ("45:30", "the plan's file is fixed, 30 s after a tick", _set(file=plan(ODD))),
    ("48:05", f'a person edits the schedule to "{EVEN}", 5 s after such a tick', _set(file=plan(EVEN))),
]
END = "53:00"


def play() -> Airflow:
    """Let the week pass."""
    airflow = Airflow(now=at("-3:00"), file=plan(EVEN))
    steps = [(at(when), do) for when, _, do in STEPS]
    with around(airflow):
        while airflow.now < at(END):
            while steps and steps[0][0] <= airflow.now:
                steps.pop(0)[1](airflow)
            airflow.second()
    return airflow


def fate(airflow: Airflow, run: Run) -> str:
    """What became of a run, by what is kept of it."""
    ticks = [tick for tick in airflow.evidence.ticks("orders") if isinstance(tick, MissedTick)]
    kept = [tick.fate for tick in ticks if tick.run_id == run.run_id]
    if kept:
        return kept[0]
    return "fired" if run.begin_state == "success" else str(run.begin_state)


def rows(airflow: Airflow) -> list[tuple[str, str, str, str]]:
    """What happened, in order: when, a step or a tick's run, the run's fate, and what people are told."""
    found = [(at(when), f"*{what}*", "", "") for when, what, _ in STEPS]
    due = {run.run_after for run in airflow.runs}
    for tick in ticks_of_the_week(due):
        found.append((tick, "tick", "no run: Airflow makes one for the last tick alone", ""))
    for run in airflow.runs:
        told = "; ".join(
            f"{notice.event}: {notice.subject}. {_why(notice.message)}".strip()
            for run_id, notice in airflow.notices
            if run_id == run.run_id
        )
        assert run.start_date is not None
        what = "tick" if run.run_type == "scheduled" else "run by hand"
        late = int((run.start_date - run.run_after).total_seconds())
        found.append((run.run_after, f"{what}, run made {late} s later", fate(airflow, run), told))
    found.sort(key=lambda row: row[0])
    return [(f"{when:%H:%M:%S}", what, became, told) for when, what, became, told in found]


def ticks_of_the_week(due: set[dt.datetime]) -> Iterator[dt.datetime]:
    """The ticks of the plan's schedule, as it was then, for which there was no run."""
    edits = [(at(when), what) for when, what, _ in STEPS if "edit" in what]
    moment = FIRST
    while moment < at(END):
        odd = sum(when <= moment for when, _ in edits) % 2
        if moment.minute % 2 == odd and moment not in due:
            yield moment
        moment += dt.timedelta(minutes=1)


def _why(message: str) -> str:
    return next((line for line in message.splitlines() if line.startswith("Why: ")), "")


REFUSED = "refused, PLAN_ALREADY_EXECUTING"
EXPECTED = {
    -2: "missed",
    0: "fired",
    2: "fired",
    4: REFUSED,
    6: "missed",
    8: "fired",
    14: "missed",
    16: "fired",
    17: "missed",
    19: "fired",
    21: "fired",
    23: REFUSED,
    25: "missed",
    31: "fired",
    33: "fired",
    35: "missed",
    37: "fired",
    39: REFUSED,
    41: REFUSED,
    43: "fired",
    45: "missed",
    47: "fired",
    48: "missed",
    50: "fired",
    52: "fired",
}
"""The fate of each tick for which there is a run, by the minutes after the first tick."""


def main() -> int:
    argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    ).parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    airflow = play()
    print("| time | what | fate | what people are told |\n|---|---|---|---|")
    for row in rows(airflow):
        print(f"| {' | '.join(row)} |")
    scheduled = [run for run in airflow.runs if run.run_type == "scheduled"]
    seen = {(run.run_after - FIRST) // MINUTE: fate(airflow, run) for run in scheduled}
    told = [run_id for run_id, notice in airflow.notices if notice.event == "missed"]
    silent = [
        run.run_id for run in scheduled if fate(airflow, run) != "fired" and told.count(run.run_id) != 1
    ]
    for minute in sorted(minute for minute in {*seen, *EXPECTED} if seen.get(minute) != EXPECTED.get(minute)):
        print(f"The tick of minute {minute} was {seen.get(minute)}, not {EXPECTED.get(minute)}")
    for run_id in silent:
        print(f"{run_id} was told {told.count(run_id)} times")
    return int(seen != EXPECTED or bool(silent))


if __name__ == "__main__":
    raise SystemExit(main())
