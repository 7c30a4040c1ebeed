"""Keeps the armed faults. The engine asks here whether one of them affects a call or a server."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar, cast

from simulator.engine.errors import (
    AccessDeniedError,
    ConnectionDroppedError,
    InternalServerError,
    ThrottlingError,
)
from simulator.engine.faults import (
    AccessDenied,
    CallFault,
    ConnectionDrop,
    Fault,
    LastingFault,
    RepeatingFault,
    TagsRefused,
    Throttle,
    When,
)


@dataclass(frozen=True)
class Call:
    """One API call, as the faults see it.

    :param operation: with the service in front (``iam:GetUser``), except for operations of DRS
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
    """An armed fault: its id, when it was armed, and how often it has struck."""

    id: str
    fault: F_co
    since: datetime
    struck: int = 0
    armed: bool = True

    def describe(self) -> dict[str, Any]:
        """Return the fault, and how often it has struck, as JSON."""
        spec = self.fault.model_dump(mode="json", by_alias=True, exclude_none=True)
        return {"id": self.id, "struck": self.struck, "spent": self.spent, **spec}

    @property
    def spent(self) -> bool:
        count = self.fault.count if isinstance(self.fault, RepeatingFault) else None
        return count is not None and self.struck >= count

    def reaches(self, account: str, region: str, servers: frozenset[str]) -> bool:
        """Whether this fault is armed for this account and Region and for one of these servers."""
        fault = self.fault
        return (
            self.armed
            and not self.spent
            and fault.account in (None, account)
            and fault.region in (None, region)
            and (fault.servers is None or not servers.isdisjoint(fault.servers))
        )


class FaultPlan:
    """The armed faults of all accounts and Regions, in the order in which they were armed."""

    def __init__(self) -> None:
        self._armed: dict[str, ArmedFault[Fault]] = {}
        self._numbers = itertools.count(1)

    def __iter__(self) -> Iterator[ArmedFault[Fault]]:
        return iter(self._armed.values())

    def arm(self, fault: F, now: datetime) -> ArmedFault[F]:
        """Arm ``fault``."""
        armed: ArmedFault[F] = ArmedFault(f"fault-{next(self._numbers)}", fault, now)
        self._armed[armed.id] = armed
        return armed

    def disarm(self, fault_id: str) -> ArmedFault[Fault] | None:
        """Remove a fault; what it held continues. Return None if there is no such fault."""
        armed = self._armed.pop(fault_id, None)
        if armed:
            armed.armed = False
        return armed

    def reaching(
        self, kind: type[F], account: str, region: str, servers: frozenset[str]
    ) -> Iterator[ArmedFault[F]]:
        """Return the faults of ``kind`` that affect one of ``servers``."""
        for armed in self._armed.values():
            if isinstance(armed.fault, kind) and armed.reaches(account, region, servers):
                yield cast("ArmedFault[F]", armed)

    def lasting(
        self, kind: type[L], account: str, region: str, server_id: str, now: datetime
    ) -> Iterator[ArmedFault[L]]:
        """Return the faults of ``kind`` that affect the server now."""
        for armed in self.reaching(kind, account, region, frozenset({server_id})):
            if armed.fault.seconds is None or now < armed.since + armed.fault.seconds:
                yield armed

    def take(self, kind: type[F], account: str, region: str, servers: frozenset[str]) -> ArmedFault[F] | None:
        """Return the first fault of ``kind`` that affects one of ``servers``, and count the strike."""
        armed = next(self.reaching(kind, account, region, servers), None)
        if armed:
            armed.struck += 1
        return armed

    def strike(self, call: Call, when: When) -> None:
        """Raise the error of the first armed fault that affects ``call``, ``before`` or ``after`` its work.

        :raises DrsError: the fault refuses the call.
        :raises ConnectionDroppedError: the call gets no reply.
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
