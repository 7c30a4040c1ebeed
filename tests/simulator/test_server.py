"""The server as a process of its own, met by unmodified clients."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import boto3
import pytest
from aiobotocore.session import AioSession
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionClosedError, ReadTimeoutError

ROOT = Path(__file__).parents[2]
KEY = "AKIASIMULATOR1111222"
DATABASE = ["s-3c1730a9e0771ea14", "s-3c1730a9e0771ea15"]
WEB = ["s-69b4a1c2d3e4f5a71", "s-69b4a1c2d3e4f5a72"]
SPEED = 600
NO_END = {"kind": "stuck_conversion", "servers": DATABASE}
"""Jobs of these servers last as long as a test needs them, however slow the machine is."""


class Server:
    """A simulator on a free port."""

    def __init__(self, *arguments: str) -> None:
        command = [sys.executable, "-m", "simulator", "--port", "0", *arguments]
        # boto3 of moto's own must not be told where to go.
        environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        self.process = subprocess.Popen(
            command, cwd=ROOT, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        assert self.process.stdout
        line = self.process.stdout.readline()
        assert line.startswith("simulator ready on http://127.0.0.1:"), self.process.communicate()
        self.url = line.split()[-1]

    def client(self, service: str, **settings: Any) -> Any:
        settings = {"region_name": "us-east-1", "aws_access_key_id": KEY, **settings}
        make: Any = boto3.client  # typed for services that are named in the code
        return make(service, endpoint_url=self.url, aws_secret_access_key="x", **settings)

    def control(self, method: str, path: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}/_simulator/{path}", data, method=method)
        with urllib.request.urlopen(request) as response:
            return json.load(response)

    def refused(self, method: str, path: str, body: Any = None) -> tuple[int, str]:
        with pytest.raises(urllib.error.HTTPError) as error:
            self.control(method, path, body)
        return error.value.code, json.load(error.value)["error"]

    def journal(self, **wanted: str) -> list[dict[str, Any]]:
        query = "&".join(f"{name}={value}" for name, value in wanted.items())
        entries: list[dict[str, Any]] = self.control("GET", f"journal?{query}")["entries"]
        return entries

    def stop(self, number: signal.Signals = signal.SIGTERM) -> tuple[int, str]:
        """End the process; its exit code, and what it wrote to standard error."""
        self.process.send_signal(number)
        _, errors = self.process.communicate(timeout=10)
        return self.process.returncode, errors


@pytest.fixture(scope="module")
def running() -> Iterator[Server]:
    server = Server("--speed", str(SPEED))
    yield server
    code, errors = server.stop()
    assert (code, errors) == (0, "")


@pytest.fixture
def server(running: Server) -> Server:
    """The running server, with the default fleet loaded again."""
    fleet = (ROOT / "include" / "fleets" / "default.yaml").read_bytes()
    request = urllib.request.Request(f"{running.url}/_simulator/fleet?mode=replace", fleet, method="POST")
    urllib.request.urlopen(request).close()
    running.control("DELETE", "journal")
    return running


def _eventually(condition: Callable[[], Any]) -> Any:
    """Ask again until the answer is yes; a drill lasts about a second here."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if found := condition():
            return found
    raise AssertionError("it did not happen within 20 s")


def _completed(drs: Any, job: Any) -> Any:
    def done() -> Any:
        (found,) = drs.describe_jobs(filters={"jobIDs": [job["jobID"]]})["items"]
        return found if found["status"] == "COMPLETED" else None

    return _eventually(done)


def _start(drs: Any, servers: list[str], **more: Any) -> Any:
    wanted = [{"sourceServerID": server} for server in servers]
    return drs.start_recovery(sourceServers=wanted, isDrill=True, **more)["job"]


