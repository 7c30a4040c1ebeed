"""The mixes of a campaign: what goes wrong in a drill, how often, and whether the drill must pass.

An ingredient adds one kind of trouble to a drill. A mix is a set of ingredients with the chance of each.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta

from bench.campaign import people
from bench.campaign.aws import Weather
from bench.campaign.mischief import Harm
from bench.campaign.people import AirflowAct, AwsAct
from bench.campaign.plans import Shape, shapes
from bench.campaign.scheduler import Pace
from bench.campaign.watchman import patrol
from drs.aws.states import InitiatedBy, JobType, ReplicationState
from simulator.engine.faults import (
    AccessDenied,
    AnyFault,
    ConnectionDrop,
    FailedCommand,
    FailedLaunchAction,
    ForeignJob,
    HttpError,
    ImpairedStatus,
    InternalError,
    LaunchFailed,
    NoRecoveryInstanceId,
    PortClosed,
    ReplicationChange,
    RunningPlan,
    SilentAgent,
    StuckConversion,
    StuckPending,
    TagsRefused,
    TerminationSurvivor,
    Throttle,
    When,
)

CALLS = (
    "StartRecovery",
    "TerminateRecoveryInstances",
    "DescribeJobs",
    "DescribeRecoveryInstances",
    "ec2:DescribeInstances",
)
RECORDED_SKEW = 290.0
"""Below the 5 minutes from which on preflight refuses."""


@dataclass
class Trouble:
    """What goes wrong in one drill.

    :param faults: faults of the simulated DRS, each with the second at which it is armed
    :param acts: what people do in Airflow
    :param colleagues: what people do in AWS, and other plans
    :param stalls: spans in which the triggerer stands still: (from, seconds)
    :param yes: the chance that a person who is asked says yes
    """

    shape: Shape
    rng: random.Random
    faults: list[tuple[float, AnyFault]] = field(default_factory=list)
    acts: list[AirflowAct] = field(default_factory=list)
    colleagues: list[AwsAct] = field(default_factory=list)
    weather: Weather = field(default_factory=Weather)
    harm: Harm = field(default_factory=Harm)
    pace: Pace = field(default_factory=Pace)
    triggerer_skew: float = 0.0
    stalls: list[tuple[float, float]] = field(default_factory=list)
    yes: float = 1.0
    names: list[str] = field(default_factory=list)

    def moment(self, latest: float = 2400.0) -> float:
        """When a fault is armed: often at once, else at some time of the drill."""
        return 0.0 if self.rng.random() < 0.4 else self.rng.uniform(0.0, latest)

    def servers(self, most: int = 2) -> tuple[str, ...]:
        """Some of the plan's servers."""
        count = self.rng.randint(1, min(most, len(self.shape.servers)))
        return tuple(self.rng.sample(self.shape.servers, count))

    def when(self) -> When:
        return "before" if self.rng.random() < 0.5 else "after"

    def seconds(self, least: float, most: float) -> timedelta:
        return timedelta(seconds=self.rng.uniform(least, most))

    def arm(self, fault: AnyFault, at: float | None = None) -> None:
        self.faults.append((self.moment() if at is None else at, fault))


Ingredient = Callable[[Trouble], None]


# --- what a drill must get over -------------------------------------------------------------------------


def throttling(it: Trouble) -> None:
    operations = (it.rng.choice(CALLS),) if it.rng.random() < 0.7 else None
    it.arm(
        Throttle(operations=operations, count=it.rng.randint(1, 8), retry_after=it.rng.choice((0, 1, 5, 20)))
    )


def server_errors(it: Trouble) -> None:
    operations = (it.rng.choice(CALLS),)
    it.arm(InternalError(operations=operations, count=it.rng.randint(1, 3), when=it.when()))


def lost_replies(it: Trouble) -> None:
    seconds = timedelta(seconds=it.rng.choice((0, 0, 61)))
    operations = (it.rng.choice(("StartRecovery", "StartRecovery", *CALLS)),)
    servers = it.servers(1) if operations == ("StartRecovery",) and it.rng.random() < 0.5 else None
    drop = ConnectionDrop(
        operations=operations, count=it.rng.randint(1, 2), when=it.when(), seconds=seconds, servers=servers
    )
    it.arm(drop)


