"""Follows a run through Airflow's API and reports each change of its tasks and waves, and its failures."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from typing import TextIO

from drs.cli.airflow_api import FINISHED, AirflowApi, NotAllowed, TaskInstance, Unreachable
from drs.cli.airflow_logs import for_operators
from drs.cli.airflow_records import RunLedger, UnreadableRecordError
from drs.cli.airflow_stillness import Stillness
from drs.cli.common import counted
from drs.run.proof import asks_a_person
from drs.run.records import LaunchRecord, WaveOutcome
from drs.text.tables import named

LOOK_EVERY = 1.0
"""Seconds between two polls."""
LONG_QUEUED = 30.0
"""Seconds in the queue after which something most likely keeps the run from beginning."""
SILENCE = 120.0
"""Seconds without an answer after which following ends with an error; a restart of Airflow takes less."""

_QUIET = frozenset({None, "scheduled", "queued", "up_for_reschedule"})
"""States of a task that has not begun yet, or that waits a moment for a worker."""
_ACTIVE = frozenset({"running", "deferred", "restarting"})
"""States of an active task. A task that waits in the triggerer changes between them many times."""
_FAILED = frozenset({"failed", "up_for_retry"})
_WAVE = "wave_"


class Follower:
    """Follows one run.

    :param say: reports one change, in one line or several
    :param clock: seconds, monotonic
    :param sleep: waits between two polls
    """

    def __init__(
        self,
        api: AirflowApi,
        dag_id: str,
        run_id: str,
        say: Callable[[str], None],
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.ledger = RunLedger(api, dag_id, run_id)
        self._api = api
        self._dag_id = dag_id
        self._run_id = run_id
        self._say = say
        self._clock = clock
        self._sleep = sleep
        self._reported: dict[str, str] = {}
        self._facts: dict[str, tuple[str | None, int]] | None = None
        self._stillness = Stillness(api, dag_id, run_id, say, clock)

    def pass_over(self, *, but: Collection[str]) -> None:
        """Do not report the states that the tasks have now.

        :param but: the tasks that are reported all the same
        """
        for instance in self._api.task_instances(self._dag_id, self._run_id):
            if instance["task_id"] not in but:
                self._reported[instance["task_id"]] = _fact(instance)

    def follow(self, timeout: float | None = None) -> str:
        """Report what happens until the run has ended.

        :param timeout: seconds after which following ends; the run itself goes on
        :return: the state of the run
        :raises TimeoutError: the run has not ended within the timeout
        :raises Unreachable: Airflow has not answered for 2 minutes
        :raises StandsStillError: the run cannot go on, and nothing has changed for 2 minutes
        """
        began = answered = self._clock()
        while True:
            try:
                state = self._look()
            except Unreachable:
                if self._clock() - answered > SILENCE:
                    raise
            else:
                answered = self._clock()
                if state in FINISHED:
                    return state
                if state == "queued" and answered - began >= LONG_QUEUED:
                    self._say_once(
                        "queued",
                        "still queued; `python -m drs status` shows which parts of Airflow run",
                    )
            if timeout is not None and self._clock() - began >= timeout:
                raise TimeoutError
            self._sleep(LOOK_EVERY)

    def _look(self) -> str:
        # The run first: if it has ended, the states of its tasks are final.
        state = self._api.run_state(self._dag_id, self._run_id)
        instances = self._api.task_instances(self._dag_id, self._run_id)
        facts = {_key(instance): (instance["state"], instance["try_number"]) for instance in instances}
        changed, self._facts = facts != self._facts, facts
        moved = [instance for instance in sorted(instances, key=_began) if self._report_task(instance)]
        active = [instance for instance in instances if instance["state"] in _ACTIVE]
        for wave in dict.fromkeys(_wave(instance) for instance in (*moved, *active)):
            if wave:
                self._report_wave(wave)
        if state not in FINISHED:
            deferred = any(instance["state"] == "deferred" for instance in instances)
            self._stillness.look(moved=changed, deferred=deferred)
        return state

    def _report_task(self, instance: TaskInstance) -> bool:
        """Report a task's state if it is new.

        :return: whether it was new
        """
        state, task_id = instance["state"], instance["task_id"]
        fact = _fact(instance)
        if state in _QUIET or self._reported.get(task_id) == fact:
            return False
        lines = [f"{_title(task_id)}: {_word(state)}"]
        if asks_a_person(task_id, state):
            link = self._api.answer_link(self._dag_id, self._run_id, task_id)
            lines = [f"{_title(task_id)}: a person must answer, at {link}"]
        if state in _FAILED:
            lines += [f"  {line}" for line in self._why(instance)]
        self._say("\n".join(lines))
        self._reported[task_id] = (
            fact  # only now: if Airflow does not answer before, the next poll reports it
        )
        return True

    def _why(self, instance: TaskInstance) -> list[str]:
        """The end of the log of the failed try, and the task's code and remedy."""
        task_id = instance["task_id"]
        try:
            messages = self._api.task_messages(
                self._dag_id, self._run_id, task_id, instance["try_number"], instance["map_index"]
            )
        except NotAllowed:  # a user may be allowed to see runs but not logs
            messages = []
        lines = for_operators(messages)
        try:
            failure = self.ledger.failure(task_id)
        except UnreadableRecordError:  # the log has its code too
            failure = None
        if failure and f"[{failure.code}]" not in "\n".join(lines):
            lines += f"[{failure.code}] {failure.message}\nWhat to do: {failure.remedy}".splitlines()
        if instance["state"] == "up_for_retry":
            lines.append("Airflow retries this task by itself.")
        return lines or ["The task's log is empty; look at the logs of Airflow's scheduler and worker."]

    def _report_wave(self, wave: str) -> None:
        """Report the progress of a wave's launch if it is new."""
        try:
            launch, outcome = self.ledger.launch(wave), self.ledger.outcome(wave)
        except UnreadableRecordError as error:
            self._say_once("records", f"how the waves get on cannot be read: {error}")
            return
        for key, text in (("launch", launch and started(launch)), ("outcome", outcome and launched(outcome))):
            if text:
                self._say_once(f"{wave} {key}", f"wave {wave}: {text}")

    def _say_once(self, key: str, text: str) -> None:
        if self._reported.get(key) != text:
            self._say(text)
            self._reported[key] = text


