"""Where evidence is kept: a local folder, or an object store by fsspec. A file is written whole or not at
all.
"""

from __future__ import annotations

import errno
import fcntl
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol


class RecordStorage(Protocol):
    """Files by name, with ``/`` between folders. Errors such as an OSError are passed on unchanged."""

    def __str__(self) -> str: ...

    def read(self, name: str) -> bytes | None:
        """The content of the file; ``None`` if it does not exist."""

    def names(self, folder: str) -> list[str]:
        """The names of the entries in the folder (the root is ``""``); empty if the folder does not exist."""

    def create(self, name: str, data: bytes) -> None:
        """Write a new file.

        :raises FileExistsError: the file exists already; it is not changed
        """

    def replace(self, name: str, data: bytes) -> None:
        """Write a file, whether it exists already or not."""

    def swap(self, name: str, data: bytes, seen: bytes | None) -> None:
        """Write a file if its content is still ``seen``; ``None`` means that it does not exist.

        :raises FileExistsError: somebody else wrote it since; it is not changed
        """


class LocalStorage:
    """A folder of this machine, local or mounted.

    :param root: the folder; it is created when it is needed
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    def __str__(self) -> str:
        return str(self._root)

    def read(self, name: str) -> bytes | None:
        try:
            return (self._root / name).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None

    def names(self, folder: str) -> list[str]:
        try:
            return sorted(entry.name for entry in (self._root / folder).iterdir())
        except (FileNotFoundError, NotADirectoryError):
            return []

    def create(self, name: str, data: bytes) -> None:
        path = self._root / name
        scratch = _written(path, data)
        try:
            # A hard link is made in one step and never replaces a file; a rename would replace it.
            path.hardlink_to(scratch)
        finally:
            scratch.unlink()
        _sync_folder(path.parent)

    def replace(self, name: str, data: bytes) -> None:
        path = self._root / name
        _written(path, data).replace(path)
        _sync_folder(path.parent)

    def swap(self, name: str, data: bytes, seen: bytes | None) -> None:
        path = self._root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with _locked(path.parent):
            if self.read(name) != seen:
                raise FileExistsError(f"{path} was written by somebody else")
            self.replace(name, data)


class ObjectStorage:
    """A prefix of an object store.

    :param fs: the fsspec file system
    :param root: bucket and prefix
    :param shown: the URL to show to people
    """

    def __init__(self, fs: Any, root: str, shown: str) -> None:
        self._fs = fs
        self._root = root.rstrip("/")
        self._shown = shown.rstrip("/")

    def __str__(self) -> str:
        return self._shown

    def read(self, name: str) -> bytes | None:
        at = self._at(name)
        # s3fs asks its cached listing of the folder first, in which a file that was written since is missing.
        self._fs.invalidate_cache(at)
        try:
            return bytes(self._fs.cat_file(at))
        except FileNotFoundError:
            return None

    def names(self, folder: str) -> list[str]:
        try:
            found = self._fs.ls(self._at(folder), detail=False, refresh=True)
        except FileNotFoundError:
            return []
        return sorted(path.rstrip("/").rsplit("/", 1)[-1] for path in found)

    def create(self, name: str, data: bytes) -> None:
        # s3fs sends If-None-Match. For a store that does not support that, look first, which is better than
        # nothing.
        if self.read(name) is not None:
            raise FileExistsError(f"{self}/{name}")
        self._fs.pipe_file(self._at(name), data, mode="create")

    def replace(self, name: str, data: bytes) -> None:
        self._fs.pipe_file(self._at(name), data)

    def swap(self, name: str, data: bytes, seen: bytes | None) -> None:
        at = self._at(name)
        if seen is None:
            self.create(name, data)
            return
        self._fs.invalidate_cache(at)
        tag = self._fs.info(at).get("ETag")
        if self.read(name) != seen:
            raise FileExistsError(f"{self}/{name} was written by somebody else")
        # S3 itself compares the tag with that of the object, which may have been written since.
        condition = {"IfMatch": tag} if tag else {}
        try:
            self._fs.pipe_file(at, data, **condition)
        except OSError as error:
            if _lost_the_race(error):
                raise FileExistsError(f"{self}/{name} was written by somebody else") from error
            raise

    def _at(self, name: str) -> str:
        return f"{self._root}/{name}" if name else self._root


def default_evidence_folder(environment: Mapping[str, str]) -> Path:
    """Where records are kept by default: ``drs-evidence`` in Airflow's home."""
    return Path(environment.get("AIRFLOW_HOME") or "~/airflow").expanduser() / "drs-evidence"


def open_storage(path: str) -> RecordStorage:
    """The storage at that path or URL, reached with this process's own credentials."""
    if not is_url(path):
        return LocalStorage(Path(path.removeprefix("file://")))
    from fsspec.core import url_to_fs  # the import takes longer than reading a local folder

    # Without the cache, which may hold a file system that was made with other environment variables.
    fs, root = url_to_fs(path, skip_instance_cache=True)
    return ObjectStorage(fs, root, path)


def is_url(path: str) -> bool:
    """Whether the path names an object store (``s3://...``), and not a local folder."""
    return "://" in path and not path.startswith("file://")


def _written(path: Path, data: bytes) -> Path:
    """Write the data to a temporary file beside the path, and return that file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(prefix=".", suffix=".tmp", dir=path.parent)
    scratch = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fchmod(
                file.fileno(), 0o644
            )  # mkstemp allows the owner only, and an auditor may be another user
            os.fsync(file.fileno())
    except BaseException:
        scratch.unlink()
        raise
    return scratch


def _lost_the_race(error: OSError) -> bool:
    """Whether S3 refused a conditional write because of somebody else's write, by the error of s3fs."""
    reply = getattr(error.__cause__, "response", None) or {}
    return reply.get("Error", {}).get("Code") in {"PreconditionFailed", "ConditionalRequestConflict"}


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Keep other processes that ask for this lock waiting. The lock ends with the process.

    A network file system may know no locks of folders. Then nothing is locked, which leaves the moment
    between reading and writing.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        except OSError as error:
            if error.errno not in {errno.EBADF, errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS}:
                raise
        yield
    finally:
        os.close(descriptor)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
