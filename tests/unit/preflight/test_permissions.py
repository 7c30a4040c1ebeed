"""The permission rehearsal against the simulated IAM: what is missing, forbidden, or not known."""

from __future__ import annotations

import datetime as dt
import json
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.iam.aws_managed_policies import aws_managed_policies_data
from werkzeug.serving import make_server

import simulator
from drs.aws.call_errors import ONCE
from drs.aws.calls import Drs
from drs.aws.clients import AwsClients
from drs.preflight.findings import Finding
from drs.preflight.inputs import PreflightInputs
from drs.preflight.permissions import rehearse
from simulator.engine.faults import AccessDenied, InternalError
from simulator.engine.fleet import Fleet
from simulator.engine.simulation import Simulation
from simulator.server import Application
from tests.unit.drill import make_plan

ROOT = Path(__file__).parents[3]
ACCOUNT, REGION, KEY = "111122223333", "us-east-1", "AKIASIMULATOR1111222"
USER = f"arn:aws:iam::{ACCOUNT}:user/simulator"
SUBNETS = ["subnet-0a1b2c3d4e5f60718", "subnet-0a1b2c3d4e5f60719"]
SNAPSHOT_TIME = dt.datetime(2026, 3, 1, 6, 0, tzinfo=dt.UTC)
TRUST = json.dumps({"Version": "2012-10-17", "Statement": []})

Policy = dict[str, Any]


def policy(*actions: str, effect: str = "Allow", resource: Any = "*", **more: Any) -> Policy:
    statement = {"Effect": effect, "Action": list(actions), "Resource": resource, **more}
    return {"Version": "2012-10-17", "Statement": [statement]}


def published(name: str) -> Policy:
    """A policy of include/iam."""
    document: Policy = json.loads((ROOT / "include" / "iam" / f"{name}.json").read_text())
    return document


def without(document: Policy, *actions: str) -> Policy:
    """The policy without these actions."""
    statements = [
        {**each, "Action": [action for action in each["Action"] if action not in actions]}
        for each in document["Statement"]
    ]
    return {**document, "Statement": [each for each in statements if each["Action"]]}


def pasted(finding: Finding) -> Policy:
    """The policy that a remedy ends with."""
    document: Policy = json.loads(finding.remedy[finding.remedy.index("{") :])
    return document


def named(finding: Finding) -> set[str]:
    """The actions that a finding names."""
    return set(re.findall(r"\b(?:drs|ec2|iam):[A-Z]\w+", finding.seen))


class Account:
    """An account with one user, and the clients by which that user reaches AWS.

    :param url: where the simulator listens; without it, the simulator answers within this process
    """

    def __init__(self, url: str | None = None) -> None:
        self.url = url
        self.clients = self.reached_with(aws_access_key_id=KEY, aws_secret_access_key="x")
        self.simulation: Simulation

    def reached_with(self, **credentials: Any) -> AwsClients:
        session = boto3.Session(region_name=REGION, **credentials)

        def client(service: Any) -> Any:
            return session.client(service, endpoint_url=self.url, config=ONCE)

        return AwsClients(drs=Drs(client("drs")), ec2=client("ec2"), sts=client("sts"), iam=client("iam"))

    def allow(self, *policies: Policy) -> None:
        """Give the user these policies, and no others."""
        fleet = {"accounts": {ACCOUNT: {"access_key_id": KEY, "policies": policies, "regions": {REGION: {}}}}}
        self.simulation = simulator.seed(Fleet.parse(fleet, "test"))

    def assume(self, path: str, *policies: Policy) -> AwsClients:
        """Clients of a new role with these policies, which the user has assumed."""
        name = f"drill{len(self.clients.iam.list_roles()['Roles'])}"
        iam = self.clients.iam
        role = iam.create_role(RoleName=name, Path=path, AssumeRolePolicyDocument=TRUST)["Role"]
        for number, document in enumerate(policies):
            iam.put_role_policy(RoleName=name, PolicyName=f"p{number}", PolicyDocument=json.dumps(document))
        key = self.clients.sts.assume_role(RoleArn=role["Arn"], RoleSessionName="me")["Credentials"]
        return self.reached_with(
            aws_access_key_id=key["AccessKeyId"],
            aws_secret_access_key=key["SecretAccessKey"],
            aws_session_token=key["SessionToken"],
        )

    def rehearse(self, clients: AwsClients | None = None, **inputs: Any) -> list[Finding]:
        """Rehearse a drill of a whole plan as the caller that the clients' credentials belong to."""
        clients = clients or self.clients
        plan = make_plan(**inputs.pop("parts", {}))
        waves = tuple(wave.name for wave in plan.waves)
        asked = PreflightInputs(plan=plan, waves=waves, **inputs)
        return rehearse(clients, asked, clients.sts.get_caller_identity()["Arn"])


