"""Every failure of a drill: its code, what it means, and what to do about it.

    DrillError
    └── one class for each code below, named after it; only LEFTOVER_DRILL_INSTANCE, a warning, has none

These errors are raised below the operators, which turn them into failed tasks. A message is complete on its
own: what happened, to which server or job, and why. The remedy follows it. ``retryable`` says whether Airflow
may retry the task; it is false where the same call would be refused again.
"""

from __future__ import annotations

import enum
from typing import ClassVar

BEFORE_CLEAN_UP = "before clean-up: clear this task with all tasks after it. After clean-up: start a new run."
"""How a failed task of a wave is repeated. Once clean-up has begun, the run launches nothing more."""


class Code(enum.StrEnum):
    """The codes in task logs, in the verdict and on the command line."""

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
    AIRFLOW_UNAVAILABLE = "AIRFLOW_UNAVAILABLE"
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
    RECOVERY_INSTANCE_LOST = "RECOVERY_INSTANCE_LOST"
    JOB_START_TIMEOUT = "JOB_START_TIMEOUT"
    JOB_TIMEOUT = "JOB_TIMEOUT"
    SERVER_LAUNCH_FAILED = "SERVER_LAUNCH_FAILED"
    VALIDATION_FAILED = "VALIDATION_FAILED"
    CLEANUP_INCOMPLETE = "CLEANUP_INCOMPLETE"
    EVIDENCE_INCOMPLETE = "EVIDENCE_INCOMPLETE"
    CLOCK_SKEW = "CLOCK_SKEW"
    RTO_MISSED = "RTO_MISSED"
    RPO_MISSED = "RPO_MISSED"
    STOPPED_BY_HAND = "STOPPED_BY_HAND"
    DRILL_FROZEN = "DRILL_FROZEN"
    ORPHANED_DRILL_INSTANCE = "ORPHANED_DRILL_INSTANCE"
    DRILL_FAILED = "DRILL_FAILED"


class DrillError(Exception):
    """A failure with a code, a message and a remedy.

    :param message: what happened, to which server or job, and why
    :param remedy: what the reader should do now; by default the remedy of the class
    :param details: text that a task's log shows between message and remedy, such as a table of servers
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
    remedy = "Choose at least one wave that contains at least one server."


class PlanAlreadyExecuting(DrillError):
    code = Code.PLAN_ALREADY_EXECUTING


class PlanChanged(DrillError):
    """The plan file was edited while a run was active, and the tasks no longer fit the run's plan."""

    code = Code.PLAN_CHANGED
    remedy = "Nothing to fix: this run cleans up and ends. Start a new run to drill the edited plan."


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
        f"Airflow tries this task again by itself. If no try is left, {BEFORE_CLEAN_UP}"
    )


class AirflowUnavailable(DrillError):
    """Airflow's API did not answer a task, which can then neither read nor write its run's records."""

    code = Code.AIRFLOW_UNAVAILABLE
    retryable = True
    remedy = (
        "Look at Airflow's API server and its database, and at the network path from the workers to the API "
        "server. Airflow tries this task again by itself; if no try is left, clear it once the API answers."
    )


class AccessDenied(DrillError):
    code = Code.ACCESS_DENIED


class CheckUnavailable(DrillError):
    """A check of preflight could not be made. What it would have found is unknown, so preflight fails."""

    code = Code.CHECK_UNAVAILABLE
    remedy = "Fix what prevented the check, then start a new run."


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
        f"Wait for the job that holds the server to end (DRS cannot cancel a job). Then, {BEFORE_CLEAN_UP}"
    )


class WaveSizeLimitExceeded(DrillError):
    code = Code.WAVE_SIZE_LIMIT_EXCEEDED
    remedy = "Split the wave: DRS accepts at most 100 source servers in one job."


class ConcurrentJobsLimitExceeded(DrillError):
    code = Code.CONCURRENT_JOBS_LIMIT_EXCEEDED
    remedy = (
        "Wait for the jobs in progress to end (`python -m drs jobs --active --plan PLAN` lists them), or set "
        "`launch: {jobs: per_wave}`, which launches a wave with one job. Then start a new run. DRS allows 20 "
        "jobs in progress and 500 servers in all jobs; neither can be raised."
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
        "Check the replication agent on the source server: is the machine up, and can it reach the DRS "
        "endpoint on TCP 443? Or leave the server out of this run with `exclude_servers`."
    )


class RecoveryInstanceExists(DrillError):
    code = Code.RECOVERY_INSTANCE_EXISTS
    remedy = (
        "When DRS launches a server, it terminates the server's earlier recovery instances, real ones "
        "included. Before you drill this server, fail back, or disconnect and terminate that instance; or "
        "leave the server out of this run with `exclude_servers`."
    )


