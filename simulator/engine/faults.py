"""What can be made to go wrong, for which servers and operations, and how often.

A fault is data (one pydantic model for each kind, the same in a fleet file and over HTTP); the ``FaultPlan``
holds the armed ones and answers the two questions of the engine: does this call meet a fault, and does this
server of this job?
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any, Generic, Literal, Self, TypeVar, cast

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, model_validator

from drs.states import InitiatedBy, JobType, ReplicationState
from simulator.engine.durations import Duration
from simulator.engine.errors import (
    AccessDeniedError,
    ConnectionDroppedError,
    InternalServerError,
    ThrottlingError,
)
from simulator.engine.launched import HttpStatus, Port
from simulator.engine.operations import OperationName
from simulator.engine.plans import PlanMode

ServerId = Annotated[str, Field(pattern=r"^s-[0-9a-zA-Z]{17}$")]
AccountId = Annotated[str, Field(pattern=r"^\d{12}$")]
When = Literal["before", "after"]


class Fault(BaseModel):
    """What every kind shares: where it strikes; what is left out does not narrow it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    account: AccountId | None = None
    region: str | None = None
    servers: tuple[ServerId, ...] | None = None


class RepeatingFault(Fault):
    """A fault that strikes ``count`` times, or until it is taken out of service."""

    count: Annotated[int, Field(ge=1)] | None = None


class CallFault(RepeatingFault):
    """A fault of API calls; with ``servers`` only of the calls that name one of them.

    :param operations: absent, all of DRS; other services' operations must be named
    """

    operations: tuple[OperationName, ...] | None = None


class Throttle(CallFault):
    kind: Literal["throttle"] = "throttle"
    retry_after: Annotated[int, Field(ge=0)] = 1


class InternalError(CallFault):
    """HTTP 500. ``after``: the call has done its work, and its reply is lost."""

    kind: Literal["internal_error"] = "internal_error"
    when: When = "before"


class ConnectionDrop(CallFault):
    """The connection closes without a reply, after ``seconds`` (of wall time) in which nothing comes.
    ``after``: the call has done its work.
    """

    kind: Literal["connection_drop"] = "connection_drop"
    when: When = "before"
    seconds: Duration = timedelta(0)


class AccessDenied(CallFault):
    kind: Literal["access_denied"] = "access_denied"


class TagsRefused(CallFault):
    """StartRecovery with tags is refused for want of drs:TagResource."""

    kind: Literal["tags_refused"] = "tags_refused"


class StuckPending(RepeatingFault):
    """A job that names one of the servers stays PENDING, until ``seconds`` (of wall time) are over."""

    kind: Literal["stuck_pending"] = "stuck_pending"
    seconds: Duration | None = None


class StuckConversion(RepeatingFault):
    """The server's conversion does not end, until ``seconds`` (of wall time) are over."""

    kind: Literal["stuck_conversion"] = "stuck_conversion"
    seconds: Duration | None = None


class LaunchFailed(RepeatingFault):
    kind: Literal["launch_failed"] = "launch_failed"
    raw_error: str = "Failed to launch target instance"


class NoRecoveryInstanceId(RepeatingFault):
    """The job never names the server's recovery instance, though it was launched."""

    kind: Literal["no_recovery_instance_id"] = "no_recovery_instance_id"


class TerminationSurvivor(RepeatingFault):
    """The TERMINATE job completes, and the server's instance stays."""

    kind: Literal["termination_survivor"] = "termination_survivor"


class FailedCommand(RepeatingFault):
    """A command of Run Command fails on the server's instance."""

    kind: Literal["failed_command"] = "failed_command"
    stderr: str = "failed to run commands: exit status 1"


class FailedLaunchAction(RepeatingFault):
    """A post-launch action fails on the server's instance. :param action: its name; absent, any"""

    kind: Literal["failed_launch_action"] = "failed_launch_action"
    action: str | None = None
    reason: Annotated[str, Field(pattern=r"^[0-9a-zA-Z ():/.,'\-_#*;]{1,256}$")] = "Command failed: exit 1"


class LastingFault(Fault):
    """A state of the server's instance, while the fault is armed, for ``seconds`` (of wall time) at most."""

    seconds: Duration | None = None


class PortClosed(LastingFault):
    """Nothing listens on the instance's port, or on any of them."""

    kind: Literal["port_closed"] = "port_closed"
    port: Port | None = None


class HttpError(LastingFault):
    """The instance's HTTP port, or any of them, answers with another status and an empty body."""

    kind: Literal["http_error"] = "http_error"
    port: Port | None = None
    status: HttpStatus = 500


class ImpairedStatus(LastingFault):
    """One of EC2's two status checks of the instance is failed."""

    kind: Literal["impaired_status"] = "impaired_status"
    check: Literal["instance", "system"] = "instance"


class SilentAgent(LastingFault):
    """The instance is not a managed one: Systems Manager hears nothing of its agent."""

    kind: Literal["silent_agent"] = "silent_agent"


class ForeignJob(Fault):
    """Somebody else's job holds the servers for ``seconds`` (of wall time).

    From the moment it is armed, or, with ``from: first_refused_call``, until that long after the first
    call that it refuses.
    """

    kind: Literal["foreign_job"] = "foreign_job"
    servers: Annotated[tuple[ServerId, ...], Field(min_length=1)]
    seconds: Duration
    counted_from: Annotated[Literal["armed", "first_refused_call"], Field(alias="from")] = "armed"
    type: Literal[JobType.LAUNCH, JobType.TERMINATE] = JobType.LAUNCH
    initiated_by: InitiatedBy = InitiatedBy.START_RECOVERY


