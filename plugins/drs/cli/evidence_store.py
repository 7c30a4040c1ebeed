"""How the command line reaches the records of runs: by a path or URL, and this process's own credentials."""

from __future__ import annotations

import argparse
import functools
import os
import sys
from collections.abc import Callable
from typing import Any

from drs.cli.common import UNANSWERED, USAGE
from drs.evidence.record import Evidence
from drs.evidence.storage import default_evidence_folder, open_storage
from drs.evidence.store import EvidenceStore
from drs.plan import PlanError

VARIABLE = "AIRFLOW__DRS__EVIDENCE_PATH"


class NotThereError(Exception):
    """What was named is not in the store."""


def add_path(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--path",
        default=os.environ.get(VARIABLE) or str(default_evidence_folder(os.environ)),
        metavar="PATH",
        help=f"where the records are: a folder, or s3://bucket/prefix (default: {VARIABLE}, "
        "or drs-evidence in Airflow's home)",
    )


def open_store(arguments: argparse.Namespace) -> EvidenceStore:
    return EvidenceStore(open_storage(arguments.path))


def chosen_plans(store: EvidenceStore, plan: str | None) -> list[str]:
    """The plan that is named, or all that have records.

    :raises NotThereError: there is no record of it, or none at all
    """
    known = store.plans()
    if plan is not None and plan not in known:
        raise NotThereError(
            f"There is no record of plan {plan} in {store}. Plans with records: {', '.join(known) or 'none'}."
        )
    if not known:
        raise NotThereError(f"There is no record in {store}. Say where they are: --path, or {VARIABLE}.")
    return [plan] if plan else known


def find_record(store: EvidenceStore, record_id: str) -> tuple[bytes, str]:
    """The file of a record, and its plan.

    :raises NotThereError: there is none of that id
    """
    plan = record_id.rpartition("-")[0]
    data = store.read_file(plan, record_id) if plan else None
    if data is None:
        known = store.ids(plan) if plan else []
        listed = f"Of {plan} there are {known[0]} to {known[-1]}." if known else "See: evidence list."
        raise NotThereError(f"There is no record {record_id} in {store}. {listed}")
    return data, plan


def asking_the_store(command: Callable[[argparse.Namespace], int]) -> Callable[[argparse.Namespace], int]:
    """The command, with what went wrong told on standard error, and the exit code that it has."""

    @functools.wraps(command)
    def told(arguments: argparse.Namespace) -> int:
        try:
            return command(arguments)
        except NotThereError as error:
            print(error, file=sys.stderr)
            return USAGE
        except PlanError as error:
            print(error.broken.describe(), file=sys.stderr)
            return USAGE
        except Exception as error:
            if not _of_the_store(error):
                raise
            print(
                f"The records in {arguments.path} cannot be read: {type(error).__name__}: {error}",
                file=sys.stderr,
            )
            return UNANSWERED

    return told


def _of_the_store(error: Exception) -> bool:
    """Whether a store failed, and not this program: an OSError, a protocol that nobody knows, a missing
    library, or what botocore raises, which is imported only where it is used.
    """
    if isinstance(error, OSError | ImportError):
        return True
    module = type(error).__module__
    return module.startswith(("botocore.", "aiobotocore.")) or (
        isinstance(error, ValueError) and "rotocol" in str(error)
    )


def as_json(record: Evidence) -> dict[str, Any]:
    return record.model_dump(mode="json")
