"""The format of the record of one run, which is kept and given to auditors. Pure, and a public format.

All instants are in UTC, all spans in seconds. What is not known is null, never a guess. The record holds its
own hash (``hash``) and the hash of the previous record of the same plan (``previous``).

Every member that a later version added has a default, so that records of earlier versions can still be read.
A default is never written back: the hash of a record covers its file as it was written.
"""

from __future__ import annotations

import datetime as dt
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from drs.run.fates import Fate
from drs.run.records import ApprovalRecord, CheckResult, Loss, Stop
from drs.run.scope import Scope, scope_of
from drs.run.ticks import MissedTick

SCHEMA_ID = "drs-drills/evidence/1"

Result = Literal["passed", "failed"]
WaveState = Literal["passed", "failed", "left_out", "not_reached"]


class Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Link(Part):
    """The previous record in the plan's chain."""

    id: str
    hash: str


class Signature(Part):
    """A signature of the record's hash by an asymmetric key of AWS KMS: who wrote the record."""

    key_id: str = Field(description="The ARN of the key.", pattern="^[!-~]+$")
    algorithm: str = Field(description="As AWS KMS names it, such as ECDSA_SHA_256.", pattern="^[A-Z0-9_]+$")
    value: str = Field(description="The signature of the 64 characters of `hash`, in base64.")


class PlanEvidence(Part):
    """The plan as it was when the run began."""

    name: str
    description: str
    owner: str
    digest: str = Field(description="SHA-256 of the plan's content, with defaults filled in.")
    content: dict[str, Any]


class RunEvidence(Part):
    """How the run was started, and its parameters."""

    dag_id: str
    run_id: str
    run_type: str
    initiator: str
    reason: str
    execution_type: Literal["DRILL", "RECOVERY"]
    dry_run: bool
    waves: tuple[str, ...] = Field(description="The waves that were chosen for this run.")
    keep_instances: bool
    skip_approvals: bool
    recovery_point: dt.datetime | None = Field(
        description="The time that was asked for; null for the latest data."
    )
    url: str | None = Field(description="The run's page in Airflow.")
    began_at: dt.datetime
    next_run: dt.datetime | None = Field(description="When the plan's schedule starts the next run.")
    stop: Stop | None = Field(
        default=None,
        description="Who ended the run before its time with `python -m drs stop`, when, and why; else null.",
    )


class TargetEvidence(Part):
    account_id: str
    region: str
    aws_conn_id: str


class Measure(Part):
    """A recovery objective and what was measured."""

    target_seconds: float | None
    measured_seconds: float | None
    met: bool | None = Field(description="Null if there is no target, or nothing could be measured.")


class Objectives(Part):
    """RTO: from the run's start to the last server launched, or validated. RPO: that of the worst server."""

    rto_launched: Measure
    rto_validated: Measure
    rpo: Measure


class EventEvidence(Part):
    """One entry of DRS's job log."""

    at: dt.datetime
    event: str
    server_id: str | None
    instance_id: str | None
    raw_error: str | None


class Explanation(Part):
    """What a failure means in plain words."""

    cause: str
    remedy: str
    retry_is_safe: bool


class ServerEvidence(Part):
    """One server of a wave."""

    server_id: str
    name: str
    group: str
    optional: bool
    lag_at_start_seconds: float | None
    launched: bool
    live: bool = Field(
        default=False,
        description="Its job was not seen to end: the server may have launched after the wait for it.",
    )
    valid: bool | None = Field(description="Whether it passed every check; null if it was not checked.")
    job_id: str | None
    instance_id: str | None
    snapshot_id: str | None
    requested_at: dt.datetime | None = Field(description="When DRS created the job that launched it.")
    launched_at: dt.datetime | None
    launch_seconds: float | None = Field(description="From requested_at to launched_at.")
    point_in_time: dt.datetime | None = Field(description="The moment of the data that the instance holds.")
    rpo_seconds: float | None = Field(description="From point_in_time to requested_at; never below 0.")
    error: str | None = Field(description="DRS's raw error, or why there is no instance.")
    explanation: Explanation | None
    events: tuple[EventEvidence, ...]
    checks: tuple[CheckResult, ...]


class WaveEvidence(Part):
    """One wave of the plan."""

    name: str
    state: WaveState
    why: str = Field(description="Why it was left out, not reached or failed; empty if it passed.")
    depends_on: tuple[str, ...]
    jobs: tuple[str, ...] = Field(description="Every LAUNCH job that the run started for it.")
    first_call_at: dt.datetime | None
    started_at: dt.datetime | None
    launched_at: dt.datetime | None = Field(description="The last LAUNCH_END of its servers.")
    validated_at: dt.datetime | None
    rto_launched_seconds: float | None = Field(description="From the run's start to launched_at.")
    rto_validated_seconds: float | None
    rpo_seconds: float | None
    conflicts: int = Field(description="Calls that DRS refused with ConflictException.")
    servers: tuple[ServerEvidence, ...]


