"""A drill against the simulated DRS. The test moves the clock, so that minutes take no real time."""

from __future__ import annotations

import datetime as dt
import functools
import logging
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

import boto3
from moto.ec2.models import ec2_backends

import simulator
from drs.cleanup.clean_up import CleanUp, Proven, WaitForJobs
from drs.cleanup.rule import Keep, decide
from drs.launch.before_call import WhyHeld
from drs.launch.wave_launch import WaveLaunch
from drs.plan import Plan
from drs.plan.check_labels import ALWAYS
from drs.run.ledger import Ledger, Store
from drs.run.records import (
    CheckResult,
    CleanupRecord,
    LaunchRecord,
    ResolvedServer,
    RunRecord,
    ServerRecord,
    WaveOutcome,
    WaveValidation,
)
from drs.run.timeline import WaitUntil
from drs.tasks.hook import DrsHook
from simulator.engine.clock import ManualClock
from simulator.engine.fleet import Fleet
from simulator.engine.model import Job
from simulator.engine.service import Service
from tests.unit.drill import APPLICATION, DATABASE, MemoryStore, make_plan, make_run

ACCOUNT, REGION = "111122223333", "us-east-1"
OTHERS = tuple(f"s-0123456789ab{number:05x}" for number in range(1, 21))
"""Servers that are in no plan: as many as DRS allows jobs in progress."""
FLEET = Fleet.parse(
    {
        "accounts": {
            ACCOUNT: {
                "regions": {
                    REGION: {
                        "servers": [
                            *({"id": server, "hostname": f"db-{n}"} for n, server in enumerate(DATABASE, 1)),
                            *(
                                {"id": server, "hostname": f"app-{n}"}
                                for n, server in enumerate(APPLICATION, 1)
                            ),
                            *({"id": server, "hostname": "other"} for server in OTHERS),
                        ]
                    }
                }
            }
        }
    },
    "tests",
)
LOG = logging.getLogger("drill")


def make_hook(attempts: int = 1) -> DrsHook:
    """A hook that sends each request once, so that it meets every fault; or more often, as botocore would."""
    retries = {"mode": "standard", "total_max_attempts": attempts}
    hook = DrsHook(region_name=REGION, config={"retries": retries})
    assert hook.conn
    return hook