@pytest.fixture(scope="module")
def reached(simulated_hook: Any) -> Account:
    return Account()


@pytest.fixture
def account(reached: Account) -> Account:
    """The account, whose user may do everything."""
    reached.allow(policy("*"))
    return reached


@pytest.fixture(scope="module")
def server() -> Iterator[Account]:
    """The same account in a simulator that is reached over HTTP, which alone has faults of IAM."""
    simulator.register()
    serving = make_server("127.0.0.1", 0, Application(), threaded=True)
    thread = threading.Thread(target=serving.serve_forever)
    thread.start()
    yield Account(f"http://127.0.0.1:{serving.server_port}")
    serving.shutdown()
    thread.join()
    serving.server_close()


@pytest.fixture
def served(server: Account) -> Account:
    """The account over HTTP, whose user may do everything."""
    server.allow(policy("*"))
    return server


# What suffices


def test_a_caller_who_may_do_everything_lacks_nothing(account: Account) -> None:
    """There is no finding."""
    assert account.rehearse() == []


@pytest.mark.parametrize(
    "inputs",
    [
        {},
        {"recovery_point": SNAPSHOT_TIME},
        {"execution_type": "RECOVERY"},
        {"parts": {"network": {"allowed_subnets": SUBNETS}}},
        {
            "parts": {
                "protection_groups": {"database": {"server_tags": {"Tier": "database"}}},
                "waves": [{"name": "database", "protection_groups": ["database"]}],
            }
        },
    ],
)
def test_the_published_policy_suffices_for_every_run(account: Account, inputs: dict[str, Any]) -> None:
    """It suffices for drills and recoveries, by id and by tag, with and without a recovery point."""
    account.allow(published("drill"))
    assert account.rehearse(**inputs) == []


CHECKS: dict[str, Any] = {
    "waves": [
        {
            "name": "database",
            "protection_groups": ["database"],
            "validation": [
                {"type": "instance_status"},
                {"type": "ssm"},
                {"type": "ssm", "document": "orders-health"},
            ],
        },
        {"name": "application", "protection_groups": ["application"]},
    ]
}


def test_commands_have_a_policy_of_their_own(account: Account) -> None:
    """With the drill's policy it suffices for every check. Without it, the finding names what is missing."""
    account.allow(published("drill"), published("ssm-checks"))
    assert account.rehearse(parts=CHECKS) == []
    account.allow(published("drill"))
    (finding,) = account.rehearse(parts=CHECKS)
    assert set(re.findall(r"ssm:\w+", finding.seen)) == {
        "ssm:SendCommand",
        "ssm:GetCommandInvocation",
        "ssm:ListCommands",
    }
    assert account.rehearse() == []


