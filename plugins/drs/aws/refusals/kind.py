"""A kind of error of AWS, as data: how it is recognised, what it means, what to do about it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from drs.aws.refusals.denial import DeniedCall

Family = Literal["denied", "credentials", "account", "passing", "request"]
"""Who can do something about an error: the owner of a policy (``denied``), of the connection
(``credentials``), of the account (``account``), time alone (``passing``), or, for all others, the person who
keeps the servers' launch settings (``request``)."""


@dataclass(frozen=True)
class ErrorKind:
    """A kind of error. The code is looked at first, AWS's words only where the code says little.

    The texts may contain ``{action}``, ``{statement}``, ``{denies}``, ``{policy}``, ``{operation}``,
    ``{code}`` and ``{said}``, which are filled in from the error.

    :param id: the kind's name, which never changes
    :param phrase: the cause in a few words, for use in a sentence
    :param cause: the cause in plain words
    :param remedy: what to do; what comes after it (clear a task, start a new run) is added by the caller
    :param retry_is_safe: whether the same may be tried again as it is: it harms nothing and may succeed
    :param examples: errors that the kind must explain
    :param family: who can do something about it
    :param codes: AWS's codes that mean this
    :param vague_codes: codes that mean this unless AWS's words mean another kind
    :param words: AWS's words that mean this where there is no code, or only a vague or unknown one
    :param denies: the denied calls that are of this kind
    :param ends: what an unknown code ends with that is of this kind
    :param matches: how the kind is recognised, in words, where that is not by codes
    """

    id: str
    phrase: str
    cause: str
    remedy: str
    retry_is_safe: bool
    examples: tuple[str, ...]
    family: Family = "request"
    codes: tuple[str, ...] = ()
    vague_codes: tuple[str, ...] = ()
    words: str | None = None
    denies: Callable[[DeniedCall], bool] | None = None
    ends: str | None = None
    matches: str = ""

    def says(self, words: str) -> bool:
        """Whether AWS's words mean this kind."""
        return self.words is not None and re.search(self.words, words, re.IGNORECASE) is not None
