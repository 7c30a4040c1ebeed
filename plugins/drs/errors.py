"""Every failure of a drill: its code, what it means, and what to do about it.

    DrillError
    ├── one class for each code below, named after it, but for LEFTOVER_DRILL_INSTANCE, which only warns
    └── raised anywhere below the operators; the operators turn it into a task failure

A message is complete on its own: what happened, to which server or job, why; the remedy follows it.
Whether Airflow may retry the task is part of the error: ``retryable`` is false where the same call would
meet the same refusal.
"""

from __future__ import annotations

import enum
from typing import ClassVar


class Code(enum.StrEnum):
    """The codes that a task log, the verdict and the command line name."""

    MISSING_FIELD = "MISSING_FIELD"
    INVALID_FIELD = "INVALID_FIELD"
    INVALID_EXECUTION_TYPE = "INVALID_EXECUTION_TYPE"
    RECOVERY_PLAN_NOT_FOUND = "RECOVERY_PLAN_NOT_FOUND"
    PLAN_HAS_NO_WAVES = "PLAN_HAS_NO_WAVES"
    PLAN_ALREADY_EXECUTING = "PLAN_ALREADY_EXECUTING"
    PLAN_CHANGED = "PLAN_CHANGED"
    ACCOUNT_MISMATCH = "ACCOUNT_MISMATCH"
    DRS_NOT_INITIALIZED = "DRS_NOT_INITIALIZED"
    DRS_UNAVAILABLE = "DRS_UNAVAILABLE"
    ACCESS_DENIED = "ACCESS_DENIED"
    CHECK_UNAVAILABLE = "CHECK_UNAVAILABLE"
    SOURCE_SERVER_NOT_FOUND = "SOURCE_SERVER_NOT_FOUND"
    TAG_RESOLUTION_EMPTY = "TAG_RESOLUTION_EMPTY"
    SERVER_CONFLICT = "SERVER_CONFLICT"
    WAVE_SIZE_LIMIT_EXCEEDED = "WAVE_SIZE_LIMIT_EXCEEDED"
    CONCURRENT_JOBS_LIMIT_EXCEEDED = "CONCURRENT_JOBS_LIMIT_EXCEEDED"
    UNHEALTHY_SERVER_REPLICATION = "UNHEALTHY_SERVER_REPLICATION"
    AGENT_NOT_REPORTING = "AGENT_NOT_REPORTING"
    RECOVERY_INSTANCE_EXISTS = "RECOVERY_INSTANCE_EXISTS"
    LEFTOVER_DRILL_INSTANCE = "LEFTOVER_DRILL_INSTANCE"
    LAUNCH_CONFIGURATION_INVALID = "LAUNCH_CONFIGURATION_INVALID"
    RECOVERY_POINT_NOT_FOUND = "RECOVERY_POINT_NOT_FOUND"
    APPROVAL_REJECTED = "APPROVAL_REJECTED"
    APPROVAL_TIMEOUT = "APPROVAL_TIMEOUT"
    JOB_START_TIMEOUT = "JOB_START_TIMEOUT"
    JOB_TIMEOUT = "JOB_TIMEOUT"
    SERVER_LAUNCH_FAILED = "SERVER_LAUNCH_FAILED"
    VALIDATION_FAILED = "VALIDATION_FAILED"
    CLEANUP_INCOMPLETE = "CLEANUP_INCOMPLETE"
    EVIDENCE_INCOMPLETE = "EVIDENCE_INCOMPLETE"
    DRILL_FAILED = "DRILL_FAILED"


class DrillError(Exception):
    """A failure with a code, a message and a remedy.

    :param message: what happened, to which server or job, and why
    :param remedy: what the reader should do now; defaults to the class's own
    :param details: what a task's log shows above the message, such as a table of servers
    """

    code: ClassVar[Code]
    remedy: str = ""
    retryable: bool = False

    def __init__(
        self,
        message: str,
        *,
        remedy: str | None = None,
        retryable: bool | None = None,
        details: str = "",
    ) -> None:
        super().__init__(message)
        self.message = message
        self.details = details
        if remedy is not None:
            self.remedy = remedy
        if retryable is not None:
            self.retryable = retryable

    def __str__(self) -> str:
        text = f"[{self.code}] {self.message}"
        return f"{text}\nWhat to do: {self.remedy}" if self.remedy else text


class MissingField(DrillError):
    code = Code.MISSING_FIELD


class InvalidField(DrillError):
    code = Code.INVALID_FIELD


class InvalidExecutionType(DrillError):
    code = Code.INVALID_EXECUTION_TYPE


class RecoveryPlanNotFound(DrillError):
    code = Code.RECOVERY_PLAN_NOT_FOUND


class PlanHasNoWaves(DrillError):
    code = Code.PLAN_HAS_NO_WAVES
    remedy = "Choose at least one wave that holds at least one server."


class PlanAlreadyExecuting(DrillError):
    code = Code.PLAN_ALREADY_EXECUTING


class PlanChanged(DrillError):
    """The plan file was edited while a run was under way, so that its tasks no longer fit the run's plan."""

    code = Code.PLAN_CHANGED
    remedy = "Nothing to mend: this run cleans up and ends. Trigger a new run to drill the edited plan."


class AccountMismatch(DrillError):
    code = Code.ACCOUNT_MISMATCH


