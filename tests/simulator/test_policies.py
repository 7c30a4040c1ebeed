"""SimulatePrincipalPolicy: whose policies count, what they decide, and what is refused."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

import simulator
from simulator.engine.fleet import Fleet, FleetError
from simulator.iam.policies import evaluate
from tests.simulator.conftest import ACCOUNT, REGION

ROOT = Path(__file__).parents[2]
KEY = "AKIASIMULATOR1111222"
USER = f"arn:aws:iam::{ACCOUNT}:user/simulator"
MANAGED = "aws:ResourceTag/AWSElasticDisasterRecoveryManaged"


def _policy(effect: str = "Allow", action: Any = "*", resource: Any = "*", **more: Any) -> dict[str, Any]:
    statement = {"Effect": effect, "Action": action, "Resource": resource, **more}
    return {"Version": "2012-10-17", "Statement": [statement]}


def _text(*arguments: Any, **more: Any) -> str:
    return json.dumps(_policy(*arguments, **more))


def _seed(**account: Any) -> None:
    accounts = {ACCOUNT: {"access_key_id": KEY, "regions": {REGION: {}}, **account}}
    simulator.seed(Fleet.parse({"accounts": accounts}, "test"))


def _iam() -> Any:
    return boto3.client("iam", region_name=REGION, aws_access_key_id=KEY, aws_secret_access_key="x")


def _decisions(actions: Sequence[str], principal: str = USER, **more: Any) -> dict[tuple[str, str], str]:
    pages = _iam().get_paginator("simulate_principal_policy")
    results = pages.paginate(PolicySourceArn=principal, ActionNames=actions, **more).search(
        "EvaluationResults[]"
    )
    return {(each["EvalActionName"], each["EvalResourceName"]): each["EvalDecision"] for each in results}


def _refused(code: str, status: int, **request: Any) -> str:
    request = {"PolicySourceArn": USER, "ActionNames": ["drs:StartRecovery"], **request}
    with pytest.raises(ClientError) as refusal:
        _iam().simulate_principal_policy(**request)
    response = refusal.value.response
    assert (response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"]) == (code, status)
    return str(response["Error"]["Message"])


# Over the API


@pytest.mark.usefixtures("mocked")
def test_a_fleets_user_may_do_everything_unless_the_fleet_says_otherwise() -> None:
    """For each action on each resource, in the order of the request."""
    _seed()
    assert _decisions(["drs:StartRecovery", "ec2:RunInstances"]) == {
        ("drs:StartRecovery", "*"): "allowed",
        ("ec2:RunInstances", "*"): "allowed",
    }


@pytest.mark.usefixtures("mocked")
def test_a_fleet_states_the_policies_of_its_user() -> None:
    """A YAML document will do, version unquoted; an explicit Deny outweighs any Allow."""
    text = f"""
    accounts:
      "{ACCOUNT}":
        access_key_id: {KEY}
        policies:
          - Version: 2012-10-17
            Statement: {{Effect: Allow, Action: "drs:*", Resource: "*"}}
          - Version: 2012-10-17
            Statement: [{{Effect: Deny, Action: ["drs:Start*"], Resource: "*"}}]
        regions: {{{REGION}: {{}}}}
    """
    simulator.seed(Fleet.from_yaml(text, "test"))
    assert list(_decisions(["drs:DescribeJobs", "drs:StartRecovery", "ec2:RunInstances"]).values()) == [
        "allowed",
        "explicitDeny",
        "implicitDeny",
    ]


@pytest.mark.usefixtures("mocked")
def test_policies_attached_and_of_groups_count_too() -> None:
    """Inline and managed, of the user and of a group; and those that the request adds."""
    _seed(policies=[_policy(action="drs:DescribeJobs")])
    iam = _iam()
    arn = iam.create_policy(PolicyName="p", PolicyDocument=_text(action="ec2:RunInstances"))["Policy"]["Arn"]
    iam.attach_user_policy(UserName="simulator", PolicyArn=arn)
    iam.create_group(GroupName="drills")
    iam.put_group_policy(GroupName="drills", PolicyName="p", PolicyDocument=_text(action="s3:PutObject"))
    iam.add_user_to_group(GroupName="drills", UserName="simulator")
    actions = ["drs:DescribeJobs", "ec2:RunInstances", "s3:PutObject", "sns:Publish", "ssm:GetParameter"]
    decisions = _decisions(actions, PolicyInputList=[_text(action="sns:Publish")])
    assert list(decisions.values()) == ["allowed", "allowed", "allowed", "allowed", "implicitDeny"]


@pytest.mark.usefixtures("mocked")
def test_a_role_is_a_principal_as_well() -> None:
    """With its own policies."""
    _seed()
    iam = _iam()
    trust = json.dumps({"Version": "2012-10-17", "Statement": []})
    role = iam.create_role(RoleName="drill", AssumeRolePolicyDocument=trust)["Role"]["Arn"]
    iam.put_role_policy(RoleName="drill", PolicyName="p", PolicyDocument=_text(action="drs:DescribeJobs"))
    decisions = _decisions(["drs:DescribeJobs", "drs:StartRecovery"], role)
    assert list(decisions.values()) == ["allowed", "implicitDeny"]


@pytest.mark.usefixtures("mocked")
def test_context_entries_meet_conditions() -> None:
    """The conditions of AWS's own policies for DRS; a key that is asked for and not given is named."""
    condition = {"Bool": {"aws:ViaAWSService": "true"}, "Null": {MANAGED: "false"}}
    _seed(policies=[_policy(action="ec2:TerminateInstances", Condition=condition)])
    action = ["ec2:TerminateInstances"]
    via = {"ContextKeyName": "aws:ViaAWSService", "ContextKeyValues": ["true"], "ContextKeyType": "boolean"}
    tag = {"ContextKeyName": MANAGED, "ContextKeyValues": ["drs.amazonaws.com"], "ContextKeyType": "string"}
    assert set(_decisions(action, ContextEntries=[via, tag]).values()) == {"allowed"}
    assert set(_decisions(action, ContextEntries=[via]).values()) == {"implicitDeny"}
    answer = _iam().simulate_principal_policy(
        PolicySourceArn=USER,
        ActionNames=action,
        ContextEntries=[via | {"ContextKeyName": "AWS:viaawsservice"}],
    )
    assert answer["EvaluationResults"][0]["MissingContextValues"] == [MANAGED]