def test_commands_are_rehearsed_with_the_documents_that_the_plan_names(account: Account) -> None:
    """The ARNs of AWS's own documents contain no account."""
    account.allow(
        published("drill"),
        without(published("ssm-checks"), "ssm:SendCommand"),
        policy("ssm:SendCommand", resource=f"arn:aws:ec2:*:{ACCOUNT}:instance/*"),
        policy("ssm:SendCommand", resource="arn:aws:ssm:us-east-1::document/AWS-RunShellScript"),
        policy("ssm:SendCommand", resource=f"arn:aws:ssm:us-east-1:{ACCOUNT}:document/orders-health"),
    )
    assert account.rehearse(parts=CHECKS) == []


def test_awss_own_policy_suffices(account: Account) -> None:
    """AWS's policy for users of the DRS console suffices, if the caller may also ask IAM."""
    managed = json.loads(aws_managed_policies_data)["AWSElasticDisasterRecoveryConsoleFullAccess_v2"]
    account.allow(managed["Document"], policy("iam:SimulatePrincipalPolicy"))
    assert account.rehearse() == []


def test_the_root_of_an_account_may_do_everything(account: Account) -> None:
    """IAM is not asked, because the root of an account has no policies."""
    account.allow(policy("sts:GetCallerIdentity"))
    arn = f"arn:aws:iam::{ACCOUNT}:root"
    assert rehearse(account.clients, PreflightInputs.whole(make_plan()), arn) == []


def test_a_policy_narrowed_to_the_plans_network_suffices(account: Account) -> None:
    """Launches are rehearsed in the subnets where the plan may launch."""
    narrow = policy(
        "ec2:RunInstances",
        effect="Deny",
        NotResource=[
            *(f"arn:aws:ec2:*:*:subnet/{subnet}" for subnet in SUBNETS[:1]),
            *(f"arn:aws:ec2:*:*:{kind}/*" for kind in ("image", "instance", "launch-template")),
            *(f"arn:aws:ec2:*:*:{kind}/*" for kind in ("network-interface", "security-group", "volume")),
        ],
    )
    del narrow["Statement"][0]["Resource"]
    account.allow(published("drill"), narrow)
    assert account.rehearse(parts={"network": {"allowed_subnets": SUBNETS[:1]}}) == []
    (finding,) = account.rehearse(parts={"network": {"allowed_subnets": SUBNETS}})
    assert "ec2:RunInstances on subnet" in finding.seen


MANAGED = "aws:ResourceTag/AWSElasticDisasterRecoveryManaged"
PLANNED = "arn:aws:drs:us-east-1:111122223333:source-server/s-3c1730a9e0771ea14"


@pytest.mark.parametrize(
    ("action", "narrowed"),
    [
        ("ec2:DescribeVolumes", {"Condition": {"Bool": {"aws:ViaAWSService": "true"}}}),
        (
            "ec2:StartInstances",
            {"Condition": {"ForAnyValue:StringEquals": {"aws:CalledVia": "drs.amazonaws.com"}}},
        ),
        ("ec2:AttachVolume", {"Condition": {"Null": {MANAGED: "false"}}}),
        ("ec2:StopInstances", {"Condition": {"StringEquals": {MANAGED: "drs.amazonaws.com"}}}),
        ("ec2:DeleteVolume", {"Condition": {"StringEquals": {"aws:RequestedRegion": "us-east-1"}}}),
        ("ec2:DeleteSnapshot", {"resource": "arn:aws:ec2:us-east-1::snapshot/*"}),
        ("drs:StartRecovery", {"resource": PLANNED}),
    ],
)
def test_permissions_for_exactly_what_a_run_does_suffice(
    account: Account, action: str, narrowed: dict[str, Any]
) -> None:
    """Each action is rehearsed as it will be called: with its caller, its Region and its resource."""
    account.allow(without(published("drill"), action), policy(action, **narrowed))
    assert account.rehearse() == []


