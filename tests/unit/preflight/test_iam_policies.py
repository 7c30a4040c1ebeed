"""The policies in include/iam allow the actions that the code names, and no more than AWS's own policy."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws
from moto.iam.aws_managed_policies import aws_managed_policies_data

from drs.preflight.actions import FORWARDED, POLICIES, document

FOLDER = Path(__file__).parents[3] / "include" / "iam"
LONGEST = 6144
"""Characters in a managed policy, without white space (IAM's quota)."""

Statement = dict[str, Any]


def published(name: str) -> dict[str, Any]:
    policy: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text())
    return policy


def listed(value: Any) -> list[str]:
    return value if isinstance(value, list) else [value]


def conditions(statement: Statement) -> set[tuple[str, str, str]]:
    """Each condition with each of its values."""
    return {
        (operator, key, value)
        for operator, keys in statement.get("Condition", {}).items()
        for key, values in keys.items()
        for value in listed(values)
    }


def covers(wide: Statement, action: str, resource: str, narrow: Statement) -> bool:
    """Whether the statement ``wide`` allows this action on this resource whenever ``narrow`` does."""
    return (
        any(action == each or each == f"{action.split(':')[0]}:*" for each in listed(wide["Action"]))
        and bool({resource, "*"} & set(listed(wide["Resource"])))
        # The same conditions. Ours may allow fewer values.
        and {each[:2] for each in conditions(wide)} == {each[:2] for each in conditions(narrow)}
        and conditions(narrow) <= conditions(wide)
    )


@pytest.mark.parametrize("name", POLICIES)
def test_a_policy_is_made_of_the_actions_that_the_code_names(name: str) -> None:
    """Writing the file again from the code would not change it."""
    expected = document(POLICIES[name])
    assert published(name) == expected, f"{name}.json should be:\n{json.dumps(expected, indent=2)}"


@pytest.mark.parametrize("name", POLICIES)
def test_iam_takes_a_policy(name: str) -> None:
    """IAM accepts the grammar of the policy, and its length is within the quota."""
    text = json.dumps(published(name), separators=(",", ":"))
    assert len(text) <= LONGEST
    with mock_aws():
        boto3.client("iam").create_policy(PolicyName=name, PolicyDocument=text)


def test_what_drs_does_is_allowed_under_awss_own_conditions() -> None:
    """AWS's policy for users of the DRS console allows each of these actions on the same resources, under the
    same conditions.
    """
    theirs = managed(CONSOLE)
    uncovered = [
        (action, resource)
        for statement in document(FORWARDED)["Statement"]
        for action in statement["Action"]
        for resource in listed(statement["Resource"])
        if not any(covers(each, action, resource, statement) for each in theirs)
    ]
    assert uncovered == []


def test_every_change_of_ec2_goes_through_drs() -> None:
    """With this policy alone, nobody can start or terminate an instance or change a volume by calling EC2.

    Launch templates are an exception: people edit them in the console, so AWS only requires DRS's tag.
    """
    for statement in published("drill")["Statement"]:
        if all(action.startswith("ec2:") and "Describe" not in action for action in statement["Action"]):
            if statement["Resource"] == "arn:aws:ec2:*:*:launch-template/*":
                assert {"Null", "StringEquals"} & set(statement["Condition"])
            else:
                assert statement["Condition"]["Bool"] == {"aws:ViaAWSService": "true"}, statement
        else:
            assert not any(
                action.startswith("ec2:") and "Describe" not in action for action in statement["Action"]
            ), statement


def test_the_policy_for_readers_changes_nothing() -> None:
    """It allows what preflight reads, and asks IAM as preflight does."""
    readers, drill = (
        {action for statement in published(name)["Statement"] for action in statement["Action"]}
        for name in ("readonly", "drill")
    )
    assert all(action.split(":")[1].startswith(("Describe", "Get", "List", "Simulate")) for action in readers)
    assert readers < drill


