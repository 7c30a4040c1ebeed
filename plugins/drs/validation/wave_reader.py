"""Reads what AWS says about a wave's servers: once in each round of looks, for all checks of the wave."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Generic, TypeVar

from botocore.exceptions import BotoCoreError, ClientError

from drs.aws.calls import chunks
from drs.aws.clients import AsyncAwsClients
from drs.aws.ec2 import filters_by_id
from drs.validation.wave_to_check import ServerToCheck

INSTANCES = 40
"""Instances in one answer. To read 100 takes the event loop a tenth of a second of CPU time."""
STATUS_IDS = 100
"""Instances in one DescribeInstanceStatus call: EC2's limit."""
Item = Mapping[str, Any]
T = TypeVar("T")


class WaveReader:
    """Reads what AWS says about the servers of a wave.

    :param servers: the servers
    :param clients: gives the clients of AWS
    :param max_age: seconds after which an answer is too old to be used again
    """

    def __init__(self, servers: Sequence[ServerToCheck], clients: AsyncAwsClients, *, max_age: float) -> None:
        self._servers = servers
        self.clients = clients
        self.recovery_instances = _SharedReading(self._read_recovery_instances, max_age)
        """DRS's recovery instances, by job and source server."""
        self.instances = _SharedReading(self._read_instances, max_age)
        """EC2's instances, by id."""
        self.statuses = _SharedReading(self._read_statuses, max_age)
        """EC2's status checks, by instance id."""
        self.jobs = _SharedReading(self._read_jobs, max_age)
        """DRS's jobs, by id."""

    async def instance_id(self, server: ServerToCheck) -> str:
        """The EC2 instance that the server's job launched, from DRS or else from the launch record."""
        item = (await self.recovery_instances()).get((server.job_id, server.server_id), {})
        return str(item.get("ec2InstanceID") or server.instance_id)

    async def _read_recovery_instances(self) -> dict[tuple[str, str], Item]:
        drs = await self.clients("drs")
        ids = [server.server_id for server in self._servers]
        pages = drs.get_paginator("describe_recovery_instances").paginate(filters={"sourceServerIDs": ids})
        return {
            (str(item.get("jobID")), str(item.get("sourceServerID"))): item
            async for page in pages
            for item in page["items"]
        }

    async def _read_instances(self) -> dict[str, Item]:
        ec2 = await self.clients("ec2")
        found: dict[str, Item] = {}
        ids = sorted({await self.instance_id(server) for server in self._servers})
        for filters in filters_by_id("instance-id", ids):
            async for page in ec2.get_paginator("describe_instances").paginate(
                Filters=filters, PaginationConfig={"PageSize": INSTANCES}
            ):
                found |= {
                    item["InstanceId"]: item
                    for reservation in page["Reservations"]
                    for item in reservation["Instances"]
                }
        return found

    async def _read_statuses(self) -> dict[str, Item]:
        ec2 = await self.clients("ec2")
        found: dict[str, Item] = {}
        # Only of instances that exist: one unknown id makes EC2 refuse the whole call, which has no filter.
        for chunk in chunks(sorted(await self.instances()), STATUS_IDS):
            pages = ec2.get_paginator("describe_instance_status").paginate(
                InstanceIds=chunk, IncludeAllInstances=True
            )
            async for page in pages:
                found |= {item["InstanceId"]: item for item in page["InstanceStatuses"]}
        return found

    async def _read_jobs(self) -> dict[str, Item]:
        drs = await self.clients("drs")
        ids = sorted({server.job_id for server in self._servers})
        pages = drs.get_paginator("describe_jobs").paginate(filters={"jobIDs": ids})
        return {item["jobID"]: item async for page in pages for item in page["items"]}


class _SharedReading(Generic[T]):
    """One reading that many checks share until it is too old. An error is shared in the same way."""

    def __init__(self, read: Callable[[], Awaitable[T]], max_age: float) -> None:
        self._read = read
        self._max_age = max_age
        self._lock = asyncio.Lock()
        self._read_at: float | None = None
        self._answer: T | ClientError | BotoCoreError

    async def __call__(self) -> T:
        async with self._lock:
            now = asyncio.get_running_loop().time
            if self._read_at is None or now() - self._read_at >= self._max_age:
                try:
                    self._answer = await self._read()
                except (ClientError, BotoCoreError) as error:
                    self._answer = error
                self._read_at = now()
            if isinstance(self._answer, ClientError | BotoCoreError):
                raise self._answer
            return self._answer
