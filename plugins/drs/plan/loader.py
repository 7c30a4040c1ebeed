"""Loads plan files: each becomes a plan, or a list of what is wrong with the file.

Whatever a file holds, it is read in bounded time and memory, and never keeps another plan from being loaded.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from drs.errors import Code
from drs.plan import files
from drs.plan.consistency import INCONSISTENT, contradictions
from drs.plan.fields import PLAN_NAME_PATTERN
from drs.plan.model import Plan
from drs.plan.near import folded, nearest, shown
from drs.plan.problems import BrokenPlan, PlanContradiction, PlanError, PlanProblem, key_of
from drs.plan.pydantic_errors import explain, place
from drs.plan.source import Document, Flaw
from drs.text.tables import first_of

SUFFIXES = (".yaml", ".yml")
MOST_PROBLEMS = 50
"""Problems of one file that are reported. Who has fixed these sees the next."""
_MOST_FOUND = 300
"""Problems of one kind that are counted."""
_KEYS = {folded(key) for key in Plan.model_fields}


def load_plan(path: Path) -> Plan:
    """Load the plan in a file.

    :raises PlanError: the file is absent, unreadable or not a plan; the error holds the problems
    """
    loaded = _load(path)
    if isinstance(loaded, BrokenPlan):
        raise PlanError(loaded)
    return loaded


def load_folder(folder: Path, *, only: str | None = None) -> list[Plan | BrokenPlan]:
    """Load all plans of a folder, valid and broken, sorted by name. Subfolders are not read.

    :param only: read only the plan whose file has this stem
    :raises PlanError: the folder cannot be read
    """
    try:
        found = sorted(entry for entry in folder.iterdir() if _is_plan_file(entry))
    except OSError as error:
        problem = PlanProblem(
            file=folder,
            line=None,
            key="",
            code=Code.RECOVERY_PLAN_NOT_FOUND,
            message=f"The folder of recovery plans cannot be read: {error.strerror}.",
            remedy="Create it, or name the right folder.",
        )
        raise PlanError(BrokenPlan(folder.stem, folder, (problem,))) from None
    by_stem: dict[str, list[Path]] = {}
    for file in found:
        if only in (None, file.stem):
            by_stem.setdefault(file.stem, []).append(file)
    return [
        _load(same[0]) if len(same) == 1 else _several(stem, same) for stem, same in sorted(by_stem.items())
    ]


def _load(path: Path) -> Plan | BrokenPlan:
    try:
        return _read(path, files.read(path).decode("utf-8"))
    except OSError as error:
        problem = _unreadable(path, error)
    except files.NotAPlanFile as error:
        remedy = "Put a YAML file of at most 1 MiB here, or a link to one."
        problem = PlanProblem(path, None, "", Code.INVALID_FIELD, str(error), remedy)
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        message = "The file is not text in UTF-8."
        problem = PlanProblem(path, line, "", Code.INVALID_FIELD, message, "Save the file as UTF-8.")
    except Exception as error:
        # A fault of this package must not take down the DAGs of all other plans, whose drills may be running.
        message = f"drs-drills failed at this file: {type(error).__name__}."
        remedy = "This is a bug of drs-drills: report it. Undoing the last change of the file may help."
        problem = PlanProblem(path, None, "", Code.INVALID_FIELD, message, remedy)
    return BrokenPlan(path.stem, path, (problem,))


def _read(path: Path, text: str) -> Plan | BrokenPlan:
    document = Document(text)
    if isinstance(document.data, dict) and not _KEYS & {folded(key) for key in document.data}:
        return BrokenPlan(path.stem, path, (_problem(path, document.line(()), _no_plan()),))
    plan: Plan | None = None
    findings: list[PlanProblem] = []
    unexplained = 0
    try:
        plan = Plan.model_validate(document.data)
    except ValidationError as error:
        findings, unexplained = _findings(path, error, document)
    if plan is not None and not document.flaws and plan.name == path.stem:
        return plan
    problems = [_problem(path, flaw.line, flaw) for flaw in document.flaws]
    problems += findings
    problems += _name_is_not_the_stem(path, document)
    problems.sort(key=lambda problem: problem.line or 0)
    more = max(len(problems) - MOST_PROBLEMS, 0) + unexplained
    return BrokenPlan(path.stem, path, tuple(problems[:MOST_PROBLEMS]), more)


def _findings(path: Path, error: ValidationError, document: Document) -> tuple[list[PlanProblem], int]:
    """What is wrong with the data, without what the flaws of the YAML already report.

    :return: the problems, and how many there are in addition to them
    """
    if not isinstance(document.data, dict):
        return [] if document.flaws else [_problem(path, document.line(()), _no_mapping(document))], 0
    unread = {flaw.path for flaw in document.flaws if flaw.unread}
    wrong = [
        (document.line(path_of), details)
        for details in islice(error.errors(include_url=False), _MOST_FOUND)
        if (path_of := place(details)) not in unread and not _spurious(details)
    ]
    # To explain an error takes longer than to find it.
    wrong.sort(key=lambda each: each[0])
    explained = [
        _problem(path, line, explain(details, document, path.stem)) for line, details in wrong[:MOST_PROBLEMS]
    ]
    between = [
        _problem(path, document.line(finding.path), finding)
        for finding in islice(contradictions(document.data), _MOST_FOUND)
    ]
    return [*explained, *between], len(wrong) - len(explained)


def _spurious(details: ErrorDetails) -> bool:
    """Whether another error says the same: when all items of a list are wrong, pydantic also reports the list
    as too short.
    """
    return details["type"] == INCONSISTENT or (details["type"] == "too_short" and bool(details["input"]))


def _no_mapping(document: Document) -> PlanContradiction:
    remedy = "Start the file with the key name; the plans in include/plans are examples."
    if document.empty:
        return PlanContradiction((), Code.MISSING_FIELD, "The file is empty.", remedy)
    return PlanContradiction((), Code.INVALID_FIELD, "The file is not a mapping of keys to values.", remedy)


def _no_plan() -> PlanContradiction:
    """The only problem of a file that has none of a plan's keys. What it holds may be secret."""
    message = "The file is not a recovery plan: it has none of a plan's keys."
    remedy = f"Its keys are: {', '.join(Plan.model_fields)}. A file that is no plan belongs elsewhere."
    return PlanContradiction((), Code.INVALID_FIELD, message, remedy)


