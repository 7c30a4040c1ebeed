"""DRS's post-launch actions on a launched instance: the agent is discovered, then the actions run in order.

DRS does not document whether the job waits for them, and what happens to a launch if an action fails.
"""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Final

from drs.aws.states import LaunchDisposition, LaunchStatus
from simulator.engine.estate import Estate
from simulator.engine.faults import FailedLaunchAction, SilentAgent
from simulator.engine.model import ActionRun, ActionsStatus, Job, Participant, RecoveryInstance, SourceServer
from simulator.engine.world import Hold, Part

_FIRST_ORDER: Final = 1001


def are_due(server: SourceServer) -> bool:
    """Whether launch actions run: the server has some, they are enabled, and the instance is started."""
    configuration = server.launch_configuration
    started = configuration.launch_disposition is LaunchDisposition.STARTED
    return started and configuration.post_launch_enabled and bool(server.launch_actions)


def run(estate: Estate, job: Job, participant: Participant, instance: RecoveryInstance) -> Part:
    """Wait for the agent, then run every action, even if the action before it failed."""
    world, server = estate.world, estate.servers[participant.server_id]
    participant.actions = ActionsStatus()
    at = yield world.drs_time(world.unknowns.agent_seconds)
    while silence := _silence(estate, server, at):
        at = yield silence
    participant.actions.agent_discovered = at
    for order, action in enumerate(server.launch_actions, _FIRST_ORDER):
        started = ActionRun(str(uuid.uuid4()), action, order)
        participant.actions.runs.append(started)
        at = yield world.drs_time(action.seconds)
        started.failure_reason = _failure(estate, server, instance, started)
        started.status = "FAILED" if started.failure_reason else "SUCCEEDED"
        fatal = started.failure_reason and not action.optional and world.unknowns.failed_action_fails_launch
        if fatal and participant.launch_status is LaunchStatus.LAUNCHED:
            estate.set_launch_status(job, participant, LaunchStatus.FAILED)
    return at


def action_id(server: SourceServer, name: str) -> str:
    """Return the id of an action. The same action of a server always has the same id."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"{server.arn}/{name}"))


def _silence(estate: Estate, server: SourceServer, at: datetime) -> Hold | None:
    faults = estate.world.faults
    armed = next(faults.lasting(SilentAgent, estate.account, estate.region, server.id, at), None)
    if armed is None:
        return None
    seconds = armed.fault.seconds
    return Hold(armed, None if seconds is None else armed.since + seconds)


def _failure(
    estate: Estate, server: SourceServer, instance: RecoveryInstance, started: ActionRun
) -> str | None:
    if estate.ec2.state(instance.id) != "running":
        return "The instance is not running"
    faults = estate.world.faults
    for armed in faults.reaching(FailedLaunchAction, estate.account, estate.region, frozenset({server.id})):
        if armed.fault.action in (None, started.action.name):
            armed.struck += 1
            return armed.fault.reason
    return None