def test_a_rehearsal_over_http_finds_the_same(served: Account) -> None:
    """A server recognises the caller by the access key, as AWS does."""
    served.allow(published("drill"))
    assert served.rehearse() == []
    served.allow(without(published("drill"), "drs:StartRecovery"))
    (finding,) = served.rehearse()
    assert (finding.code, finding.severity) == ("ACCESS_DENIED", "error")
    assert named(finding) == {"drs:StartRecovery"}
    assert USER in finding.seen


# What is missing


def test_everything_that_is_missing_is_one_error(account: Account) -> None:
    """The error groups the actions by who calls them: drs-drills, or DRS with the caller's permissions."""
    missing = {"drs:StartRecovery", "drs:GetLaunchConfiguration", "ec2:RunInstances", "iam:PassRole"}
    account.allow(without(published("drill"), *missing))
    (finding,) = account.rehearse()
    assert (finding.code, finding.severity, finding.heals) == ("ACCESS_DENIED", "error", False)
    assert named(finding) == missing
    own, forwarded = finding.seen.split("Called by DRS with the caller's permissions: ")
    assert USER in own
    assert "Called by drs-drills: drs:GetLaunchConfiguration on source-server, drs:StartRecovery on" in own
    assert "ec2:RunInstances on subnet" in forwarded
    assert "iam:PassRole on ConversionServerRole" in forwarded


@pytest.mark.parametrize(
    "missing",
    [
        ["drs:StartRecovery"],
        ["ec2:CreateTags", "ec2:CreateVolume", "iam:PassRole"],
        ["drs:TerminateRecoveryInstances", "ec2:DescribeInstances", "ec2:AttachVolume"],
    ],
)
def test_the_policy_to_paste_gives_what_is_missing(account: Account, missing: list[str]) -> None:
    """It names only the missing actions. Once it is added, the rehearsal passes."""
    account.allow(without(published("drill"), *missing))
    (finding,) = account.rehearse()
    paste = pasted(finding)
    assert {action for each in paste["Statement"] for action in each["Action"]} == set(missing)
    account.clients.iam.put_user_policy(
        UserName="simulator", PolicyName="pasted", PolicyDocument=json.dumps(paste)
    )
    assert account.rehearse() == []


def test_pasting_suffices_for_a_caller_who_may_do_nothing(account: Account) -> None:
    """The first policy has what would stop the run, the second one what the run could do without."""
    account.allow(policy("sts:GetCallerIdentity"))
    error, warning = account.rehearse(recovery_point=SNAPSHOT_TIME)
    assert (error.severity, warning.severity) == ("error", "warning")
    for number, finding in enumerate((error, warning)):
        account.clients.iam.put_user_policy(
            UserName="simulator", PolicyName=f"pasted-{number}", PolicyDocument=json.dumps(pasted(finding))
        )
    assert account.rehearse(recovery_point=SNAPSHOT_TIME) == []


def test_the_pasted_policy_has_the_conditions_of_aws(account: Account) -> None:
    """It allows the action only through DRS, and only on resources that DRS manages."""
    account.allow(without(published("drill"), "ec2:TerminateInstances"))
    (finding,) = account.rehearse()
    (statement,) = pasted(finding)["Statement"]
    assert statement["Resource"] == "arn:aws:ec2:*:*:instance/*"
    assert statement["Condition"] == {
        "Bool": {"aws:ViaAWSService": "true"},
        "Null": {"aws:ResourceTag/AWSElasticDisasterRecoveryManaged": "false"},
    }


def test_a_condition_on_the_value_of_drss_tag_is_found(account: Account) -> None:
    """Such a condition looks right but breaks launches, because DRS chooses the tag's value."""
    condition = {"StringEquals": {"aws:ResourceTag/AWSElasticDisasterRecoveryManaged": "true"}}
    by_value = policy("ec2:StartInstances", Condition=condition)
    account.allow(without(published("drill"), "ec2:StartInstances"), by_value)
    (finding,) = account.rehearse()
    assert named(finding) == {"ec2:StartInstances"}


