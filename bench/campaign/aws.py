"""One AWS account and Region as its callers meet it: how long a call takes, how it fails, how late a read is.

Each call passes a point before it is sent and after its reply, where its process may be killed or frozen. The
last check of a StartRecovery is made in the same moment in which DRS acts: the time between the two is the
window that no client can close, and nothing is injected there.
"""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError, ConnectionClosedError, EndpointConnectionError, ReadTimeoutError
from greenlet import getcurrent

from bench.campaign.hub import Hub, Process
from bench.campaign.machines import Machines
from bench.campaign.mischief import Mischief
from bench.campaign.past import Past
from bench.campaign.truth import Truth
from simulator.engine.errors import ConnectionDroppedError, DrsError, ThrottlingError
from simulator.engine.fault_plan import Call
from simulator.engine.faults import TagsRefused
from simulator.engine.model import JobLogItem
from simulator.engine.service import Service
from simulator.engine.simulation import Simulation

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.campaign.tries import Try

ACCOUNT, REGION = "111122223333", "us-east-1"
CALLER = f"arn:aws:sts::{ACCOUNT}:assumed-role/drills/campaign"
READ_TIMEOUT = 60.0
"""Seconds after which botocore gives a silent connection up."""
STATUS: Final = {
    "AccessDeniedException": 403,
    "ConflictException": 409,
    "InternalServerException": 500,
    "ResourceNotFoundException": 404,
    "ServiceQuotaExceededException": 402,
    "ThrottlingException": 429,
    "UninitializedAccountException": 400,
    "ValidationException": 400,
}
EC2_CODES: Final = {
    "AccessDeniedException": ("UnauthorizedOperation", 403),
    "InternalServerException": ("InternalError", 500),
    "ThrottlingException": ("RequestLimitExceeded", 503),
}
RETRIED: Final = frozenset(
    {"ThrottlingException", "RequestLimitExceeded", "InternalServerException", "InternalError"}
)
"""What botocore repeats in its standard mode, beside lost connections."""


@dataclass(frozen=True)
class Weather:
    """How AWS answers.

    :param latency: seconds that a call takes, from and to
    :param behind: reads show the state of at most that many seconds ago
    :param jumping: whether each read is behind by another time; otherwise all are behind by the same
    :param outages: spans (from, to) in seconds in which nothing can be reached
    """

    latency: tuple[float, float] = (0.05, 0.4)
    behind: float = 0.0
    jumping: bool = True
    outages: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True)
class Request:
    """One call.

    :param answer: does it, and gives the reply
    :param check: the last check before it is sent
    """

    operation: str
    answer: Callable[[], Any]
    servers: frozenset[str] = frozenset()
    tagged: bool = False
    check: Callable[[], None] | None = None


