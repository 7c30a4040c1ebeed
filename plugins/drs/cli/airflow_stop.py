"""One run that a person stops: how it is ended, what is written down, and what is left of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from drs.cli.airflow_api import AirflowApi, AirflowError, DagRun, Refused
from drs.cli.airflow_end import UNDER_WAY, End, end_of, how_to_look, in_keep_for, waves_ended
from drs.cli.airflow_follow import Follower
from drs.cli.airflow_records import RunLedger, UnreadableRecordError
from drs.run.proof import CLOSING_TASKS, SETUP_TASK_ID, TaskStates
from drs.run.records import Stop
from drs.text.times import clock_time

Say = Callable[[str], None]


class StoppedRun:
    """A run that is to be stopped.

    :param say: reports what happens to it
    """

    def __init__(self, api: AirflowApi, run: DagRun, say: Say) -> None:
        self._api = api
        self._name = run["dag_id"], run["dag_run_id"]
        self._conf = run["conf"] or {}
        self.run_id = run["dag_run_id"]
        self.link = api.run_link(*self._name)
        self.ledger = RunLedger(api, *self._name)
        self.say = say
        self.follower = Follower(api, *self._name, say)
        self.state: str | None = None
        self.stop_record: Stop | None = None
        self.end: End | None = None

    def states(self) -> TaskStates:
        return {one["task_id"]: one["state"] for one in self._api.task_instances(*self._name)}

    def is_recovery(self) -> bool:
        try:
            begun = self.ledger.begun()
        except UnreadableRecordError:
            begun = None
        if begun is not None:
            return not begun.is_drill
        return bool(self._conf.get("execution_type") == "RECOVERY")

    def stop(self, record: Stop) -> None:
        """End the waves, and write down who did it. If the waves have ended, the run only goes on."""
        states = self.states()
        if waves_ended(states):
            self.say(self._nothing_to_cut_off(states))
        else:
            self._end_waves(states)
            self._write_down(record)
        self.follower.pass_over(but=CLOSING_TASKS)

    def _end_waves(self, states: TaskStates) -> None:
        if states.get(SETUP_TASK_ID) != "success":
            self._let_it_close()
        self._api.set_run_state(*self._name, "failed")
        cut_off = [task_id for task_id, state in states.items() if state in UNDER_WAY]
        what = f" (cut off: {', '.join(cut_off)})" if cut_off else ""
        self.say(f"marked as failed: it launches nothing more{what}")

    def _let_it_close(self) -> None:
        """Mark the first task as success. If it were skipped, Airflow would skip clean-up and verdict too,
        and call the run a success.
        """
        try:
            self._api.set_task_state(*self._name, SETUP_TASK_ID, "success")
        except Refused:
            if self.states().get(SETUP_TASK_ID) != "success":  # otherwise it has just succeeded by itself
                raise

    def _write_down(self, record: Stop) -> None:
        try:
            if (earlier := self.ledger.stop()) is not None:
                self.stop_record = earlier
                self.say(f"{earlier.by} had already stopped it, at {clock_time(earlier.at)}")
                return
            self.ledger.save_stop(record)
        except (AirflowError, UnreadableRecordError) as error:
            self.say(f"its records will not say who stopped it: {getattr(error, 'message', error)}")
        else:
            self.stop_record = record
            self.say(f"its records say that {record.by} stopped it")

    def _nothing_to_cut_off(self, states: TaskStates) -> str:
        text = "every wave has ended, so there is nothing to stop; the run goes on with its clean-up"
        if not in_keep_for(self.ledger, states):
            return text
        return (
            f"{text}, which waits until the plan's cleanup.keep_for has passed. To terminate the instances "
            f"now: {how_to_look(*self._name)}"
        )

    def follow(self, timeout: float | None) -> None:
        self.state = self.follower.follow(timeout)
        try:
            self.end = end_of(self.ledger, self.states())
        except UnreadableRecordError as error:
            self.end = End(False, f"what it left is not known, because its records cannot be read: {error}")

    def summary(self) -> str:
        assert self.end is not None
        lines = [f"Run {self.run_id} is over ({self.state}): {self.end.text}."]
        if self.end.instances:
            listed = (f"{item.ec2_instance_id} of {item.server_id}" for item in self.end.instances)
            lines.append(f"  Its instances: {', '.join(listed)}")
        if not self.end.nothing_left and self.end.is_drill:
            lines.append(f"  To see what AWS has of it, and to terminate it: {how_to_look(*self._name)}")
        return "\n".join([*lines, f"  {self.link}"])

    def as_json(self) -> dict[str, Any]:
        end = self.end
        return {
            "run_id": self.run_id,
            "url": self.link,
            "stop": self.stop_record.model_dump(mode="json") if self.stop_record else None,
            "state": self.state,
            "nothing_left": end.nothing_left if end else None,
            "what": end.text if end else None,
            "instances": [item.ec2_instance_id for item in end.instances] if end else [],
        }
