"""The faults that can be armed: what fails, for which servers and operations, and how often.

A fault is data. Each kind has one pydantic model, the same in a fleet file and over HTTP.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, model_validator

from drs.aws.states import InitiatedBy, JobType, ReplicationState
from simulator.engine.durations import Duration
from simulator.engine.launched import HttpStatus, Port
from simulator.engine.operations import OperationName
from simulator.engine.plans import PlanMode

ServerId = Annotated[str, Field(pattern=r"^s-[0-9a-zA-Z]{17}$")]
AccountId = Annotated[str, Field(pattern=r"^\d{12}$")]
When = Literal["before", "after"]


class Fault(BaseModel):
    """What every kind has: where it strikes. A key that is left out does not limit it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    account: AccountId | None = None
    region: str | None = None
    servers: tuple[ServerId, ...] | None = None


class RepeatingFault(Fault):
    """A fault that strikes ``count`` times, or until it is removed."""

    count: Annotated[int, Field(ge=1)] | None = None


class CallFault(RepeatingFault):
    """A fault of API calls; with ``servers`` only of calls that name one of these servers.

    :param operations: None means all operations of DRS; operations of other services must be named
    """

    operations: tuple[OperationName, ...] | None = None


class Throttle(CallFault):
    kind: Literal["throttle"] = "throttle"
    retry_after: Annotated[int, Field(ge=0)] = 1


class InternalError(CallFault):
    """HTTP 500. With ``after`` the call has done its work, and only its reply is lost."""

    kind: Literal["internal_error"] = "internal_error"
    when: When = "before"


class ConnectionDrop(CallFault):
    """The connection closes without a reply, after ``seconds`` (of wall time) without any data.
    With ``after`` the call has done its work.
    """

    kind: Literal["connection_drop"] = "connection_drop"
    when: When = "before"
    seconds: Duration = timedelta(0)


class AccessDenied(CallFault):
    kind: Literal["access_denied"] = "access_denied"


class TagsRefused(CallFault):
    """StartRecovery with tags is refused because drs:TagResource is missing."""

    kind: Literal["tags_refused"] = "tags_refused"


class StuckPending(RepeatingFault):
    """A job that names one of the servers stays PENDING until ``seconds`` (of wall time) have passed."""

    kind: Literal["stuck_pending"] = "stuck_pending"
    seconds: Duration | None = None


class StuckConversion(RepeatingFault):
    """The server's conversion does not end until ``seconds`` (of wall time) have passed."""

    kind: Literal["stuck_conversion"] = "stuck_conversion"
    seconds: Duration | None = None


class LaunchFailed(RepeatingFault):
    kind: Literal["launch_failed"] = "launch_failed"
    raw_error: str = "Failed to launch target instance"


class NoRecoveryInstanceId(RepeatingFault):
    """The job never names the server's recovery instance, although it was launched."""

    kind: Literal["no_recovery_instance_id"] = "no_recovery_instance_id"


class TerminationSurvivor(RepeatingFault):
    """The TERMINATE job completes, but the server's instance stays."""

    kind: Literal["termination_survivor"] = "termination_survivor"


class FailedCommand(RepeatingFault):
    """A command of Run Command fails on the server's instance."""

    kind: Literal["failed_command"] = "failed_command"
    stderr: str = "failed to run commands: exit status 1"


class FailedLaunchAction(RepeatingFault):
    """A post-launch action fails on the server's instance. :param action: its name; None means any"""

    kind: Literal["failed_launch_action"] = "failed_launch_action"
    action: str | None = None
    reason: Annotated[str, Field(pattern=r"^[0-9a-zA-Z ():/.,'\-_#*;]{1,256}$")] = "Command failed: exit 1"


class LastingFault(Fault):
    """A state of the server's instance. It lasts while armed, for at most ``seconds`` (of wall time)."""

    seconds: Duration | None = None


class PortClosed(LastingFault):
    """Nothing listens on the port of the instance, or on any port if none is named."""

    kind: Literal["port_closed"] = "port_closed"
    port: Port | None = None


class HttpError(LastingFault):
    """The HTTP port of the instance, or every one if none is named, answers ``status`` and an empty body."""

    kind: Literal["http_error"] = "http_error"
    port: Port | None = None
    status: HttpStatus = 500


class ImpairedStatus(LastingFault):
    """One of EC2's two status checks of the instance fails."""

    kind: Literal["impaired_status"] = "impaired_status"
    check: Literal["instance", "system"] = "instance"


class SilentAgent(LastingFault):
    """The instance is not a managed instance: its agent does not contact Systems Manager."""

    kind: Literal["silent_agent"] = "silent_agent"


class ForeignJob(Fault):
    """Somebody else's job holds the servers for ``seconds`` (of wall time).

    The seconds count from the moment when the fault is armed or, with ``from: first_refused_call``, from the
    first call that the job refuses. The job is neither a drill nor a recovery, unless ``initiated_by`` says
    so.
    """

    kind: Literal["foreign_job"] = "foreign_job"
    servers: Annotated[tuple[ServerId, ...], Field(min_length=1)]
    seconds: Duration
    counted_from: Annotated[Literal["armed", "first_refused_call"], Field(alias="from")] = "armed"
    type: Literal[JobType.LAUNCH, JobType.TERMINATE] = JobType.LAUNCH
    initiated_by: InitiatedBy = InitiatedBy.DIAGNOSTIC


class ReplicationChange(Fault):
    """Changes the servers' replication while the fault is armed. A key that is left out changes nothing.

    :param last_contact: for how long the agent has been silent when the fault is armed
    """

    kind: Literal["replication"] = "replication"
    state: ReplicationState | None = None
    lag: Duration | None = None
    last_contact: Duration | None = None

    @model_validator(mode="after")
    def _changes_something(self) -> Self:
        if self.state is None and self.lag is None and self.last_contact is None:
            raise ValueError("the fault changes nothing: give state, lag or last_contact")
        return self


class RunningPlan(Fault):
    """An execution of one of AWS's own recovery plans with the servers, for ``seconds`` of wall time.

    Without ``seconds`` it lasts until the fault is removed. It launches nothing.
    """

    kind: Literal["plan_execution"] = "plan_execution"
    servers: Annotated[tuple[ServerId, ...], Field(min_length=1, max_length=100)]
    seconds: Duration | None = None
    mode: PlanMode = "DRILL"
    name: Annotated[str, Field(pattern=r"^[a-zA-Z0-9][a-zA-Z0-9 _-]{0,255}$")] = "recovery-plan"


JobFault = StuckPending | StuckConversion | LaunchFailed | NoRecoveryInstanceId | TerminationSurvivor
AgentFault = FailedCommand | FailedLaunchAction
AnyLastingFault = PortClosed | HttpError | ImpairedStatus | SilentAgent
ServerFault = JobFault | AgentFault | AnyLastingFault
AnyCallFault = Throttle | InternalError | ConnectionDrop | AccessDenied | TagsRefused
Holder = ForeignJob | RunningPlan
AnyFault = Annotated[ServerFault | AnyCallFault | Holder | ReplicationChange, Field(discriminator="kind")]

FAULT: TypeAdapter[AnyFault] = TypeAdapter(AnyFault)
