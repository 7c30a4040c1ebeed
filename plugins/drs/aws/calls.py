"""Every call of DRS that a drill makes, over a boto3 client and without Airflow."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from drs.aws.clock import clock_ahead
from drs.aws.jobs import Job, LogEvent
from drs.text.times import utc_now

if TYPE_CHECKING:
    from mypy_boto3_drs.client import DrsClient
    from mypy_boto3_drs.literals import RecoveryPlanExecutionStatusType
    from mypy_boto3_drs.type_defs import (
        DescribeJobsRequestFiltersTypeDef,
        StartRecoveryRequestSourceServerTypeDef,
    )

PAGE = 200
"""Ids in one request: the API's limit for source server ids and recovery instance ids."""
LOOK_BACK = dt.timedelta(hours=24)
"""How far back the search for live jobs goes; no DRS job lasts this long."""
SEES_RECOVERY_PLANS_SINCE = "1.43.101"
"""The first version of boto3 that has the operations of AWS's own recovery plans."""


class DrsCalls:
    """Calls DRS in one account and Region. The subclass gives the client."""

    clock_ahead = dt.timedelta(0)
    """How far this machine's clock is ahead of AWS's, as the last DescribeJobs of this object showed it."""

    @property
    def conn(self) -> DrsClient:
        """A boto3 client of DRS."""
        raise NotImplementedError

    @property
    def unrepeated(self) -> DrsClient:
        """A client that sends each request only once. StartRecovery has no client token: if botocore repeated
        the call, nobody could know whether the first one had made a job.
        """
        raise NotImplementedError

    def start_recovery(
        self,
        server_ids: Sequence[str],
        *,
        tags: Mapping[str, str],
        is_drill: bool = True,
        snapshots: Mapping[str, str] | None = None,
        last_check: Callable[[], None] | None = None,
    ) -> Job:
        """Start one job that launches all of these servers.

        .. seealso:: https://docs.aws.amazon.com/drs/latest/APIReference/API_StartRecovery.html

        :param server_ids: at most 100; DRS refuses the whole call if a live job holds one of them
        :param tags: tags of the job; empty if the account refuses tags
        :param is_drill: false only for a real recovery, which only :mod:`drs.run.guards` may allow
        :param snapshots: a recovery snapshot id for each server that is not launched from its latest state
        :param last_check: called when the request is complete and signed, directly before it is sent; what it
            raises ends the call, and nothing is sent
        :return: the job, PENDING
        """
        servers: list[StartRecoveryRequestSourceServerTypeDef] = []
        for server_id in server_ids:
            servers.append({"sourceServerID": server_id})
            if snapshots and server_id in snapshots:
                servers[-1]["recoverySnapshotID"] = snapshots[server_id]
        client = self.unrepeated
        with _checked_before_send(client, last_check):
            if tags:
                reply = client.start_recovery(isDrill=is_drill, sourceServers=servers, tags=tags)
            else:
                reply = client.start_recovery(isDrill=is_drill, sourceServers=servers)
        return Job.from_api(reply["job"])

    def terminate_recovery_instances(self, instance_ids: Sequence[str]) -> Job:
        """Start one TERMINATE job.

        .. seealso:: https://docs.aws.amazon.com/drs/latest/APIReference/API_TerminateRecoveryInstances.html

        :param instance_ids: recovery instance ids, at most 100
        """
        return Job.from_api(
            self.conn.terminate_recovery_instances(recoveryInstanceIDs=list(instance_ids))["job"]
        )

    def describe_jobs(self, job_ids: Iterable[str]) -> list[Job]:
        """The jobs with these ids, without the jobs that DRS no longer knows."""
        ids = sorted(set(job_ids))
        if not ids:
            return []
        return self._read_jobs({"jobIDs": ids})

    def jobs_since(self, since: dt.datetime) -> list[Job]:
        """Every job of the account and Region created since then."""
        return self._read_jobs({"fromDate": since.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")})

    def _read_jobs(self, filters: DescribeJobsRequestFiltersTypeDef) -> list[Job]:
        jobs = []
        asked = utc_now()
        for page in self.conn.get_paginator("describe_jobs").paginate(filters=filters):
            self.clock_ahead = clock_ahead(page, asked, utc_now()) or dt.timedelta(0)
            jobs += [Job.from_api(item) for item in page["items"]]
            asked = utc_now()
        return jobs

    def recent_jobs(self) -> list[Job]:
        """Every job that may still hold servers, and the jobs that have ended lately."""
        return self.jobs_since(utc_now() - LOOK_BACK)

    def live_jobs(self) -> list[Job]:
        """Every job that holds servers now."""
        return [job for job in self.recent_jobs() if job.live]

    def job_log(self, job_id: str) -> list[LogEvent]:
        """A job's log so far, oldest first."""
        pages = self.conn.get_paginator("describe_job_log_items").paginate(jobID=job_id)
        events = [LogEvent.from_api(item) for page in pages for item in page["items"]]
        return sorted(events, key=lambda event: event.at)

    def source_servers(self) -> Iterator[Mapping[str, Any]]:
        """All source servers of the account and Region, because DRS cannot filter them by tags.

        .. seealso:: https://docs.aws.amazon.com/drs/latest/APIReference/API_DescribeSourceServers.html
        """
        for page in self.conn.get_paginator("describe_source_servers").paginate(filters={}):
            yield from page["items"]

    def recovery_instances(self, server_ids: Iterable[str]) -> list[Mapping[str, Any]]:
        """The recovery instances of these source servers, of drills and of real recoveries.

        .. seealso:: https://docs.aws.amazon.com/drs/latest/APIReference/API_DescribeRecoveryInstances.html
        """
        paginator = self.conn.get_paginator("describe_recovery_instances")
        return [
            item
            for chunk in chunks(sorted(set(server_ids)), PAGE)
            for page in paginator.paginate(filters={"sourceServerIDs": chunk})
            for item in page["items"]
        ]

    def every_recovery_instance(self) -> list[Mapping[str, Any]]:
        """All recovery instances of the account and Region, also of servers that DRS has removed."""
        pages = self.conn.get_paginator("describe_recovery_instances").paginate(filters={})
        return [item for page in pages for item in page["items"]]

    def launch_configuration(self, server_id: str) -> Mapping[str, Any]:
        """A server's launch settings. DRS gives them for one server at a time.

        .. seealso:: https://docs.aws.amazon.com/drs/latest/APIReference/API_GetLaunchConfiguration.html
        """
        return self.conn.get_launch_configuration(sourceServerID=server_id)

    def recovery_snapshots(self, server_id: str) -> list[Mapping[str, Any]]:
        """The snapshots to which a server can be recovered.

        .. seealso:: https://docs.aws.amazon.com/drs/latest/APIReference/API_DescribeRecoverySnapshots.html
        """
        pages = self.conn.get_paginator("describe_recovery_snapshots").paginate(sourceServerID=server_id)
        return [item for page in pages for item in page["items"]]

    @property
    def sees_recovery_plans(self) -> bool:
        """Whether this boto3 can list the executions of AWS's own recovery plans. Ask before you list them:
        an older one raises a KeyError for the name of an operation that it does not know.
        """
        return hasattr(self.conn, "list_recovery_plan_executions")

    def recovery_plan_executions(self, status: RecoveryPlanExecutionStatusType) -> list[Mapping[str, Any]]:
        """The executions of AWS's own recovery plans that have this status.

        .. seealso:: https://docs.aws.amazon.com/drs/latest/APIReference/API_ListRecoveryPlanExecutions.html
        """
        pages = self.conn.get_paginator("list_recovery_plan_executions").paginate(status=status)
        return [item for page in pages for item in page["recoveryPlanExecutions"]]

    def recovery_plan_steps(self, execution_arn: str) -> list[Mapping[str, Any]]:
        """The steps of one execution, with the servers of each.

        .. seealso:: https://docs.aws.amazon.com/drs/latest/APIReference/API_ListRecoveryPlanExecutionSteps.html
        """
        pages = self.conn.get_paginator("list_recovery_plan_execution_steps").paginate(
            recoveryPlanExecutionArn=execution_arn
        )
        return [item for page in pages for item in page["recoveryPlanExecutionSteps"]]


class Drs(DrsCalls):
    """Calls DRS with a given client, where there is no Airflow.

    :param conn: a boto3 client of DRS
    """

    def __init__(self, conn: DrsClient) -> None:
        self._conn = conn

    @property
    def conn(self) -> DrsClient:
        return self._conn

    @property
    def unrepeated(self) -> DrsClient:
        """The given client. To start a recovery, it must be one that repeats nothing."""
        return self._conn


@contextmanager
def _checked_before_send(client: DrsClient, check: Callable[[], None] | None) -> Iterator[None]:
    """Have ``check`` called directly before this client sends a StartRecovery request."""
    if check is None:
        yield
        return
    event = "before-send.drs.StartRecovery"

    def handler(**_: object) -> None:
        check()

    client.meta.events.register_first(event, handler)
    try:
        yield
    finally:
        client.meta.events.unregister(event, handler)


def chunks(ids: Sequence[str], size: int) -> Iterator[list[str]]:
    """The ids in lists of at most ``size``."""
    for start in range(0, len(ids), size):
        yield list(ids[start : start + size])