def _name_is_not_the_stem(path: Path, document: Document) -> Iterator[PlanProblem]:
    name = document.data.get("name") if isinstance(document.data, dict) else None
    if not isinstance(name, str) or name == path.stem:
        return
    message = f"The plan's name is {shown(name)}, but the file's name is {shown(path.name)}."
    if re.fullmatch(PLAN_NAME_PATTERN, path.stem):
        remedy = f"Write name: {path.stem}, or rename the file to {shown(name)}{path.suffix}."
    else:
        remedy = f"Rename the file to {shown(name)}{path.suffix}."
    if re.fullmatch(PLAN_NAME_PATTERN, path.stem) or re.fullmatch(PLAN_NAME_PATTERN, name):
        yield PlanProblem(path, document.line(("name",)), "name", Code.INVALID_FIELD, message, remedy)


def _problem(path: Path, line: int, finding: PlanContradiction | Flaw) -> PlanProblem:
    code = finding.code if isinstance(finding, PlanContradiction) else Code.INVALID_FIELD
    return PlanProblem(path, line, key_of(finding.path), code, finding.message, finding.remedy)


def _unreadable(path: Path, error: OSError) -> PlanProblem:
    if path.is_symlink() and isinstance(error, FileNotFoundError):
        message = "The file is a link to a file that does not exist."
        return PlanProblem(path, None, "", Code.INVALID_FIELD, message, "Correct the link, or remove it.")
    if not isinstance(error, FileNotFoundError):
        message = f"The file cannot be read: {error.strerror}."
        return PlanProblem(
            path, None, "", Code.INVALID_FIELD, message, "Make it a file that Airflow may read."
        )
    there = sorted(entry.stem for entry in path.parent.glob("*") if _is_plan_file(entry))
    near = nearest(path.stem, there)
    meant = f"Did you mean {near}? " if near else ""
    remedy = f"{meant}The plans in {path.parent} are: {first_of(there)}." if there else "Create the file."
    message = f"There is no recovery plan {path}."
    return PlanProblem(path, None, "", Code.RECOVERY_PLAN_NOT_FOUND, message, remedy)


def _several(stem: str, found: list[Path]) -> BrokenPlan:
    message = f"Several files define the plan {stem}: {', '.join(file.name for file in found)}."
    problem = PlanProblem(found[0], None, "", Code.INVALID_FIELD, message, "Keep one of them.")
    return BrokenPlan(stem, found[0], (problem,))


def _is_plan_file(entry: Path) -> bool:
    if entry.suffix.lower() not in SUFFIXES or entry.name.startswith("."):
        return False
    return not os.path.isdir(entry)  # noqa: PTH112  # Path.is_dir raises for a link that may not be followed