def unreachable(it: Trouble) -> None:
    begin = it.rng.uniform(30.0, 2400.0)
    outage = begin, begin + it.rng.uniform(5.0, 240.0)
    it.weather = replace(it.weather, outages=(*it.weather.outages, outage))


def holders(it: Trouble) -> None:
    at = it.moment(900.0)
    kind = it.rng.choice((JobType.LAUNCH, JobType.TERMINATE))
    it.arm(
        ForeignJob(
            servers=it.servers(),
            seconds=it.seconds(10.0, 900.0),
            type=kind,
            initiated_by=InitiatedBy.DIAGNOSTIC
            if kind is JobType.LAUNCH
            else InitiatedBy.TERMINATE_RECOVERY_INSTANCES,
        ),
        at,
    )


def aws_plan(it: Trouble) -> None:
    it.arm(RunningPlan(servers=it.servers(), seconds=it.seconds(10.0, 900.0)), 0.0)


def slow_start(it: Trouble) -> None:
    it.arm(StuckPending(servers=it.servers(), seconds=it.seconds(5.0, 150.0), count=1))


def slow_conversion(it: Trouble) -> None:
    it.arm(
        StuckConversion(servers=it.servers(), seconds=it.seconds(60.0, 1500.0), count=it.rng.randint(1, 2))
    )


def unnamed_instances(it: Trouble) -> None:
    it.arm(NoRecoveryInstanceId(servers=it.servers(6)), 0.0)


def one_survivor(it: Trouble) -> None:
    it.arm(TerminationSurvivor(servers=it.servers(1), count=1), 0.0)


def slow_boot(it: Trouble) -> None:
    it.arm(ImpairedStatus(servers=it.servers(), seconds=it.seconds(600.0, 900.0)), 0.0)


def slow_services(it: Trouble) -> None:
    """Until some time after the launch nothing listens, HTTP answers errors, or the agent is silent."""
    kind = it.rng.choice((PortClosed, HttpError, SilentAgent))
    it.arm(kind(servers=it.servers(), seconds=it.seconds(550.0, 700.0)), 0.0)


def refused_tags(it: Trouble) -> None:
    it.arm(TagsRefused(operations=("StartRecovery",)), 0.0)


def late_reads(it: Trouble) -> None:
    behind = it.rng.choice((5.0, 20.0, 60.0))
    it.weather = replace(it.weather, behind=behind, jumping=it.rng.random() < 0.5)


def wrong_clocks(it: Trouble) -> None:
    widest = it.rng.choice((25.0, 60.0, RECORDED_SKEW))
    skews = tuple(it.rng.uniform(-widest, widest) for _ in range(it.rng.randint(1, 3)))
    it.pace = replace(it.pace, skews=skews)
    it.triggerer_skew = it.rng.uniform(-widest, widest)


def kills(it: Trouble) -> None:
    it.harm = replace(it.harm, kill=it.rng.choice((0.0005, 0.001, 0.003)), most_in_task=2)
    it.pace = replace(it.pace, heartbeat_timeout=it.rng.uniform(30.0, 300.0))


def freezes(it: Trouble) -> None:
    it.harm = replace(
        it.harm,
        freeze=it.rng.choice((0.0005, 0.001, 0.003)),
        most_in_task=2,
        longest=it.rng.choice((60.0, 300.0, 900.0)),
    )
    it.pace = replace(it.pace, heartbeat_timeout=it.rng.uniform(30.0, 300.0))


def stalled_triggerer(it: Trouble) -> None:
    it.stalls.append((it.rng.uniform(10.0, 1800.0), it.rng.uniform(10.0, 300.0)))


# --- what a drill need not get over, but must tell of ---------------------------------------------------


def denied(it: Trouble) -> None:
    operations = (
        it.rng.choice(
            ("StartRecovery", "TerminateRecoveryInstances", "DescribeJobs", "ec2:DescribeInstances")
        ),
    )
    it.arm(AccessDenied(operations=operations, count=it.rng.choice((1, 3, None))))


