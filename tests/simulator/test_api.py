"""Every simulated operation through boto3, held against DRS's API model."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest

from simulator.engine.faults import FAULT, RunningPlan
from simulator.engine.fleet import Fleet
from simulator.engine.operations import SIMULATED
from tests.simulator.api import ONE_TRY, Api
from tests.simulator.conftest import ACCOUNT, REGION, START, fleet, server_id, servers

NOT_FOUND = "s-" + "9" * 17

pytestmark = pytest.mark.usefixtures("mocked")


def test_every_operation_answers_in_its_shape(api: Callable[..., Api]) -> None:
    """A whole drill and its clean-up, beside one of AWS's own plans, by all operations."""
    drs = api()
    drs.initialize_service()
    drs.simulation.arm(RunningPlan(servers=(server_id(1),)))
    (plan,) = drs.list_recovery_plans()["recoveryPlans"]
    (execution,) = drs.list_recovery_plan_executions()["recoveryPlanExecutions"]
    assert execution["recoveryPlanArn"] == plan["recoveryPlanArn"]
    named = {"recoveryPlanExecutionArn": execution["recoveryPlanExecutionArn"]}
    assert drs.get_recovery_plan_execution(**named)["recoveryPlanExecution"]["status"] == "IN_PROGRESS"
    assert len(drs.list_recovery_plan_execution_steps(**named)["recoveryPlanExecutionSteps"]) == 2
    server = drs.describe_source_servers()["items"][0]
    drs.get_replication_configuration(sourceServerID=server_id(1))
    drs.update_launch_configuration(sourceServerID=server_id(1), launchDisposition="STOPPED")
    assert drs.get_launch_configuration(sourceServerID=server_id(1))["launchDisposition"] == "STOPPED"
    assert len(drs.describe_recovery_snapshots(sourceServerID=server_id(1))["items"]) > 6
    drs.tag_resource(resourceArn=server["arn"], tags={"Tier": "database", "Old": "x"})
    drs.untag_resource(resourceArn=server["arn"], tagKeys=["Old"])
    assert drs.list_tags_for_resource(resourceArn=server["arn"])["tags"] == {"Name": "db", "Tier": "database"}
    job = drs.drill(1, 2, tags={"run": "1"})
    drs.clock.advance(600)
    (described,) = drs.describe_jobs(filters={"jobIDs": [job["jobID"]]})["items"]
    assert (described["status"], described["tags"]) == ("COMPLETED", {"run": "1"})
    assert drs.describe_job_log_items(jobID=job["jobID"])["items"][-1]["event"] == "JOB_END"
    instances = drs.describe_recovery_instances()["items"]
    assert [each["ec2InstanceState"] for each in instances] == ["STOPPED", "RUNNING"]
    drs.terminate_recovery_instances(recoveryInstanceIDs=[each["recoveryInstanceID"] for each in instances])
    drs.clock.advance(61)
    assert drs.describe_recovery_instances()["items"] == []
    launched = drs.describe_source_servers()["items"][0]
    assert (launched["lastLaunchResult"], launched["lifeCycle"]["lastLaunch"]["status"]) == (
        "SUCCEEDED",
        "TERMINATED",
    )
    assert drs.seen == SIMULATED


def test_a_recovery_instance_is_described_in_full(api: Callable[..., Api]) -> None:
    """Drill or not, job, point in time, origin, EC2 instance and state."""
    drs = api()
    job = drs.drill(1)
    drs.clock.advance(600)
    (instance,) = drs.describe_recovery_instances()["items"]
    assert (True, job["jobID"], "ON_PREMISES", "RUNNING", server_id(1)) == tuple(
        instance[name]
        for name in ("isDrill", "jobID", "originEnvironment", "ec2InstanceState", "sourceServerID")
    )
    taken = datetime.fromisoformat(instance["pointInTimeSnapshotDateTime"])
    assert timedelta(0) < taken - START < timedelta(seconds=2)
    assert instance["ec2InstanceID"] == instance["recoveryInstanceID"]


def test_launched_instances_are_real_ones_of_ec2(api: Callable[..., Api]) -> None:
    """In a subnet and a security group, with DRS's tags, dated when they were launched."""
    drs = api()
    drs.drill(1)
    drs.clock.advance(600)
    (recovery,) = drs.describe_recovery_instances()["items"]
    ec2 = boto3.client("ec2", region_name=REGION)
    (reservation,) = ec2.describe_instances(InstanceIds=[recovery["ec2InstanceID"]])["Reservations"]
    (instance,) = reservation["Instances"]
    assert {
        "AWSElasticDisasterRecoveryManaged",
        "drs.amazonaws.com-job",
        "drs.amazonaws.com-source-server",
        "Name",
    } == {tag["Key"] for tag in instance["Tags"]}
    assert instance["SubnetId"]
    assert instance["SecurityGroups"]
    assert START + timedelta(seconds=530) == instance["LaunchTime"].astimezone(UTC).replace(microsecond=0)
    assert instance["PrivateIpAddress"] in str(recovery["recoveryInstanceProperties"]["networkInterfaces"])


