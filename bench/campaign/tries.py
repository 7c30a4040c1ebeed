"""One try of a task: the process that runs the real operator, and what that operator sees of Airflow."""

from __future__ import annotations

import collections
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from airflow.sdk.bases.operator import ExecutorSafeguard
from airflow.sdk.exceptions import (
    AirflowFailException,
    AirflowRuntimeError,
    AirflowSensorTimeout,
    AirflowSkipException,
    ErrorType,
    TaskAwaitingInput,
    TaskDeferred,
)
from airflow.sdk.execution_time.comms import ErrorResponse

from bench.campaign.hub import Killed, Process

if TYPE_CHECKING:
    from bench.campaign.scheduler import Airflow, Row


class Try:
    """One process of a task instance. A task that was deferred goes on in another process of the same try."""

    process: Process

    def __init__(self, airflow: Airflow, row: Row) -> None:
        self.airflow = airflow
        self.row = row
        self.identity = row.identity
        self.number = row.try_number
        self.frozen_until = 0.0
        self.dies_with_host = False
        self.guarded = False
        """Whether it is between the last check and the send of a call. What happens there is not tried: no
        code can look once more after its last look."""

    def __str__(self) -> str:
        run = self.row.run
        return f"{run.dag_id.removeprefix('drs_drill__')}/{run.run_id} {self.row.task_id}#{self.number}"

    @classmethod
    def begin(cls, airflow: Airflow, row: Row, *, skew: float) -> None:
        """Start the process."""
        attempt = cls(airflow, row)
        attempt.process = airflow.hub.spawn(attempt._live, str(attempt), actor=row.run.actor, skew=skew)
        attempt.process.attempt = attempt
        row.attempts = [each for each in row.attempts if each.alive] + [attempt]

    @property
    def alive(self) -> bool:
        return not self.process.dead

    def freeze(self, seconds: float, *, heart_beats: bool) -> None:
        """Stop this process for a while.

        :param heart_beats: whether its supervisor goes on, so that Airflow notices nothing
        """
        hub = self.airflow.hub
        self.frozen_until = hub.now + seconds
        patience = self.airflow.pace.heartbeat_timeout + self.airflow.rng.uniform(0.0, 10.0)
        if not heart_beats and seconds > patience:
            hub.after(patience, lambda: self.airflow.lost(self))
        hub.sleep(seconds)

    def _live(self) -> None:
        try:
            self._work()
        except Killed:
            # If it was killed because Airflow has already given the try up, Airflow ignores this.
            patience = self.airflow.pace.heartbeat_timeout if self.dies_with_host else 0.0
            patience += self.airflow.rng.uniform(0.0, 5.0)
            self.airflow.hub.after(patience, lambda: self.airflow.lost(self))

    def _work(self) -> None:
        airflow, row = self.airflow, self.row
        task = row.node.task.prepare_for_execution()
        ti = TaskInstance(self)
        context = self._context(ti, task)
        try:
            if row.resume:
                method, arguments = row.resume
                result = task.resume_execution(method, arguments, context)
            else:
                sentinel = {f"{type(task).__name__}__sentinel": ExecutorSafeguard.sentinel_value}
                result = task.execute(context, **sentinel)
            if result is not None:
                ti.xcom_push(key="return_value", value=result)
        except TaskDeferred as deferral:
            self._report()
            airflow.deferred(self, deferral)
        except TaskAwaitingInput as asking:
            self._report()
            airflow.asked(self, asking)
        except AirflowSkipException:
            self._report()
            airflow.ended(self, "skipped")
        except (AirflowFailException, AirflowSensorTimeout) as error:
            self._report()
            airflow.failed(self, retry=False, why=str(error))
        except Exception as error:
            self._report()
            airflow.failed(self, retry=True, why=str(error) or type(error).__name__)
        else:
            self._report()
            airflow.ended(self, "success", result)

    def _report(self) -> None:
        self.airflow.mischief.point(self, "report")

    def _context(self, ti: TaskInstance, task: Any) -> Any:
        run = self.row.run
        return {
            "ti": ti,
            "task_instance": ti,
            "task": task,
            "run_id": run.run_id,
            "params": run.params,
            "dag_run": SimpleNamespace(
                dag_id=run.dag_id,
                run_id=run.run_id,
                run_type="manual",
                run_after=run.run_after,
                conf=run.conf,
                triggering_user_name=run.user,
            ),
            "task_state_store": self.airflow.task_states(self.row.place),
            "outlet_events": collections.defaultdict(SimpleNamespace),
        }


class AirflowApi:
    """What any task can ask Airflow: the part of the Task SDK that drills and their watch use."""

    def __init__(self, airflow: Airflow) -> None:
        self._airflow = airflow

    def get_task_states(
        self, *, dag_id: str, run_ids: list[str], task_ids: list[str] | None = None
    ) -> dict[str, dict[str, str | None]]:
        found = {}
        for run in self._airflow.runs_of(dag_id):
            if run.run_id in run_ids:
                states = run.states()
                found[run.run_id] = {
                    name: state for name, state in states.items() if task_ids is None or name in task_ids
                }
        return found

    def get_dr_count(
        self, *, dag_id: str, run_ids: list[str] | None = None, states: list[str] | None = None
    ) -> int:
        return sum(
            (run_ids is None or run.run_id in run_ids) and (states is None or run.state in states)
            for run in self._airflow.runs_of(dag_id)
        )

    def get_dagrun_state(self, dag_id: str, run_id: str) -> str:
        return next(run.state for run in self._airflow.runs_of(dag_id) if run.run_id == run_id)

    def get_dag(self, dag_id: str) -> SimpleNamespace:
        if dag_id in self._airflow.deleted:
            raise AirflowRuntimeError(
                ErrorResponse(error=ErrorType.GENERIC_ERROR, detail={"status_code": 404})
            )
        return SimpleNamespace(is_paused=dag_id in self._airflow.paused)

    def xcom_pull(self, *, task_ids: str, key: str = "return_value", dag_id: str, run_id: str) -> Any:
        return self._airflow.xcoms.get((dag_id, run_id, task_ids), key)


class TaskInstance(AirflowApi):
    """What a task sees of itself, too: the part of ``RuntimeTaskInstance`` that drills use."""

    map_index = -1

    def __init__(self, attempt: Try) -> None:
        super().__init__(attempt.airflow)
        row = attempt.row
        self._attempt = attempt
        self.id = attempt.identity
        self.dag_id = row.run.dag_id
        self.run_id = row.run.run_id
        self.task_id = row.task_id
        self.try_number = attempt.number
        self.max_tries = row.max_tries
        self.log_url = (
            f"http://localhost:8080/dags/{self.dag_id}/runs/{self.run_id}/tasks/{self.task_id}?try_number=1"
        )

    def xcom_pull(
        self,
        *,
        task_ids: str,
        key: str = "return_value",
        dag_id: str | None = None,
        run_id: str | None = None,
    ) -> Any:
        return super().xcom_pull(
            task_ids=task_ids, key=key, dag_id=dag_id or self.dag_id, run_id=run_id or self.run_id
        )

    def xcom_push(self, *, key: str, value: Any) -> None:
        self.write_xcom((self.dag_id, self.run_id, self.task_id), key, value)

    def write_xcom(self, place: tuple[str, str, str], key: str, value: Any) -> None:
        """Write an XCom of any task. Airflow does not ask whether the writer is the current try."""
        self._airflow.mischief.point(self._attempt, f"before the write of {key}")
        self._airflow.xcoms.set(place, key, value)
        self._airflow.mischief.point(self._attempt, f"after the write of {key}")
