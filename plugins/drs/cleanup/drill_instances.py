"""The drill instances of a run, with what DRS and EC2 show of each."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from drs.aws.calls import PAGE, DrsCalls, chunks
from drs.aws.jobs import parse_time
from drs.run.records import InstanceRecord
from drs.text import shown

DescribeEc2 = Callable[[list[dict[str, Any]]], Iterable[Mapping[str, Any]]]
"""Lists the EC2 instances that match the given filters of DescribeInstances."""


def drill_instances(hook: DrsCalls, server_ids: Iterable[str], jobs: Collection[str]) -> list[InstanceRecord]:
    """The drill instances of these servers that these jobs launched and that DRS still lists."""
    return [_record(item) for item in _launched(hook, server_ids, jobs) if item.get("isDrill") is True]


def instances_to_show(
    hook: DrsCalls, server_ids: Iterable[str], jobs: Collection[str]
) -> list[InstanceRecord]:
    """The instances that these jobs launched, those of a real recovery too: to show them, never to terminate
    them.
    """
    return [_record(item) for item in _launched(hook, server_ids, jobs)]


def _launched(
    hook: DrsCalls, server_ids: Iterable[str], jobs: Collection[str]
) -> Iterator[Mapping[str, Any]]:
    servers = sorted(set(server_ids))
    for item in hook.recovery_instances(servers) if servers else ():
        if item.get("jobID") in jobs:
            yield item


def _record(item: Mapping[str, Any]) -> InstanceRecord:
    return InstanceRecord(
        recovery_instance_id=item["recoveryInstanceID"],
        ec2_instance_id=item.get("ec2InstanceID", item["recoveryInstanceID"]),
        server_id=item["sourceServerID"],
        job_id=item["jobID"],
        point_in_time=parse_time(moment) if (moment := item.get("pointInTimeSnapshotDateTime")) else None,
    )


def with_types(
    instances: Sequence[InstanceRecord], describe_ec2: DescribeEc2
) -> tuple[list[InstanceRecord], str | None]:
    """Add EC2's type, launch time and state, from which the cost follows.

    :return: the instances; and a note if EC2 could not be read. That does not stop clean-up: the instances
        are terminated although their cost is not known.
    """
    described: dict[str, Mapping[str, Any]] = {}
    try:
        for chunk in chunks(sorted({item.ec2_instance_id for item in instances}), PAGE):
            for item in describe_ec2([{"Name": "instance-id", "Values": chunk}]):
                described[item["InstanceId"]] = item
    except (ClientError, BotoCoreError) as error:
        return list(
            instances
        ), f"What the instances cost is not known, because EC2 could not be read: {shown.line(error)}"
    return [_with_type(each, described.get(each.ec2_instance_id, {})) for each in instances], None


def _with_type(instance: InstanceRecord, described: Mapping[str, Any]) -> InstanceRecord:
    return instance.model_copy(
        update={
            "instance_type": described.get("InstanceType"),
            "launched_at": described.get("LaunchTime"),
            "state": described.get("State", {}).get("Name"),
        }
    )
