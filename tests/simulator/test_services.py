"""moto's S3, SNS and CloudWatch over the server, as evidence, messages and measures use them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiobotocore.session import AioSession
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.simulator.test_server import KEY, Server

BUCKET = "evidence"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    server = Server()
    server.client("s3").create_bucket(Bucket=BUCKET)
    yield server
    assert server.stop() == (0, "")


def _code(call: Callable[..., Any], **parameters: Any) -> str:
    with pytest.raises(ClientError) as refusal:
        call(**parameters)
    return str(refusal.value.response["Error"]["Code"])


@pytest.mark.parametrize("style", ["path", "virtual"])
def test_s3_keeps_lists_and_gives_back(server: Server, style: Any) -> None:
    """In either style of address, page by page, with keys that need quoting."""
    s3 = server.client("s3", config=Config(s3={"addressing_style": style}))
    keys = [f"{style}/orders/run {n}+é.json" for n in range(3)]
    for number, key in enumerate(keys):
        s3.put_object(Bucket=BUCKET, Key=key, Body=str(number).encode(), ContentType="application/json")
    pages = s3.get_paginator("list_objects_v2").paginate(
        Bucket=BUCKET, Prefix=f"{style}/", PaginationConfig={"PageSize": 2}
    )
    assert [[each["Key"] for each in page["Contents"]] for page in pages] == [keys[:2], keys[2:]]
    (folder,) = s3.list_objects_v2(Bucket=BUCKET, Prefix=f"{style}/", Delimiter="/")["CommonPrefixes"]
    assert folder["Prefix"] == f"{style}/orders/"
    found = s3.get_object(Bucket=BUCKET, Key=keys[1])
    assert (found["Body"].read(), found["ContentType"]) == (b"1", "application/json")
    assert _code(s3.put_object, Bucket=BUCKET, Key=keys[1], Body=b"", IfNoneMatch="*") == "PreconditionFailed"
    s3.delete_object(Bucket=BUCKET, Key=keys[1])
    assert _code(s3.get_object, Bucket=BUCKET, Key=keys[1]) == "NoSuchKey"


async def test_s3_is_there_for_aiobotocore(server: Server) -> None:
    """Which is what an object storage path speaks."""
    settings = {"region_name": "us-east-1", "aws_access_key_id": KEY, "aws_secret_access_key": "x"}
    session = AioSession()
    async with session.create_client("s3", endpoint_url=server.url, **settings) as s3:
        await s3.put_object(Bucket=BUCKET, Key="async/run.json", Body=b"{}")
        found = await s3.get_object(Bucket=BUCKET, Key="async/run.json")
        assert await found["Body"].read() == b"{}"
        assert (await s3.list_objects_v2(Bucket=BUCKET, Prefix="async/"))["KeyCount"] == 1


def test_sns_publishes_to_a_topic_that_was_created(server: Server) -> None:
    """And to no other; the journal has the message."""
    sns = server.client("sns")
    topic = sns.create_topic(Name="drills")["TopicArn"]
    sns.publish(TopicArn=topic, Subject="orders", Message="Drill passed")
    assert _code(sns.publish, TopicArn=f"{topic}-2", Message="m") == "NotFound"
    first, _ = server.journal(service="sns", operation="Publish")
    assert first["parameters"] == {"TopicArn": topic, "Subject": "orders", "Message": "Drill passed"}


def test_cloudwatch_gives_statistics_of_what_was_put(server: Server) -> None:
    """By dimension; the journal has names and values."""
    cloudwatch, now = server.client("cloudwatch"), datetime.now(UTC)
    series = {
        "MetricName": "RecoveryTime",
        "Dimensions": [{"Name": "Plan", "Value": "orders"}],
    }
    points = [{**series, "Timestamp": now, "Value": value, "Unit": "Seconds"} for value in (500.0, 600.0)]
    cloudwatch.put_metric_data(Namespace="Drills", MetricData=points)
    around = {"StartTime": now - timedelta(minutes=5), "EndTime": now + timedelta(minutes=5)}
    wanted = {**series, **around, "Period": 600, "Statistics": ["Average", "SampleCount"]}
    (point,) = cloudwatch.get_metric_statistics(Namespace="Drills", **wanted)["Datapoints"]
    assert (point["Average"], point["SampleCount"]) == (550, 2)
    (entry,) = server.journal(service="cloudwatch", operation="PutMetricData")
    (first, _) = entry["parameters"]["MetricData"]
    assert (entry["account"], first["MetricName"], first["Value"]) == ("111122223333", "RecoveryTime", 500.0)


@pytest.mark.parametrize(
    ("operation", "call"),
    [
        ("s3:PutObject", lambda server: server.client("s3").put_object(Bucket=BUCKET, Key="k", Body=b"")),
        ("sns:Publish", lambda server: server.client("sns").publish(TopicArn="arn:x", Message="m")),
        (
            "cloudwatch:PutMetricData",
            lambda server: server.client("cloudwatch").put_metric_data(
                Namespace="n", MetricData=[{"MetricName": "m", "Value": 1}]
            ),
        ),
        (
            "ssm:SendCommand",
            lambda server: server.client("ssm").send_command(
                DocumentName="AWS-RunShellScript", InstanceIds=["i-0123456789abcdef0"]
            ),
        ),
    ],
)
def test_each_of_them_can_be_denied(server: Server, operation: str, call: Callable[[Server], Any]) -> None:
    """For a message, a measure or a record that cannot be written."""
    server.control("POST", "faults", {"kind": "access_denied", "operations": [operation], "count": 1})
    with pytest.raises(ClientError, match=f"is not authorized to perform: {operation}"):
        call(server)