def test_the_default_version_of_the_launch_template_decides(api: Callable[..., Api]) -> None:
    """Its subnet, group and instance type; a subnet that EC2 does not have fails the launch."""
    subnet, group = "subnet-0a1b2c3d4e5f60718", "sg-0a1b2c3d4e5f60718"
    launch = {"subnet": subnet, "security_groups": [group], "instance_type": "c5.xlarge"}
    drs = api(fleet(servers(2, launch=launch)))
    ec2 = boto3.client("ec2", region_name=REGION)
    template = drs.get_launch_configuration(sourceServerID=server_id(2))["ec2LaunchTemplateID"]
    broken: Any = {"NetworkInterfaces": [{"DeviceIndex": 0, "SubnetId": "subnet-0000000000000dead"}]}
    ec2.create_launch_template_version(LaunchTemplateId=template, LaunchTemplateData=broken)
    ec2.modify_launch_template(LaunchTemplateId=template, DefaultVersion="2")
    job = drs.drill(1, 2)
    drs.clock.advance(600)
    (done,) = drs.describe_jobs()["items"]
    assert [each["launchStatus"] for each in done["participatingServers"]] == ["LAUNCHED", "FAILED"]
    (error,) = [
        item["eventData"]["rawError"]
        for item in drs.describe_job_log_items(jobID=job["jobID"])["items"]
        if item["event"] == "LAUNCH_FAILED"
    ]
    assert "InvalidSubnetID.NotFound" in error
    (reservation,) = ec2.describe_instances()["Reservations"]
    (instance,) = reservation["Instances"]
    assert (subnet, "c5.xlarge") == (instance["SubnetId"], instance["InstanceType"])
    assert [group] == [each["GroupId"] for each in instance["SecurityGroups"]]


# Lists


def test_lists_come_in_pages(api: Callable[..., Api]) -> None:
    """At most 100 items when the caller does not say; the paginators of boto3 read them all."""
    drs = api(205)
    first = drs.describe_source_servers()
    assert len(first["items"]) == 100
    pages = drs.client.get_paginator("describe_source_servers").paginate(PaginationConfig={"PageSize": 50})
    sizes = [len(page["items"]) for page in pages]
    assert sizes == [50, 50, 50, 50, 5]


@pytest.mark.parametrize("token", ["nonsense", "RGVzY3JpYmVKb2JzOjEw"])
def test_a_token_of_another_list_is_refused(api: Callable[..., Api], token: str) -> None:
    """As is one that is no token at all."""
    assert api().refusal("describe_source_servers", nextToken=token)[0] == "ValidationException"


def test_filters_narrow_lists(api: Callable[..., Api]) -> None:
    """By ids, by servers, by dates, in both orders."""
    drs = api(3)
    job = drs.drill(1, 2)
    drs.clock.advance(600)
    later = drs.drill(3)
    halfway = (START + timedelta(seconds=300)).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert [server_id(2)] == _ids(drs.describe_source_servers(filters={"sourceServerIDs": [server_id(2)]}))
    assert _ids(drs.describe_source_servers(filters={"sourceServerIDs": [NOT_FOUND]})) == []
    assert _ids(drs.describe_source_servers(filters={"hardwareId": "x"})) == []
    assert _ids(drs.describe_source_servers(filters={"stagingAccountIDs": ["444455556666"]})) == []
    assert [job["jobID"]] == _ids(drs.describe_jobs(filters={"toDate": halfway}), "jobID")
    assert [later["jobID"]] == _ids(drs.describe_jobs(filters={"fromDate": halfway}), "jobID")
    assert [later["jobID"]] == _ids(drs.describe_jobs(filters={"jobIDs": [later["jobID"]]}), "jobID")
    by_server = drs.describe_recovery_instances(filters={"sourceServerIDs": [server_id(1)]})
    assert [server_id(1)] == _ids(by_server)
    instance = by_server["items"][0]["recoveryInstanceID"]
    assert [server_id(1)] == _ids(
        drs.describe_recovery_instances(filters={"recoveryInstanceIDs": [instance]})
    )
    snapshots = drs.describe_recovery_snapshots(sourceServerID=server_id(1))["items"]
    descending = drs.describe_recovery_snapshots(sourceServerID=server_id(1), order="DESC")["items"]
    assert snapshots == descending[::-1]
    recent = drs.describe_recovery_snapshots(
        sourceServerID=server_id(1), filters={"fromDateTime": snapshots[-1]["timestamp"]}
    )
    assert snapshots[-1:] == recent["items"]


