"""A small Airflow in one process: scheduler, task instances, deferral, questions, and what a person can do.

It has what a drill needs of Airflow 3.3.2, with the semantics found in its source and by breaking it: only
the current try of a task may report a state, but any process may write an XCom; a paused DAG schedules
nothing; marking a run failed leaves its teardowns to run.
"""

from __future__ import annotations

import datetime as dt
import itertools
import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk.bases.operator import TRIGGER_FAIL_REPR
from airflow.sdk.exceptions import TaskAwaitingInput, TaskDeferred

from bench.campaign.hub import Hub, Timer
from bench.campaign.loop import RunningTrigger, Triggerer
from bench.campaign.mischief import Mischief
from bench.campaign.rules import ACTIVE, FINISHED, Node, State, decide, run_state
from bench.campaign.stores import Place, TaskStates, Variables, XComs
from bench.campaign.tries import AirflowApi, Try

SWEEP = 15.0
"""Seconds between two sweeps for time-outs."""


@dataclass(eq=False)
class Row:
    """One task instance.

    :param identity: changes with each try: Airflow accepts reports of the current try only
    :param resume: the method in which a deferred task goes on, with its arguments
    """

    run: Run
    task_id: str
    node: Node
    max_tries: int
    state: State = None
    try_number: int = 0
    identity: int = 0
    resume: tuple[str, dict[str, Any]] | None = None
    attempts: list[Try] = field(default_factory=list)
    trigger: RunningTrigger | None = None
    timer: Timer | None = None
    question: dict[str, Any] | None = None
    succeeded_at: float | None = None
    result: Any = None
    """What it returned, if it ended in success by itself."""
    error: str = ""
    """Why the last try failed, as its log says."""
    by_hand: bool = False
    """Whether a person has set its state."""

    @property
    def place(self) -> Place:
        return self.run.dag_id, self.run.run_id, self.task_id

    @property
    def current(self) -> Try | None:
        """The process of the current try, if it is alive."""
        return next((each for each in self.attempts if each.alive and each.identity == self.identity), None)


@dataclass(eq=False)
class Run:
    """One run of a DAG.

    :param ended: seconds, in the hub's time
    """

    dag_id: str
    run_id: str
    conf: Mapping[str, Any]
    params: Mapping[str, Any]
    user: str
    run_after: dt.datetime
    nodes: Mapping[str, Node]
    rows: dict[str, Row] = field(default_factory=dict)
    state: str = "running"
    ended: float | None = None
    deleted: bool = False
    ended_by_person: bool = False
    said: str = ""
    """What the logs of its tasks said of their failures whenever it was red."""
    answers: dict[str, tuple[str, float]] = field(default_factory=dict)
    """What people answered, and when, by task."""

    @property
    def actor(self) -> str:
        return f"run {self.dag_id}/{self.run_id}"

    def states(self) -> dict[str, State]:
        return {name: row.state for name, row in self.rows.items()}


@dataclass(frozen=True)
class Pace:
    """How fast Airflow is.

    :param heartbeat_timeout: seconds without a heartbeat after which Airflow gives a task up
    """

    heartbeat_timeout: float = 300.0
    heartbeat: tuple[float, float] = (0.0, 5.0)
    """Seconds until a worker's next heartbeat, from and to. It kills a process that is no longer wanted."""
    start: tuple[float, float] = (0.3, 2.5)
    """Seconds from the moment when a task is ready to its first instruction."""
    skews: tuple[float, ...] = (0.0,)
    """How far the clock of each worker machine is ahead."""


Listener = Callable[[Row], None]


