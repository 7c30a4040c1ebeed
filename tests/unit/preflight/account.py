"""An account in the simulated DRS and in moto's EC2, which preflight reads with ordinary clients."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import boto3
import moto.core.models  # noqa: F401 - it reaches only clients that are made after its import

import simulator
from drs.aws.calls import Drs
from drs.aws.clients import AwsClients
from drs.errors import Code
from drs.plan import Plan
from drs.preflight import Finding, PreflightInputs, Report, inspect
from simulator.engine.clock import ManualClock
from simulator.engine.faults import FAULT
from simulator.engine.fleet import Fleet
from simulator.engine.service import Service
from tests.unit.drill import make_plan
from tests.unit.simulated import ACCOUNT, REGION

KEY = "AKIASIMULATOR1111222"
DATABASE = tuple(f"s-{number:017x}" for number in (0xD1, 0xD2))
WEB = tuple(f"s-{number:017x}" for number in (0xE1, 0xE2))


class Clients:
    """Clients of one caller, which all tests share: making four of them takes longer than most tests.

    What a test adds to the answers of AWS with :meth:`on` lasts until :meth:`forget`.
    """

    def __init__(self) -> None:
        session = boto3.Session(region_name=REGION, aws_access_key_id=KEY, aws_secret_access_key="any")
        self.aws = AwsClients(
            drs=Drs(session.client("drs")),
            ec2=session.client("ec2"),
            sts=session.client("sts"),
            iam=session.client("iam"),
        )
        self._handlers: list[tuple[str, Callable[..., Any]]] = []

    def on(self, event: str, handler: Callable[..., Any]) -> None:
        """Call the handler on an event of botocore, such as ``after-call.drs.DescribeJobs``."""
        self._events(event).register(event, handler)
        self._handlers.append((event, handler))

    def forget(self) -> None:
        """Take all handlers away again."""
        for event, handler in self._handlers:
            self._events(event).unregister(event, handler)
        self._handlers.clear()

    def _events(self, event: str) -> Any:
        service = event.split(".")[1]
        return (self.aws.drs.conn if service == "drs" else getattr(self.aws, service)).meta.events


class Account:
    """Four servers, two for the database and two for the web, all in good order unless a test says otherwise.

    :param traits: more fields of a server's entry in the fleet, by server id
    :param servers: the servers of the account, if not these four
    :param policies: the policies of the caller, whose permissions are then rehearsed. Without policies the
        caller is the root of the account, which may do everything.
    :param clients: clients that other accounts had before; new ones if none are given
    """

    def __init__(
        self,
        traits: Mapping[str, Mapping[str, Any]] | None = None,
        *,
        servers: Sequence[str] = (*DATABASE, *WEB),
        policies: Sequence[Mapping[str, Any]] | None = None,
        clients: Clients | None = None,
        **region: Any,
    ) -> None:
        entries = [
            {"id": server, "hostname": f"host-{server[-2:]}", **(traits or {}).get(server, {})}
            for server in servers
        ]
        regions = {REGION: {"servers": entries, **region}}
        caller = {"access_key_id": KEY, "policies": policies}
        fleet = {"accounts": {ACCOUNT: {**caller, "regions": regions}}}
        self.clock = ManualClock(dt.datetime.now(dt.UTC))
        self.simulation = simulator.seed(Fleet.parse(fleet, "test"), clock=self.clock)
        clients = clients or Clients()
        clients.forget()
        self.on = clients.on
        self.clients = clients.aws
        if policies is None:
            self.on("after-call.sts.GetCallerIdentity", _as_root)

    @property
    def drs(self) -> Service:
        return self.simulation.service(ACCOUNT, REGION)

    def arm(self, **fault: Any) -> None:
        self.simulation.arm(FAULT.validate_python(fault))

    def start(self, *servers: str, is_drill: bool = True, tags: Mapping[str, str] | None = None) -> str:
        """Start somebody's launch job of these servers, and return its id."""
        job = self.clients.drs.start_recovery(servers, tags=tags or {}, is_drill=is_drill)
        return job.job_id

    def finish_jobs(self) -> None:
        while any(job.live for job in self.drs.jobs.values()):
            self.clock.advance(15)
            self.simulation.tick()

    def refuse(self, service: str, operation: str, code: str, status: int = 403, *, naming: str = "") -> None:
        """Answer each call of the operation with this refusal, in the words of AWS.

        :param naming: refuse only calls that contain this text, such as a server's id
        """
        message = f"User: arn:aws:iam::{ACCOUNT}:user/ada is not authorized to perform: {service}:{operation}"

        def answer(params: Mapping[str, Any], **_: Any) -> tuple[Any, Any] | None:
            if naming not in str(params["body"]):
                return None
            reply = {"Error": {"Code": code, "Message": message}}
            return _Http(status), {**reply, "ResponseMetadata": {"HTTPStatusCode": status}}

        self.on(f"before-call.{service}.{operation}", answer)

    def look(self, plan: Plan | None = None, **inputs: Any) -> Report:
        """Run preflight for the whole plan, except for the inputs that are given."""
        plan = plan or two_waves()
        asked = {"waves": tuple(wave.name for wave in plan.waves), **inputs}
        return inspect(PreflightInputs(plan=plan, **asked), self.clients, now=self.clock.now)


Make = Callable[..., Account]
"""The fixture ``account``: makes an account with the arguments of :class:`Account`."""


def _as_root(parsed: dict[str, Any], **_: Any) -> None:
    parsed["Arn"] = f"arn:aws:iam::{ACCOUNT}:root"


class _Http:
    def __init__(self, status: int) -> None:
        self.status_code = status


def two_waves(*, optional: Sequence[str] = (), **parts: Any) -> Plan:
    """A plan of two waves, database and web, each with two listed servers; ``parts`` replace parts of it."""
    groups = {"database": DATABASE, "web": WEB}
    return make_plan(
        **{
            "protection_groups": {
                name: {"source_servers": servers, "optional": name in optional}
                for name, servers in groups.items()
            },
            "waves": [{"name": name, "protection_groups": [name]} for name in groups],
            **parts,
        }
    )


def summary(report: Report) -> list[tuple[Code, str | None, str]]:
    """The code, server and severity of each finding, in order."""
    return [(finding.code, finding.server_id, finding.severity) for finding in report.findings]


def only(report: Report) -> Finding:
    """The only finding of the report."""
    (finding,) = report.findings
    return finding