class SimulatedDrill:
    """One run of a plan with four servers, in an account that has 24.

    :param hook: calls the simulated DRS
    :param plan: the plan
    :param run: fields of the run's record
    """

    def __init__(self, hook: DrsHook, plan: Plan | None = None, **run: Any) -> None:
        # It starts at the real time, because the hook reads the live jobs of the last 24 real hours.
        self.clock = ManualClock(dt.datetime.now(dt.UTC))
        self.simulation = simulator.seed(FLEET, clock=self.clock)
        self.plan = plan or make_plan()
        self.run: RunRecord = make_run(self.plan, began_at=self.clock.now(), **run)
        self.store: Store = MemoryStore()
        self.hook = hook
        self.now: Callable[[], dt.datetime] = self.clock.now
        """The worker's clock; a test may set it wrong."""
        self.closed: Callable[[], bool] = lambda: False
        self.still_standing: Callable[[], None] = lambda: None
        self.why_held: WhyHeld = lambda _: None
        self.states: dict[str, str | None] = {}
        self.describe_ec2: Callable[[list[dict[str, Any]]], Iterable[Mapping[str, Any]]] = describe_ec2

    @property
    def ledger(self) -> Ledger:
        return Ledger(self.store)

    @property
    def drs(self) -> Service:
        return self.simulation.service(ACCOUNT, REGION)

    def pass_time(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.simulation.tick()

    def finish_jobs(self) -> None:
        """Let time pass until every live job has ended."""
        while any(job.live for job in self.drs.jobs.values()):
            self.pass_time(15)

    def drills(self, *servers: str) -> list[Job]:
        """The drill jobs in DRS that have one of these servers; without servers, all drill jobs."""
        wanted = set(servers) or set(self.drs.servers)
        return [job for job in self.drs.jobs.values() if job.is_drill and wanted & set(job.server_ids)]

    def instances(self) -> set[str]:
        """The recovery instances that DRS lists."""
        return set(self.drs.recovery_instances)

    # --- launch -----------------------------------------------------------------------------------------

    def resolved(self, wave: str) -> list[ResolvedServer]:
        """The wave's servers as preflight resolves them."""
        return [
            ResolvedServer(
                server_id=server, name=self.drs.servers[server].hostname, group=name, optional=group.optional
            )
            for name in self.plan.wave(wave).protection_groups
            for group in (self.plan.protection_groups[name],)
            for server in group.source_servers or ()
        ]

    def start_launch(
        self,
        wave: str = "database",
        *,
        retry: bool = False,
        opens_at: dt.datetime | None = None,
        try_number: int = 1,
    ) -> WaveLaunch:
        """Begin a wave's launch as its task does."""
        launch = WaveLaunch(
            hook=self.hook,
            ledger=self.ledger,
            run=self.run,
            wave=wave,
            closed=lambda: self.closed(),
            log=LOG,
            still_standing=lambda: self.still_standing(),
            why_held=lambda drill: self.why_held(drill),
            try_number=try_number,
            now=lambda: self.now(),
        )
        known = self.ledger.launch(wave) is not None
        launch.begin(self.resolved(wave), opens_at or self.now())
        if known and retry:
            launch.reconcile()
        return launch

    def launch(self, wave: str = "database", *, retry: bool = False, try_number: int = 1) -> LaunchRecord:
        """Launch a wave from beginning to end."""
        return self.finish_launch(self.start_launch(wave, retry=retry, try_number=try_number))

    def finish_launch(self, launch: WaveLaunch) -> LaunchRecord:
        """Go on with a launch to its end, and wait as its task does: until a time, or until a holder ends."""
        while isinstance(step := launch.advance(), WaitUntil):
            self._wait(step.holders, step.at)
        return launch.record

    def end_wave(self, wave: str = "database", *, failed: Collection[str] = ()) -> None:
        """Launch a wave and record its end: servers in ``failed`` did not launch, others are validated."""
        launch = self.launch(wave)
        self.finish_jobs()
        now = self.clock.now()
        instances = {(item.job_id, item.server_id): item.id for item in self.drs.recovery_instances.values()}
        servers = [
            ServerRecord(
                server_id=slot.server_id,
                name=slot.server_id,
                job_id=slot.job_id,
                launched=slot.server_id not in failed,
                optional=slot.optional,
                instance_id=(
                    None if slot.server_id in failed else instances[slot.job_id or "", slot.server_id]
                ),
            )
            for slot in launch.timeline.servers
        ]
        self.ledger.save_outcome(wave, WaveOutcome(servers=tuple(servers)))
        if failed:
            return
        results = tuple(
            CheckResult(
                check=ALWAYS,
                server_id=server.server_id,
                instance_id=server.instance_id,
                passed=True,
                seen="running",
                at=now,
                seconds=0,
            )
            for server in servers
        )
        self.ledger.save_reached(wave, "launched", now)
        self.ledger.save_validation(wave, WaveValidation(began_at=now, ended_at=now, results=results))
        self.ledger.save_reached(wave, "validated", now)

    # --- clean-up ---------------------------------------------------------------------------------------

    def start_clean_up(self, *, resumed: bool = False, try_number: int = 1) -> CleanUp:
        """Begin the run's clean-up as its task does."""
        rule = decide(self.ledger, self.run, self.states)
        clean_up = CleanUp(
            hook=self.hook,
            describe_ec2=self.describe_ec2,
            ledger=self.ledger,
            run=self.run,
            log=LOG,
            keep=rule.why if isinstance(rule, Keep) else "",
            try_number=try_number,
            now=lambda: self.now(),
        )
        clean_up.begin(resumed=resumed)
        return clean_up

    def clean_up(self, *, try_number: int = 1) -> CleanupRecord:
        """Clean up to the end. After each wait the task is a new one, which knows only the ledger."""
        clean_up = self.start_clean_up(try_number=try_number)
        while not isinstance(step := clean_up.advance(), Proven):
            assert isinstance(step, WaitForJobs)
            self._wait(step.job_ids, step.until)
            clean_up = self.start_clean_up(resumed=True, try_number=try_number)
        return clean_up.record

    def _wait(self, job_ids: Iterable[str], until: dt.datetime) -> None:
        """Wait as the task's trigger does: until the time, or until one of the jobs ends."""
        jobs = list(job_ids)
        while (left := (until - self.now()).total_seconds()) > 0:
            if any(not self.drs.jobs[job].live for job in jobs):
                return
            self.pass_time(min(3.0, left) if jobs else left)


def forget_instances() -> None:
    """Empty moto's EC2 of the instances of earlier tests: it looks at all of them again and again."""
    backend = ec2_backends[ACCOUNT][REGION]
    for instance in backend.all_instances():
        backend.tags.pop(instance.id, None)
    backend.reservations.clear()


@functools.cache
def _ec2() -> Any:
    """One client for all tests: clients are slow to make."""
    return boto3.client("ec2", region_name=REGION)


def describe_ec2(filters: list[dict[str, Any]]) -> Iterable[Mapping[str, Any]]:
    """The EC2 instances that match the filters."""
    pages = (
        _ec2()
        .get_paginator("describe_instances")
        .paginate(Filters=[{"Name": item["Name"], "Values": item["Values"]} for item in filters])
    )
    for page in pages:
        for reservation in page["Reservations"]:
            yield from reservation["Instances"]