def failed_launches(it: Trouble) -> None:
    it.arm(LaunchFailed(servers=it.servers(), count=it.rng.choice((1, None))))


def endless_conversion(it: Trouble) -> None:
    it.arm(StuckConversion(servers=it.servers(1), seconds=it.rng.choice((None, timedelta(hours=2)))))


def endless_pending(it: Trouble) -> None:
    it.arm(StuckPending(servers=it.servers(1), seconds=it.rng.choice((None, timedelta(minutes=20)))))


def endless_survivor(it: Trouble) -> None:
    it.arm(TerminationSurvivor(servers=it.servers(1)), 0.0)


def bad_replication(it: Trouble) -> None:
    it.arm(ReplicationChange(servers=it.servers(1), state=ReplicationState.STALLED))


def impaired(it: Trouble) -> None:
    it.arm(ImpairedStatus(servers=it.servers(1)), 0.0)


def failing_services(it: Trouble) -> None:
    kind = it.rng.choice((PortClosed, HttpError, SilentAgent, FailedCommand, FailedLaunchAction))
    it.arm(kind(servers=it.servers()), 0.0)


def long_holder(it: Trouble) -> None:
    it.arm(ForeignJob(servers=it.servers(), seconds=it.seconds(1800.0, 7200.0)), it.moment(900.0))


def long_outage(it: Trouble) -> None:
    begin = it.rng.uniform(0.0, 2400.0)
    it.weather = replace(it.weather, outages=((begin, begin + it.rng.uniform(600.0, 9000.0)),))


def many_kills(it: Trouble) -> None:
    kills(it)
    it.harm = replace(it.harm, most=12, most_in_task=12, kill=it.harm.kill * 3)


def often_no(it: Trouble) -> None:
    it.yes = 0.4


def _person(act: AirflowAct) -> Ingredient:
    def add(it: Trouble) -> None:
        it.acts.append(act)

    add.__name__ = act.__name__
    return add


def _colleague(act: AwsAct) -> Ingredient:
    def add(it: Trouble) -> None:
        it.colleagues.append(act)

    add.__name__ = act.__name__
    return add


# --- the mixes ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Mix:
    """A set of ingredients.

    :param recoverable: whether the drill must pass
    :param weight: how many of a campaign's drills are of this mix, in relation to the others
    :param always: ingredients of every drill
    :param chances: the chance of each other ingredient
    """

    name: str
    recoverable: bool
    weight: int
    chances: Mapping[Ingredient, float]
    always: tuple[Ingredient, ...] = ()

    def trouble(self, seed: int) -> Trouble:
        """What goes wrong in the drill of a seed, and the plan that it drills."""
        rng = random.Random(f"{seed} trouble")
        it = Trouble(rng.choice(shapes()), rng)
        for ingredient in (
            *self.always,
            *(each for each, chance in self.chances.items() if rng.random() < chance),
        ):
            ingredient(it)
            it.names.append(ingredient.__name__)
        return it


