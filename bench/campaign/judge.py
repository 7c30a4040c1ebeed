"""Compares what a run says of itself with what happened, and names every promise that was broken."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bench.campaign.aws import Account
from bench.campaign.result import COLOUR, LEFT, Violation
from bench.campaign.truth import RUN, WATCH
from drs.watch.findings import WatchFinding

NOTICED = 60.0
"""Seconds before the end of the waves in which the loss of an instance need not be seen any more, beside the
time by which reads are late: the last look takes place before the last task ends."""
_CODE = re.compile(r"\[([A-Z][A-Z_]+)\]")


@dataclass(frozen=True)
class Verdict:
    """What a run said of itself in the end.

    :param actor: the run's name in the records of who did what
    :param state: ``success``, ``failed``, ``running`` (it does not go on) or ``deleted`` before it ended
    :param required: the servers that a green run must have launched
    :param waves_ended: when the last wave ended, in seconds; ``None`` if that is not known
    :param said: what the run's logs say of its failures
    :param red: what they said whenever the run was red
    :param end: what the last task says, which gives the run its colour
    :param kept: the jobs whose instances clean-up kept, by a rule or a person's answer that allows it
    :param kept_at: when a person chose to keep the instances
    :param coloured_by_hand: whether a person marked the task that gives the run its colour
    :param goes_on: whether it still moves
    """

    actor: str
    state: str
    required: Sequence[str]
    waves_ended: float | None
    said: str
    red: str
    end: str
    kept: frozenset[str] = frozenset()
    kept_at: float | None = None
    coloured_by_hand: bool = False
    goes_on: bool = False


def violations(
    account: Account, verdicts: Sequence[Verdict], watched: Sequence[WatchFinding] = ()
) -> list[Violation]:
    """Every broken promise of these runs.

    :param watched: what the watch finds when all is over
    """
    ours = {WATCH, *(verdict.actor for verdict in verdicts)}
    found = [
        Violation(event.kind, f"at {event.at:.0f} s, {event.actor} {event.what}")
        for event in account.truth.events
        if event.actor in ours
    ]
    said = "\n".join(verdict.red for verdict in verdicts)
    for verdict in verdicts:
        found += _left(account, verdict, said, watched)
        found += (Violation(COLOUR, text) for text in _wrong_colour(account, verdict))
    found += (Violation(COLOUR, text) for text in _false_alarms(account, verdicts, watched))
    return found


def left_by(account: Account, verdict: Verdict) -> list[str]:
    """The instances of a run that run on, and that no rule keeps."""
    machines = account.machines.all
    alive = account.truth.alive(verdict.actor)
    return [each for each in alive if machines[each].tags["drs.amazonaws.com-job"] not in verdict.kept]


def _left(
    account: Account, verdict: Verdict, said: str, watched: Sequence[WatchFinding]
) -> Iterator[Violation]:
    """Instances that run on although nobody was notified of them.

    :param said: what red runs say, this one and later ones
    """
    if verdict.goes_on:
        return
    for instance_id in left_by(account, verdict):
        job_id = account.machines.all[instance_id].tags["drs.amazonaws.com-job"]
        server_id = account.machines.all[instance_id].tags["drs.amazonaws.com-source-server"]
        if instance_id in said or job_id in said or server_id in verdict.red:
            continue
        if any(_concerns(finding, verdict, instance_id) for finding in watched):
            continue
        yield Violation(
            LEFT, f"{instance_id} of {server_id}, {job_id}, runs on; {verdict.actor} is {verdict.state}"
        )


def _concerns(finding: WatchFinding, verdict: Verdict, instance_id: str) -> bool:
    """Whether the watch names the instance, or the run to which it belongs."""
    if f"{finding.dag_id}/{finding.run_id}" == verdict.actor.removeprefix(RUN):
        return True
    return any(instance_id in text for text in (*finding.keys, finding.message, finding.details))


def _false_alarms(
    account: Account, verdicts: Sequence[Verdict], watched: Sequence[WatchFinding]
) -> Iterator[str]:
    """What the watch finds although no run stands still and nothing is left."""
    left = any(left_by(account, verdict) for verdict in verdicts)
    still = any(verdict.state == "running" for verdict in verdicts)
    if not left and not still:
        for finding in watched:
            yield f"the watch is red, and nothing is left: [{finding.code}] {finding.message}"


def _wrong_colour(account: Account, verdict: Verdict) -> Iterator[str]:
    if verdict.coloured_by_hand:
        return
    if verdict.state == "failed" and not _CODE.search(verdict.end):
        yield f"{verdict.actor} is red without a code: {verdict.end or 'its last task says nothing'}"
    if verdict.state != "success":
        return
    if left := left_by(account, verdict):
        yield f"{verdict.actor} is green, and {', '.join(left)} run(s) on"
    if verdict.waves_ended is None:
        yield f"{verdict.actor} is green, and its waves have not ended"
        return
    slack = NOTICED + account.weather.behind
    for server_id in verdict.required:
        if not _stood(account, verdict.actor, server_id, verdict.waves_ended - slack):
            yield f"{verdict.actor} is green, and {server_id} did not stand when the last wave ended"
    if verdict.kept_at is not None:
        for server_id in verdict.required:
            if not _stood(account, verdict.actor, server_id, verdict.kept_at - slack):
                yield f"{verdict.actor} is green and kept its instances, and that of {server_id} was gone"


def _stood(account: Account, actor: str, server_id: str, second: float) -> bool:
    """Whether an instance of the server that this run launched ran then."""
    moment = account.hub.start + dt.timedelta(seconds=second)
    for instance_id in account.truth.instances_by(actor):
        machine = account.machines.all[instance_id]
        if machine.tags["drs.amazonaws.com-source-server"] != server_id:
            continue
        ended = machine.ended
        if machine.state_at(moment) == "running" or (
            machine.launched > moment and (ended is None or ended > moment)
        ):
            return True
    return False
