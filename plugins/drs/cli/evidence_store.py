"""How the command line reaches the records of runs: by a path or URL, with this process's credentials."""

from __future__ import annotations

import argparse
import functools
import os
import sys
from collections.abc import Callable

from drs.cli.common import BROKEN, UNANSWERED, USAGE
from drs.evidence.storage import UnusableFileError, default_evidence_folder, open_storage
from drs.evidence.store import EvidenceStore
from drs.plan import PlanError

VARIABLE = "AIRFLOW__DRS__EVIDENCE_PATH"


class NotThereError(Exception):
    """The record or plan that was named is not in the store."""


def add_path(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--path",
        default=evidence_path(),
        metavar="PATH",
        help=f"where the records are: a folder, or s3://bucket/prefix (default: {VARIABLE}, "
        "or the folder drs-evidence in Airflow's home)",
    )


def evidence_path() -> str:
    """Where the records are, by the environment."""
    return os.environ.get(VARIABLE) or str(default_evidence_folder(os.environ))


def open_store(arguments: argparse.Namespace) -> EvidenceStore:
    return EvidenceStore(open_storage(arguments.path))


def reached_store(arguments: argparse.Namespace) -> EvidenceStore:
    """The records, of which something can be said: an empty answer means that there are none.

    :raises FileNotFoundError: there is no such folder or bucket
    """
    store = open_store(arguments)
    store.check()
    return store


def chosen_plans(store: EvidenceStore, plan: str | None) -> list[str]:
    """The given plan, or all plans that have records.

    :raises NotThereError: there is no record of the plan, or no record at all
    """
    known = store.plans()
    if plan is not None and plan not in known:
        raise NotThereError(
            f"There is no record of plan {plan} in {store}. Plans with records: {', '.join(known) or 'none'}."
        )
    if not known:
        raise NotThereError(
            f"There is no record in {store}. Give the place of the records with --path or {VARIABLE}."
        )
    return [plan] if plan else known


def find_record(store: EvidenceStore, record_id: str) -> tuple[bytes, str]:
    """The content of a record's file, and the name of its plan.

    :raises NotThereError: there is no record with this id
    :raises UnusableFileError: something else has its name, or it is too large
    """
    plan = record_id.rpartition("-")[0]
    data = store.read_file(plan, record_id) if plan else None
    if data is None:
        known = store.ids(plan) if plan else []
        listed = (
            f"Plan {plan} has the records {known[0]} to {known[-1]}."
            if known
            else "`python -m drs evidence list` lists all."
        )
        raise NotThereError(f"There is no record {record_id} in {store}. {listed}")
    return data, plan


def reporting_store_errors(
    command: Callable[[argparse.Namespace], int],
) -> Callable[[argparse.Namespace], int]:
    """Wrap a command: an error is printed on standard error and becomes the exit code."""

    @functools.wraps(command)
    def wrapped(arguments: argparse.Namespace) -> int:
        try:
            return command(arguments)
        except NotThereError as error:
            print(error, file=sys.stderr)
            return USAGE
        except UnusableFileError as error:
            print(f"Record {arguments.record} cannot be read: {error}.", file=sys.stderr)
            return BROKEN
        except PlanError as error:
            print(error.broken.describe(), file=sys.stderr)
            return USAGE
        except BrokenPipeError:
            raise  # it is standard output that was closed, not the store
        except Exception as error:
            if not _of_the_store(error):
                raise
            # Python's own text for an error of the system begins with a number.
            seen = str(error) if _is_explained(error) else f"{type(error).__name__}: {error}"
            print(
                f"The records in {arguments.path} cannot be reached: {seen}.\n"
                f"What to do: give the place of the records with --path or {VARIABLE}, and check that this "
                "machine and these credentials reach it.",
                file=sys.stderr,
            )
            return UNANSWERED

    return wrapped


def _is_explained(error: Exception) -> bool:
    return isinstance(error, FileNotFoundError) and error.errno is None


def _of_the_store(error: Exception) -> bool:
    """Whether the store failed, and not this program.

    That is an OSError, an unknown protocol, a missing library, or an error of botocore. botocore is slow to
    import, so its errors are recognised by their module.
    """
    if isinstance(error, OSError | ImportError):
        return True
    module = type(error).__module__
    return module.startswith(("botocore.", "aiobotocore.")) or (
        isinstance(error, ValueError) and "rotocol" in str(error)
    )