@pytest.mark.usefixtures("mocked")
def test_a_long_answer_comes_in_pages_of_100() -> None:
    """Of a size that MaxItems may change."""
    _seed()
    request = {
        "PolicySourceArn": USER,
        "ActionNames": [f"ec2:Action{n}" for n in range(75)],
        "ResourceArns": ["arn:aws:s3:::a", "arn:aws:s3:::b"],
    }
    iam = _iam()
    first = iam.simulate_principal_policy(**request)
    last = iam.simulate_principal_policy(**request, Marker=first["Marker"])
    pages = [
        (len(page["EvaluationResults"]), page["IsTruncated"], "Marker" in page) for page in (first, last)
    ]
    assert pages == [(100, True, True), (50, False, False)]
    assert len(iam.simulate_principal_policy(**request, MaxItems=7)["EvaluationResults"]) == 7
    assert len(_decisions(request["ActionNames"], ResourceArns=request["ResourceArns"])) == 150


@pytest.mark.usefixtures("mocked")
def test_a_principal_that_is_not_there_is_no_such_entity() -> None:
    """And what is no user, group or role of IAM is invalid."""
    _seed()
    nobody = f"arn:aws:iam::{ACCOUNT}:user/nobody"
    assert nobody in _refused("NoSuchEntity", 404, PolicySourceArn=nobody)
    for arn in (f"arn:aws:sts::{ACCOUNT}:assumed-role/drill/me", f"arn:aws:iam::{ACCOUNT}:root"):
        assert arn in _refused("InvalidInput", 400, PolicySourceArn=arn)


@pytest.mark.usefixtures("mocked")
@pytest.mark.parametrize(
    ("code", "request_"),
    [
        ("InvalidInput", {"ActionNames": ["StartRecovery"]}),
        ("InvalidInput", {"ActionNames": ["drs:*"]}),
        ("InvalidInput", {"ResourceArns": ["s-3c1730a9e0771ea14"]}),
        ("InvalidInput", {"PolicyInputList": ["{"]}),
        ("InvalidInput", {"ContextEntries": [{"ContextKeyName": "aws:ViaAWSService"}]}),
        (
            "InvalidInput",
            {
                "ContextEntries": [
                    {
                        "ContextKeyName": "aws:ViaAWSService",
                        "ContextKeyValues": ["yes"],
                        "ContextKeyType": "boolean",
                    }
                ]
            },
        ),
        ("ValidationError", {"MaxItems": 1001}),
        ("ValidationError", {"Marker": "elsewhere"}),
    ],
)
def test_what_iam_would_not_take_is_refused(code: str, request_: dict[str, Any]) -> None:
    """HTTP 400."""
    _seed()
    _refused(code, 400, **request_)


