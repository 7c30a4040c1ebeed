"""DRS through boto3: what is asked, page by page, and what its refusals mean."""

from __future__ import annotations

import datetime as dt
import inspect
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from airflow.sdk import BaseOperator
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    NoCredentialsError,
    ReadTimeoutError,
)
from botocore.loaders import JSONFileLoader
from botocore.stub import ANY, Stubber

from drs.aws.call_errors import error_code, explain, meaning, retry_after, unexplained
from drs.errors import Code
from drs.explain import explain_failure
from drs.tasks.hook import DrsHook, read_models_ahead
from tests.unit.drill import NOW

JOB = {"jobID": "drsjob-" + "1" * 17, "creationDateTime": "2026-03-01T06:00:00Z", "status": "PENDING"}


def server(number: int) -> str:
    return f"s-{number:017x}"


@pytest.fixture
def hook() -> DrsHook:
    return DrsHook(region_name="us-east-1")


@pytest.fixture
def drs(hook: DrsHook) -> Iterator[Stubber]:
    """DRS's answers, in order. Exactly these requests must be made."""
    hook.__dict__["unrepeated"] = hook.conn
    with Stubber(hook.conn) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


def refusal(
    code: str, message: str = "no", *, status: int = 400, headers: dict[str, str] | None = None
) -> ClientError:
    response: Any = {
        "Error": {"Code": code, "Message": message},
        "ResponseMetadata": {"HTTPStatusCode": status, "HTTPHeaders": headers or {}},
    }
    return ClientError(response, "StartRecovery")


def test_retries_are_said_and_not_left_to_botocore(monkeypatch: pytest.MonkeyPatch) -> None:
    """botocore's default mode differs between versions; the connection may override ours."""
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", "aws://")
    config: Any = DrsHook(region_name="us-east-1").conn.meta.config
    assert config.retries == {"mode": "standard", "total_max_attempts": 4}
    own = DrsHook(region_name="us-east-1", config={"retries": {"mode": "adaptive", "total_max_attempts": 2}})
    config = own.conn.meta.config
    assert config.retries == {"mode": "adaptive", "total_max_attempts": 2}


def user_agent_of(hook: DrsHook) -> str:
    config: Any = hook.conn.meta.config
    return str(config.user_agent_extra)


class SomeTask(BaseOperator):
    """A task that makes a client, at its start and when it resumes."""

    def execute(self, context: Any) -> str:
        return self.user_agent()

    def resume(self) -> str:
        return self.user_agent()

    def user_agent(self) -> str:
        return user_agent_of(DrsHook(region_name="us-east-1"))


@pytest.mark.parametrize("method", [SomeTask.user_agent, SomeTask.resume])
def test_cloudtrail_shows_the_class_of_the_task(
    monkeypatch: pytest.MonkeyPatch, method: Callable[[SomeTask], str]
) -> None:
    """No source file is read for it: the provider's own way takes a quarter of a second for each client."""
    monkeypatch.setattr(inspect, "stack", None)
    assert "Caller/SomeTask " in method(SomeTask(task_id="some"))
    assert "Caller/Unknown " in user_agent_of(DrsHook(region_name="us-east-1"))


def test_the_clients_of_a_process_share_the_service_models(monkeypatch: pytest.MonkeyPatch) -> None:
    """What has been read ahead is not read again, whichever hook makes the client."""
    read_models_ahead()

    def must_not_exist(loader: JSONFileLoader, path: str) -> None:
        assert not loader.exists(path), f"{path} is read"

    monkeypatch.setattr(JSONFileLoader, "load_file", must_not_exist)
    hook = DrsHook(region_name="us-east-1")
    assert hook.conn.can_paginate("describe_jobs")
    assert hook.ec2.can_paginate("describe_instances")
    assert hook.client_of("cloudwatch")


