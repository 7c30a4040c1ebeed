"""How far a drill has come: a picture of it, taken from Airflow and DRS again and again."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from demo.drill_run import DrillRun, Instance
from drs.run.resolution import resolve

WAVE_TAG = "drs-drills:wave"
"""The tag that tells the jobs of a drill from others'."""

PASSING = frozenset({"scheduled", "queued"})
"""States of a task that waits a moment for its worker."""

LAUNCHED = frozenset({"LAUNCHED", "TERMINATED"})
"""A server's states in a launch job that succeeded: launched, and terminated again."""


@dataclass(frozen=True)
class JobView:
    """A DRS job that holds servers of a wave."""

    job_id: str
    kind: str
    status: str
    servers: tuple[str, ...]
    launched: int
    is_ours: bool


@dataclass(frozen=True)
class WaveView:
    """A wave: its servers (id to name), its tasks with their states, its jobs, and what stands in EC2."""

    name: str
    servers: dict[str, str]
    tasks: tuple[tuple[str, str], ...]
    jobs: tuple[JobView, ...]
    instances: tuple[Instance, ...]

    @property
    def step(self) -> str:
        """The task that the wave is at, with its state."""
        return " ".join(self.tasks[-1]) if self.tasks else "waiting"

    @property
    def launched(self) -> int:
        """How many of its servers came up, for however short a time."""
        return len({instance.server_id for instance in self.instances})

    @property
    def left(self) -> tuple[Instance, ...]:
        """The instances that still cost money."""
        return tuple(instance for instance in self.instances if instance.is_left)

    def name_of(self, instance: Instance) -> str:
        """An instance as people know it."""
        return f"instance {instance.instance_id} of {self.servers[instance.server_id]}"


@dataclass(frozen=True)
class Picture:
    """A drill at one moment."""

    run_state: str
    tasks: tuple[tuple[str, str], ...]
    waves: tuple[WaveView, ...]

    def facts(self) -> dict[str, str]:
        """The picture as one sentence for each thing that changes, by a key that stays."""
        facts = {f"task {task}": f"{task}: {state}" for task, state in self.tasks}
        for wave in self.waves:
            facts |= {
                f"task {wave.name} {task}": f"wave {wave.name}: {task} {state}" for task, state in wave.tasks
            }
            for job in wave.jobs:
                servers = ", ".join(job.servers) if len(job.servers) <= 4 else f"{len(job.servers)} servers"
                owner = "" if job.is_ours else ", not this drill's"
                facts[f"job {job.job_id}"] = (
                    f"wave {wave.name}: {job.kind} job {job.job_id} ({servers}{owner}) {job.status}"
                )
            for instance in wave.instances:
                text = (
                    f"instance {instance.instance_id} of {wave.servers[instance.server_id]} {instance.state}"
                )
                facts[f"instance {instance.instance_id}"] = f"wave {wave.name}: {text}"
        return facts


class Observer:
    """Takes pictures of a run. Which servers its waves hold is asked once, as the run itself does."""

    def __init__(self, run: DrillRun) -> None:
        self.run = run
        drs = run.stack.simulator.client("drs", run.plan.target.region)
        pages = drs.get_paginator("describe_source_servers").paginate()
        known = [server for page in pages for server in page["items"]]
        resolution, _ = resolve(run.plan, [wave.name for wave in run.plan.waves], [], known)
        self._servers = {
            name: {server.server_id: server.name for server in wave.servers}
            for name, wave in resolution.waves.items()
        }

    def look(self) -> Picture:
        """Take a picture."""
        run_state = self.run.state()  # first: what an ended run is seen to have left is then final
        tasks = [
            (task["task_id"], state)
            for task in self.run.task_instances()
            if (state := task["state"]) is not None and state not in PASSING
        ]
        jobs = self.run.jobs()
        instances = self.run.instances()
        waves = tuple(
            WaveView(
                name=wave.name,
                servers=self._servers[wave.name],
                tasks=tuple(_tasks_within(f"wave_{wave.name}.", tasks)),
                jobs=tuple(_jobs_of(self._servers[wave.name], jobs)),
                instances=tuple(
                    instance for instance in instances if instance.server_id in self._servers[wave.name]
                ),
            )
            for wave in self.run.plan.waves
        )
        return Picture(
            run_state=run_state,
            tasks=tuple((task, state) for task, state in tasks if "." not in task),
            waves=waves,
        )


def _tasks_within(prefix: str, tasks: Iterable[tuple[str, str]]) -> Iterable[tuple[str, str]]:
    return ((task.removeprefix(prefix), state) for task, state in tasks if task.startswith(prefix))


def _jobs_of(names: dict[str, str], jobs: Iterable[dict[str, Any]]) -> Iterable[JobView]:
    for job in jobs:
        held = [part for part in job.get("participatingServers", []) if part["sourceServerID"] in names]
        if held:
            yield JobView(
                job_id=job["jobID"],
                kind=job["type"],
                status=job["status"],
                servers=tuple(names[part["sourceServerID"]] for part in held),
                launched=sum(part.get("launchStatus") in LAUNCHED for part in held),
                is_ours=job["type"] == "TERMINATE" or WAVE_TAG in job.get("tags", {}),
            )