def _ids(response: Any, name: str = "sourceServerID") -> list[str]:
    return [item[name] for item in response["items"]]


# Refusals


def test_a_conflict_is_409_and_names_no_server(api: Callable[..., Api]) -> None:
    """With DRS's own message."""
    drs = api()
    drs.drill(1)
    code, status, response = drs.refusal("start_recovery", sourceServers=[{"sourceServerID": server_id(1)}])
    assert (code, status) == ("ConflictException", 409)
    assert (
        response["Error"]["Message"]
        == "One or more of the Source Servers included in API call are currently being processed by a Job"
    )


def test_a_quota_is_402_with_its_code(api: Callable[..., Api]) -> None:
    """And the service's code."""
    wanted = [{"sourceServerID": server_id(number)} for number in range(1, 102)]
    code, status, response = api(101).refusal("start_recovery", sourceServers=wanted)
    assert (code, status) == ("ServiceQuotaExceededException", 402)
    assert (response["quotaCode"], response["serviceCode"]) == ("L-B827C881", "drs")


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("start_recovery", {"sourceServers": [{"sourceServerID": NOT_FOUND}]}),
        ("terminate_recovery_instances", {"recoveryInstanceIDs": ["i-0123456789abcdef0"]}),
        ("get_launch_configuration", {"sourceServerID": NOT_FOUND}),
        ("update_launch_configuration", {"sourceServerID": NOT_FOUND}),
        ("get_replication_configuration", {"sourceServerID": NOT_FOUND}),
        ("list_tags_for_resource", {"resourceArn": "arn:aws:drs:us-east-1:111122223333:job/nothing"}),
    ],
)
def test_what_does_not_exist_is_404(api: Callable[..., Api], name: str, parameters: dict[str, Any]) -> None:
    """Servers, instances, resources."""
    assert api().refusal(name, **parameters)[:2] == ("ResourceNotFoundException", 404)


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("start_recovery", {"sourceServers": []}),
        ("start_recovery", {"sourceServers": [{"sourceServerID": "s-" + "1" * 17}] * 201}),
        ("start_recovery", {"sourceServers": [{"sourceServerID": "server-1"}]}),
        (
            "start_recovery",
            {"sourceServers": [{"sourceServerID": server_id(1), "recoverySnapshotID": "pit-1"}]},
        ),
        ("terminate_recovery_instances", {"recoveryInstanceIDs": ["instance"]}),
        ("describe_jobs", {"filters": {"jobIDs": ["drsjob-1"]}}),
        ("describe_jobs", {"filters": {"fromDate": "yesterday, at about noon"}}),
        ("describe_job_log_items", {"jobID": "drsjob-" + "1" * 17}),
        ("describe_source_servers", {"filters": {"sourceServerIDs": [server_id(1)] * 201}}),
        ("describe_recovery_snapshots", {"sourceServerID": NOT_FOUND}),
        ("describe_recovery_snapshots", {"sourceServerID": server_id(1), "order": "UP"}),
    ],
)
def test_limits_and_patterns_are_enforced(
    api: Callable[..., Api], name: str, parameters: dict[str, Any]
) -> None:
    """Which neither botocore nor moto does."""
    assert api().refusal(name, **parameters)[:2] == ("ValidationException", 400)


def test_an_account_that_is_not_initialised_is_refused_until_it_is(api: Callable[..., Api]) -> None:
    """InitializeService is the cure; so is an account that the fleet does not know."""
    region = {"initialized": False, "servers": servers(1)}
    drs = api(Fleet.parse({"accounts": {ACCOUNT: {"regions": {REGION: region}}}}, "test"))
    assert drs.refusal("describe_source_servers")[:2] == ("UninitializedAccountException", 400)
    drs.initialize_service()
    assert len(drs.describe_source_servers()["items"]) == 1
    elsewhere = boto3.client("drs", region_name="eu-west-1", config=ONE_TRY)
    with pytest.raises(elsewhere.exceptions.UninitializedAccountException):
        elsewhere.describe_jobs()