class LaunchConfigurationInvalid(DrillError):
    code = Code.LAUNCH_CONFIGURATION_INVALID
    remedy = "Correct the server's launch settings in DRS (its EC2 launch template's default version)."


class RecoveryPointNotFound(DrillError):
    code = Code.RECOVERY_POINT_NOT_FOUND


class ApprovalRejected(DrillError):
    code = Code.APPROVAL_REJECTED
    remedy = "Talk to the person who is named above, then start a new run."


class ApprovalTimeout(DrillError):
    code = Code.APPROVAL_TIMEOUT
    remedy = "Start a new run, and have somebody answer in time under Required Actions in the Airflow UI."


class RecoveryInstanceLost(DrillError):
    """An instance that this run launched was ended, stopped or replaced by somebody else before the drill was
    over.
    """

    code = Code.RECOVERY_INSTANCE_LOST
    remedy = (
        "Find out who ended it: the message names the DRS job if there is one, otherwise look in CloudTrail. "
        "Make sure that nobody cleans up or drills these servers during a drill, then start a new run."
    )


class JobStartTimeout(DrillError):
    code = Code.JOB_START_TIMEOUT
    remedy = (
        "Look at the job in the DRS console. Only DRS can start a PENDING job: if it never does, open a "
        "support case with the job id. Start a new run when the job has ended."
    )


class JobTimeout(DrillError):
    code = Code.JOB_TIMEOUT
    remedy = (
        "Read the job's last event above. A conversion that hangs usually lacks a permission, a subnet, or "
        "instance capacity for the conversion server. If launches of this size take longer, raise "
        "`launch.job_timeout` in the plan."
    )


class ServerLaunchFailed(DrillError):
    code = Code.SERVER_LAUNCH_FAILED
    remedy = (
        "Read DRS's own error above and fix its cause (permissions, launch settings, quota). Before "
        "clean-up: clear this wave's start_recovery with all tasks after it. After clean-up: start a new run."
    )


class ValidationFailed(DrillError):
    code = Code.VALIDATION_FAILED
    remedy = (
        "The log above shows what each check saw. The instances run until clean-up terminates them. To keep "
        "them for a closer look, use the run parameter keep_instances, or cleanup: {when: on_success} in "
        "the plan."
    )


class CleanupIncomplete(DrillError):
    code = Code.CLEANUP_INCOMPLETE


class EvidenceIncomplete(DrillError):
    """The record of the run could not be written, or the chain before it is broken."""

    code = Code.EVIDENCE_INCOMPLETE
    retryable = True
    remedy = (
        "Make sure that evidence_path (section [drs] of Airflow's configuration) exists, can be written by "
        "every worker and has room. Then clear the task 'evidence': it assembles and writes the record again."
    )


class ClockSkew(DrillError):
    """The worker's clock differs from AWS's by so much that times cannot be compared."""

    code = Code.CLOCK_SKEW
    remedy = "Synchronise the worker's clock (chrony or NTP), then start a new run."


class RtoMissed(DrillError):
    """The drill took longer than the plan's RTO, and the plan enforces its objectives."""

    code = Code.RTO_MISSED
    remedy = (
        "Read in the evidence which wave took longest. Shorten it (fewer dependencies, next_wave_when: "
        "started, per_wave, smaller conversions), or correct objectives.rto."
    )


class RpoMissed(DrillError):
    """The data on a launched server was older than the plan's RPO, and the plan enforces its objectives."""

    code = Code.RPO_MISSED
    remedy = (
        "Read in the evidence which server's data was oldest, and look at its replication lag in DRS; or "
        "correct objectives.rpo."
    )


class StoppedByHand(DrillError):
    """A person ended the run before its waves had ended."""

    code = Code.STOPPED_BY_HAND
    remedy = "Nothing to fix if that was intended. Start a new run to drill the plan."


class DrillFrozen(DrillError):
    """A run is active but does not go on, its clean-up included."""

    code = Code.DRILL_FROZEN


class OrphanedDrillInstance(DrillError):
    """A drill instance runs on although its run has ended or is unknown, and no rule keeps it."""

    code = Code.ORPHANED_DRILL_INSTANCE


class DrillFailed(DrillError):
    """The verdict on a run that did not prove everything that it was started to prove."""

    code = Code.DRILL_FAILED
    remedy = "Read the end of the log of the first task named: it says what failed and what to do."


def error_class(code: Code) -> type[DrillError]:
    """The class of the failures with this code; for a warning's code, which has none, the verdict's class."""
    return next((known for known in DrillError.__subclasses__() if known.code is code), DrillFailed)
