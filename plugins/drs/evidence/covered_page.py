"""How a record covers its HTML page, which shows the record's own hash. Pure.

The page is rendered with 64 zeros in the place of the record's hash. The record has the hash of that text
(``page_hash``), and so the record's hash covers the page. Then the zeros are replaced by the record's hash.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Any

from drs.evidence.record import Evidence

BLANK = "0" * 64


def page_hash(record: Evidence, render: Callable[[Evidence], str]) -> str:
    """The hash by which the record covers its page."""
    return hashlib.sha256(_blank_page(record, render)).hexdigest()


def written_page(record: Evidence, render: Callable[[Evidence], str]) -> bytes:
    """The record's page as it is stored."""
    return _blank_page(record, render).replace(BLANK.encode(), record.hash.encode())


def is_covered(content: Mapping[str, Any], page: bytes) -> bool:
    """Whether this is byte for byte the page that the record covers.

    :param content: a record that has a ``page_hash``
    """
    own, blank = str(content["hash"]).encode(), BLANK.encode()
    without = page.replace(own, blank)
    # The second comparison notices a page in which zeros took the place of the hash.
    return hashlib.sha256(without).hexdigest() == content["page_hash"] and without.replace(blank, own) == page


def _blank_page(record: Evidence, render: Callable[[Evidence], str]) -> bytes:
    """The page as it is before the record has its hash: the same at each rendering by one version."""
    return render(record.model_copy(update={"hash": BLANK, "page_hash": None, "signature": None})).encode()
