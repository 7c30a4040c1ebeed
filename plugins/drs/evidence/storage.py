"""Where evidence is kept: a local folder, or an object store by fsspec. A file is written whole or not at
all.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

LARGEST_FILE = 16 * 2**20
"""The most bytes of a file that is read. The record of a drill of 500 servers has less than a quarter."""
FILE_MODE = 0o640
"""Owner and group may read a file; a umask may allow less. An auditor's user belongs to the group."""
NO_HARD_LINKS = frozenset(
    {errno.EPERM, errno.EACCES, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EXDEV}
)
"""How file systems refuse a hard link: FAT, SMB, and many that run in user space have none."""
NO_FOLDER_SYNC = frozenset({errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP})
"""How file systems say that a folder cannot be flushed to disk by itself."""


class UnusableFileError(ValueError):
    """Something that is no file of ours: a pipe, a device, a folder, or a file that is too large."""


class RecordStorage(Protocol):
    """Files by name, with ``/`` between folders. Errors such as an OSError are passed on unchanged."""

    def __str__(self) -> str: ...

    def check(self) -> None:
        """Check that the place itself can be reached.

        :raises FileNotFoundError: there is no such folder or bucket
        """

    def read(self, name: str) -> bytes | None:
        """The content of the file; ``None`` if it does not exist.

        :raises UnusableFileError: it is no regular file, or has more than :data:`LARGEST_FILE` bytes
        """

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

    def check(self) -> None:
        if not self._root.is_dir():
            raise FileNotFoundError(
                f"there is no folder {self._root} here: no run has left a record in it yet, or it is not "
                "mounted, or the records are elsewhere"
            )

    def read(self, name: str) -> bytes | None:
        try:
            # A pipe without a writer would block; with this flag it is opened, and then refused.
            descriptor = os.open(self._root / name, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            if error.errno in {errno.ENXIO, errno.ELOOP}:  # a socket; a link that leads to itself
                raise UnusableFileError("it is no regular file") from error
            raise
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise UnusableFileError("it is no regular file")
        with os.fdopen(descriptor, "rb") as file:
            return _bounded(file.read(LARGEST_FILE + 1))

    def names(self, folder: str) -> list[str]:
        try:
            return sorted(entry.name for entry in (self._root / folder).iterdir())
        except (FileNotFoundError, NotADirectoryError):
            return []

    def create(self, name: str, data: bytes) -> None:
        path = self._root / name
        with _written(path, data) as scratch:
            try:
                # A hard link is made in one step and never replaces a file; a rename would replace it.
                path.hardlink_to(scratch)
            except OSError as error:
                if error.errno not in NO_HARD_LINKS:
                    raise
                _create_without_link(path, scratch)
        _sync_folder(path.parent)

    def replace(self, name: str, data: bytes) -> None:
        path = self._root / name
        with _written(path, data) as scratch:
            scratch.replace(path)
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

    def check(self) -> None:
        try:
            self._fs.ls(self._root, detail=False, refresh=True)  # raises what keeps the store from answering
        except FileNotFoundError:
            bucket = self._root.partition("/")[0]
            if not self._fs.exists(bucket):
                raise FileNotFoundError(f"there is no bucket {bucket}") from None

    def read(self, name: str) -> bytes | None:
        at = self._at(name)
        # s3fs asks its cached listing of the folder first, in which a file that was written since is missing.
        self._fs.invalidate_cache(at)
        try:
            return _bounded(bytes(self._fs.cat_file(at, start=0, end=LARGEST_FILE + 1)))
        except FileNotFoundError:
            return None
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
            return b""  # S3 refuses every range of an empty object

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


def _bounded(data: bytes) -> bytes:
    if len(data) > LARGEST_FILE:
        raise UnusableFileError(f"it has more than {LARGEST_FILE // 2**20} MiB")
    return data


@contextmanager
def _written(path: Path, data: bytes) -> Iterator[Path]:
    """Write the data to a temporary file beside the path. It is removed if the block leaves it there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.parent / f".{uuid.uuid4().hex}.tmp"
    # Made by os.open, so that the umask decides too.
    descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        yield scratch
    finally:
        scratch.unlink(missing_ok=True)


def _create_without_link(path: Path, scratch: Path) -> None:
    """Give a file its name where there are no hard links: reserve the name, then move the file there.

    A process that dies between these two steps leaves an empty file, which verification names.

    :raises FileExistsError: the name is taken
    """
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE))
    scratch.replace(path)


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
    except OSError as error:
        if error.errno not in NO_FOLDER_SYNC:
            raise
    finally:
        os.close(descriptor)