def test_a_launch_is_sent_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever retries the connection asks for; its other settings are kept."""
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", "aws://")
    own = {"retries": {"mode": "adaptive", "total_max_attempts": 9}, "read_timeout": 7}
    config: Any = DrsHook(region_name="us-east-1", config=own).unrepeated.meta.config
    assert config.retries["total_max_attempts"] == 1
    assert config.read_timeout == 7


@pytest.mark.parametrize("tags", [{}, {"drs-drills:run": "token"}])
def test_a_launch_is_always_a_drill(hook: DrsHook, drs: Stubber, tags: dict[str, str]) -> None:
    """Every call contains isDrill; tags are sent only where the account accepts them."""
    expected: dict[str, Any] = {
        "isDrill": True,
        "sourceServers": [{"sourceServerID": server(1)}, {"sourceServerID": server(2)}],
    }
    drs.add_response("start_recovery", {"job": JOB}, expected | ({"tags": tags} if tags else {}))
    job = hook.start_recovery([server(1), server(2)], tags=tags)
    assert (job.job_id, job.status) == (JOB["jobID"], "PENDING")


def test_a_termination_names_its_instances(hook: DrsHook, drs: Stubber) -> None:
    """One job terminates all of them."""
    ids = ["i-0123456789abcdef0", "i-0123456789abcdef1"]
    drs.add_response("terminate_recovery_instances", {"job": JOB}, {"recoveryInstanceIDs": ids})
    assert hook.terminate_recovery_instances(ids).job_id == JOB["jobID"]


def test_jobs_are_read_page_by_page(hook: DrsHook, drs: Stubber) -> None:
    """Each id is asked for once. A job that DRS no longer knows is missing in the result."""
    other = {**JOB, "jobID": "drsjob-" + "2" * 17}
    filters = {"jobIDs": sorted([JOB["jobID"], other["jobID"]])}
    drs.add_response("describe_jobs", {"items": [JOB], "nextToken": "more"}, {"filters": filters})
    drs.add_response("describe_jobs", {"items": [other]}, {"filters": filters, "nextToken": "more"})
    found = hook.describe_jobs([other["jobID"], JOB["jobID"], JOB["jobID"]])
    assert [job.job_id for job in found] == [JOB["jobID"], other["jobID"]]


def test_no_job_is_asked_for_no_id(hook: DrsHook, drs: Stubber) -> None:
    """DRS would take an empty filter as every job."""
    assert hook.describe_jobs([]) == []


def test_jobs_since_a_moment_are_asked_for_in_utc(hook: DrsHook, drs: Stubber) -> None:
    """Whatever the time zone of the moment is."""
    filters = {"fromDate": "2026-03-01T06:00:00Z"}
    drs.add_response("describe_jobs", {"items": [JOB], "nextToken": "more"}, {"filters": filters})
    drs.add_response("describe_jobs", {"items": [JOB]}, {"filters": filters, "nextToken": "more"})
    assert len(hook.jobs_since(NOW.astimezone(dt.timezone(dt.timedelta(hours=-5))))) == 2


def test_live_jobs_are_those_that_hold_servers(hook: DrsHook, drs: Stubber) -> None:
    """DRS has no filter for the status, so the jobs of the last 24 hours are read."""
    jobs = [{**JOB, "status": status} for status in ("PENDING", "STARTED", "COMPLETED")]
    drs.add_response("describe_jobs", {"items": jobs}, {"filters": {"fromDate": ANY}})
    assert [job.status for job in hook.live_jobs()] == ["PENDING", "STARTED"]


def test_a_job_log_is_told_oldest_first(hook: DrsHook, drs: Stubber) -> None:
    """All pages of it are read."""
    late, early = ({"logDateTime": f"2026-03-01T06:00:0{second}Z", "event": "JOB_START"} for second in (2, 1))
    job = {"jobID": JOB["jobID"]}
    drs.add_response("describe_job_log_items", {"items": [late], "nextToken": "more"}, job)
    drs.add_response("describe_job_log_items", {"items": [early]}, {**job, "nextToken": "more"})
    assert [event.at.second for event in hook.job_log(str(JOB["jobID"]))] == [1, 2]


def test_all_source_servers_are_read_page_by_page(hook: DrsHook, drs: Stubber) -> None:
    """Without ids, DRS returns every server of the account and Region."""
    drs.add_response(
        "describe_source_servers",
        {"items": [{"sourceServerID": server(1)}], "nextToken": "more"},
        {"filters": {}},
    )
    drs.add_response(
        "describe_source_servers",
        {"items": [{"sourceServerID": server(2)}]},
        {"filters": {}, "nextToken": "more"},
    )
    assert [item["sourceServerID"] for item in hook.source_servers()] == [server(1), server(2)]


def test_servers_are_asked_for_200_at_a_time(hook: DrsHook, drs: Stubber) -> None:
    """This is the API's limit of ids in a request. Each id is asked for once."""
    ids = [server(number) for number in range(401)]
    for size, first in ((200, 0), (200, 200), (1, 400)):
        expected = {"filters": {"sourceServerIDs": ids[first : first + size]}}
        drs.add_response("describe_recovery_instances", {"items": [{"sourceServerID": ids[first]}]}, expected)
    found = [item["sourceServerID"] for item in hook.recovery_instances([*reversed(ids), ids[0]])]
    assert found == [server(0), server(200), server(400)]