@pytest.mark.usefixtures("mocked")
@pytest.mark.parametrize(
    "request_",
    [
        {"ResourcePolicy": _text()},
        {"PolicyInputList": [_text(Condition={"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}})]},
        {"PolicyInputList": [_text(resource="arn:aws:iam::*:user/${aws:username}")]},
    ],
)
def test_what_is_not_simulated_says_so(request_: dict[str, Any]) -> None:
    """Rather than to decide wrongly; over HTTP it is a 501."""
    _seed()
    with pytest.raises(NotImplementedError, match="not simulated"):
        _iam().simulate_principal_policy(
            PolicySourceArn=USER,
            ActionNames=["iam:GetUser"],
            ResourceArns=[USER],
            ContextEntries=[
                {"ContextKeyName": "aws:SourceIp", "ContextKeyValues": ["10.0.0.1"], "ContextKeyType": "ip"}
            ],
            **request_,
        )


@pytest.mark.usefixtures("mocked")
def test_a_policy_that_iam_would_not_take_refuses_the_fleet() -> None:
    """By its place."""
    with pytest.raises(FleetError, match=rf"accounts\.{ACCOUNT}\.policies\[1\]: Syntax errors in policy"):
        _seed(policies=[_policy(), {"Version": "2012-10-17"}])


def test_a_policy_simulation_of_motos_own_is_left_alone() -> None:
    """In a process of its own: the first registration is what counts."""
    code = (
        "from moto.iam.responses import IamResponse\n"
        "own = IamResponse.simulate_principal_policy = lambda self: None\n"
        "import simulator\n"
        "simulator.register()\n"
        "assert IamResponse.simulate_principal_policy is own\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


# What a policy decides


@pytest.mark.parametrize(
    ("statement", "action", "resource", "expected"),
    [
        ({"Action": "DRS:startrecovery", "Resource": "*"}, "drs:StartRecovery", "*", True),
        ({"Action": "drs:Start?ecovery", "Resource": "*"}, "drs:StartRecovery", "*", True),
        ({"Action": "drs:Start", "Resource": "*"}, "drs:StartRecovery", "*", False),
        ({"NotAction": "drs:*", "Resource": "*"}, "drs:StartRecovery", "*", False),
        ({"NotAction": "drs:*", "Resource": "*"}, "ec2:RunInstances", "*", True),
        ({"Action": "s3:*", "Resource": "arn:aws:s3:::a/*"}, "s3:PutObject", "arn:aws:s3:::a/b", True),
        ({"Action": "s3:*", "Resource": "arn:aws:s3:::a/*"}, "s3:PutObject", "arn:aws:s3:::A/b", False),
        ({"Action": "s3:*", "Resource": "arn:aws:s3:::a/*"}, "s3:PutObject", "*", False),
        ({"Action": "s3:*", "NotResource": "arn:aws:s3:::a"}, "s3:PutObject", "arn:aws:s3:::b", True),
        ({"Action": "s3:*", "NotResource": "arn:aws:s3:::a"}, "s3:PutObject", "arn:aws:s3:::a", False),
    ],
)
def test_actions_and_resources_are_patterns(
    statement: dict[str, Any], action: str, resource: str, expected: bool
) -> None:
    """Actions in any case, resources in their own."""
    document = json.dumps({"Statement": {"Effect": "Allow", **statement}})
    assert evaluate([document], action, resource, {}).decision == ("allowed" if expected else "implicitDeny")


@pytest.mark.parametrize(
    ("condition", "context", "expected"),
    [
        ({"Bool": {"aws:ViaAWSService": True}}, {"aws:viaawsservice": ["true"]}, True),
        ({"Bool": {"aws:ViaAWSService": True}}, {"aws:viaawsservice": ["false"]}, False),
        ({"Bool": {"aws:ViaAWSService": True}}, {}, False),
        ({"BoolIfExists": {"aws:ViaAWSService": True}}, {}, True),
        ({"Null": {MANAGED: "true"}}, {}, True),
        ({"Null": {MANAGED: "true"}}, {MANAGED.lower(): ["x"]}, False),
        ({"StringEquals": {MANAGED: ["a", "b"]}}, {MANAGED.lower(): ["b"]}, True),
        ({"StringEquals": {MANAGED: "A"}}, {MANAGED.lower(): ["a"]}, False),
        ({"StringEqualsIgnoreCase": {MANAGED: "A"}}, {MANAGED.lower(): ["a"]}, True),
        ({"StringNotEquals": {MANAGED: "a"}}, {MANAGED.lower(): ["b"]}, True),
        ({"StringNotEquals": {MANAGED: ["a", "b"]}}, {MANAGED.lower(): ["b"]}, False),
        ({"StringNotEquals": {MANAGED: "a"}}, {}, True),
        (
            {"StringLike": {"iam:PassedToService": "ec2.*"}},
            {"iam:passedtoservice": ["ec2.amazonaws.com"]},
            True,
        ),
        ({"ArnLike": {"aws:SourceArn": "arn:aws:drs:*"}}, {"aws:sourcearn": ["arn:aws:iam::x"]}, False),
        ({"ForAnyValue:StringEquals": {"aws:TagKeys": ["a"]}}, {"aws:tagkeys": ["a", "b"]}, True),
        ({"ForAllValues:StringEquals": {"aws:TagKeys": ["a"]}}, {"aws:tagkeys": ["a", "b"]}, False),
        ({"ForAllValues:StringEquals": {"aws:TagKeys": ["a"]}}, {}, True),
    ],
)
def test_a_statement_counts_when_its_conditions_are_met(
    condition: dict[str, Any], context: dict[str, list[str]], expected: bool
) -> None:
    """An Allow whose condition is not met denies nothing: another one may allow."""
    conditioned, other = _text(Condition=condition), _text(action="s3:*")
    decision = evaluate([conditioned], "ec2:RunInstances", "*", context).decision
    assert decision == ("allowed" if expected else "implicitDeny")
    assert evaluate([conditioned, other], "s3:PutObject", "*", context).decision == "allowed"
