"""How long a task of a drill may stay in its state: its time-outs in the run's plan, and a margin. Pure."""

from __future__ import annotations

import datetime as dt

from drs.plan import Approval, Plan
from drs.plan.model import Wave
from drs.run.proof import APPROVE_CLEANUP_TASK_ID, LAST_TASK, PREFLIGHT_TASK_ID, TERMINATE_TASK_ID, group_id

MARGIN = dt.timedelta(minutes=15)
"""Added to every bound: Airflow's own delays, and a retry after a short outage of AWS."""
QUEUED = dt.timedelta(minutes=15)
"""How long an active run may stand without a task that runs or waits, or a task may wait for a worker."""
SHORT = dt.timedelta(minutes=15)
"""The bound of tasks that wait for nothing, such as ``evidence``."""
MOST_SERVERS = 100
"""Servers in one wave: DRS's own limit, for groups whose servers are found by tags."""
FOR_THE_INSTANCE = dt.timedelta(minutes=5)
"""The check that every launched server must pass may take this long."""
AT_WORK = frozenset({"running", "deferred", "awaiting_input"})
"""The states of a task that works or waits for something of its own; in any other state it waits for
Airflow."""


def bound_of(task_id: str, state: str | None, plan: Plan) -> dt.timedelta:
    """How long the task may be in this state."""
    if state not in AT_WORK:
        return QUEUED
    return _own_bound(task_id, plan) + MARGIN


def longest_drill(plan: Plan) -> dt.timedelta:
    """The longest time that a drill of the plan can take by its own time-outs, from its start to the end of
    clean-up, if one wave comes after the other.
    """
    parts = [_preflight(plan), _terminate(plan), MARGIN]
    if plan.cleanup.when == "after_approval":
        parts.append(plan.cleanup.approval_timeout)
    for wave in plan.waves:
        parts += _of_wave(plan, wave).values()
    return sum(parts, dt.timedelta(0))


def wave_of(task_id: str, plan: Plan) -> Wave | None:
    """The wave that the task belongs to."""
    group, _, _ = task_id.partition(".")
    return next((wave for wave in plan.waves if group_id(wave.name) == group), None)


def _own_bound(task_id: str, plan: Plan) -> dt.timedelta:
    wave = wave_of(task_id, plan)
    if wave is not None:
        return _of_wave(plan, wave).get(task_id.partition(".")[2], SHORT)
    closing = {
        PREFLIGHT_TASK_ID: _preflight(plan),
        "approve_recovery": Approval().timeout,  # a real recovery has no time-out of its own in the plan
        APPROVE_CLEANUP_TASK_ID: plan.cleanup.approval_timeout,
        TERMINATE_TASK_ID: _terminate(plan),
    }
    return closing.get(task_id, SHORT)


def _of_wave(plan: Plan, wave: Wave) -> dict[str, dt.timedelta]:
    """The bounds of a wave's tasks, by their names within the group."""
    launch = plan.launch_for(wave.name)
    groups = [plan.protection_groups[name] for name in wave.protection_groups]
    listed = all(group.source_servers is not None for group in groups)
    servers = len(plan.listed_servers(wave.name)) if listed else MOST_SERVERS
    checks = [check.timeout for name in wave.protection_groups for check in plan.checks_for(wave.name, name)]
    bounds = {
        "start_recovery": plan.delay_for(wave.name) + servers * launch.server_delay + launch.conflict_timeout,
        "wait_until_started": launch.start_timeout,
        "wait_until_launched": launch.start_timeout + launch.job_timeout,
        LAST_TASK: max((FOR_THE_INSTANCE, *checks)),
    }
    return bounds if wave.approval is None else {**bounds, "approve": wave.approval.timeout}


def _preflight(plan: Plan) -> dt.timedelta:
    return max(plan.launch_for(wave.name).conflict_timeout for wave in plan.waves)


def _terminate(plan: Plan) -> dt.timedelta:
    return plan.cleanup.keep_for + plan.cleanup.timeout