class ReplicationChange(Fault):
    """The replication of the servers is another one, as long as the fault is armed; what is left out stays.

    :param last_contact: for how long the agent has been silent when the fault is armed
    """

    kind: Literal["replication"] = "replication"
    state: ReplicationState | None = None
    lag: Duration | None = None
    last_contact: Duration | None = None

    @model_validator(mode="after")
    def _changes_something(self) -> Self:
        if self.state is None and self.lag is None and self.last_contact is None:
            raise ValueError("it changes nothing: give state, lag or last_contact")
        return self


class RunningPlan(Fault):
    """One of AWS's own recovery plans is being executed with the servers, for ``seconds`` of wall time.

    Absent, until it is taken out of service. It launches nothing.
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


@dataclass(frozen=True)
class Call:
    """One API call as the faults see it.

    :param operation: with its service in front (``iam:GetUser``) unless it is one of DRS
    """

    operation: str
    account: str
    region: str
    caller_arn: str
    servers: frozenset[str] = frozenset()
    has_tags: bool = False

    @property
    def of_drs(self) -> bool:
        return ":" not in self.operation


F_co = TypeVar("F_co", bound=Fault, covariant=True)
F = TypeVar("F", bound=Fault)
L = TypeVar("L", bound=LastingFault)


@dataclass
class ArmedFault(Generic[F_co]):
    """A fault in service: its id, since when, and how often it has struck."""

    id: str
    fault: F_co
    since: datetime
    struck: int = 0
    armed: bool = True

    def describe(self) -> dict[str, Any]:
        """The fault, and how often it struck, as JSON."""
        spec = self.fault.model_dump(mode="json", by_alias=True, exclude_none=True)
        return {"id": self.id, "struck": self.struck, "spent": self.spent, **spec}

    @property
    def spent(self) -> bool:
        count = self.fault.count if isinstance(self.fault, RepeatingFault) else None
        return count is not None and self.struck >= count

    def reaches(self, account: str, region: str, servers: frozenset[str]) -> bool:
        """Whether this fault is armed for that place and one of these servers."""
        fault = self.fault
        return (
            self.armed
            and not self.spent
            and fault.account in (None, account)
            and fault.region in (None, region)
            and (fault.servers is None or not servers.isdisjoint(fault.servers))
        )


class FaultPlan:
    """The armed faults of all accounts and Regions, in the order of arming."""

    def __init__(self) -> None:
        self._armed: dict[str, ArmedFault[Fault]] = {}
        self._numbers = itertools.count(1)

    def __iter__(self) -> Iterator[ArmedFault[Fault]]:
        return iter(self._armed.values())

    def arm(self, fault: F, now: datetime) -> ArmedFault[F]:
        """Put ``fault`` in service."""
        armed: ArmedFault[F] = ArmedFault(f"fault-{next(self._numbers)}", fault, now)
        self._armed[armed.id] = armed
        return armed

    def disarm(self, fault_id: str) -> ArmedFault[Fault] | None:
        """Take a fault out of service: what it held goes on. None when there is no such fault."""
        armed = self._armed.pop(fault_id, None)
        if armed:
            armed.armed = False
        return armed

    def reaching(
        self, kind: type[F], account: str, region: str, servers: frozenset[str]
    ) -> Iterator[ArmedFault[F]]:
        """The faults of ``kind`` that reach one of ``servers``."""
        for armed in self._armed.values():
            if isinstance(armed.fault, kind) and armed.reaches(account, region, servers):
                yield cast("ArmedFault[F]", armed)

    def lasting(
        self, kind: type[L], account: str, region: str, server_id: str, now: datetime
    ) -> Iterator[ArmedFault[L]]:
        """The faults of ``kind`` under which the server stands."""
        for armed in self.reaching(kind, account, region, frozenset({server_id})):
            if armed.fault.seconds is None or now < armed.since + armed.fault.seconds:
                yield armed

    def take(self, kind: type[F], account: str, region: str, servers: frozenset[str]) -> ArmedFault[F] | None:
        """The first fault of ``kind`` that reaches one of ``servers``; it counts as having struck."""
        armed = next(self.reaching(kind, account, region, servers), None)
        if armed:
            armed.struck += 1
        return armed

    def strike(self, call: Call, when: When) -> None:
        """Raise what an armed fault does to ``call``, ``before`` or ``after`` its work.

        :raises DrsError: the refusal. :raises ConnectionDroppedError: no reply at all.
        """
        for armed in self._armed.values():
            fault = armed.fault
            if (
                isinstance(fault, CallFault)
                and armed.reaches(call.account, call.region, call.servers)
                and (call.of_drs if fault.operations is None else call.operation in fault.operations)
                and getattr(fault, "when", "before") == when
                and (not isinstance(fault, TagsRefused) or call.has_tags)
            ):
                armed.struck += 1
                raise _refusal(fault, call)


def _refusal(fault: CallFault, call: Call) -> Exception:
    match fault:
        case Throttle(retry_after=retry_after):
            return ThrottlingError(retry_after)
        case AccessDenied():
            return _access_denied(call, f"drs:{call.operation}" if call.of_drs else call.operation)
        case TagsRefused():
            return _access_denied(call, "drs:TagResource")
        case ConnectionDrop(seconds=silence):
            return ConnectionDroppedError(
                f"the simulator dropped the connection of {call.operation}", silence.total_seconds()
            )
        case _:
            return InternalServerError("Internal server error")


def _access_denied(call: Call, action: str) -> AccessDeniedError:
    resource = f"arn:aws:drs:{call.region}:{call.account}:*" if call.of_drs else "*"
    return AccessDeniedError(
        f"User: {call.caller_arn} is not authorized to perform: {action} on resource: {resource} "
        f"because no identity-based policy allows the {action} action"
    )
