"""SimulatePrincipalPolicy, as a method for moto's ``IamResponse``.

Shapes and errors: https://docs.aws.amazon.com/IAM/latest/APIReference/API_SimulatePrincipalPolicy.html
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from moto.core.responses import ActionResult
from moto.core.utils import get_service_model
from moto.iam.exceptions import IAMException
from moto.iam.models import IAMBackend, ManagedPolicy
from moto.iam.policy_validation import IAMPolicyDocumentValidator
from moto.iam.responses import IamResponse

from simulator.drs import validation
from simulator.drs.paging import page
from simulator.engine.errors import ValidationError
from simulator.iam.policies import Context, evaluate

JSON = dict[str, Any]

_OPERATION: Final = "SimulatePrincipalPolicy"
_NOT_SIMULATED: Final = (
    "CallerArn",
    "PermissionsBoundaryPolicyInputList",
    "PolicyExclusionList",
    "ResourceHandlingOption",
    "ResourceOwner",
    "ResourcePolicy",
)
_PRINCIPAL: Final = re.compile(r"arn:[^:]+:iam::\d{12}:(user|group|role)/.+")
_ACTION: Final = re.compile(r"[A-Za-z0-9-]+:[A-Za-z0-9]+")


def simulate_principal_policy(self: IamResponse) -> ActionResult:
    """Answer SimulatePrincipalPolicy for each action on each resource, in the order of the request.

    :raises IAMException: NoSuchEntity, InvalidInput or ValidationError.
    :raises NotImplementedError: a parameter or a part of a policy that is not simulated.
    """
    request: JSON = self._get_params()
    if refused := [name for name in _NOT_SIMULATED if name in request]:
        raise NotImplementedError(f"{_OPERATION} is not simulated with {', '.join(refused)}")
    try:
        validation.check(get_service_model("iam").operation_model(_OPERATION).input_shape, request)
        documents = _documents(self.backend, request)
        context = _context(request)
        pairs = [(action, resource) for action in _actions(request) for resource in _resources(request)]
        shown, token = page(_OPERATION, pairs, request.get("MaxItems"), request.get("Marker"))
    except ValidationError as error:
        raise IAMException("ValidationError", error.message) from None
    results = [_result(documents, action, resource, context) for action, resource in shown]
    following = {"Marker": token["nextToken"]} if token else {}
    return ActionResult({"EvaluationResults": results, "IsTruncated": bool(token), **following})


def _result(documents: list[str], action: str, resource: str, context: Context) -> JSON:
    verdict = evaluate(documents, action, resource, context)
    return {
        "EvalActionName": action,
        "EvalResourceName": resource,
        "EvalDecision": verdict.decision,
        "MatchedStatements": [],
        "MissingContextValues": list(verdict.missing),
    }


def _documents(iam: IAMBackend, request: JSON) -> list[str]:
    """Return the policies of the principal, and those that the request adds."""
    added = request.get("PolicyInputList") or []
    for document in added:
        try:
            IAMPolicyDocumentValidator(document).validate()
        except IAMException as error:
            raise _invalid(f"Invalid Input Policy: {error.message}") from None
    return [*_policies_of(iam, request["PolicySourceArn"]), *added]


def _policies_of(iam: IAMBackend, arn: str) -> Iterator[str]:
    if not _PRINCIPAL.fullmatch(arn):
        raise _invalid(f"Invalid Entity Arn: {arn} does not clearly define entity type and name.")
    principals: list[Any] = [*iam.users.values(), *iam.groups.values(), *iam.roles.values()]
    found = next((principal for principal in principals if principal.arn == arn), None)
    if found is None:
        raise IAMException("NoSuchEntity", f"The entity {arn} cannot be found.")
    if getattr(found, "permissions_boundary_arn", None):
        raise NotImplementedError(
            f"{_OPERATION} is not simulated for a principal with a permissions boundary"
        )
    groups = iam.get_groups_for_user(found.name) if found in iam.users.values() else []
    for holder in (found, *groups):
        yield from (_document(policy) for policy in holder.policies.values())
        yield from (_document(policy) for policy in holder.managed_policies.values())


def _document(policy: ManagedPolicy | str) -> str:
    """Return a policy's text. Inline policies are kept as text, managed policies as versions."""
    if isinstance(policy, str):
        return policy
    return next(str(version.document) for version in policy.versions if version.is_default)


def _actions(request: JSON) -> list[str]:
    for action in request["ActionNames"]:
        if not _ACTION.fullmatch(action):
            raise _invalid(
                f"Invalid Action Name: {action} is not a service and an operation, like iam:GetUser."
            )
    return list(request["ActionNames"])


def _resources(request: JSON) -> list[str]:
    resources: list[str] = request.get("ResourceArns") or ["*"]
    for resource in resources:
        if resource != "*" and not resource.startswith("arn:"):
            raise _invalid(f"Invalid Resource Arn: {resource}")
    return resources


def _context(request: JSON) -> Context:
    context: dict[str, list[str]] = {}
    for entry in request.get("ContextEntries") or []:
        name, values = entry.get("ContextKeyName"), entry.get("ContextKeyValues") or []
        if not name or not values:
            raise _invalid("Invalid Context Entry: it needs ContextKeyName and ContextKeyValues.")
        if entry.get("ContextKeyType", "").startswith("boolean") and {*values} - {"true", "false"}:
            raise _invalid(f"Invalid Context Entry: the values of {name} are not boolean.")
        context[name.lower()] = values
    return context


def _invalid(message: str) -> IAMException:
    return IAMException("InvalidInput", message)
