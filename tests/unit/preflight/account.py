"""An account in the simulated DRS and in moto's EC2, for preflight to look at with unmodified clients."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

import boto3

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


class Account:
    """Four servers, database and web, in good order but for what a test says of them.

    :param traits: what a server's entry in the fleet has beside its id and host name, by server id
    :param servers: the servers, if they are others
    :param policies: those of the caller, whose permissions are then rehearsed; else it is the account's root,
        which may do everything
    """

    def __init__(
        self,
        traits: Mapping[str, Mapping[str, Any]] | None = None,
        *,
        servers: Sequence[str] = (*DATABASE, *WEB),
        policies: Sequence[Mapping[str, Any]] | None = None,
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

        def client(service: str) -> Any:
            return boto3.client(
                service,  # type: ignore[call-overload]
                region_name=REGION,
                aws_access_key_id=KEY,
                aws_secret_access_key="any",
            )

        self.clients = AwsClients(
            drs=Drs(client("drs")), ec2=client("ec2"), sts=client("sts"), iam=client("iam")
        )

        if policies is None:
            self.clients.sts.meta.events.register("after-call.sts.GetCallerIdentity", _as_root)

    @property
    def drs(self) -> Service:
        return self.simulation.service(ACCOUNT, REGION)

    def arm(self, **fault: Any) -> None:
        self.simulation.arm(FAULT.validate_python(fault))

    def start(self, *servers: str, is_drill: bool = True, tags: Mapping[str, str] | None = None) -> str:
        """Somebody's launch job of these servers; its id."""
        job = self.clients.drs.start_recovery(servers, tags=tags or {}, is_drill=is_drill)
        return job.job_id

    def finish_jobs(self) -> None:
        while any(job.live for job in self.drs.jobs.values()):
            self.clock.advance(15)
            self.simulation.tick()

    def refuse(self, service: str, operation: str, code: str, status: int = 403, *, naming: str = "") -> None:
        """Answer each call of the operation (that names this server) with this refusal, as AWS words it."""
        client = self.clients.drs.conn if service == "drs" else getattr(self.clients, service)
        message = f"User: arn:aws:iam::{ACCOUNT}:user/ada is not authorized to perform: {service}:{operation}"

        def answer(params: Mapping[str, Any], **_: Any) -> tuple[Any, Any] | None:
            if naming not in str(params["body"]):
                return None
            reply = {"Error": {"Code": code, "Message": message}}
            return _Http(status), {**reply, "ResponseMetadata": {"HTTPStatusCode": status}}

        client.meta.events.register(f"before-call.{service}.{operation}", answer)

    def look(self, plan: Plan | None = None, **question: Any) -> Report:
        """Preflight of the whole plan, but for what the question says."""
        plan = plan or two_waves()
        asked = {"waves": tuple(wave.name for wave in plan.waves), **question}
        return inspect(PreflightInputs(plan=plan, **asked), self.clients, now=self.clock.now)


def _as_root(parsed: dict[str, Any], **_: Any) -> None:
    parsed["Arn"] = f"arn:aws:iam::{ACCOUNT}:root"


class _Http:
    def __init__(self, status: int) -> None:
        self.status_code = status


def two_waves(*, optional: Sequence[str] = (), **parts: Any) -> Plan:
    """A plan of two waves, database and web, each of two listed servers; ``parts`` are laid over it."""
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


def told(report: Report) -> list[tuple[Code, str | None, str]]:
    """Code, server and severity of each finding, in order."""
    return [(finding.code, finding.server_id, finding.severity) for finding in report.findings]


def only(report: Report) -> Finding:
    """The one finding."""
    (finding,) = report.findings
    return finding
