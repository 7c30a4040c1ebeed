"""Compares what a run says of itself with what happened, and names every promise that was broken."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bench.campaign.aws import Account
from bench.campaign.result import COLOUR, LEFT, Violation
from drs.run.ownership import RUN_TAG

NOTICED = 60.0
"""Seconds before the end of the waves in which the loss of an instance need not be seen any more, beside the
time by which reads are late: the last look takes place before the last task ends."""
_CODE = re.compile(r"\[([A-Z][A-Z_]+)\]")


@dataclass(frozen=True)
class Verdict:
    """What a run said of itself in the end.

    :param actor: the run's name in the records of who did what
    :param state: ``success``, ``failed``, ``running`` (it does not go on) or ``deleted``
    :param required: the servers that a green run must have launched
    :param waves_ended: when the last wave ended, in seconds; ``None`` if that is not known
    :param said: what the run's logs say of its failures
    :param end: what the last task says, which gives the run its colour
    :param keeps: whether a rule, or a person's answer, lets instances run on
    :param kept_at: when a person chose to keep the instances
    :param coloured_by_hand: whether a person marked the task that gives the run its colour
    :param goes_on: whether it still moves
    """

    actor: str
    state: str
    required: Sequence[str]
    waves_ended: float | None
    said: str
    end: str
    keeps: bool = False
    kept_at: float | None = None
    coloured_by_hand: bool = False
    goes_on: bool = False


def violations(account: Account, verdicts: Sequence[Verdict]) -> list[Violation]:
    """Every broken promise of these runs."""
    ours = {verdict.actor for verdict in verdicts}
    found = [
        Violation(event.kind, f"at {event.at:.0f} s, {event.actor} {event.what}")
        for event in account.truth.events
        if event.actor in ours
    ]
    for verdict in verdicts:
        found += _left(account, verdict)
        found += (Violation(COLOUR, text) for text in _wrong_colour(account, verdict))
    return found


def _left(account: Account, verdict: Verdict) -> Iterator[Violation]:
    """Instances that run on although nobody was notified of them."""
    if verdict.keeps or verdict.goes_on:
        return
    for instance_id in account.truth.alive(verdict.actor):
        job_id = account.machines.all[instance_id].tags["drs.amazonaws.com-job"]
        server_id = account.machines.all[instance_id].tags["drs.amazonaws.com-source-server"]
        named = any(name in verdict.said for name in (instance_id, job_id, server_id))
        if verdict.state == "failed" and named:
            continue
        # What the watch sees: a run that stands still, and an instance with the tags of a run that ended.
        if verdict.state == "running" or RUN_TAG in account.service.jobs[job_id].tags:
            continue
        yield Violation(
            LEFT, f"{instance_id} of {server_id}, {job_id}, runs on; {verdict.actor} is {verdict.state}"
        )


def _wrong_colour(account: Account, verdict: Verdict) -> Iterator[str]:
    if verdict.coloured_by_hand:
        return
    if verdict.state == "failed" and not _CODE.search(verdict.end):
        yield f"{verdict.actor} is red without a code: {verdict.end or 'its last task says nothing'}"
    if verdict.state != "success":
        return
    if not verdict.keeps and (left := account.truth.alive(verdict.actor)):
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
