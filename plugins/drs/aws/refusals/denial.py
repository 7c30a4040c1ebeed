"""Reads from AWS's own sentence which action was denied, and whose policy denies it.

AWS writes either ``with an explicit deny in a … policy`` or ``because no … policy allows the … action``.

.. seealso:: https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html
"""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass

from drs.aws.refusals.operations import SERVICES
from drs.aws.refusals.text import ErrorText

DENIED = frozenset(
    {
        "403",
        "AccessDenied",
        "AccessDeniedException",
        "AuthorizationError",
        "AuthorizationErrorException",
        "Forbidden",
        "KMSAccessDenied",
        "KMSAccessDeniedException",
        "KmsAccessDeniedException",
        "NotAuthorized",
        "NotAuthorizedException",
        "UnauthorizedException",
        "UnauthorizedOperation",
    }
)
"""The codes of a call that the caller may not make."""


class Denier(enum.StrEnum):
    """Whose policy denies a call."""

    IDENTITY = "identity-based policy"
    SERVICE_CONTROL = "service control policy"
    RESOURCE_CONTROL = "resource control policy"
    BOUNDARY = "permissions boundary"
    SESSION = "session policy"
    ENDPOINT = "VPC endpoint policy"
    TRUST = "role trust policy"
    RESOURCE = "resource-based policy"
    PUBLIC_ACCESS = "block public access setting"


_DENIERS = (
    (r"service control|\bSCPs?\b", Denier.SERVICE_CONTROL),
    (r"resource control|\bRCPs?\b", Denier.RESOURCE_CONTROL),
    (r"permissions? boundar", Denier.BOUNDARY),
    (r"sessions? polic", Denier.SESSION),
    (r"endpoint polic", Denier.ENDPOINT),
    (r"trust polic", Denier.TRUST),
    (r"resource.based|(?:key|bucket|queue|topic|repository) polic", Denier.RESOURCE),
    (r"identity.based", Denier.IDENTITY),
    (r"block ?public", Denier.PUBLIC_ACCESS),
)
_SENTENCE = re.compile(
    r"explicit deny(?P<deny>[^.]{0,200})|because (?P<because>[^.]{0,200})"
    r"|denied by (?P<by>[^.]{0,200})|(?P<block>block ?public\w*(?: access)?)",
    re.IGNORECASE,
)
_SAYS_SO = re.compile(
    r"not authori[sz]ed to (?:perform|use|invoke|assume|pass)|encoded authorization failure|^access denied\b"
    r"|explicit deny",
    re.IGNORECASE,
)
_ACTION = re.compile(
    r"not authori[sz]ed to (?:perform|use|invoke):? (?P<action>[A-Za-z0-9-]+:[A-Za-z]+)"
    r"|allows the (?P<allowed>[A-Za-z0-9-]+:[A-Za-z]+) action"
    r"|not authori[sz]ed to perform (?P<passed>iam:PassRole)",
)
_POLICY = re.compile(r"explicit deny in [^:]{1,80}: (?P<arn>arn:[^\s\"',;)]+)")


@dataclass(frozen=True)
class DeniedCall:
    """A call that was denied.

    :param action: the action, such as ``ec2:RunInstances``; ``None`` if it is not known for certain
    :param operation: the operation that the caller called; it may need more actions than its own
    :param denier: whose policy denies it; ``None`` if AWS does not say
    :param explicit: whether a Deny forbids it; otherwise an Allow is missing, or AWS does not say
    :param policy: the ARN of the policy with the Deny, if AWS names it
    :param encoded: whether AWS gives the reason only in an encoded message
    """

    action: str | None
    operation: str | None = None
    denier: Denier | None = None
    explicit: bool = False
    policy: str | None = None
    encoded: bool = False


def denial_of(error: ErrorText) -> DeniedCall | None:
    """What the error says about a denied call; ``None`` if it is no such error."""
    if error.code is None:
        if not _SAYS_SO.search(error.words):
            return None
    elif error.bare_code not in DENIED:
        return None
    encoded = "encoded authorization failure" in error.words.lower()
    named = _named_action(error.words)
    policy = _POLICY.search(error.raw)
    return DeniedCall(
        action=named or (None if encoded else _own_action(error)),
        operation=error.operation,
        denier=_denier(error.words),
        explicit="explicit deny" in error.words.lower(),
        policy=policy["arn"].rstrip(".") if policy else None,
        encoded=encoded and named is None,
    )


def _named_action(words: str) -> str | None:
    found = _ACTION.search(words)
    if found is None:
        return "iam:PassRole" if re.search(r"cannot be passed|authori[sz]ed to pass", words) else None
    service, _, name = (found["action"] or found["allowed"] or found["passed"]).partition(":")
    return f"{service.lower()}:{name}"


def _own_action(error: ErrorText) -> str | None:
    """The action of the operation itself; ``None`` if more than one service has such an operation."""
    service = SERVICES.get(error.operation or "")
    return f"{service}:{error.operation}" if service else None


def _denier(words: str) -> Denier | None:
    for sentence in _SENTENCE.finditer(words):
        told = next(part for part in sentence.groups() if part is not None)
        # "in a VPC endpoint policy transitively through a service control policy": the latter has the Deny
        told = told.rpartition("transitively through")[2]
        for pattern, denier in _DENIERS:
            if re.search(pattern, told, re.IGNORECASE):
                return denier
    return None