def with_seconds(out: TextIO) -> Callable[[str], None]:
    """A function that prints each text after the number of seconds since now."""
    began = time.monotonic()

    def say(text: str) -> None:
        print(f"[{time.monotonic() - began:6.1f} s] {text}", file=out, flush=True)

    return say


def started(launch: LaunchRecord) -> str:
    """How many servers of a wave were started, and what holds the others back."""
    slots = launch.timeline.servers
    parts = [f"{sum(slot.job_id is not None for slot in slots)} of {counted(len(slots), 'server')} started"]
    if held := [slot for slot in slots if slot.waiting and slot.refused_since]:
        holders = sorted({slot.holder for slot in held if slot.holder})
        parts.append(f"{len(held)} held by {', '.join(holders) or 'a job that DRS does not show'}")
    if given_up := [slot.server_id for slot in slots if slot.given_up]:
        parts.append(f"given up: {', '.join(given_up)}")
    if launch.timeline.paused_until:
        parts.append(f"DRS refuses calls ({launch.timeline.paused_why})")
    return "; ".join(parts)


def launched(outcome: WaveOutcome) -> str:
    """How many servers of a wave were launched, and which were not."""
    ready = sum(server.launched for server in outcome.servers)
    parts = [f"{ready} of {counted(len(outcome.servers), 'server')} launched"]
    for live, words in ((False, "not launched"), (True, "still launching when the wait ended")):
        servers = [each for each in outcome.servers if not each.launched and each.live == live]
        if servers:
            parts.append(f"{words}: {', '.join(named(each.server_id, each.name) for each in servers)}")
    return "; ".join(parts)


def _fact(instance: TaskInstance) -> str:
    """What is reported once of a task."""
    state = instance["state"]
    what = "asks" if asks_a_person(instance["task_id"], state) else _word(state)
    return f"{instance['try_number']} {what}"


def _word(state: str | None) -> str:
    return "running" if state in _ACTIVE else str(state)


def _title(task_id: str) -> str:
    group, dot, task = task_id.rpartition(".")
    return f"wave {group.removeprefix(_WAVE)}: {task}" if dot else task_id


def _wave(instance: TaskInstance) -> str | None:
    group, dot, _ = instance["task_id"].rpartition(".")
    return group.removeprefix(_WAVE) if dot and group.startswith(_WAVE) else None


def _key(instance: TaskInstance) -> str:
    return f"{instance['task_id']} {instance['map_index']}"


def _began(instance: TaskInstance) -> str:
    return instance["start_date"] or "~"