# Faults, as a caller meets them


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ({"kind": "throttle", "retry_after": 7}, ("ThrottlingException", 429)),
        ({"kind": "internal_error"}, ("InternalServerException", 500)),
        ({"kind": "access_denied"}, ("AccessDeniedException", 403)),
    ],
)
@pytest.mark.parametrize("operation", ["start_recovery", "describe_jobs"])
def test_a_fault_answers_with_the_models_status(
    api: Callable[..., Api], operation: str, fault: dict[str, Any], expected: tuple[str, int]
) -> None:
    """Throttling with Retry-After."""
    drs = api()
    drs.simulation.arm(FAULT.validate_python(fault))
    parameters = (
        {"sourceServers": [{"sourceServerID": server_id(1)}]} if operation == "start_recovery" else {}
    )
    code, status, response = drs.refusal(operation, **parameters)
    assert expected == (code, status)
    assert fault.get("retry_after") == (
        int(response["ResponseMetadata"]["HTTPHeaders"].get("retry-after", 0)) or None
    )
    assert not drs.simulation.service(ACCOUNT, REGION).jobs


def test_a_lost_reply_leaves_a_job_behind(api: Callable[..., Api]) -> None:
    """The caller gets a 500, and the job exists."""
    drs = api()
    drs.simulation.arm(FAULT.validate_python({"kind": "internal_error", "when": "after", "count": 1}))
    wanted = [{"sourceServerID": server_id(1)}]
    assert drs.refusal("start_recovery", sourceServers=wanted, isDrill=True)[0] == "InternalServerException"
    assert [server_id(1)] == [
        each["sourceServerID"] for each in drs.describe_jobs()["items"][0]["participatingServers"]
    ]


def test_access_denied_names_the_caller(api: Callable[..., Api]) -> None:
    """And the action, as a statement needs it."""
    drs = api()
    drs.simulation.arm(FAULT.validate_python({"kind": "access_denied"}))
    message = drs.refusal("describe_jobs")[2]["Error"]["Message"]
    assert f"arn:aws:sts::{ACCOUNT}:user/moto is not authorized to perform: drs:DescribeJobs" in message


def test_a_fault_of_a_server_reaches_the_termination_of_its_instance(api: Callable[..., Api]) -> None:
    """Though the call names the instance only."""
    drs = api()
    drs.drill(1)
    drs.clock.advance(600)
    (instance,) = drs.describe_recovery_instances()["items"]
    drs.simulation.arm(FAULT.validate_python({"kind": "throttle", "servers": [server_id(1)]}))
    ids = [instance["recoveryInstanceID"]]
    assert drs.refusal("terminate_recovery_instances", recoveryInstanceIDs=ids)[0] == "ThrottlingException"


# Dates


def test_times_come_in_both_of_the_forms_of_drs(api: Callable[..., Api]) -> None:
    """A job's as recorded, with an offset; others with Z, as the model's pattern says."""
    drs = api()
    assert drs.drill(1)["creationDateTime"] == "2026-03-01T06:00:00.000000+00:00"
    assert drs.describe_source_servers()["items"][0]["lifeCycle"]["lastSeenByServiceDateTime"].endswith("Z")


@pytest.mark.parametrize(
    ("lag", "expected"),
    [("0s", "P0D"), ("30s", "PT30S"), ("1h30m", "PT1H30M"), ("2d", "P2D"), (86401.5, "P1DT1.5S")],
)
def test_lag_is_an_iso_8601_duration(api: Callable[..., Api], lag: Any, expected: str) -> None:
    """Zero as DRS writes it."""
    drs = api(fleet(servers(1, replication={"lag": lag, "state": "STALLED", "last_contact": "3h"})))
    (server,) = drs.describe_source_servers()["items"]
    assert expected == server["dataReplicationInfo"]["lagDuration"]
    seen = datetime.fromisoformat(server["lifeCycle"]["lastSeenByServiceDateTime"])
    assert START - timedelta(hours=3) == seen


def test_termination_protection_of_ec2_is_respected(api: Callable[..., Api]) -> None:
    """The TERMINATE job completes, and the instance stays in EC2 and in DRS."""
    drs = api()
    drs.drill(1)
    drs.clock.advance(600)
    (instance,) = drs.describe_recovery_instances()["items"]
    ids = [instance["ec2InstanceID"]]
    ec2 = boto3.client("ec2", region_name=REGION)
    ec2.modify_instance_attribute(InstanceId=ids[0], DisableApiTermination={"Value": True})
    drs.terminate_recovery_instances(recoveryInstanceIDs=ids)
    drs.clock.advance(61)
    assert drs.describe_jobs()["items"][-1]["status"] == "COMPLETED"
    assert [each["ec2InstanceState"] for each in drs.describe_recovery_instances()["items"]] == ["RUNNING"]