class Exclusion(Part):
    server_id: str
    wave: str
    why: str


class FindingEvidence(Part):
    """One finding of preflight."""

    severity: Literal["error", "warning"]
    code: str
    wave: str | None
    server_id: str | None
    seen: str
    remedy: str


class FailureEvidence(Part):
    """A task that failed, or was cut off."""

    task_id: str
    state: str
    code: str | None
    message: str
    remedy: str


class InstanceEvidence(Part):
    """An instance that the run launched, and what became of it."""

    recovery_instance_id: str
    ec2_instance_id: str
    server_id: str
    launch_job_id: str
    terminate_jobs: tuple[str, ...]
    instance_type: str | None
    gone: bool
    fate: Fate | None = Field(
        default=None,
        description="terminated: by a job of this run. kept: by a rule, a parameter or a person's answer. "
        "lost: it is gone, and not by a job of this run. left: not proven gone. Null in records of versions "
        "that did not write it.",
    )
    lost_to: str | None = Field(
        default=None, description="Who or what ended it, as far as that is known; null unless it is lost."
    )


class CleanupEvidence(Part):
    """The proof of termination."""

    when: str
    started_at: dt.datetime | None
    ended_at: dt.datetime | None
    proven: bool = Field(description="DRS and EC2 both showed that every instance is gone.")
    kept: bool
    why_kept: str
    instances: tuple[InstanceEvidence, ...]


class JobEvidence(Part):
    """A DRS job that the run started, to launch or to terminate."""

    job_id: str
    type: str = Field(description="LAUNCH or TERMINATE.")
    wave: str | None = Field(description="Null for a TERMINATE job.")
    status: str | None = Field(description="Null if DRS did not answer, or no longer knows the job.")
    created_at: dt.datetime | None
    ended_at: dt.datetime | None
    events: tuple[EventEvidence, ...] = Field(
        description="The events of its log that concern no server of a wave; the others are with the server."
    )


class Place(Part):
    """The place of a record in its plan's chain."""

    record: Literal["drs-drills/evidence/1"] = "drs-drills/evidence/1"
    id: str = Field(description="<plan>-<sequence>, unique in the plan.")
    sequence: int = Field(ge=1)
    previous: Link | None = Field(description="Null in a plan's first record.")


def _scope(known: dict[str, Any]) -> Scope:
    """The scope of a run by the other members of its record."""
    if not {"waves", "run", "excluded"} <= known.keys():
        return "full"  # some versions of pydantic ask for a record that they then find invalid
    return scope_of(
        plan_waves=len(known["waves"]),
        waves=len(known["run"].waves),
        excluded=len(known["excluded"]),
        dry_run=known["run"].dry_run,
    )


class RunFindings(Part):
    """What a run showed, before it gets its place in the chain."""

    assembled_at: dt.datetime
    result: Result
    summary: str = Field(description="The result in a sentence.")
    reasons: tuple[str, ...] = Field(description="Every reason why the run did not pass.")
    plan: PlanEvidence
    run: RunEvidence
    target: TargetEvidence
    objectives: Objectives
    approvals: dict[str, ApprovalRecord] = Field(
        description="Answers, by the wave (or other subject) that they are about."
    )
    waves: tuple[WaveEvidence, ...]
    excluded: tuple[Exclusion, ...]
    scope: Scope = Field(
        default_factory=_scope,
        description="full: every wave and server of the plan. partial: the run's parameters left out waves "
        "or servers. dry_run: preflight alone. An optional server that preflight left out does not make a "
        "run partial. Records of earlier versions do not have this member; it follows from the others.",
    )
    findings: tuple[FindingEvidence, ...]
    failures: tuple[FailureEvidence, ...]
    losses: tuple[Loss, ...] = Field(
        default=(),
        description="Instances that somebody else ended, stopped or replaced before the drill was over.",
    )
    missed_before: tuple[MissedTick, ...] = Field(
        default=(),
        description="Runs that no person started and that launched nothing since the plan's previous record: "
        "missed or refused. At most the last 50.",
    )
    cleanup: CleanupEvidence | None
    jobs: tuple[JobEvidence, ...] = Field(default=(), description="DRS's jobs of the run, oldest first.")
    remarks: tuple[str, ...] = Field(
        description="What went wrong apart from the drill: a message not sent, a log that could not be read."
    )
    software: dict[str, str] = Field(description="Versions, by the name of the package.")


class Evidence(RunFindings, Place):
    """The record of one run of a recovery plan."""

    page_hash: str | None = Field(
        default=None,
        description="SHA-256 (hex) of the record's HTML page, in which the record's hash is replaced by 64 "
        "zeros. Null if no page was written; records of earlier versions do not have this member.",
    )
    hash: str = Field(
        description="SHA-256 (hex) of the record without this member and without `signature`, written as "
        "JSON in UTF-8 without white space, with its members in their order."
    )
    signature: Signature | None = Field(
        default=None,
        description="Null if records were not signed. Records of earlier versions do not have this member.",
    )