def test_a_whole_drill_by_hand(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """boto3 as it comes, with nothing but AWS_ENDPOINT_URL and credentials in the environment."""
    for name, value in {
        "AWS_ENDPOINT_URL": server.url,
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": "x",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    session = boto3.Session()
    drs, ec2, sts = session.client("drs"), session.client("ec2"), session.client("sts")
    assert sts.get_caller_identity()["Arn"] == "arn:aws:iam::111122223333:user/simulator"
    before = time.monotonic()
    job = _completed(drs, _start(drs, DATABASE))
    assert time.monotonic() - before > 533 / SPEED
    ids = [participant["recoveryInstanceID"] for participant in job["participatingServers"]]
    assert [_state(ec2, each) for each in ids] == ["running", "running"]
    _completed(drs, drs.terminate_recovery_instances(recoveryInstanceIDs=ids)["job"])
    assert drs.describe_recovery_instances()["items"] == []
    assert [_state(ec2, each) for each in ids] == ["terminated", "terminated"]
    instances = server.control("GET", "instances")["instances"]
    assert [(i["instanceID"], i["isDrill"], i["ec2State"], i["drsState"]) for i in instances] == [
        (each, True, "terminated", "gone") for each in ids
    ]


def _state(ec2: Any, instance_id: str) -> str:
    (reservation,) = ec2.describe_instances(InstanceIds=[instance_id])["Reservations"]
    return str(reservation["Instances"][0]["State"]["Name"])


def test_ec2_does_not_lag_behind(server: Server) -> None:
    """An instance shows in EC2 when its time has come, though nobody asks DRS."""
    _start(server.client("drs"), DATABASE[:1])
    ec2 = server.client("ec2")
    running = [{"Name": "instance-state-name", "Values": ["running"]}]
    (reservation,) = _eventually(lambda: ec2.describe_instances(Filters=running)["Reservations"])
    assert "drs.amazonaws.com-job" in {tag["Key"] for tag in reservation["Instances"][0]["Tags"]}


async def test_aiobotocore_is_served_as_well(server: Server) -> None:
    """With its own HTTP client, paginators included."""
    settings = {"region_name": "us-east-1", "aws_access_key_id": KEY, "aws_secret_access_key": "x"}
    session = AioSession()
    async with session.create_client("drs", endpoint_url=server.url, **settings) as drs:
        job = (await drs.start_recovery(sourceServers=[{"sourceServerID": WEB[0]}], isDrill=True))["job"]
        assert (await drs.describe_jobs(filters={"jobIDs": [job["jobID"]]}))["items"][0]["type"] == "LAUNCH"
        pages = drs.get_paginator("describe_source_servers").paginate(PaginationConfig={"PageSize": 20})
        assert [len(page["items"]) async for page in pages] == [20, 18]


def test_the_other_services_are_there(server: Server) -> None:
    """S3, SNS, SSM, IAM, CloudWatch: all on the one port."""
    server.client("s3").create_bucket(Bucket="evidence")
    server.client("s3").put_object(Bucket="evidence", Key="a/b", Body=b"x")
    assert server.client("s3").get_object(Bucket="evidence", Key="a/b")["Body"].read() == b"x"
    topic = server.client("sns").create_topic(Name="drills")["TopicArn"]
    server.client("sns").publish(TopicArn=topic, Message="m")
    server.client("ssm").put_parameter(Name="p", Value="v", Type="String")
    assert server.client("iam").get_user(UserName="simulator")
    server.client("cloudwatch").put_metric_data(Namespace="n", MetricData=[{"MetricName": "m", "Value": 1}])
    assert ":111122223333:" in topic


def test_callers_without_a_known_key_belong_to_the_first_account(server: Server) -> None:
    """A known key leads into its own account."""
    anybody = server.client("sts", aws_access_key_id="unknown").get_caller_identity()
    billing = server.client("sts", aws_access_key_id="AKIASIMULATOR4444555").get_caller_identity()
    assert (anybody["Account"], billing["Account"]) == ("111122223333", "444455556666")


def _assume(server: Server, name: str = "drs-drills", account: str = "444455556666", **more: str) -> Any:
    """The settings of a client that has assumed a role, from the first account."""
    arn = f"arn:aws:iam::{account}:role/{name}"
    role = server.client("sts").assume_role(RoleArn=arn, RoleSessionName="drill", **more)["Credentials"]
    return {
        "aws_access_key_id": role["AccessKeyId"],
        "aws_session_token": role["SessionToken"],
    }


def test_a_role_leads_into_its_account(server: Server) -> None:
    """In DRS, EC2, STS and IAM; the journal names that account and the assumed role."""
    settings = _assume(server, ExternalId="billing-drills")
    arn = "arn:aws:sts::444455556666:assumed-role/drs-drills/drill"
    identity = server.client("sts", **settings).get_caller_identity()
    assert (identity["Account"], identity["Arn"]) == ("444455556666", arn)
    assert len(server.client("drs", **settings).describe_source_servers()["items"]) == 2
    drill = [{"Name": "tag:Name", "Values": ["orders-drill"]}]
    assert server.client("ec2").describe_subnets(Filters=drill)["Subnets"]
    assert not server.client("ec2", **settings).describe_subnets(Filters=drill)["Subnets"]
    iam = server.client("iam", **settings)
    role = iam.get_role(RoleName="drs-drills")["Role"]["Arn"]
    decided = iam.simulate_principal_policy(PolicySourceArn=role, ActionNames=["drs:StartRecovery"])
    assert [each["EvalDecision"] for each in decided["EvaluationResults"]] == ["allowed"]
    user = "arn:aws:iam::111122223333:user/simulator"
    assert [(e["operation"], e["account"], e["caller"]["arn"]) for e in server.journal()] == [
        ("AssumeRole", "111122223333", user),
        ("GetCallerIdentity", "444455556666", arn),
        ("DescribeSourceServers", "444455556666", arn),
        ("DescribeSubnets", "111122223333", user),
        ("DescribeSubnets", "444455556666", arn),
        ("GetRole", "444455556666", arn),
        ("SimulatePrincipalPolicy", "444455556666", arn),
    ]


@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("drs-drills", {}),
        ("drs-drills", {"ExternalId": "orders-drills"}),
        ("drs-drill", {"ExternalId": "billing-drills"}),
    ],
)
def test_a_role_is_assumed_with_its_external_id_only(server: Server, name: str, more: dict[str, str]) -> None:
    """No id, another id, another role: AccessDenied."""
    expected = f"user/simulator is not authorized to perform: sts:AssumeRole on resource: .*/{name}$"
    with pytest.raises(ClientError, match=expected) as refusal:
        _assume(server, name, **more)
    response = refusal.value.response
    assert (response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"]) == (
        "AccessDenied",
        403,
    )
    assert [(e["account"], e["error"]) for e in server.journal()] == [("111122223333", "AccessDenied")]


