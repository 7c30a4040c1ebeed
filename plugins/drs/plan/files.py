"""Reads the bytes of a plan's file, and nothing that is not a plan's file.

All plans of a folder are read together: a pipe, a link to an endless device or a file that does not fit into
memory must not keep Airflow from reading the others.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

MOST_BYTES = 1024 * 1024
"""The largest file that is read. A plan with 4,000 servers has 100 KB."""
_KINDS = {
    stat.S_IFDIR: "a directory",
    stat.S_IFIFO: "a named pipe (FIFO)",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
}


class NotAPlanFile(ValueError):  # noqa: N818  # it says what the file is
    """What stands at the path cannot be the file of a plan; the text says why, as a sentence."""


def read(path: Path) -> bytes:
    """The content of a regular file of at most :data:`MOST_BYTES`. A link may lead to it.

    :raises OSError: the file is absent or may not be read
    :raises NotAPlanFile: it is no regular file, or too large
    """
    _check(path.stat())
    # Without O_NONBLOCK, opening a pipe would wait for its other end. The file may be replaced after the
    # first check, so the second one checks what was opened.
    file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(file, "rb") as opened:
        _check(os.fstat(file))
        content = opened.read(MOST_BYTES + 1)
    _check_size(len(content))
    return content


def _check(found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        kind = _KINDS.get(stat.S_IFMT(found.st_mode), "something else")
        raise NotAPlanFile(f"This is not a regular file but {kind}.")
    _check_size(found.st_size)


def _check_size(size: int) -> None:
    if size > MOST_BYTES:
        raise NotAPlanFile(f"The file is larger than 1 MiB ({size:,} bytes or more), which no plan is.")