def test_the_trust_policy_asks_for_the_external_id() -> None:
    """It trusts one role, and requires the external id."""
    policy = json.loads((FOLDER / "trust-policy.json").read_text())
    (statement,) = policy["Statement"]
    assert statement["Action"] == "sts:AssumeRole"
    assert statement["Principal"]["AWS"].startswith("arn:aws:iam::")
    assert statement["Condition"]["StringEquals"]["sts:ExternalId"]
    with mock_aws():
        boto3.client("iam").create_role(RoleName="drill", AssumeRolePolicyDocument=json.dumps(policy))


def test_the_readme_names_every_policy() -> None:
    """The readme in the same folder names each file."""
    text = (FOLDER / "README.md").read_text()
    assert [path.name for path in sorted(FOLDER.glob("*.json")) if f"`{path.name}`" not in text] == []


# --- docs/permissions.md, compared with AWS's own policies ------------------------------------------------

CONSOLE = "AWSElasticDisasterRecoveryConsoleFullAccess_v2"
READ_ONLY = "AWSElasticDisasterRecoveryReadOnlyAccess"


@functools.cache
def awss_policies() -> dict[str, Any]:
    """AWS's managed policies, as moto has them."""
    policies: dict[str, Any] = json.loads(aws_managed_policies_data)
    return policies


def managed(name: str) -> list[Statement]:
    statements: list[Statement] = awss_policies()[name]["Document"]["Statement"]
    return statements


def in_words(condition: tuple[str, str, str]) -> str:
    operator, key, value = condition
    if operator == "Null":
        return f"`{key}` is there" if value == "false" else f"`{key}` is not there"
    return f"`{key}` is `{value}`"


def kind(resource: str) -> str:
    """``instance`` of the ARN of all instances; the name of a role"""
    return resource.removesuffix("/*").rsplit("/" if "role/" in resource else ":", 1)[-1]


def comparison() -> str:
    """The table of docs/permissions.md: each condition of ours beside those of AWS's policy."""
    rows = []
    for statement in document(FORWARDED)["Statement"]:
        own = conditions(statement)
        theirs = {
            frozenset(conditions(each))
            for each in managed(CONSOLE)
            for action in statement["Action"]
            for resource in listed(statement["Resource"])
            if covers(each, action, resource, statement)
        }
        more = sorted({each for one in theirs for each in one} - own)
        actions = ", ".join(f"`{action.removeprefix('ec2:')}`" for action in statement["Action"])
        on = ", ".join(kind(each) for each in listed(statement["Resource"]))
        said = "; ".join(sorted(map(in_words, own))) or "none"
        values = ", ".join(f"`{value}`" for _, _, value in more)
        aws = f"the same, or `{more[0][1]}` is {values}" if more else "the same"
        rows.append(f"| {actions} | {'all' if on == '*' else on} | {said} | {aws} |")
    return "\n".join(rows)


def test_the_documentation_compares_each_condition_with_that_of_aws() -> None:
    """The table is made from the policies. If this test fails, it shows the table to paste."""
    text = (FOLDER.parents[1] / "docs" / "permissions.md").read_text()
    assert comparison() in text, f"docs/permissions.md should have these rows:\n{comparison()}"
    version = awss_policies()[CONSOLE]["DefaultVersionId"]
    assert f"`{CONSOLE}` ({version})" in " ".join(text.split())


def test_the_documentation_names_what_awss_policy_for_readers_lacks() -> None:
    """AWS's read-only policy for DRS is not enough for doctor."""
    allowed = {action for statement in managed(READ_ONLY) for action in listed(statement["Action"])}
    own = {action for statement in published("readonly")["Statement"] for action in statement["Action"]}
    lacking = ", ".join(f"`{action}`" for action in sorted(own - allowed))
    assert lacking in " ".join((FOLDER.parents[1] / "docs" / "permissions.md").read_text().split()), lacking