@pytest.mark.parametrize(
    "condition",
    [
        {"Bool": {"aws:ViaAWSService": "true"}},
        {"StringEquals": {"aws:RequestedRegion": "eu-central-1"}},
    ],
)
def test_an_allow_for_other_calls_does_not_count(account: Account, condition: dict[str, Any]) -> None:
    """One Allow is only for calls through a service, but drs-drills calls DRS itself.

    The other one is for another Region.
    """
    elsewhere = policy("drs:StartRecovery", Condition=condition)
    account.allow(without(published("drill"), "drs:StartRecovery"), elsewhere)
    (finding,) = account.rehearse()
    assert (finding.code, finding.severity) == ("ACCESS_DENIED", "error")
    assert named(finding) == {"drs:StartRecovery"}


def test_an_explicit_deny_is_reported_as_such(account: Account) -> None:
    """No Allow overrides a Deny, so the remedy has no policy to paste."""
    account.allow(policy("*"), policy("ec2:Run*", effect="Deny"))
    (finding,) = account.rehearse()
    assert (finding.code, finding.severity) == ("ACCESS_DENIED", "error")
    assert "A Deny in the policies of" in finding.remedy
    assert "ec2:RunInstances on instance" in finding.remedy
    assert "{" not in finding.remedy


def test_a_run_without_its_tags_is_a_warning(account: Account) -> None:
    """A drill still runs if it may not tag its jobs."""
    account.allow(without(published("drill"), "drs:TagResource"))
    (finding,) = account.rehearse()
    assert (finding.code, finding.severity) == ("ACCESS_DENIED", "warning")
    assert named(finding) == {"drs:TagResource"}


@pytest.mark.parametrize(
    ("action", "needed_by", "not_by"),
    [
        ("drs:TerminateRecoveryInstances", {}, {"execution_type": "RECOVERY"}),
        ("drs:DescribeRecoverySnapshots", {"recovery_point": SNAPSHOT_TIME}, {}),
    ],
)
def test_only_what_this_run_needs_is_rehearsed(
    account: Account, action: str, needed_by: dict[str, Any], not_by: dict[str, Any]
) -> None:
    """A recovery terminates nothing. Without a recovery point, snapshots are not read."""
    account.allow(without(published("drill"), action))
    (finding,) = account.rehearse(**needed_by)
    assert named(finding) == {action}
    assert account.rehearse(**not_by) == []


# Which principal IAM is asked about, and how


def test_a_short_page_is_not_the_whole_answer(account: Account) -> None:
    """IAM may return fewer results than were requested and say that there are more."""
    account.allow(without(published("drill"), "ec2:DescribeVolumes"))
    events = account.clients.iam.meta.events
    name = "provide-client-params.iam.SimulatePrincipalPolicy"

    def ask_for_two(params: dict[str, Any], **_: Any) -> None:
        params["MaxItems"] = 2

    events.register_first(name, ask_for_two, unique_id="short")
    try:
        (finding,) = account.rehearse()
    finally:
        events.unregister(name, unique_id="short")
    assert named(finding) == {"ec2:DescribeVolumes"}


def test_for_an_assumed_role_iam_is_asked_about_the_role(account: Account) -> None:
    """The policies of the role count, and not those of the user who assumed it."""
    clients = account.assume("/", without(published("drill"), "drs:StartRecovery"))
    (finding,) = account.rehearse(clients)
    assert re.match(rf"arn:aws:iam::{ACCOUNT}:role/drill\d+ lacks", finding.seen)
    assert named(finding) == {"drs:StartRecovery"}


def test_a_roles_path_is_looked_up(account: Account) -> None:
    """The ARN of an assumed role does not contain the role's path."""
    clients = account.assume("/drills/", without(published("drill"), "drs:StartRecovery"))
    (finding,) = account.rehearse(clients)
    assert re.match(rf"arn:aws:iam::{ACCOUNT}:role/drills/drill\d+ lacks", finding.seen)