CALLS_FAIL: Mapping[Ingredient, float] = {
    throttling: 0.5,
    server_errors: 0.5,
    lost_replies: 0.6,
    unreachable: 0.2,
}
DRS_IS_SLOW: Mapping[Ingredient, float] = {
    holders: 0.4,
    aws_plan: 0.15,
    slow_start: 0.3,
    slow_conversion: 0.3,
    unnamed_instances: 0.3,
    one_survivor: 0.3,
    slow_boot: 0.2,
    slow_services: 0.3,
}
WORKERS_FAIL: Mapping[Ingredient, float] = {kills: 0.6, freezes: 0.6, stalled_triggerer: 0.2}
READS_AND_CLOCKS: Mapping[Ingredient, float] = {late_reads: 0.6, wrong_clocks: 0.6}
TAGS: Mapping[Ingredient, float] = {refused_tags: 0.3}
"""Without tags and without a reply nobody knows whose a job is: such a drill ends red."""
DRS_REFUSES: Mapping[Ingredient, float] = {
    denied: 0.3,
    failed_launches: 0.3,
    endless_conversion: 0.12,
    endless_pending: 0.12,
    endless_survivor: 0.15,
    bad_replication: 0.1,
    impaired: 0.15,
    failing_services: 0.2,
    long_holder: 0.15,
    long_outage: 0.15,
    many_kills: 0.2,
    often_no: 0.3,
}
PEOPLE: Mapping[Ingredient, float] = {
    _person(people.mark_task): 0.25,
    _person(people.mark_the_rest): 0.08,
    _person(people.end_run): 0.25,
    _person(people.clear_failed): 0.25,
    _person(people.clear_any): 0.2,
    _person(people.pause): 0.2,
    _person(people.delete_records): 0.12,
    _person(people.delete_dag): 0.06,
    _person(people.start_again): 0.15,
}
COLLEAGUES: Mapping[Ingredient, float] = {
    _colleague(people.console_drill): 0.35,
    _colleague(people.console_recovery): 0.15,
    _colleague(people.console_termination): 0.25,
    _colleague(people.ec2_stop): 0.12,
    _colleague(people.ec2_termination): 0.12,
    _colleague(people.other_plan): 0.45,
}
WATCHED: Mapping[Ingredient, float] = {_colleague(patrol): 0.3}


def _rarer(chances: Mapping[Ingredient, float], factor: float = 0.5) -> dict[Ingredient, float]:
    return {ingredient: chance * factor for ingredient, chance in chances.items()}


MIXES = (
    Mix("plain", recoverable=True, weight=2, chances={}),
    Mix("calls fail", recoverable=True, weight=16, chances=CALLS_FAIL),
    Mix("DRS is slow", recoverable=True, weight=12, chances=DRS_IS_SLOW),
    Mix("workers fail", recoverable=True, weight=20, chances=WORKERS_FAIL),
    Mix("late and skewed", recoverable=True, weight=16, chances={**READS_AND_CLOCKS, lost_replies: 0.4}),
    Mix(
        "no tags",
        recoverable=True,
        weight=8,
        chances={**READS_AND_CLOCKS, **_rarer(DRS_IS_SLOW), throttling: 0.4, stalled_triggerer: 0.2},
        always=(refused_tags,),
    ),
    Mix(
        "all of it",
        recoverable=True,
        weight=14,
        chances={**_rarer(CALLS_FAIL), **_rarer(DRS_IS_SLOW), **WORKERS_FAIL, **READS_AND_CLOCKS},
    ),
    Mix(
        "DRS refuses",
        recoverable=False,
        weight=12,
        chances={**DRS_REFUSES, **_rarer(READS_AND_CLOCKS), **TAGS, **WATCHED},
    ),
    Mix(
        "colleagues",
        recoverable=False,
        weight=16,
        chances={**COLLEAGUES, **_rarer(READS_AND_CLOCKS), **TAGS, **WATCHED, lost_replies: 0.3},
    ),
    Mix(
        "people",
        recoverable=False,
        weight=16,
        chances={**PEOPLE, **_rarer(WORKERS_FAIL), **_rarer(READS_AND_CLOCKS), **TAGS, **WATCHED},
    ),
    Mix(
        "everything",
        recoverable=False,
        weight=16,
        chances={
            **_rarer(CALLS_FAIL),
            **_rarer(DRS_IS_SLOW, 0.3),
            **_rarer(WORKERS_FAIL),
            **READS_AND_CLOCKS,
            **TAGS,
            **WATCHED,
            **_rarer(DRS_REFUSES, 0.3),
            **_rarer(COLLEAGUES),
            **_rarer(PEOPLE),
        },
    ),
)


def mix_of(seed: int) -> Mix:
    """The mix to which a seed belongs."""
    return random.Random(f"{seed} mix").choices(MIXES, [mix.weight for mix in MIXES])[0]


def mix_named(name: str) -> Mix:
    """The mix of that name. :raises KeyError: there is none"""
    return {mix.name: mix for mix in MIXES}[name]
