"""Splits a list into pages, by ``maxResults`` and ``nextToken``."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from typing import Any, Final, TypeVar

from simulator.engine.errors import ValidationError

T = TypeVar("T")

DEFAULT_PAGE: Final = 100


def page(
    operation: str, items: Sequence[T], max_results: int | None, token: str | None
) -> tuple[Sequence[T], dict[str, Any]]:
    """Return one page and, if there is a next page, the member that points to it.

    :raises ValidationError: the token does not belong to this operation.
    """
    start = _read(operation, token) if token else 0
    end = start + (max_results or DEFAULT_PAGE)
    return items[start:end], {"nextToken": _write(operation, end)} if end < len(items) else {}


def _write(operation: str, start: int) -> str:
    return base64.urlsafe_b64encode(f"{operation}:{start}".encode()).decode()


def _read(operation: str, token: str) -> int:
    try:
        name, _, start = base64.urlsafe_b64decode(token.encode()).decode().partition(":")
        if name == operation:
            return int(start)
    except (ValueError, binascii.Error):
        pass
    raise ValidationError("The pagination token is invalid.")
