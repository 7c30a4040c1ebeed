"""Loads plan files: each becomes a plan, or a list of everything that is wrong with the file."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from pathlib import Path

from pydantic import ValidationError

from drs.errors import Code
from drs.plan.consistency import INCONSISTENT, PlanContradiction, contradictions
from drs.plan.model import Plan
from drs.plan.problems import BrokenPlan, PlanError, PlanProblem, key_of
from drs.plan.pydantic_errors import explain, place
from drs.plan.source import Document, Flaw

SUFFIXES = (".yaml", ".yml")


def load_plan(path: Path) -> Plan:
    """Load the plan in a file.

    :raises PlanError: the file is absent, unreadable or not a plan; the error holds every problem
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
        files = sorted(entry for entry in folder.iterdir() if _is_plan_file(entry))
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
    for file in files:
        if only in (None, file.stem):
            by_stem.setdefault(file.stem, []).append(file)
    return [
        _load(same[0]) if len(same) == 1 else _several(stem, same) for stem, same in sorted(by_stem.items())
    ]


def _load(path: Path) -> Plan | BrokenPlan:
    try:
        text = path.read_bytes().decode("utf-8")
    except OSError as error:
        return BrokenPlan(path.stem, path, (_unreadable(path, error),))
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        message = "The file is not text in UTF-8."
        problem = PlanProblem(path, line, "", Code.INVALID_FIELD, message, "Save the file as UTF-8.")
        return BrokenPlan(path.stem, path, (problem,))
    document = Document(text)
    plan: Plan | None = None
    findings: list[PlanContradiction] = []
    try:
        plan = Plan.model_validate(document.data)
    except ValidationError as error:
        findings = list(_findings(error, document))
    if plan is not None and not document.flaws and plan.name == path.stem:
        return plan
    problems = [_problem(path, flaw.line, flaw) for flaw in document.flaws]
    problems += [_problem(path, document.line(finding.path), finding) for finding in findings]
    problems += _name_is_not_the_stem(path, document)
    problems.sort(key=lambda problem: problem.line or 0)
    return BrokenPlan(path.stem, path, tuple(problems))


def _findings(error: ValidationError, document: Document) -> Iterator[PlanContradiction]:
    """What is wrong with the data, without what the flaws of the YAML already report."""
    if not isinstance(document.data, dict):
        if not document.flaws:
            yield _no_mapping(document)
        return
    unread = {flaw.path for flaw in document.flaws if flaw.unread}
    for details in error.errors(include_url=False):
        # When all items of a list are wrong, pydantic also reports the list as too short.
        spurious = details["type"] == "too_short" and details["input"]
        if place(details) not in unread and details["type"] != INCONSISTENT and not spurious:
            yield explain(details, document)
    yield from contradictions(document.data)


def _no_mapping(document: Document) -> PlanContradiction:
    remedy = "Start the file with the key name; the plans in include/plans are examples."
    if document.empty:
        return PlanContradiction((), Code.MISSING_FIELD, "The file is empty.", remedy)
    return PlanContradiction((), Code.INVALID_FIELD, "The file is not a mapping of keys to values.", remedy)


def _name_is_not_the_stem(path: Path, document: Document) -> Iterator[PlanProblem]:
    name = document.data.get("name") if isinstance(document.data, dict) else None
    if isinstance(name, str) and name != path.stem:
        message = f"The plan's name is {name}, but the file's name is {path.name}."
        remedy = f"Write name: {path.stem}, or rename the file to {name}{path.suffix}."
        yield PlanProblem(path, document.line(("name",)), "name", Code.INVALID_FIELD, message, remedy)


def _problem(path: Path, line: int, finding: PlanContradiction | Flaw) -> PlanProblem:
    code = finding.code if isinstance(finding, PlanContradiction) else Code.INVALID_FIELD
    return PlanProblem(path, line, key_of(finding.path), code, finding.message, finding.remedy)


def _unreadable(path: Path, error: OSError) -> PlanProblem:
    if not isinstance(error, FileNotFoundError):
        message = f"The file cannot be read: {error.strerror}."
        return PlanProblem(
            path, None, "", Code.INVALID_FIELD, message, "Make it a file that Airflow may read."
        )
    there = sorted(entry.stem for entry in path.parent.glob("*") if _is_plan_file(entry))
    near = difflib.get_close_matches(path.stem, there, n=1)
    hint = f"Did you mean {near[0]}? " if near else ""
    remedy = f"{hint}The plans in {path.parent} are: {', '.join(there)}." if there else "Create the file."
    message = f"There is no recovery plan {path}."
    return PlanProblem(path, None, "", Code.RECOVERY_PLAN_NOT_FOUND, message, remedy)


def _several(stem: str, files: list[Path]) -> BrokenPlan:
    message = f"Several files define the plan {stem}: {', '.join(file.name for file in files)}."
    problem = PlanProblem(files[0], None, "", Code.INVALID_FIELD, message, "Keep one of them.")
    return BrokenPlan(stem, files[0], (problem,))


def _is_plan_file(entry: Path) -> bool:
    return entry.suffix.lower() in SUFFIXES and not entry.name.startswith(".") and not entry.is_dir()