def test_an_account_that_states_no_role_lets_any_be_assumed(server: Server) -> None:
    """As moto does; a role without an external id takes any; a replaced fleet takes its role along."""
    assert _assume(server, "anything", "111122223333")
    account = {"role": {"name": "open"}, "regions": {"us-east-1": {}}}
    server.control("POST", "fleet?mode=replace", {"accounts": {"444455556666": account}})
    assert _assume(server, "open", ExternalId="whatever")
    with pytest.raises(ClientError, match="AccessDenied"):
        _assume(server, ExternalId="billing-drills")
    iam = server.client("iam")  # the only account left is every caller's
    assert [role["RoleName"] for role in iam.list_roles()["Roles"]] == ["open"]


def test_policies_of_an_account_are_those_of_its_role(server: Server) -> None:
    """Of its user and its role alike."""
    statement = {"Effect": "Allow", "Action": "drs:*", "Resource": "*"}
    account = {
        "role": {"name": "drs-drills"},
        "policies": [{"Version": "2012-10-17", "Statement": [statement]}],
        "regions": {"us-east-1": {}},
    }
    server.control("POST", "fleet?mode=replace", {"accounts": {"444455556666": account}})
    for principal in ("role/drs-drills", "user/simulator"):
        results = server.client("iam").simulate_principal_policy(
            PolicySourceArn=f"arn:aws:iam::444455556666:{principal}",
            ActionNames=["drs:StartRecovery", "ec2:RunInstances"],
        )["EvaluationResults"]
        assert [each["EvalDecision"] for each in results] == ["allowed", "implicitDeny"]


