"""Reads from AWS what the checks need, and each thing only once. What cannot be read becomes a finding."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from drs.aws.call_errors import CREDENTIALS, error_code, explain, unavailable
from drs.aws.calls import LOOK_BACK, SEES_RECOVERY_PLANS_SINCE
from drs.aws.clients import AwsClients
from drs.aws.clock import clock_ahead
from drs.aws.ec2 import filters_by_id
from drs.aws.jobs import Job
from drs.errors import AccessDenied, ClockSkew, Code
from drs.preflight.facts import (
    Facts,
    LaunchSettings,
    PlanExecution,
    RecoveryInstance,
    Snapshot,
    SourceServer,
    Template,
)
from drs.preflight.findings import Finding
from drs.preflight.inputs import PreflightInputs
from drs.preflight.servers import Servers
from drs.run.records import Resolution
from drs.text import shown
from drs.text.times import duration, utc_now

if TYPE_CHECKING:
    from mypy_boto3_drs.literals import RecoveryPlanExecutionStatusType

READERS = 8
"""Parallel calls if the API takes one server in a call; fewer than the connections that botocore keeps."""
TEMPLATES_ONE_BY_ONE = 8
"""Up to this number, launch templates are read one by one. If there are more, all templates of the account
are listed: EC2 takes one template id in a call, or none, and then lists 200 on a page.
"""
RUNNING: tuple[RecoveryPlanExecutionStatusType, ...] = ("CREATED", "IN_PROGRESS", "CANCELLING")

THEN = "Then start a new run."
SKEW_TO_WARN_OF = dt.timedelta(seconds=20)
SKEW_TO_REFUSE = dt.timedelta(minutes=5)
"""AWS itself refuses requests whose clock differs by more than this."""

T = TypeVar("T")
Refusal = ClientError | BotoCoreError


@dataclass(frozen=True, slots=True)
class Caller:
    """Whose credentials are used."""

    account_id: str
    arn: str
    clock_ahead: dt.timedelta | None = None
    """How far this machine's clock is ahead of AWS's, to a second; negative if it is behind."""


class Reader:
    """Reads AWS once.

    :param clients: the clients to read with
    """

    def __init__(self, clients: AwsClients) -> None:
        self._clients = clients
        self.findings: list[Finding] = []
        """What could not be read, and therefore could not be checked."""

    def caller(self) -> Caller | None:
        """Who the credentials belong to. ``None`` ends preflight, because it may be another account."""
        asked = utc_now()
        identity = self._read_first("whose account this is", self._clients.sts.get_caller_identity)
        if identity is None:
            return None
        ahead = clock_ahead(identity, asked, utc_now())
        return Caller(identity["Account"], identity["Arn"], ahead)

    def source_servers(self) -> list[Mapping[str, Any]] | None:
        """Every source server, as DRS lists it. ``None`` ends preflight, because nothing can be resolved."""
        return self._read_first(
            "which source servers there are", lambda: list(self._clients.drs.source_servers())
        )

    def facts(
        self,
        items: Iterable[Mapping[str, Any]],
        resolution: Resolution,
        inputs: PreflightInputs,
        looked_at: dt.datetime,
    ) -> Facts:
        """Read everything that the checks of these servers need."""
        drs = self._clients.drs
        servers = Servers(resolution)
        settings = self._read_each(servers, "launch settings", drs.launch_configuration)
        known = {server_id: LaunchSettings.from_api(item) for server_id, item in settings.items()}
        templates = self._templates({each.template_id for each in known.values() if each.template_id})
        interfaces = [each for found in (templates or {}).values() for each in found.interfaces]
        snapshots: Mapping[str, list[Mapping[str, Any]]] = {}
        if inputs.recovery_point is not None:
            snapshots = self._read_each(servers, "recovery snapshots", drs.recovery_snapshots)
        jobs = self._attempt(
            "whether a job holds a server", lambda: tuple(drs.jobs_since(looked_at - LOOK_BACK))
        )
        instances = self._attempt(
            "which recovery instances exist",
            lambda: tuple(map(RecoveryInstance.from_api, drs.recovery_instances(servers.ids))),
        )
        return Facts(
            looked_at=looked_at,
            servers={item["sourceServerID"]: SourceServer.from_api(item) for item in items},
            jobs=jobs,
            executions=self._running_executions(),
            instances=instances,
            launched_by=self._launched_by(instances or (), jobs or ()),
            settings=known,
            templates=templates,
            subnets=self._attempt(
                "whether the subnets exist",
                lambda: self._subnets({each.subnet_id for each in interfaces if each.subnet_id}),
            ),
            groups=self._attempt(
                "whether the security groups exist",
                lambda: self._groups({group for each in interfaces for group in each.group_ids}),
            ),
            snapshots={
                server_id: tuple(map(Snapshot.from_api, items)) for server_id, items in snapshots.items()
            },
        )

    # --- single reads -----------------------------------------------------------------------------------

    def _launched_by(self, instances: Iterable[RecoveryInstance], jobs: Iterable[Job]) -> Mapping[str, Job]:
        """The jobs that launched these instances, by id.

        :param jobs: the jobs that are known already
        """
        known = {job.job_id: job for job in jobs}
        ids = {each.job_id for each in instances if each.job_id}
        older = self._attempt(
            "who launched the recovery instances that exist",
            lambda: self._clients.drs.describe_jobs(ids - known.keys()),
        )
        return {job_id: known[job_id] for job_id in ids & known.keys()} | {
            job.job_id: job for job in older or ()
        }

    def _running_executions(self) -> tuple[PlanExecution, ...] | None:
        if not self._clients.drs.sees_recovery_plans:
            self.findings.append(_plans_not_seen())
            return None
        return self._attempt("whether one of AWS's own recovery plans is being executed", self._executions)

    def _executions(self) -> tuple[PlanExecution, ...]:
        drs = self._clients.drs
        return tuple(
            PlanExecution.from_api(item, drs.recovery_plan_steps(item["recoveryPlanExecutionArn"]))
            for status in RUNNING
            for item in drs.recovery_plan_executions(status)
        )

    def _templates(self, ids: set[str]) -> Mapping[str, Template] | None:
        found: dict[str, Template] = {}
        if len(ids) > TEMPLATES_ONE_BY_ONE:
            listed = self._attempt("where the launch templates put a server", self._default_versions)
            if listed is None:
                return None
            found = {template_id: listed[template_id] for template_id in ids & listed.keys()}
        # A template that the list lacks is read by its id, so that EC2 itself says that it does not exist.
        left = sorted(ids - found.keys())
        with ThreadPoolExecutor(READERS) as pool:
            singly = self._attempt(
                "where the launch templates put a server", lambda: list(pool.map(self._default_version, left))
            )
        if singly is None:
            return None
        return found | {name: each for name, each in zip(left, singly, strict=True) if each is not None}

    def _default_versions(self) -> dict[str, Template]:
        """The default version of every launch template of the account.

        .. seealso:: https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeLaunchTemplateVersions.html
        """
        pages = self._clients.ec2.get_paginator("describe_launch_template_versions").paginate(
            Versions=["$Default"], PaginationConfig={"PageSize": 200}
        )
        return {
            item["LaunchTemplateId"]: Template.from_api(item)
            for page in pages
            for item in page["LaunchTemplateVersions"]
        }

    def _default_version(self, template_id: str) -> Template | None:
        try:
            reply = self._clients.ec2.describe_launch_template_versions(
                LaunchTemplateId=template_id, Versions=["$Default"]
            )
        except ClientError as error:
            if error_code(error).startswith("InvalidLaunchTemplateId"):
                return None
            raise
        return next((Template.from_api(item) for item in reply["LaunchTemplateVersions"]), None)

    def _subnets(self, ids: set[str]) -> dict[str, str]:
        paginator = self._clients.ec2.get_paginator("describe_subnets")
        return {
            item["SubnetId"]: item["VpcId"]
            for filters in filters_by_id("subnet-id", ids)
            for page in paginator.paginate(Filters=filters)
            for item in page["Subnets"]
        }

    def _groups(self, ids: set[str]) -> dict[str, str]:
        paginator = self._clients.ec2.get_paginator("describe_security_groups")
        return {
            item["GroupId"]: item["VpcId"]
            for filters in filters_by_id("group-id", ids)
            for page in paginator.paginate(Filters=filters)
            for item in page["SecurityGroups"]
        }

    # --- what cannot be read ----------------------------------------------------------------------------

    def _read_first(self, what: str, read: Callable[[], T]) -> T | None:
        """Read something without which preflight ends. The finding about a refusal has its own code."""
        asked = utc_now()
        try:
            return read()
        except (ClientError, BotoCoreError) as error:
            if error_code(error) in CREDENTIALS and (skew := _refused_skew(error, asked)):
                self.findings.append(skew)
                return None
            explained = explain(error, f"finding out {what}", then=THEN)
            found = Finding.of(explained, heals=unavailable(error)) if explained else None
            self.findings.append(found or _not_checked(what, error))
            return None

    def _attempt(self, what: str, read: Callable[[], T]) -> T | None:
        """Read something. If AWS refuses, the answer is ``None``, and a finding says what is unknown.

        :param what: what is read, as the end of a sentence that begins with "It is unknown"
        """
        try:
            return read()
        except (ClientError, BotoCoreError) as error:
            self.findings.append(_not_checked(what, error))
            return None

    def _read_each(self, servers: Servers, what: str, read: Callable[[str], T]) -> dict[str, T]:
        """Read something of each server, several at a time. The answer lacks servers that cannot be read.

        A refusal that is not about a single server becomes one finding for all servers that met it.
        """

        def attempt(server_id: str) -> T | Refusal:
            try:
                return read(server_id)
            except (ClientError, BotoCoreError) as error:
                return error

        with ThreadPoolExecutor(READERS) as pool:
            answers = dict(zip(servers.ids, pool.map(attempt, servers.ids), strict=True))
        refused = {server_id: each for server_id, each in answers.items() if isinstance(each, Refusal)}
        shared: dict[str, list[str]] = {}
        for server_id, error in refused.items():
            if _concerns_all(error):
                shared.setdefault(error_code(error), []).append(server_id)
            else:
                self.findings.append(
                    _not_checked(f"what the {what} of server {servers.label(server_id)} are", error).about(
                        servers.wave_of(server_id), server_id
                    )
                )
        for ids in shared.values():
            self.findings.append(
                _not_checked(f"what the {what} of server(s) {servers.labels(ids)} are", refused[ids[0]])
            )
        return {server_id: answer for server_id, answer in answers.items() if not isinstance(answer, Refusal)}


def clock_skew(ahead: dt.timedelta | None) -> list[Finding]:
    """A finding if this machine's clock and AWS's differ: an error if by so much that times cannot be
    compared.

    :param ahead: how far this machine's clock is ahead
    """
    if ahead is None or abs(ahead) <= SKEW_TO_WARN_OF:
        return []
    way = "ahead of" if ahead > dt.timedelta(0) else "behind"
    finding = Finding.of(
        ClockSkew(
            f"The clock of this worker is {duration(abs(ahead).total_seconds())} {way} AWS's clock. Measured "
            "times (RTO, RPO) are wrong by that much."
        )
    )
    return [finding if abs(ahead) > SKEW_TO_REFUSE else finding.as_warning()]


def _refused_skew(error: Refusal, asked: dt.datetime) -> Finding | None:
    """The finding about a clock that is so wrong that AWS does not accept the signature of a request. AWS
    only says that the signature is expired or does not match.
    """
    if not isinstance(error, ClientError):
        return None
    found = clock_skew(clock_ahead(error.response, asked, utc_now()))
    return next((finding for finding in found if finding.severity == "error"), None)


def _plans_not_seen() -> Finding:
    """The warning that this boto3 is too old to list the executions of AWS's own recovery plans.

    It does not stop the run: where a platform pins boto3, no drill could begin at all. A server whose job is
    live is seen, and is an error, with every version.
    """
    return Finding(
        code=Code.CHECK_UNAVAILABLE,
        seen=(
            "It is unknown whether one of AWS's own recovery plans is being executed, because the installed "
            f"boto3 {boto3.__version__} cannot list them. Live jobs of such a plan are seen. Not seen are "
            "servers that it launches in a later step, and instances that an earlier step launched: a launch "
            "of the same server by this run would replace them."
        ),
        remedy=(
            "Look in the DRS console, under Recovery plans, that none is being executed with servers of this "
            f"plan. To have it checked, install boto3 {SEES_RECOVERY_PLANS_SINCE} or newer; where the "
            "platform pins boto3, as Amazon MWAA does, this takes a newer image of the platform."
        ),
        severity="warning",
    )


def _concerns_all(error: Refusal) -> bool:
    """Whether the refusal has nothing to do with the single server that was read."""
    return unavailable(error) or isinstance(explain(error, ""), AccessDenied)


def _not_checked(what: str, error: Refusal) -> Finding:
    """The finding about a check that could not be made. It heals by itself only if AWS may answer later."""
    explained = explain(error, f"finding out {what}", then=THEN)
    if isinstance(explained, AccessDenied):
        return Finding.of(explained)
    status = error.response["ResponseMetadata"]["HTTPStatusCode"] if isinstance(error, ClientError) else 0
    return Finding(
        code=Code.CHECK_UNAVAILABLE,
        seen=f"It is unknown {what}, because AWS did not answer the question: {shown.line(error)}",
        remedy=(
            "A run does not begin while this is unknown. The message says why AWS did not answer: fix that, "
            "then trigger a new run."
        ),
        heals=unavailable(error) and status != 501,
    )