# What cannot be known


def test_a_caller_who_may_not_ask_gets_a_warning_with_the_policy_that_allows_it(served: Account) -> None:
    """This is the only check that does not fail closed."""
    served.simulation.arm(AccessDenied(operations=("iam:SimulatePrincipalPolicy",)))
    (finding,) = served.rehearse()
    assert (finding.code, finding.severity) == ("CHECK_UNAVAILABLE", "warning")
    assert "not rehearsed" in finding.seen
    assert pasted(finding)["Statement"] == [
        {"Effect": "Allow", "Action": "iam:SimulatePrincipalPolicy", "Resource": USER}
    ]


def test_a_caller_who_may_not_look_up_a_path_gets_a_warning(served: Account) -> None:
    """The warning contains the policy that allows just this."""
    clients = served.assume("/drills/", published("drill"))
    served.simulation.arm(AccessDenied(operations=("iam:GetRole",)))
    (finding,) = served.rehearse(clients)
    assert (finding.code, finding.severity) == ("CHECK_UNAVAILABLE", "warning")
    (statement,) = pasted(finding)["Statement"]
    assert statement["Action"] == "iam:GetRole"
    assert re.fullmatch(rf"arn:aws:iam::{ACCOUNT}:role/\*/drill\d+", statement["Resource"])


def test_an_iam_that_does_not_answer_is_a_warning(served: Account) -> None:
    """The warning contains IAM's error. There is no policy to paste."""
    served.simulation.arm(InternalError(operations=("iam:SimulatePrincipalPolicy",)))
    (finding,) = served.rehearse()
    assert (finding.code, finding.severity) == ("CHECK_UNAVAILABLE", "warning")
    assert "InternalFailure" in finding.seen
    assert "{" not in finding.remedy


def test_a_federated_user_cannot_be_rehearsed(account: Account) -> None:
    """IAM simulates only users, groups and roles."""
    arn = f"arn:aws:sts::{ACCOUNT}:federated-user/anna"
    (finding,) = rehearse(account.clients, PreflightInputs.whole(make_plan()), arn)
    assert (finding.code, finding.severity) == ("CHECK_UNAVAILABLE", "warning")
    assert arn in finding.seen


def test_a_condition_on_what_only_the_call_knows_is_a_warning(account: Account) -> None:
    """The condition is on a tag of the servers, which may well be met. So it does not stop the run."""
    condition = {"StringEquals": {"aws:ResourceTag/Environment": "dr"}}
    by_tag = policy("drs:StartRecovery", Condition=condition)
    account.allow(without(published("drill"), "drs:StartRecovery"), by_tag)
    (finding,) = account.rehearse()
    assert (finding.code, finding.severity) == ("CHECK_UNAVAILABLE", "warning")
    assert named(finding) == {"drs:StartRecovery"}
    assert "depends on: aws:ResourceTag/Environment" in finding.seen


def test_a_denial_by_the_organisation_is_a_warning(account: Account) -> None:
    """IAM does not say which context keys the organisation's policies needed.

    The simulator has no organisation, so the test adds to the reply what IAM would say.
    """
    account.allow(without(published("drill"), "drs:StartRecovery"))

    def by_organisation(parsed: Any, **_: Any) -> None:
        for result in parsed["EvaluationResults"]:
            result["OrganizationsDecisionDetail"] = {
                "AllowedByOrganizations": result["EvalDecision"] == "allowed"
            }

    events = account.clients.iam.meta.events
    events.register("after-call.iam.SimulatePrincipalPolicy", by_organisation)
    try:
        (finding,) = account.rehearse()
    finally:
        events.unregister("after-call.iam.SimulatePrincipalPolicy", by_organisation)
    assert (finding.code, finding.severity) == ("CHECK_UNAVAILABLE", "warning")
    assert "service control policies" in finding.seen
