"""`DrillRun`: one run of a plan's DAG in a stack, seen from outside: Airflow's REST API, DRS and EC2."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from demo.installation import Installation
from demo.simulator_client import OBSERVER
from drs.cli.airflow_api import FINISHED, TaskInstance
from drs.plan import Plan, load_plan
from drs.plan.naming import dag_id

SERVER_TAG = "drs.amazonaws.com-source-server"
JOB_TAG = "drs.amazonaws.com-job"
"""The tags that DRS gives the EC2 instances that it launches."""


@dataclass(frozen=True)
class Instance:
    """An EC2 instance that DRS launched."""

    instance_id: str
    server_id: str
    job_id: str
    state: str

    @property
    def is_left(self) -> bool:
        """Whether it still costs money."""
        return self.state not in {"shutting-down", "terminated"}


@dataclass(frozen=True)
class DrillRun:
    """A run that was triggered.

    :param started: the moment before it was triggered; what DRS and EC2 show from before is not this run's.
    """

    stack: Installation
    plan: Plan
    run_id: str
    started: datetime

    @classmethod
    def trigger(cls, stack: Installation, plan_file: Path, conf: dict[str, Any] | None = None) -> Self:
        """Start a drill as a user does: by the REST API, once the plan's DAG is there and unpaused.

        :raises TimeoutError: the plan has no DAG; with the import errors.
        """
        plan = load_plan(plan_file)
        stack.api.wait_for_dag(dag_id(plan.name), digest=plan.digest)
        stack.api.unpause(dag_id(plan.name))
        started = datetime.now(UTC)
        return cls(stack, plan, stack.api.trigger(dag_id(plan.name), conf), started)

    @property
    def dag_id(self) -> str:
        """The id of the plan's DAG."""
        return dag_id(self.plan.name)

    def state(self) -> str:
        """The state of the run."""
        return self.stack.api.run_state(self.dag_id, self.run_id)

    def has_ended(self) -> bool:
        """Whether the run is over."""
        return self.state() in FINISHED

    def wait(self, timeout: float = 180) -> str:
        """Wait until the run has ended, and give its state.

        :raises TimeoutError: with all that is known about the run.
        """
        self.wait_until(self.has_ended, timeout, "the run's end")
        return self.state()

    def wait_until(
        self, condition: Callable[[], bool], timeout: float = 60, what: str = "a condition"
    ) -> None:
        """Wait until a condition holds.

        :raises TimeoutError: with all that is known about the run.
        """
        began = time.monotonic()
        while not condition():
            waited = time.monotonic() - began
            if waited > timeout:
                raise TimeoutError(
                    f"Waited {timeout:g} s for {what}, which did not happen.\n{self.describe()}"
                )
            # An answer costs the API server as much as a task does: what takes long is looked at less often.
            time.sleep(0.5 if waited < 3 else 1.0)

    def wait_for_task(self, task_id: str, *states: str, timeout: float = 60) -> str:
        """Wait until a task is in one of these states, and give the state."""

        def reached() -> bool:
            return self.task_state(task_id) in states

        self.wait_until(reached, timeout, f"{task_id} to be {' or '.join(states)}")
        return str(self.task_state(task_id))

    def task_state(self, task_id: str) -> str | None:
        """The state of one task; None before it is scheduled, or if the run has no such task yet."""
        return self.stack.api.task_state(self.dag_id, self.run_id, task_id)

    def task_states(self) -> dict[str, str | None]:
        """The state of every task, in the order in which they began; None before it is scheduled."""
        return {instance["task_id"]: instance["state"] for instance in self.task_instances()}

    def task_instances(self) -> list[TaskInstance]:
        """Every task instance, in the order in which they began."""
        instances = self.stack.api.task_instances(self.dag_id, self.run_id)
        return sorted(instances, key=lambda instance: instance["start_date"] or "~")

    def log(self, task_id: str, try_number: int | None = None) -> str:
        """The log of a task: one try's, or those of all tries."""
        tries = {instance["task_id"]: instance["try_number"] for instance in self.task_instances()}
        wanted = range(1, max(tries.get(task_id, 0), 1) + 1) if try_number is None else [try_number]
        return "\n".join(
            self.stack.api.task_log(self.dag_id, self.run_id, task_id, number) for number in wanted
        )

    def xcom(self, task_id: str, key: str = "return_value") -> Any:
        """What a task left for others, or None."""
        return self.stack.api.xcom(self.dag_id, self.run_id, task_id, key)

    def mark(self, state: str) -> None:
        """Mark the run as a user does in the UI."""
        self.stack.api.set_run_state(self.dag_id, self.run_id, state)

    def clear(self, *task_ids: str, only_failed: bool = False) -> list[str]:
        """Clear tasks and all that comes after them, as a user does in the UI."""
        return self.stack.api.clear(self.dag_id, self.run_id, list(task_ids), only_failed=only_failed)

    def journal(self, **filters: str) -> list[dict[str, Any]]:
        """The drill's AWS calls since the run was triggered, e.g. `journal(operation="StartRecovery")`."""
        since = self.started.timestamp()
        calls = self.stack.simulator.journal(**filters)
        return [call for call in calls if call["time"] >= since and OBSERVER not in call["user_agent"]]

    def jobs(self) -> list[dict[str, Any]]:
        """All DRS jobs since the run was triggered, those of others too, in the order of their creation."""
        drs = self.stack.simulator.client("drs", self.plan.target.region)
        since = {"fromDate": f"{self.started:%Y-%m-%dT%H:%M:%SZ}"}
        pages = drs.get_paginator("describe_jobs").paginate(filters=since)
        jobs = [job for page in pages for job in page["items"]]
        return sorted(jobs, key=lambda job: str(job["creationDateTime"]))

    def instances(self) -> list[Instance]:
        """What DRS launched in EC2 since the run was triggered, terminated instances included."""
        ec2 = self.stack.simulator.client("ec2", self.plan.target.region)
        pages = ec2.get_paginator("describe_instances").paginate(
            Filters=[{"Name": "tag-key", "Values": [SERVER_TAG]}]
        )
        found = [
            (instance["LaunchTime"], instance)
            for page in pages
            for reservation in page["Reservations"]
            for instance in reservation["Instances"]
        ]
        recent = self.started.replace(microsecond=0)  # EC2 tells launch times in whole seconds
        return [_instance(instance) for launched, instance in found if launched >= recent]

    def describe(self) -> str:
        """All that is known about the run, for the message of a failure."""
        instances = self.task_instances()
        states = "\n".join(f"  {instance['task_id']}: {instance['state']}" for instance in instances)
        ran = [instance["task_id"] for instance in instances if instance["start_date"]]
        logs = "\n".join(f"--- log of {task_id}\n{_tail(self.log(task_id), 40)}" for task_id in ran)
        return (
            f"Run {self.run_id} of {self.dag_id} is {self.state()}.\n{states}\n"
            f"{logs}\n--- components\n{self.stack.describe()}"
        )


def _instance(described: dict[str, Any]) -> Instance:
    tags = {tag["Key"]: tag["Value"] for tag in described["Tags"]}
    return Instance(
        instance_id=described["InstanceId"],
        server_id=tags[SERVER_TAG],
        job_id=tags.get(JOB_TAG, ""),
        state=described["State"]["Name"],
    )


def _tail(text: str, lines: int) -> str:
    return "\n".join(text.splitlines()[-lines:])