DENIAL = "User: arn:aws:iam::111122223333:user/x is not authorized to perform: {} on resource: *"
REFUSALS: list[tuple[Exception, Code | None]] = [
    (refusal("AccessDeniedException"), Code.ACCESS_DENIED),
    (refusal("AccessDenied"), Code.ACCESS_DENIED),
    (refusal("UnauthorizedOperation"), Code.ACCESS_DENIED),
    (refusal("UninitializedAccountException"), Code.DRS_NOT_INITIALIZED),
    (refusal("ResourceNotFoundException", status=404), Code.SOURCE_SERVER_NOT_FOUND),
    (refusal("ThrottlingException", status=429), Code.DRS_UNAVAILABLE),
    (refusal("RequestLimitExceeded", status=503), Code.DRS_UNAVAILABLE),
    (refusal("InternalServerException", status=500), Code.DRS_UNAVAILABLE),
    (refusal("503", status=503), Code.DRS_UNAVAILABLE),
    (ConnectionClosedError(endpoint_url="https://drs"), Code.DRS_UNAVAILABLE),
    (ReadTimeoutError(endpoint_url="https://drs"), Code.DRS_UNAVAILABLE),
    (EndpointConnectionError(endpoint_url="https://drs"), Code.DRS_UNAVAILABLE),
    (ConnectTimeoutError(endpoint_url="https://drs"), Code.DRS_UNAVAILABLE),
    (refusal("ConflictException", status=409), None),
    (refusal("ServiceQuotaExceededException", status=402), None),
    (refusal("ValidationException"), None),
    (NoCredentialsError(), Code.ACCESS_DENIED),
]


@pytest.mark.parametrize(
    ("error", "code"),
    REFUSALS,
    ids=lambda value: error_code(value) if isinstance(value, Exception) else str(value),
)
def test_a_refusal_becomes_the_failure_that_it_stands_for(
    error: ClientError | BotoCoreError, code: Code | None
) -> None:
    """The message has DRS's own words and what was being done. An error without a code is not changed."""
    failure = explain(error, "to start s-1")
    assert (failure and failure.code) == code
    if failure:
        assert str(error) in failure.message
        assert "to start s-1" in failure.message


def test_a_missing_permission_is_told_as_a_statement_to_paste() -> None:
    """The statement has the action that AWS named, which may differ from the call's own."""
    failure = explain(refusal("AccessDeniedException", DENIAL.format("ec2:CreateTags")), "to start s-1")
    assert failure is not None
    assert '{"Effect": "Allow", "Action": ["ec2:CreateTags"], "Resource": "*"}' in failure.remedy


