"""DRS's own enumerations, as its API model names them.

Source: the DRS API reference (Job, ParticipatingServer, DataReplicationInfo, RecoveryInstance). The events of
a job's log are not an enumeration here, because DRS writes events that its own model does not list.
"""

from __future__ import annotations

import enum


class JobStatus(enum.StrEnum):
    """There is no FAILED: a job in which every server failed also ends as COMPLETED."""

    PENDING = "PENDING"
    STARTED = "STARTED"
    COMPLETED = "COMPLETED"


class JobType(enum.StrEnum):
    LAUNCH = "LAUNCH"
    TERMINATE = "TERMINATE"
    CREATE_CONVERTED_SNAPSHOT = "CREATE_CONVERTED_SNAPSHOT"


class InitiatedBy(enum.StrEnum):
    START_RECOVERY = "START_RECOVERY"
    START_DRILL = "START_DRILL"
    FAILBACK = "FAILBACK"
    DIAGNOSTIC = "DIAGNOSTIC"
    TERMINATE_RECOVERY_INSTANCES = "TERMINATE_RECOVERY_INSTANCES"
    TARGET_ACCOUNT = "TARGET_ACCOUNT"
    CREATE_NETWORK_RECOVERY = "CREATE_NETWORK_RECOVERY"
    UPDATE_NETWORK_RECOVERY = "UPDATE_NETWORK_RECOVERY"
    ASSOCIATE_NETWORK_RECOVERY = "ASSOCIATE_NETWORK_RECOVERY"


class LaunchStatus(enum.StrEnum):
    """The state of one server in a LAUNCH job. Only this shows whether the server was launched."""

    PENDING = "PENDING"
    IN_PROGRESS = "IN_PROGRESS"
    LAUNCHED = "LAUNCHED"
    FAILED = "FAILED"
    TERMINATED = "TERMINATED"


class ReplicationState(enum.StrEnum):
    STOPPED = "STOPPED"
    INITIATING = "INITIATING"
    INITIAL_SYNC = "INITIAL_SYNC"
    BACKLOG = "BACKLOG"
    CREATING_SNAPSHOT = "CREATING_SNAPSHOT"
    CONTINUOUS = "CONTINUOUS"
    PAUSED = "PAUSED"
    RESCAN = "RESCAN"
    STALLED = "STALLED"
    DISCONNECTED = "DISCONNECTED"


class LaunchDisposition(enum.StrEnum):
    STOPPED = "STOPPED"
    STARTED = "STARTED"


LIVE_JOB: frozenset[str] = frozenset({JobStatus.PENDING, JobStatus.STARTED})
"""A job in one of these states holds its servers: DRS refuses any other call that names them."""
