"""Files that are no plans: each costs little, says little, and never hides the plan beside it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bench import bad_plans
from drs.cli import main
from drs.errors import Code
from drs.plan import BrokenPlan, Plan, PlanError, PlanProblem, load_folder, load_plan, loader, source
from drs.plan.loader import MOST_PROBLEMS


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every bad file, and the plan good.yaml."""
    made = tmp_path_factory.mktemp("bad") / "plans"
    bad_plans.write(made)
    return made


def broken(file: Path) -> tuple[PlanProblem, ...]:
    with pytest.raises(PlanError) as caught:
        load_plan(file)
    return caught.value.broken.problems


STEMS = sorted([*bad_plans.CONTENTS, "pipe", "folder", "endless", "terminal", "nowhere", "itself"])


@pytest.mark.parametrize("stem", STEMS)
@pytest.mark.timeout(30)
def test_a_bad_file_ends_soon_and_has_few_problems(folder: Path, stem: str) -> None:
    """Without a bound, each of these takes minutes, gigabytes, or for ever. `bench.bad_plans` says how long
    each takes.
    """
    problems = broken(folder / f"{stem}.yaml")
    assert 0 < len(problems) <= MOST_PROBLEMS
    assert all(problem.message and problem.remedy for problem in problems)
    assert sum(len(str(problem)) for problem in problems) < 60_000


def test_the_good_plan_beside_bad_files_is_loaded(folder: Path) -> None:
    """Airflow's DAG processor reads the whole folder. A directory is no plan, whatever its name."""
    found = load_folder(folder)
    assert [plan.name for plan in found if isinstance(plan, Plan)] == ["good"]
    stems = {plan.stem for plan in found if isinstance(plan, BrokenPlan)}
    assert stems == {*STEMS, "passwords"} - {"folder"}


def test_validate_reports_bad_files_and_the_good_plan(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing that a file holds is repeated if the file is no plan."""
    assert main(["validate", str(folder)]) == 1
    out = capsys.readouterr().out
    assert "ok  good: 1 wave, 1 server" in out
    assert bad_plans.SECRET not in out
    assert "root:" not in out


SAYS = {
    "pipe": "a named pipe (FIFO)",
    "folder": "a directory",
    "endless": "a device",
    "nowhere": "a link to a file that does not exist",
    "itself": "cannot be read",
    "keys-700000": "larger than 1 MiB",
    "keys-1-mib": "more than 20,000 keys and values",
    "deep": "nested too deeply",
    "tag-directives": "directive",
    "base-60": "looks like a date or number but is not a valid one",
    "private-key": "not a mapping",
    "kubernetes-secret": "not a recovery plan",
    "not-text": "not text in UTF-8",
}


@pytest.mark.parametrize("stem", SAYS)
def test_a_bad_file_is_one_clear_problem(folder: Path, stem: str) -> None:
    """The message says what the file is instead of a plan."""
    (problem,) = broken(folder / f"{stem}.yaml")
    assert SAYS[stem] in problem.message
    assert problem.code is Code.INVALID_FIELD


def test_the_first_problems_are_told_and_the_others_counted(folder: Path) -> None:
    """100 misspelt groups are 100 problems; the first 50 in the file are explained, each with its group."""
    (found,) = load_folder(folder, only="misspelt-groups")
    assert isinstance(found, BrokenPlan)
    assert (len(found.problems), found.more) == (MOST_PROBLEMS, 50 + 50)
    assert [problem.line for problem in found.problems] == sorted(
        problem.line or 0 for problem in found.problems
    )
    assert "more than 50 problems" in found.describe()
    assert found.describe().endswith(
        "There are at least 100 more. Fix these first, then check the file again."
    )


def test_a_date_of_the_first_year_is_an_unknown_key_like_any_other(folder: Path) -> None:
    """This date cannot be expressed in UTC."""
    (problem,) = broken(folder / "long-ago.yaml")
    assert "no key recovery_point" in problem.message


@pytest.mark.parametrize("place", ["owner: ", "server_tags: {Since: ", "x: "])
def test_a_date_of_the_first_year_is_refused_as_a_value(tmp_path: Path, place: str) -> None:
    """Nowhere in a plan may it be taken for a date."""
    text = bad_plans.GOOD.format(name="p")
    date = "0001-01-01T00:00:00+23:59"
    edits = {
        "owner: ": ("target:", f"owner: {date}\ntarget:"),
        "server_tags: {Since: ": (
            "source_servers: [s-aaaa0000bbbb00001]",
            f"server_tags: {{Since: {date}}}",
        ),
        "x: ": (
            "[database]}",
            f"[database], validation: [{{type: python, function: a.b, parameters: {{x: {date}}}}}]}}",
        ),
    }
    (tmp_path / "p.yaml").write_text(text.replace(*edits[place]))
    (problem,) = broken(tmp_path / "p.yaml")
    assert date in problem.message
    assert f'"{date}"' in problem.remedy


def test_a_file_that_is_replaced_by_a_pipe_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was opened is checked again: the path may lead elsewhere by then."""
    good = tmp_path / "good.yaml"
    good.write_text(bad_plans.GOOD.format(name="good"))
    seen = good.stat()
    good.unlink()
    os.mkfifo(good)
    monkeypatch.setattr(Path, "stat", lambda *args, **kwargs: seen)
    with pytest.raises(PlanError, match="named pipe"):
        load_plan(good)


def test_a_fault_of_the_loader_takes_down_one_plan_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Drills of the other plans may be running, and their DAGs come from the same folder."""
    for name in ("bad", "good"):
        (tmp_path / f"{name}.yaml").write_text(bad_plans.GOOD.format(name=name))
    document = source.Document

    def failing(text: str) -> object:
        if "name: bad" in text:
            raise RecursionError
        return document(text)

    monkeypatch.setattr(loader, "Document", failing)
    bad, good = load_folder(tmp_path)
    assert isinstance(good, Plan)
    assert isinstance(bad, BrokenPlan)
    assert "RecursionError" in bad.problems[0].message


def test_a_file_that_may_not_be_looked_at_does_not_hide_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A link into a folder without permission. A superuser may do everything, so the refusal is made here."""
    (tmp_path / "good.yaml").write_text(bad_plans.GOOD.format(name="good"))
    (tmp_path / "bad.yaml").symlink_to(tmp_path / "elsewhere.yaml")
    stat = Path.stat

    def refused(path: Path, **options: bool) -> os.stat_result:
        if path.name == "bad.yaml" and options.get("follow_symlinks", True):
            raise PermissionError(13, "Permission denied")
        return stat(path, **options)

    monkeypatch.setattr(Path, "stat", refused)
    bad, good = load_folder(tmp_path)
    assert isinstance(good, Plan)
    assert isinstance(bad, BrokenPlan)
    assert "Permission denied" in bad.problems[0].message
