"""Finds the kind of an error in the table: by its code, else by AWS's words, else by the form of its code."""

from __future__ import annotations

import re
from dataclasses import dataclass

from drs.aws.access_denied import statement
from drs.aws.refusals.aws_side import AWS_SIDE
from drs.aws.refusals.credentials import CREDENTIALS
from drs.aws.refusals.denial import DENIED, DeniedCall, Denier, denial_of
from drs.aws.refusals.disks import DISKS
from drs.aws.refusals.kind import ErrorKind, Family
from drs.aws.refusals.network import NETWORK
from drs.aws.refusals.permissions import PERMISSIONS
from drs.aws.refusals.quotas import QUOTAS
from drs.aws.refusals.services import SERVICES, UNKNOWN
from drs.aws.refusals.settings import SETTINGS
from drs.aws.refusals.text import ErrorText, read_text, without_names
from drs.text import shown

KINDS: tuple[ErrorKind, ...] = (
    *PERMISSIONS,
    *CREDENTIALS,
    *QUOTAS,
    *AWS_SIDE,
    *NETWORK,
    *SETTINGS,
    *DISKS,
    *SERVICES,
)
"""Every kind of error. AWS's words are tried from top to bottom."""

_BY_CODE = {code.casefold(): kind for kind in KINDS for code in (*kind.codes, *kind.vague_codes)}
_VAGUE = frozenset(code.casefold() for kind in KINDS for code in kind.vague_codes)
_DENIED = frozenset(code.casefold() for code in DENIED)

OTHERWISE = (
    " If the role has this permission already, another policy denies it: the role's permissions boundary, a "
    "service control policy of the organisation, or the policy of the resource."
)
"""What is added to the remedy where AWS does not say whose policy denies a call."""
SAID = 300
"""Characters of AWS's words in an explanation; the raw error is shown beside it."""


@dataclass(frozen=True)
class Meaning:
    """What an error of AWS means.

    :param kind: its kind, :data:`UNKNOWN` if the table has none
    :param error: the error, taken apart
    :param denial: what was denied, if the error is about that
    :param phrase: the cause in a few words
    :param cause: the cause in plain words
    :param remedy: what to do about the cause
    """

    kind: ErrorKind
    error: ErrorText
    denial: DeniedCall | None
    phrase: str
    cause: str
    remedy: str

    @property
    def statement_helps(self) -> bool:
        """Whether an Allow in the role's own policy is what is missing, as far as AWS says."""
        return self.kind.id == "permission"

    @property
    def action(self) -> str | None:
        """The action that was denied, if it is known."""
        return self.denial.action if self.denial else None


def codes_of(*families: Family) -> frozenset[str]:
    """AWS's codes of these families."""
    return frozenset(
        code for kind in KINDS if kind.family in families for code in (*kind.codes, *kind.vague_codes)
    )


def meaning_of(raw: str) -> Meaning:
    """What the text of an error means."""
    return _meaning(read_text(raw, known=_is_known, vague=_is_vague))


def meaning_of_reply(code: str, message: str, *, operation: str | None = None) -> Meaning:
    """What AWS's reply to a call means.

    :param code: the code in the reply, or the name of the exception if there was no reply
    :param operation: the operation that was called
    """
    return _meaning(ErrorText(message, code, operation, " ".join(without_names(message).split())))


def _is_known(code: str) -> bool:
    return any(form in _BY_CODE or form in _DENIED for form in _forms(code))


def _is_vague(code: str) -> bool:
    return any(form in _VAGUE for form in _forms(code))


def _forms(code: str) -> tuple[str, str]:
    """The code with and without ``Client.`` or ``Server.``, the more telling one first."""
    return code.casefold(), re.sub(r"^(?:client|server)\.", "", code.casefold())


def _meaning(error: ErrorText) -> Meaning:
    denial = denial_of(error)
    kind, by_form = _kind_of(error, denial)
    names = _names(error, denial)
    phrase, cause, remedy = (_filled(text, names) for text in (kind.phrase, kind.cause, kind.remedy))
    if by_form:
        cause = f'"{names["said"]}": the code {error.code} is unknown to this package. By its name: {cause}'
    return Meaning(kind, error, denial, phrase, cause, remedy)


def _kind_of(error: ErrorText, denial: DeniedCall | None) -> tuple[ErrorKind, bool]:
    """The kind of an error, and whether only the form of its code says so."""
    if denial is not None:
        return next(kind for kind in PERMISSIONS if kind.denies and kind.denies(denial)), False
    forms = _forms(error.code) if error.code else ()
    by_code = next((_BY_CODE[form] for form in forms if form in _BY_CODE), None)
    if by_code is not None and not any(form in _VAGUE for form in forms):
        return by_code, False
    by_words = next((kind for kind in KINDS if kind.says(error.words)), None)
    if found := by_words or by_code:
        return found, False
    by_form = _by_form(error)
    return (by_form, True) if by_form else (UNKNOWN, False)


def _by_form(error: ErrorText) -> ErrorKind | None:
    """The kind that the form of an unknown code says: ``…LimitExceeded``, ``….NotFound``, ``Server.…``."""
    if error.by_server:
        return _BY_CODE["internalerror"]
    code = error.bare_code or ""
    if re.search(r"throttl", code, re.IGNORECASE):
        return _BY_CODE["throttling"]
    if re.search(r"^Insufficient\w*Capacity", code):
        return _BY_CODE["insufficientcapacity"]
    return next((kind for kind in KINDS if kind.ends and re.search(rf"(?:{kind.ends})$", code)), None)


def _names(error: ErrorText, denial: DeniedCall | None) -> dict[str, str]:
    said = shown.line(" ".join(error.raw.split()))
    names = {
        "said": said if len(said) <= SAID else f"{said[:SAID]}...",
        "code": error.code or "without a code",
        "operation": f" in {error.operation}" if error.operation else "",
    }
    if denial:
        action = denial.action
        names |= {
            "action": action or "an action that the error does not name",
            "statement": statement([action or "the action that is missing"]),
            "denies": "explicitly denies" if denial.explicit else "does not allow",
            "policy": f" ({shown.line(denial.policy)})" if denial.policy else "",
            "otherwise": "" if denial.denier is Denier.IDENTITY else OTHERWISE,
        }
    return names


def _filled(text: str, names: dict[str, str]) -> str:
    return re.sub(r"\{(\w+)\}", lambda found: names.get(found[1], found[0]), text)
