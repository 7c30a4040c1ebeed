"""Who did what in AWS, written down when it happens. The judge compares it with what a run says of itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from bench.campaign.machines import Machines
from bench.campaign.result import DOUBLE, FOREIGN
from simulator.engine.model import Job, RecoveryInstance
from simulator.engine.service import Service

RUN = "run "
"""How the actor of a run's calls begins."""
WATCH = "watch"
"""The actor of the watch's calls."""


@dataclass(frozen=True)
class Event:
    """Something that must not happen.

    :param actor: who did it
    """

    kind: str
    actor: str
    at: float
    what: str


@dataclass
class Truth:
    """The author of every job, and every call that breaks a promise.

    :param machines: EC2
    :param holds: whether drill instances of that author must be left alone now
    :param keeps: whether a rule keeps the drill instances of a job
    """

    service: Service
    machines: Machines
    holds: Callable[[str], bool] = lambda _: True
    keeps: Callable[[str], bool] = lambda _: False
    authors: dict[str, str] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    ended_by: dict[str, str] = field(default_factory=dict)
    """Who ended an instance, by its id: the author of the call."""
    starts: list[tuple[float, str, tuple[str, ...]]] = field(default_factory=list)

    def author_of(self, instance: RecoveryInstance) -> str:
        return self.authors.get(instance.job_id, "somebody")

    def launch_begins(self, actor: str, server_ids: Sequence[str], now: float) -> None:
        """DRS is about to accept a StartRecovery: the instances of these servers will be replaced."""
        self.starts.append((now, actor, tuple(server_ids)))
        for server_id in server_ids:
            for instance in self.service.earlier_instances(server_id):
                self._replaced(actor, instance, now)

    def _replaced(self, actor: str, instance: RecoveryInstance, now: float) -> None:
        author = self.author_of(instance)
        self.ended_by.setdefault(instance.id, actor)
        if not actor.startswith(RUN):
            return
        what = f"{instance.server_id}: {instance.id} of job {instance.job_id} by {author}"
        if author == actor:
            self.events.append(Event(DOUBLE, actor, now, f"launched again {what}"))
        elif not instance.is_drill:
            self.events.append(Event(FOREIGN, actor, now, f"replaced the real recovery {what}"))
        elif self.holds(author):
            self.events.append(Event(FOREIGN, actor, now, f"replaced {what}"))

    def launched(self, actor: str, job: Job) -> None:
        self.authors[job.id] = actor

    def terminates(self, actor: str, job: Job, instances: Sequence[RecoveryInstance], now: float) -> None:
        """DRS has accepted a TerminateRecoveryInstances."""
        self.authors[job.id] = actor
        for instance in instances:
            self.ended_by[instance.id] = actor
            author = self.author_of(instance)
            wrong = not self._may_terminate(actor, author, instance.job_id)
            if wrong or (not instance.is_drill and (actor.startswith(RUN) or actor == WATCH)):
                kind = "drill" if instance.is_drill else "real recovery"
                what = f"terminated {instance.id} of {instance.server_id}, a {kind} of {author}"
                self.events.append(Event(FOREIGN, actor, now, what))

    def _may_terminate(self, actor: str, author: str, job_id: str) -> bool:
        """Whether somebody may terminate the drill instances of a job. What people do is their affair."""
        if actor == WATCH:
            return author.startswith(RUN) and not self.holds(author) and not self.keeps(job_id)
        return author == actor or not actor.startswith(RUN)

    def instances_by(self, actor: str) -> list[str]:
        """The ids of all instances that this actor's jobs launched, gone or not."""
        return [
            machine.id
            for machine in self.machines.all.values()
            if self.authors.get(machine.tags["drs.amazonaws.com-job"]) == actor
        ]

    def alive(self, actor: str) -> list[str]:
        """Those of them that EC2 has not terminated."""
        return [each for each in self.instances_by(actor) if self.machines.all[each].ended is None]