@pytest.mark.parametrize("mode", ["legacy", "standard"])
def test_what_is_not_simulated_is_asked_once(server: Server, mode: Any) -> None:
    """botocore does not retry the answer in either of its modes."""
    drs = server.client("drs", config=Config(retries={"mode": mode}))
    with pytest.raises(ClientError, match="DescribeSourceNetworks is not simulated"):
        drs.describe_source_networks()
    assert [(e["operation"], e["status"]) for e in server.journal()] == [("DescribeSourceNetworks", 501)]


def test_what_moto_does_not_have_is_asked_once_too(server: Server) -> None:
    """Operations of other services that moto has not implemented, in JSON and in XML."""
    with pytest.raises(ClientError, match="not been implemented"):
        server.client("ssm").describe_effective_patches_for_patch_baseline(BaselineId="pb-" + "0" * 17)
    with pytest.raises(ClientError, match="not been implemented"):
        server.client("iam").get_organizations_access_report(JobId="1" * 36)
    assert [entry["status"] for entry in server.journal()] == [501, 501]


def test_the_journal_tells_of_every_call(server: Server) -> None:
    """Who, what, when, from where, and how it ended; a refused call like any other."""
    drs = server.client("drs", config=Config(user_agent_extra="drill/1"))
    server.control("POST", "faults", NO_END)
    before = time.time()
    job = _start(drs, DATABASE, tags={"run": "r1"})
    with pytest.raises(ClientError):
        _start(drs, DATABASE)
    first, second = server.journal(service="drs", operation="StartRecovery")
    assert first["parameters"] == {
        "sourceServers": [{"sourceServerID": each} for each in DATABASE],
        "isDrill": True,
        "tags": {"run": "r1"},
    }
    assert (first["status"], first["error"], first["result"]["jobID"]) == (202, None, job["jobID"])
    assert (second["status"], second["error"], second["result"]) == (409, "ConflictException", {})
    assert (first["account"], first["region"]) == ("111122223333", "us-east-1")
    assert first["caller"] == {"access_key_id": KEY, "arn": "arn:aws:iam::111122223333:user/simulator"}
    assert "drill/1" in first["user_agent"]
    assert before <= first["time"] <= second["time"] <= time.time()
    assert first["n"] < second["n"]
    assert server.refused("GET", "journal?colour=red")[0] == 400
    assert server.control("DELETE", "journal") == {"deleted": 2}


def test_the_journal_reads_every_protocol(server: Server) -> None:
    """Query, JSON, REST: the operation and its error are known."""
    with pytest.raises(ClientError):
        server.client("s3").get_object(Bucket="nothing", Key="k")
    with pytest.raises(ClientError):
        server.client("ec2").describe_instances(InstanceIds=["i-0123456789abcdef0"])
    with pytest.raises(ClientError):
        server.client("ssm").get_parameter(Name="nothing")
    assert [(e["service"], e["operation"], e["error"]) for e in server.journal()] == [
        ("s3", "GetObject", "NoSuchBucket"),
        ("ec2", "DescribeInstances", "InvalidInstanceID.NotFound"),
        ("ssm", "GetParameter", "ParameterNotFound"),
    ]


def test_botocore_waits_out_throttling(server: Server) -> None:
    """Two throttled attempts, with Retry-After, then success; the journal has all three."""
    fault = {"kind": "throttle", "count": 2, "retry_after": 0, "operations": ["DescribeJobs"]}
    server.control("POST", "faults", fault)
    assert server.client("drs").describe_jobs()["items"] == []
    assert [(e["status"], e["error"]) for e in server.journal(operation="DescribeJobs")] == [
        (429, "ThrottlingException"),
        (429, "ThrottlingException"),
        (200, None),
    ]


