"""The folder `.drill/` at the root of the repository: a home for each stack that the demo starts."""

from __future__ import annotations

import fcntl
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from demo.processes import StackError
from demo.stack import REPOSITORY

SCRATCH = REPOSITORY / ".drill"
KEPT = 3
"""How many homes of drills that did not succeed are kept for a look at their logs."""
NEEDED_MB = 200


class HomeInUseError(StackError):
    """Another process works in this home; the message is what it left there for us."""


@contextmanager
def claimed(home: Path, note: str = "") -> Iterator[Path]:
    """Hold a home for as long as the block runs, or as this process lives.

    :param note: what another claimant shall be told.
    :raises HomeInUseError: with the note of the process that holds it.
    :raises StackError: the disk is too full.
    """
    home.mkdir(parents=True, exist_ok=True)
    free_mb = shutil.disk_usage(home).free // 2**20
    if free_mb < NEEDED_MB:
        raise StackError(
            f"Only {free_mb} MB are free for {home}; {NEEDED_MB} are needed. Make room and try again."
        )
    with (home / "lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise HomeInUseError(lock.read()) from None
        lock.truncate(0)
        lock.write(note)
        lock.flush()
        yield home


def new_home(scratch: Path = SCRATCH) -> Path:
    """A fresh home for one drill. Of older ones that nobody works in, the newest few are kept."""
    scratch.mkdir(exist_ok=True)
    homes = sorted(scratch.glob("drill-*"), key=lambda home: home.stat().st_mtime, reverse=True)
    for old in homes[KEPT - 1 :]:
        try:
            with claimed(old):
                shutil.rmtree(old)
        except HomeInUseError:
            continue
    return Path(tempfile.mkdtemp(prefix="drill-", dir=scratch))