@dataclass
class Account:
    """The account, behind all clients."""

    hub: Hub
    rng: random.Random
    simulation: Simulation
    machines: Machines
    mischief: Mischief
    weather: Weather
    service: Service = field(init=False)
    past: Past = field(init=False)
    truth: Truth = field(init=False)
    calls: int = 0
    shown_items: dict[int, tuple[JobLogItem, dict[str, Any]]] = field(default_factory=dict)
    """Items of job logs as DRS shows them, by the identity of each."""

    def __post_init__(self) -> None:
        self.service = self.simulation.service(ACCOUNT, REGION)
        self.past = Past(self.service, late=self.weather.behind > 0)
        self.truth = Truth(self.service, self.machines)
        self._behind = self.rng.uniform(0.0, self.weather.behind)

    # --- time -------------------------------------------------------------------------------------------

    def latency(self) -> float:
        """How long one way of the next call takes."""
        return self.rng.uniform(*self.weather.latency) / 2

    def shown(self) -> dt.datetime:
        """The moment whose state the next read shows."""
        if not self.weather.behind:
            return self.hub.datetime()
        behind = self.rng.uniform(0.0, self.weather.behind) if self.weather.jumping else self._behind
        return self.hub.datetime() - dt.timedelta(seconds=behind)

    def tick(self) -> None:
        """The simulated DRS does what is due."""
        self.simulation.tick()
        self.past.note()

    # --- one call ---------------------------------------------------------------------------------------

    def send(self, request: Request) -> Any:
        """Make a call from the process that runs now, once.

        :raises ClientError: AWS refuses it
        :raises BotoCoreError: there is no reply
        """
        process = getcurrent()
        if not isinstance(process, Process):  # a person's look in a test, or the judge
            return self.perform(request)
        attempt: Try | None = process.attempt
        self.mischief.point(attempt, f"before {request.operation}")
        self.hub.sleep(self.latency())
        if request.check:
            with _guarded(attempt):
                request.check()
        try:
            reply = self.perform(request)
        except ReadTimeoutError:
            self.hub.sleep(READ_TIMEOUT)
            self.mischief.point(attempt, f"after {request.operation}")
            raise
        except (ClientError, ConnectionClosedError):
            self.hub.sleep(self.latency())
            self.mischief.point(attempt, f"after {request.operation}")
            raise
        self.hub.sleep(self.latency())
        self.mischief.point(attempt, f"after {request.operation}")
        return reply

    def perform(self, request: Request) -> Any:
        """What AWS does with a call when it arrives."""
        self.calls += 1
        if any(begin <= self.hub.now < end for begin, end in self.weather.outages):
            raise EndpointConnectionError(endpoint_url=f"https://drs.{REGION}.amazonaws.com")
        call = Call(request.operation, ACCOUNT, REGION, CALLER, request.servers, request.tagged)
        faults = self.simulation.world.faults
        try:
            faults.strike(call, "before")
            if call.of_drs:
                self.service.require_initialized()
            reply = request.answer()
            faults.strike(call, "after")
        except DrsError as error:
            raise _client_error(error, request.operation) from None
        except ConnectionDroppedError as error:
            lost = ReadTimeoutError if error.silence >= READ_TIMEOUT else ConnectionClosedError
            raise lost(endpoint_url=f"https://drs.{REGION}.amazonaws.com") from None
        finally:
            self.past.note()
        metadata = {"HTTPStatusCode": 200, "HTTPHeaders": {"date": self._date()}}
        return {**reply, "ResponseMetadata": metadata}

    @property
    def refuses_tags(self) -> bool:
        """Whether drs:TagResource is denied now."""
        faults = self.simulation.world.faults.reaching(TagsRefused, ACCOUNT, REGION, frozenset())
        return next(faults, None) is not None

    def _date(self) -> str:
        """AWS's own clock, as the header of an answer gives it."""
        return self.hub.datetime().strftime("%a, %d %b %Y %H:%M:%S GMT")


@contextmanager
def _guarded(attempt: Try | None) -> Iterator[None]:
    if attempt is None:
        yield
        return
    attempt.guarded = True
    try:
        yield
    finally:
        attempt.guarded = False


def _client_error(error: DrsError, operation: str) -> ClientError:
    service, _, name = operation.rpartition(":")
    code, status = error.code, STATUS[error.code]
    if service == "ec2":
        code, status = EC2_CODES.get(code, (code, status))
    headers = {"retry-after": error.fields["retryAfterSeconds"]} if isinstance(error, ThrottlingError) else {}
    reply: Any = {
        "Error": {"Code": code, "Message": error.message},
        "ResponseMetadata": {"HTTPStatusCode": status, "HTTPHeaders": headers},
        **error.fields,
    }
    return ClientError(reply, name)


def repeated(error: Exception) -> bool:
    """Whether botocore repeats a call after this error."""
    if isinstance(error, ClientError):
        return str(error.response["Error"]["Code"]) in RETRIED
    return isinstance(error, ConnectionClosedError | ReadTimeoutError | EndpointConnectionError)
