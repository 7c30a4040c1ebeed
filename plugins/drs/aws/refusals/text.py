"""Reads the text of an error of AWS: its code in every spelling, and AWS's words without the names in them.

DRS passes on what EC2, KMS, IAM and others answer, in the spelling of the library that it called them with.
A role, a template or a tag may be called anything, so names are left out before the words are looked at.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

NAME = "…"
"""What is written in AWS's words in place of a name."""
LENGTH = 16_384
"""Characters of an error that are looked at; AWS's errors are shorter, encoded messages included."""

_NOUNS = "role|user|profile|key pair|template|document|group|stack|topic|bucket|policy|server|host"
_NAMES = re.compile(
    r"\barn:[\w-]*:[^\s'\",;)]+"
    r"|(?<!\w)'(?:(?!An error occurred)[^']){1,128}'(?!\w)"
    r'|(?<!\w)"(?:(?!An error occurred)[^"]){1,128}"(?!\w)'
    r"|(?<!\w)`[^`]{1,128}`(?!\w)"
    r"|(?P<before>\b(?:User|resource): |\b(?:with name|named|called) )\S+"
    r"|(?P<of_value>\b[Vv]alue )\([^)]{1,256}\)"
    rf"|(?P<noun>\b(?i:{_NOUNS})(?: name| id)?[ :=]{{1,2}})(?!['\"`])(?=\S{{0,128}}[-_/\d])\S+"
    r"|\b[a-z]{1,12}-[0-9a-f]{6,17}\b"
)

_CODE = r"(?:(?:Client|Server)\.)?[A-Z][A-Za-z0-9]*(?:\.[A-Z][A-Za-z]+)*"
_STATED = (
    re.compile(r"An error occurred \((?P<code>[\w.]+)\)(?: when calling the (?P<operation>\w+) operation)?"),
    re.compile(rf"<Code>(?P<code>{_CODE})</Code>"),
    re.compile(rf"\bapi error (?P<code>{_CODE})\b"),
    re.compile(rf"\b[Ee]rror ?[Cc]ode\s*[:=]\s*\"?(?P<code>{_CODE})\b"),
    re.compile(rf'"(?:__type|[Cc]ode|[Ee]rrorCode)"\s*:\s*"(?:[\w.]+#)?(?P<code>{_CODE})"'),
)
"""Spellings that say that a word is a code: botocore's, EC2's XML, the SDKs of Go and Java, JSON."""
_LABEL = re.compile(
    rf"(?:^|[\s(\[]|(?<=exceptions\.)|(?<=errorfactory\.))(?P<code>{_CODE})(?=\)|\]|:\s|:?$| - )"
)
"""``Code: text``, ``[Code] text``, ``text (Code)``: a code if it is known, or if it is the text's first word
and no name of an operation."""
_FREE = re.compile(rf"(?<![\w.{NAME}-])(?P<code>{_CODE})(?![\w{NAME}-])")
_HUMPS = re.compile(r"[A-Z]+[a-z0-9]+(?:\.?[A-Z]+[a-z0-9]*)+")
_OPERATION = re.compile(
    r"(?:Accept|Allocate|Assign|Associate|Assume|Attach|Authorize|Cancel|Copy|Create|Decode|Delete|Deregister"
    r"|Describe|Detach|Disable|Disassociate|Enable|Encrypt|Decrypt|Generate|Get|Head|Import|List|Modify|Put"
    r"|Register|Release|Request|Reset|Revoke|Run|Send|Start|Stop|Tag|Terminate|Untag|Update)(?=[A-Z])"
)


@dataclass(frozen=True)
class ErrorText:
    """An error of AWS, taken apart.

    :param raw: the error as it came
    :param code: its code as AWS wrote it, such as ``Client.InternalError``; ``None`` if it has none
    :param operation: the call that AWS refused, such as ``RunInstances``; ``None`` if the text does not say
    :param words: AWS's own words, with a placeholder for each name in them
    """

    raw: str
    code: str | None
    operation: str | None
    words: str

    @property
    def bare_code(self) -> str | None:
        """The code without ``Client.`` or ``Server.``"""
        return self.code and re.sub(r"^(?:Client|Server)\.", "", self.code)

    @property
    def by_server(self) -> bool:
        """Whether the code says that the fault is AWS's."""
        return bool(self.code) and str(self.code).startswith("Server.")


def without_names(text: str) -> str:
    """The text with a placeholder for each ARN, id, quoted or otherwise named thing."""
    return _NAMES.sub(
        lambda found: (found["before"] or found["of_value"] or found["noun"] or "") + NAME, text
    )


def read_text(raw: str, known: Callable[[str], bool], vague: Callable[[str], bool]) -> ErrorText:
    """Take a text apart.

    :param known: whether a word is a known code
    :param vague: whether a known code says little by itself, so that a code in AWS's words says more
    """
    text = raw[:LENGTH]
    plain = without_names(text)
    stated = [match for spelling in _STATED for match in spelling.finditer(text)]
    labelled = list(_LABEL.finditer(plain))
    candidates = [match["code"] for match in (*stated, *labelled)]
    recognised = [code for code in candidates if known(code)]
    code = next(
        iter(
            [code for code in reversed(recognised) if not vague(code)]
            or recognised[-1:]
            or [match["code"] for match in stated[-1:]]
            or _free(plain, known)
            or _leading(plain)
        ),
        None,
    )
    operation = next((found for match in stated if (found := match.groupdict().get("operation"))), None)
    return ErrorText(raw, code, operation, _words(plain))


def _free(plain: str, known: Callable[[str], bool]) -> list[str]:
    """The last known code among the words that look like one."""
    words = [match["code"] for match in _FREE.finditer(plain)]
    return [word for word in words if _HUMPS.search(word) and known(word)][-1:]


def _leading(plain: str) -> list[str]:
    """The text's first word, if it looks like a code that is not known."""
    found = _LABEL.match(plain.lstrip())
    code = found["code"] if found else ""
    return [code] if _HUMPS.fullmatch(code) and not _OPERATION.match(code) else []


def _words(plain: str) -> str:
    """What follows botocore's and similar preambles: AWS's own words."""
    parts = re.split(
        r"An error occurred \([\w.]+\)(?: when calling the \w+ operation)?(?: \([^)]*\))?:?\s*", plain
    )
    return " ".join(parts[-1].split()) if len(parts) > 1 and parts[-1].strip() else " ".join(plain.split())