def called(operation: str, code: str, message: str = "no", **fields: Any) -> ClientError:
    response: Any = {
        "Error": {"Code": code, "Message": message},
        "ResponseMetadata": {"HTTPStatusCode": 400, "HTTPHeaders": {}},
        **fields,
    }
    return ClientError(response, operation)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (
            called(
                "DescribeJobLogItems", "ResourceNotFoundException", resourceType="Job", resourceId="drsjob-1"
            ),
            None,
        ),
        (called("DescribeJobLogItems", "ResourceNotFoundException", "Job drsjob-1 not found"), None),
        (
            called(
                "TerminateRecoveryInstances", "ResourceNotFoundException", resourceType="RecoveryInstance"
            ),
            None,
        ),
        (
            called("TagResource", "ResourceNotFoundException", f"Source server {server(1)} not found"),
            Code.SOURCE_SERVER_NOT_FOUND,
        ),
        (
            called("StartRecovery", "ResourceNotFoundException", resourceType="SourceServer"),
            Code.SOURCE_SERVER_NOT_FOUND,
        ),
    ],
)
def test_only_a_missing_source_server_is_a_source_server_that_is_not_found(
    error: ClientError, code: Code | None
) -> None:
    """A job, a recovery instance or a snapshot that DRS does not know is not told as one."""
    failure = explain(error, "to look")
    assert (failure and failure.code) == code
    if failure is None:
        assert unexplained(error, "to look").code is Code.DRILL_FAILED
        assert str(error) in unexplained(error, "to look").message


@pytest.mark.parametrize(
    ("operation", "action"),
    [
        ("DescribeSubnets", "ec2:DescribeSubnets"),
        ("PutMetricData", "cloudwatch:PutMetricData"),
        ("Publish", "sns:Publish"),
        ("GetRole", "iam:GetRole"),
    ],
)
def test_the_denial_of_another_service_is_not_told_as_drs_s(operation: str, action: str) -> None:
    """The statement has the service's own prefix."""
    failure = explain(called(operation, "AccessDenied", "Access Denied"), "to look")
    assert failure is not None
    assert f'"Action": ["{action}"]' in failure.remedy
    assert "drs:" not in failure.remedy


@pytest.mark.parametrize(
    "error",
    [
        called("DescribeJobs", "UnrecognizedClientException"),
        called("DescribeJobs", "InvalidClientTokenId"),
        called("DescribeInstances", "AuthFailure"),
        EndpointConnectionError(endpoint_url="https://drs.us-est-1.amazonaws.com"),
    ],
    ids=error_code,
)
def test_a_wrong_region_is_named_as_a_possible_cause(error: ClientError | BotoCoreError) -> None:
    """Opt-in Regions and misspelt ones are told by the same table as inside a job."""
    failure = explain(error, "to look")
    assert failure is not None
    assert "Region" in failure.remedy
    assert "opt-in" in failure.message + failure.remedy


def test_a_policy_of_the_organisation_is_not_corrected_in_the_role() -> None:
    """The same denial is told in the same words inside a job and of a direct call."""
    message = DENIAL.format("drs:StartRecovery") + " because no service control policy allows the action"
    error = called("StartRecovery", "AccessDeniedException", message)
    failure = explain(error, "to start s-1", then="Then clear this task.")
    assert failure is not None
    assert failure.remedy == f"{meaning(error).remedy} Then clear this task."
    assert "Add this statement" not in failure.remedy
    assert explain_failure(message, []).remedy == meaning(error).remedy


@pytest.mark.parametrize(
    ("error", "seconds"),
    [
        (refusal("ThrottlingException", headers={"retry-after": "7"}), 7.0),
        (refusal("ThrottlingException"), None),
        (refusal("ThrottlingException", headers={"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT"}), None),
        (ReadTimeoutError(endpoint_url="https://drs"), None),
    ],
)
def test_how_long_drs_asks_to_wait(error: Exception, seconds: float | None) -> None:
    """The time is given in seconds, if DRS gives one."""
    assert retry_after(error) == seconds