def test_a_retry_of_a_lost_reply_meets_its_own_job(server: Server) -> None:
    """botocore retries StartRecovery on a 500, and the second attempt conflicts with the first."""
    lost = {"kind": "internal_error", "when": "after", "count": 1, "operations": ["StartRecovery"]}
    server.control("POST", "faults", [NO_END, lost])
    with pytest.raises(ClientError, match="ConflictException"):
        _start(server.client("drs"), DATABASE)
    assert [entry["status"] for entry in server.journal(operation="StartRecovery")] == [500, 409]
    assert len(server.client("drs").describe_jobs()["items"]) == 1


def test_a_dropped_connection_has_no_reply(server: Server) -> None:
    """botocore asks again; the journal has the dropped call without a status."""
    server.control("POST", "faults", {"kind": "connection_drop", "count": 1, "operations": ["DescribeJobs"]})
    server.client("drs").describe_jobs()
    assert [(e["status"], e["error"]) for e in server.journal(operation="DescribeJobs")] == [
        (None, "ConnectionDropped"),
        (200, None),
    ]


@pytest.mark.parametrize(
    ("operation", "call", "code", "status"),
    [
        ("iam:GetUser", lambda server: server.client("iam").get_user(), "AccessDenied", 403),
        (
            "sts:GetCallerIdentity",
            lambda server: server.client("sts").get_caller_identity(),
            "AccessDenied",
            403,
        ),
        (
            "ec2:DescribeSubnets",
            lambda server: server.client("ec2").describe_subnets(),
            "UnauthorizedOperation",
            403,
        ),
        ("s3:ListBuckets", lambda server: server.client("s3").list_buckets(), "AccessDenied", 403),
        (
            "ssm:GetParameters",
            lambda server: server.client("ssm").get_parameters(Names=["a"]),
            "AccessDeniedException",
            400,
        ),
    ],
)
def test_access_to_other_services_can_be_denied(
    server: Server, operation: str, call: Callable[[Server], Any], code: str, status: int
) -> None:
    """By each service's own error, for the operations that the fault names; DRS is not touched."""
    server.control("POST", "faults", {"kind": "access_denied", "operations": [operation], "count": 1})
    with pytest.raises(
        ClientError, match=f"user/simulator is not authorized to perform: {operation}"
    ) as refusal:
        call(server)
    response = refusal.value.response
    assert (response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"]) == (code, status)
    call(server)
    server.client("drs").describe_jobs()
    assert [(e["status"], e["error"]) for e in server.journal()] == [(status, code), (200, None), (200, None)]


def test_other_services_can_be_throttled_and_fail(server: Server) -> None:
    """botocore retries both, in each protocol; a fault that names no operation is one of DRS alone."""
    names = ["iam:GetUser", "ec2:DescribeSubnets"]
    for kind in ("throttle", "internal_error"):
        for name in names:
            server.control("POST", "faults", {"kind": kind, "operations": [name], "count": 1})
    server.control("POST", "faults", {"kind": "throttle"})
    server.client("iam").get_user()
    server.client("ec2").describe_subnets()
    assert [(e["status"], e["error"]) for e in server.journal()] == [
        (400, "Throttling"),
        (500, "InternalFailure"),
        (200, None),
        (503, "RequestLimitExceeded"),
        (500, "InternalError"),
        (200, None),
    ]


def test_a_lost_reply_of_another_service_has_done_its_work(server: Server) -> None:
    """As with DRS."""
    lost = {"kind": "connection_drop", "when": "after", "count": 1, "operations": ["sns:CreateTopic"]}
    server.control("POST", "faults", lost)
    sns = server.client("sns", config=Config(retries={"total_max_attempts": 1}))
    with pytest.raises(ConnectionClosedError):
        sns.create_topic(Name="lost-reply")
    assert any(each["TopicArn"].endswith(":lost-reply") for each in sns.list_topics()["Topics"])


def test_policies_are_simulated_over_http(server: Server) -> None:
    """A fleet's own policies, gone with the fleet that replaces it; what is not simulated is asked once."""
    statement = {"Effect": "Allow", "Action": "drs:*", "Resource": "*"}
    account = {
        "access_key_id": KEY,
        "policies": [{"Version": "2012-10-17", "Statement": [statement]}],
        "regions": {"us-east-1": {}},
    }
    iam = server.client("iam")
    wanted = {
        "PolicySourceArn": server.client("sts").get_caller_identity()["Arn"],
        "ActionNames": ["drs:StartRecovery", "ec2:RunInstances"],
    }

    def decisions() -> list[str]:
        results = iam.simulate_principal_policy(**wanted)["EvaluationResults"]
        return [str(each["EvalDecision"]) for each in results]

    server.control("POST", "fleet?mode=replace", {"accounts": {"111122223333": account}})
    assert decisions() == ["allowed", "implicitDeny"]
    server.control("POST", "fleet?mode=replace", {"accounts": {"111122223333": account | {"policies": None}}})
    assert decisions() == ["allowed", "allowed"]
    server.control("DELETE", "journal")
    with pytest.raises(ClientError, match="not simulated with CallerArn"):
        iam.simulate_principal_policy(**wanted, CallerArn=wanted["PolicySourceArn"])
    assert [entry["status"] for entry in server.journal()] == [501]


@pytest.mark.parametrize(("when", "jobs"), [("before", 0), ("after", 1)])
def test_a_call_may_hang_before_or_after_its_work(server: Server, when: str, jobs: int) -> None:
    """The client waits in vain; meanwhile the journal shows the call, and others are answered."""
    hang = {"kind": "connection_drop", "when": when, "seconds": 60, "operations": ["StartRecovery"]}
    server.control("POST", "faults", hang)
    impatient = Config(read_timeout=1, retries={"total_max_attempts": 1})
    with pytest.raises(ReadTimeoutError):
        _start(server.client("drs", config=impatient), DATABASE)
    assert [entry["error"] for entry in server.journal(operation="StartRecovery")] == ["ConnectionDropped"]
    assert len(server.client("drs").describe_jobs()["items"]) == jobs


def test_faults_are_armed_listed_and_disarmed(server: Server) -> None:
    """One or several at once; a foreign job shows as a live job until its fault is taken away."""
    drs = server.client("drs")
    foreign = {"kind": "foreign_job", "servers": DATABASE, "seconds": 3600, "initiated_by": "START_DRILL"}
    armed = server.control("POST", "faults", [foreign, {"kind": "tags_refused"}])["faults"]
    assert [fault["kind"] for fault in armed] == ["foreign_job", "tags_refused"]
    (job,) = drs.describe_jobs()["items"]
    assert (job["status"], job["initiatedBy"]) == ("STARTED", "START_DRILL")
    with pytest.raises(ClientError, match="drs:TagResource"):
        _start(drs, WEB, tags={"a": "b"})
    assert [fault["struck"] for fault in server.control("GET", "faults")["faults"]] == [0, 1]
    assert server.control("DELETE", f"faults/{armed[0]['id']}") == {"disarmed": 1}
    assert drs.describe_jobs()["items"][0]["status"] == "COMPLETED"
    assert server.control("DELETE", "faults") == {"disarmed": 1}
    assert server.control("GET", "faults") == {"faults": []}


@pytest.mark.parametrize(
    ("method", "path", "body", "expected"),
    [
        ("POST", "faults", {"kind": "earthquake"}, "does not match any of the expected tags"),
        (
            "POST",
            "faults",
            {"kind": "throttle", "count": "many"},
            "throttle.count: Input should be a valid integer",
        ),
        ("POST", "faults", {"kind": "throttle", "operations": ["StartRecoverie"]}, "is no operation"),
        ("POST", "faults", {"kind": "throttle", "operations": ["drs:StartRecovery"]}, "is no operation"),
        (
            "POST",
            "faults",
            {"kind": "throttle", "operations": ["iam:GetUsr"]},
            "there is no operation iam:GetUsr",
        ),
        (
            "POST",
            "faults",
            {"kind": "throttle", "operations": ["aim:GetUser"]},
            "there is no operation aim:GetUser",
        ),
        ("POST", "faults", {"kind": "stuck_pending", "servers": ["s-" + "9" * 17]}, "is not in the fleet"),
        ("POST", "fleet", {"accounts": {}}, "accounts: Dictionary should have at least 1 item"),
        ("POST", "fleet?mode=merge", {}, "mode is 'add' or 'replace', not 'merge'"),
    ],
)
def test_bad_input_is_400_with_the_reason(
    server: Server, method: str, path: str, body: Any, expected: str
) -> None:
    """Readable, and nothing has changed."""
    status, message = server.refused(method, path, body)
    assert status == 400
    assert expected in message
    assert server.control("GET", "faults") == {"faults": []}


def test_what_is_not_there_is_404(server: Server) -> None:
    """Paths and faults."""
    assert server.refused("GET", "nothing")[0] == 404
    assert server.refused("DELETE", "faults/fault-99") == (404, "there is no fault 'fault-99'")


def test_a_fleet_can_be_added(server: Server) -> None:
    """Its servers and keys are known at once; the rest stays."""
    fleet = {
        "accounts": {
            "777788889999": {
                "access_key_id": "AKIASIMULATOR7777888",
                "regions": {"eu-west-1": {"servers": [{"id": "s-" + "a" * 17, "hostname": "new"}]}},
            }
        }
    }
    added = server.control("POST", "fleet", fleet)
    assert added == {"accounts": ["111122223333", "444455556666", "777788889999"]}
    new = server.client("drs", region_name="eu-west-1", aws_access_key_id="AKIASIMULATOR7777888")
    assert [each["sourceServerID"] for each in new.describe_source_servers()["items"]] == ["s-" + "a" * 17]
    assert server.refused("POST", "fleet", fleet)[1].endswith("already")
    health = server.control("GET", "health")
    assert (health["status"], health["speed"], len(health["accounts"])) == ("ok", SPEED, 3)


def test_a_server_is_held_by_one_job_only_when_many_call_at_once(server: Server) -> None:
    """Of eight simultaneous StartRecovery of the same server one succeeds."""
    drs = server.client("drs")
    server.control("POST", "faults", NO_END)

    def attempt(_: int) -> int:
        try:
            _start(drs, DATABASE[:1])
        except drs.exceptions.ConflictException:
            return 409
        return 202

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(attempt, range(8))) == [202] + [409] * 7


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_at_once_and_quietly(number: signal.Signals) -> None:
    """Exit code 0, nothing on standard error, even with a job in progress."""
    server = Server()
    _start(server.client("drs"), DATABASE)
    before = time.monotonic()
    assert server.stop(number) == (0, "")
    assert time.monotonic() - before < 5


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (None, "cannot read the fleet file: No such file or directory"),
        ("accounts: {", "not readable as YAML"),
        ("accounts: {}\nspeed: 3\n", "speed: unknown key"),
    ],
)
def test_a_bad_fleet_file_stops_the_start(tmp_path: Path, content: str | None, expected: str) -> None:
    """Exit code 2, and one clear line for each problem."""
    path = tmp_path / "fleet.yaml"
    if content is not None:
        path.write_text(content)
    _refuses_to_start(["--fleet", str(path)], f"{path}: {expected}")


def test_a_port_in_use_stops_the_start() -> None:
    """Exit code 2, naming the port."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        _refuses_to_start(["--port", port], f"cannot listen on port {port}: Address already in use")


def _refuses_to_start(arguments: list[str], expected: str) -> None:
    command = [sys.executable, "-m", "simulator", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert expected in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