class DrsNotInitialized(DrillError):
    code = Code.DRS_NOT_INITIALIZED
    remedy = (
        "Initialise DRS in this account and Region: open the DRS console once and follow its set-up, "
        "or call `aws drs initialize-service` with an administrator's credentials."
    )


class DrsUnavailable(DrillError):
    code = Code.DRS_UNAVAILABLE
    retryable = True
    remedy = (
        "Check the AWS Health Dashboard and the network path from the workers to the DRS endpoint. "
        "Once DRS answers, clear this task or trigger a new run."
    )


class AccessDenied(DrillError):
    code = Code.ACCESS_DENIED


class CheckUnavailable(DrillError):
    """A check of preflight that could not be made: what it would have found is unknown, so it fails."""

    code = Code.CHECK_UNAVAILABLE
    remedy = "Mend what kept the check from being made, then trigger a new run."


class SourceServerNotFound(DrillError):
    code = Code.SOURCE_SERVER_NOT_FOUND
    remedy = (
        "Compare the ids with `aws drs describe-source-servers` in the plan's account and Region; "
        "correct the plan, or install the replication agent."
    )


class TagResolutionEmpty(DrillError):
    code = Code.TAG_RESOLUTION_EMPTY


class ServerConflict(DrillError):
    code = Code.SERVER_CONFLICT
    remedy = (
        "Wait for the job that holds the server to end (DRS cannot cancel a job), then clear this task "
        "or trigger a new run."
    )


class WaveSizeLimitExceeded(DrillError):
    code = Code.WAVE_SIZE_LIMIT_EXCEEDED
    remedy = "Split the wave: DRS takes at most 100 source servers in one job."


class ConcurrentJobsLimitExceeded(DrillError):
    code = Code.CONCURRENT_JOBS_LIMIT_EXCEEDED
    remedy = (
        "Wait for the jobs in progress to end, or set `launch: {jobs: per_wave}`, which makes one job of a "
        "wave. DRS allows 20 jobs in progress and 500 servers in all jobs; neither can be raised."
    )


class UnhealthyServerReplication(DrillError):
    code = Code.UNHEALTHY_SERVER_REPLICATION
    remedy = (
        "Bring the server's replication back to CONTINUOUS (the DRS console names the step that fails), or "
        "leave the server out of this run with `exclude_servers`."
    )


class AgentNotReporting(DrillError):
    code = Code.AGENT_NOT_REPORTING
    remedy = (
        "Look at the replication agent on the source server (is the machine up, can it reach the DRS "
        "endpoint on TCP 443?), or leave the server out of this run with `exclude_servers`."
    )


class RecoveryInstanceExists(DrillError):
    code = Code.RECOVERY_INSTANCE_EXISTS
    remedy = (
        "A launch makes DRS clean up the server's earlier recovery instances, real ones included. Fail "
        "back, or disconnect and terminate that instance, before this server is drilled; or leave the "
        "server out of this run with `exclude_servers`."
    )


class LaunchConfigurationInvalid(DrillError):
    code = Code.LAUNCH_CONFIGURATION_INVALID
    remedy = "Correct the server's launch settings in DRS (its EC2 launch template's default version)."


class RecoveryPointNotFound(DrillError):
    code = Code.RECOVERY_POINT_NOT_FOUND


class ApprovalRejected(DrillError):
    code = Code.APPROVAL_REJECTED
    remedy = "Settle with the person named, then trigger a new run."


class ApprovalTimeout(DrillError):
    code = Code.APPROVAL_TIMEOUT
    remedy = "Trigger a new run, and have somebody answer under Required Actions in the Airflow UI in time."


class JobStartTimeout(DrillError):
    code = Code.JOB_START_TIMEOUT
    remedy = (
        "Look at the job in the DRS console. A job that stays PENDING is DRS's to start: if it never does, "
        "open a support case with the job id. Trigger a new run when it has ended."
    )


class JobTimeout(DrillError):
    code = Code.JOB_TIMEOUT
    remedy = (
        "See the job's last event: a conversion that hangs is usually a missing permission, subnet or "
        "instance capacity for the conversion server. If launches of this size take longer, raise "
        "`launch.job_timeout` in the plan."
    )


class ServerLaunchFailed(DrillError):
    code = Code.SERVER_LAUNCH_FAILED
    remedy = (
        "Read DRS's own error above, mend its cause (permissions, launch settings, quota), then clear this "
        "wave before clean-up, or trigger a new run."
    )


class ValidationFailed(DrillError):
    code = Code.VALIDATION_FAILED
    remedy = (
        "See what each check saw above. The instances stand until clean-up ends them; keep them for a look "
        "with the run parameter keep_instances, or with cleanup: {when: on_success} in the plan."
    )


class CleanupIncomplete(DrillError):
    code = Code.CLEANUP_INCOMPLETE


class EvidenceIncomplete(DrillError):
    """The record of the run could not be written, or its chain could not be closed."""

    code = Code.EVIDENCE_INCOMPLETE
    retryable = True
    remedy = (
        "Make sure that evidence_path (section [drs] of Airflow's configuration) exists, can be written by "
        "every worker and has room, then clear the task 'evidence': it assembles the record anew."
    )


class DrillFailed(DrillError):
    """The verdict on a run that did not prove what it set out to prove."""

    code = Code.DRILL_FAILED