class Airflow:
    """The scheduler and the metadata database.

    :param pace: how fast it is
    :param say: where a reader follows the drill
    """

    def __init__(
        self,
        hub: Hub,
        rng: random.Random,
        triggerer: Triggerer,
        mischief: Mischief,
        pace: Pace,
        say: Callable[[str], None],
    ) -> None:
        self.hub = hub
        self.rng = rng
        self.mischief = mischief
        self.pace = pace
        self.say = say
        self.xcoms = XComs()
        self.variables = Variables()
        self.runs: dict[tuple[str, str], Run] = {}
        self.paused: set[str] = set()
        self.deleted: set[str] = set()
        self.listeners: list[Listener] = []
        """Called with each task instance whose state has changed."""
        self._triggerer = triggerer
        self._task_states: dict[Place, TaskStates] = {}
        self._identities = itertools.count(1)

    # --- what tasks see ---------------------------------------------------------------------------------

    def task_states(self, place: Place) -> TaskStates:
        return self._task_states.setdefault(place, TaskStates())

    def outside_task(self) -> AirflowApi:
        """What a task of another DAG can ask about the drills."""
        return AirflowApi(self)

    def row_of(self, identity: int) -> Row | None:
        """The task instance with that identity, if it is still the current one."""
        rows = (row for run in self.runs.values() for row in run.rows.values())
        return next((row for row in rows if row.identity == identity), None)

    def runs_of(self, dag_id: str) -> list[Run]:
        return [run for run in self.runs.values() if run.dag_id == dag_id and not run.deleted]

    # --- scheduling -------------------------------------------------------------------------------------

    def trigger(
        self,
        dag_id: str,
        nodes: Mapping[str, Node],
        params: Mapping[str, Any],
        run_id: str,
        *,
        user: str,
        **conf: Any,
    ) -> Run:
        """Start a run by hand."""
        run = Run(dag_id, run_id, conf, {**params, **conf}, user, self.hub.datetime(), nodes)
        for name, node in nodes.items():
            run.rows[name] = Row(run, name, node, node.retries, identity=next(self._identities))
        self.runs[dag_id, run_id] = run
        self._look_soon(run)
        return run

    def _look_soon(self, run: Run) -> None:
        self.hub.after(0.1, lambda: self._look(run))

    def _look(self, run: Run) -> None:
        """Schedule what is ready, and end the run if everything has ended."""
        if run.deleted or run.state != "running" or run.dag_id in self.paused:
            return
        changed = True
        while changed:
            changed = False
            for row in run.rows.values():
                if row.state is None:
                    changed = self._consider(row, run.states()) or changed
        state = run_state(run.nodes, run.states())
        if state != "running":
            run.state, run.ended = state, self.hub.now
            if state == "failed":
                run.said += "\n".join(row.error for row in run.rows.values())
            self.say(f"{run.actor}: {state}")
            self._notify(next(reversed(run.rows.values())))

    def _consider(self, row: Row, states: Mapping[str, State]) -> bool:
        decision = decide(row.node, states)
        if decision == "wait":
            return False
        if decision == "run":
            self._schedule(row)
        else:
            self._set(row, decision)
        return True

    def _schedule(self, row: Row) -> None:
        if isinstance(row.node.task, EmptyOperator):
            self._set(row, "success")
            return
        self._set(row, "scheduled")
        self._start_soon(row)

    def _start_soon(self, row: Row) -> None:
        identity = row.identity
        self.hub.after(self.rng.uniform(*self.pace.start), lambda: self._start(row, identity))

    def _start(self, row: Row, identity: int) -> None:
        run = row.run
        if row.identity != identity or row.state != "scheduled" or run.deleted or run.dag_id in self.paused:
            return
        if getattr(row.node.task, "max_active_tis_per_dag", None) and self._another_is_active(row):
            self._start_soon(row)
            return
        if row.resume is None:
            row.try_number += 1
            self.xcoms.delete(row.place)
        self._set(row, "running")
        Try.begin(self, row, skew=self.rng.choice(self.pace.skews))

    def _another_is_active(self, row: Row) -> bool:
        others = (run.rows.get(row.task_id) for run in self.runs_of(row.run.dag_id) if run is not row.run)
        return any(other and other.state in ("running", "restarting") for other in others)

    def _set(self, row: Row, state: State) -> None:
        row.state = state
        if state == "success":
            row.succeeded_at = self.hub.now
        self._notify(row)

    def _notify(self, row: Row) -> None:
        for listener in list(self.listeners):
            listener(row)

    # --- what workers report ----------------------------------------------------------------------------

    def accepts(self, attempt: Try) -> bool:
        """Whether the execution API accepts a report of this try: it is the current one and runs."""
        row = attempt.row
        return not row.run.deleted and row.identity == attempt.identity and row.state == "running"

    def ended(self, attempt: Try, state: str, result: Any = None) -> None:
        """A try ended in success or was skipped."""
        if self.accepts(attempt):
            attempt.row.resume, attempt.row.result = None, result
            self._set(attempt.row, state)
            self._look_soon(attempt.row.run)

    def failed(self, attempt: Try, *, retry: bool, why: str) -> None:
        """A try failed."""
        if self.accepts(attempt):
            self.say(f"{attempt}: {why}")
            attempt.row.error = why
            self._fail(attempt.row, retry=retry)

    def lost(self, attempt: Try) -> None:
        """A process has died, or sends no heartbeat."""
        if self.accepts(attempt):
            self.say(f"{attempt}: Airflow has noticed that it is gone")
            attempt.row.error = ""
            self._fail(attempt.row, retry=True)

    def _fail(self, row: Row, *, retry: bool) -> None:
        row.resume = None
        if retry and row.try_number <= row.max_tries:
            row.identity = next(self._identities)
            self._set(row, "up_for_retry")
            row.timer = self.hub.after(row.node.pause(row.try_number), lambda: self._retry(row))
        else:
            self._set(row, "failed")
        self._reap(row)
        self._look_soon(row.run)

    def _retry(self, row: Row) -> None:
        if row.state == "up_for_retry" and row.run.dag_id not in self.paused:
            self._schedule(row)

    def deferred(self, attempt: Try, deferral: TaskDeferred) -> None:
        """A try waits in the triggerer."""
        row = attempt.row
        if not self.accepts(attempt):
            return
        row.resume = (deferral.method_name, dict(deferral.kwargs or {}))
        self._set(row, "deferred")
        identity = row.identity

        def fired(payload: Any) -> None:
            if row.identity == identity and row.state == "deferred":
                self._resume(row, {"event": payload})

        def timed_out() -> None:
            if row.identity == identity and row.state == "deferred":
                self.say(f"{row.place}: the deferral timed out")
                assert row.resume is not None
                row.resume = (TRIGGER_FAIL_REPR, {})
                self._resume(row, {"error": "Trigger timeout"})

        row.trigger = self._triggerer.start(deferral.trigger, fired)
        if deferral.timeout is not None:
            patience = deferral.timeout.total_seconds() + self.rng.uniform(0.0, SWEEP)
            row.timer = self.hub.after(patience, timed_out)

    def asked(self, attempt: Try, asking: TaskAwaitingInput) -> None:
        """A try waits for a person's answer."""
        row = attempt.row
        if not self.accepts(attempt):
            return
        row.resume = (asking.method_name, dict(asking.kwargs or {}))
        identity = row.identity
        if asking.timeout is not None:
            patience = asking.timeout.total_seconds() + self.rng.uniform(0.0, SWEEP)
            row.timer = self.hub.after(patience, lambda: self._unanswered(row, identity))
        self._set(row, "awaiting_input")

    def _unanswered(self, row: Row, identity: int) -> None:
        if row.identity != identity or row.state != "awaiting_input" or row.question is None:
            return
        if row.question["defaults"] is not None:
            self._resume(
                row, {"event": self._answer_event(row.question["defaults"], user=None, comment=None)}
            )
        else:
            self._resume(row, {"event": {"error": "No response in time.", "error_type": "timeout"}})

    def answer(self, row: Row, option: str, *, user: str, comment: str | None = None) -> None:
        """A person answers."""
        if row.state == "awaiting_input":
            row.run.answers[row.task_id] = option, self.hub.now
            self.say(f"{user} answers {row.task_id}: {option}")
            self._resume(row, {"event": self._answer_event([option], user=user, comment=comment)})

    def _answer_event(self, options: list[str], *, user: str | None, comment: str | None) -> dict[str, Any]:
        return {
            "chosen_options": options,
            "params_input": {"comment": comment},
            "responded_at": self.hub.datetime(),
            "responded_by_user": None if user is None else {"id": user, "name": user},
            "timedout": user is None,
        }

    def _resume(self, row: Row, arguments: dict[str, Any]) -> None:
        assert row.resume is not None
        method, known = row.resume
        self._stop_waiting(row)
        row.resume = (method, {**known, **arguments})
        self._set(row, "scheduled")
        self._start_soon(row)

    def _stop_waiting(self, row: Row) -> None:
        if row.timer:
            row.timer.cancel()
            row.timer = None
        if row.trigger:
            row.trigger.cancel()
            row.trigger = None

    def _reap(self, row: Row) -> None:
        """The processes of a task instance that has another state now end at their next heartbeat."""
        for attempt in row.attempts:
            if attempt.alive and not self.accepts(attempt):
                thaws = max(attempt.frozen_until - self.hub.now, 0.0)
                self.hub.kill(attempt.process, after=thaws + self.rng.uniform(*self.pace.heartbeat))

    # --- what a person can do ---------------------------------------------------------------------------

    def mark(self, row: Row, state: str) -> None:
        """Mark a task success or failed. Failed tasks after it are cleared."""
        if row.run.deleted or row.state == state:
            return
        self.say(f"somebody marks {row.place} {state}")
        self._stop_waiting(row)
        row.resume, row.by_hand = None, True
        self._set(row, state)
        self._reap(row)
        after = (row.run.rows[name] for name in row.node.after)
        self._clear(each for each in after if each.state in ("failed", "upstream_failed"))
        self._reopen(row.run)

    def clear(self, row: Row, *, downstream: bool = True) -> None:
        """Clear a task, and as Airflow does its setup and the teardowns, mostly with the tasks after it."""
        if row.run.deleted:
            return
        self.say(f"somebody clears {row.place}{' with the tasks after it' if downstream else ''}")
        nodes = row.run.nodes
        chosen = {row.task_id, *row.node.setups, *(name for name in nodes if nodes[name].teardown)}
        if downstream:
            chosen |= row.node.after
        self._clear(row.run.rows[name] for name in nodes if name in chosen)
        self._reopen(row.run)

    def _clear(self, rows: Iterable[Row]) -> None:
        for row in rows:
            self._stop_waiting(row)
            was_running = row.state == "running"
            row.identity = next(self._identities)
            row.resume, row.by_hand, row.result = None, False, None
            row.max_tries = row.try_number + row.node.retries
            if was_running:
                self._set(row, "restarting")
                wait = self.pace.heartbeat[1] + row.node.retry_delay
                self.hub.after(wait, lambda row=row: self._restart(row))  # type: ignore[misc]
            else:
                self._set(row, None)
            self._reap(row)

    def _restart(self, row: Row) -> None:
        if row.state == "restarting":
            self._set(row, None)
            self._look_soon(row.run)

    def _reopen(self, run: Run) -> None:
        if any(row.state not in FINISHED for row in run.rows.values()):
            run.state, run.ended = "running", None
        self._look_soon(run)

    def mark_run_failed(self, run: Run) -> None:
        """Mark a run failed: what runs is failed, what has not run is skipped, and the teardowns run."""
        if run.deleted or run.state != "running":
            return
        self.say(f"somebody marks {run.actor} failed")
        run.ended_by_person = True
        teardowns_left = any(row.node.teardown and row.state not in FINISHED for row in run.rows.values())
        for row in run.rows.values():
            if row.node.teardown or row.state in FINISHED:
                continue
            self._stop_waiting(row)
            row.resume = None
            row.by_hand = True
            self._set(row, "failed" if row.state in ACTIVE else "skipped")
            self._reap(row)
        if not teardowns_left:
            run.state, run.ended = "failed", self.hub.now
        self._look_soon(run)

    def pause(self, dag_id: str) -> None:
        """Pause a DAG: nothing more of its runs is scheduled."""
        self.say(f"somebody pauses {dag_id}")
        self.paused.add(dag_id)

    def unpause(self, dag_id: str) -> None:
        """Let a DAG go on."""
        self.say(f"somebody unpauses {dag_id}")
        self.paused.discard(dag_id)
        for run in self.runs_of(dag_id):
            for row in run.rows.values():
                if row.state == "scheduled":
                    self._start_soon(row)
                elif row.state == "up_for_retry" and row.timer and row.timer.when <= self.hub.now:
                    self._retry(row)
            self._look_soon(run)

    def delete_xcoms(self, run: Run, keys: Iterable[str] | None = None) -> None:
        """Delete XComs of the run's first task, in which a drill keeps its records."""
        wanted = list(keys) if keys is not None else None
        self.say(f"somebody deletes XComs of {run.actor}: {'all' if wanted is None else ', '.join(wanted)}")
        self.xcoms.delete((run.dag_id, run.run_id, "begin"), wanted)

    def delete_dag(self, dag_id: str) -> None:
        """Delete a DAG with its runs, tasks and XComs."""
        self.say(f"somebody deletes {dag_id}")
        self.deleted.add(dag_id)
        for run in self.runs_of(dag_id):
            run.deleted = True
            for row in run.rows.values():
                self._stop_waiting(row)
                self._reap(row)
        self.xcoms.forget_dag(dag_id)

    # --- what the judge asks ----------------------------------------------------------------------------

    def moves(self, run: Run) -> bool:
        """Whether a run goes on by itself."""
        if run.deleted or run.state != "running":
            return False
        if run.dag_id not in self.paused:
            return True
        return any(row.state == "running" for row in run.rows.values())
