"""Loading files: the YAML that a plan may have, the plans of a folder, and the text about a broken plan."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from drs.errors import Code
from drs.plan import BrokenPlan, Plan, PlanError, PlanProblem, files, load_folder, load_plan, source

Load = Callable[..., Plan]
Problems = Callable[..., tuple[PlanProblem, ...]]

# text, line, and what message and remedy must say
NOT_YAML = {
    "an open bracket": ("name: [billing\ntarget: {}\n", 2, "is not YAML", "brackets"),
    "an open quote": ('name: "billing\n', 2, "is not YAML", "quotes"),
    "a tab": ("target:\n\tregion: us-east-1\n", 2, "is not YAML", "Indent with spaces"),
    "two values in a line": ("name: a: b\n", 1, "mapping values are not allowed", "colon"),
    "a preset without quotes": ("name: billing\nschedule: @monthly\n", 2, "is not YAML", "in quotes"),
    "stars without quotes": ("name: billing\nschedule: */5 * * * *\n", 2, "is not YAML", "in quotes"),
    "a second document": ("name: billing\n---\nname: other\n", 2, "more than one YAML document", "---"),
    "a control character": ("name: billing\nowner: \x07\n", 2, "control character", "UTF-8"),
    "an empty file": ("", 1, "empty", "Start the file"),
    "only comments": ("# nothing yet\n", 1, "empty", "Start the file"),
    "a list": ("\n- name: billing\n", 2, "not a mapping", "Start the file"),
    "a single word": ("billing\n", 1, "not a mapping", "Start the file"),
}


@pytest.mark.parametrize(("text", "line", "message", "remedy"), NOT_YAML.values(), ids=NOT_YAML.keys())
def test_a_file_that_is_no_mapping_is_one_problem(
    problems: Problems, text: str, line: int, message: str, remedy: str
) -> None:
    """A file that cannot be read at all has no other problems."""
    (problem,) = problems(text=text)
    assert (problem.line, problem.key) == (line, "")
    assert problem.code is (Code.MISSING_FIELD if "empty" in message else Code.INVALID_FIELD)
    assert message in problem.message
    assert remedy in problem.remedy


FLAWS = {
    "a key twice": (
        ("name: billing\n", "name: billing\nname: billing  # <-\n"),
        "name",
        "the first time on line 1",
    ),
    "a group twice": (
        ("waves:", "  web: {server_tags: {Tier: x}}  # <-\nwaves:"),
        "protection_groups.web",
        "the first time on line 7",
    ),
    "an alias": (
        (
            "[database]\n  - name: web\n    protection_groups: [web]",
            "&x [database]\n  - {name: web, protection_groups: *x}",
        ),
        "waves[1].protection_groups",
        "An alias (*)",
    ),
    "an alias within itself": (
        ("{server_tags: {Tier: web}}", "{server_tags: &x {Tier: *x}}  # <-"),
        "protection_groups.web.server_tags.Tier",
        "alias",
    ),
    "a merge key": (
        ("region: us-east-1", "region: us-east-1\n  <<: {aws_conn_id: x}  # <-"),
        "target",
        "A merge key (<<)",
    ),
    "a tagged value": (
        ("us-east-1", "!!python/object:os.system us-east-1  # <-"),
        "target.region",
        "python/object",
    ),
    "a tagged list": (
        ("{server_tags: {Tier: web}}", "{server_tags: !!omap [Tier: web]}  # <-"),
        "protection_groups.web.server_tags",
        "omap",
    ),
    "a binary": (("us-east-1", "!!binary dXM=  # <-"), "target.region", "binary is not allowed"),
    "a value that does not fit its tag": (
        ("us-east-1", "!!timestamp us-east-1  # <-"),
        "target.region",
        "looks like a date or number but is not a valid one",
    ),
    "a key that is no date after all": (
        ("{server_tags: {Tier: web}}", "{server_tags: {Tier: web, 2026-13-31: x}}  # <-"),
        "protection_groups.web.server_tags",
        "does not read the key 2026-13-31 as text",
    ),
    "a list for a key": (
        ("{server_tags: {Tier: web}}", "{server_tags: {Tier: web, [a]: b}}  # <-"),
        "protection_groups.web.server_tags",
        "A key must",
    ),
    "endless nesting": (
        ("region: us-east-1", f"region: {'[' * 100_000}{']' * 100_000}  # <-"),
        "",
        "nested too deeply",
    ),
}


@pytest.mark.parametrize(("edit", "key", "message"), FLAWS.values(), ids=FLAWS.keys())
def test_yaml_that_could_mislead_is_refused(
    problems: Problems, good: str, edit: tuple[str, str], key: str, message: str
) -> None:
    """Each of these can make a plan do something that its reader does not expect."""
    marked = [n for n, line in enumerate(good.replace(*edit).splitlines(), 1) if "# <-" in line]
    found = {problem.key: problem for problem in problems(edit)}
    assert message in found[key].message
    assert found[key].remedy
    assert marked in ([], [found[key].line])


def test_pyyaml_without_libyaml_reads_the_same(
    load: Load, problems: Problems, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The fast loader only changes the speed."""
    edits = (("us-east-1", "Virginia"), ("name: web", "nam: web"))
    plan, found = load(), problems(*edits)
    monkeypatch.setattr(source, "_Loader", yaml.SafeLoader)
    assert (plan, found) == (load(), problems(*edits))


def test_a_name_that_is_not_the_files_is_refused(problems: Problems) -> None:
    """With two names, people would take one plan for two."""
    (problem,) = problems(name="invoices.yaml")
    assert (problem.line, problem.key, problem.code) == (1, "name", Code.INVALID_FIELD)
    assert "name: invoices" in problem.remedy
    assert "billing.yaml" in problem.remedy


def test_text_that_is_not_utf_8_is_refused_at_its_line(tmp_path: Path) -> None:
    """Another encoding is reported and not guessed."""
    file = tmp_path / "billing.yaml"
    file.write_bytes(b"name: billing\nowner: J\xfcrgen\n")
    with pytest.raises(PlanError, match=r"billing.yaml:2[\s\S]*UTF-8"):
        load_plan(file)


def test_a_byte_order_mark_is_no_part_of_the_plan(tmp_path: Path, good: str) -> None:
    """Some editors write a byte order mark."""
    file = tmp_path / "billing.yaml"
    file.write_text(good, encoding="utf-8-sig")
    assert load_plan(file).name == "billing"


def test_a_plan_that_does_not_exist_names_those_that_do(tmp_path: Path, good: str) -> None:
    """The message suggests the most similar name first."""
    (tmp_path / "billing.yaml").write_text(good)
    (tmp_path / "web.yml").write_text(good)
    with pytest.raises(PlanError) as caught:
        load_plan(tmp_path / "biling.yaml")
    (problem,) = caught.value.broken.problems
    assert problem.code is Code.RECOVERY_PLAN_NOT_FOUND
    assert "biling.yaml" in problem.message
    assert "Did you mean billing?" in problem.remedy
    assert "billing, web" in problem.remedy


def test_a_folder_for_a_plan_is_refused(tmp_path: Path) -> None:
    """For a file that cannot be read, the message has the system's reason."""
    with pytest.raises(PlanError, match="directory"):
        load_plan(tmp_path)


@pytest.fixture
def folder(tmp_path: Path, good: str) -> Path:
    """Two valid plans, a broken plan, and files that are not plans."""
    (tmp_path / "web.yml").write_text(good.replace("billing", "web"))
    (tmp_path / "billing.yaml").write_text(good)
    (tmp_path / "broken.yaml").write_text(good.replace("name: billing", "name: broken\ncolour: red"))
    (tmp_path / "notes.txt").write_text("no plan")
    (tmp_path / ".hidden.yaml").write_text("no plan")
    (tmp_path / "old.yaml").mkdir()
    (tmp_path / "nested").mkdir()
    (tmp_path / "nested" / "deep.yaml").write_text("no plan")
    return tmp_path


def test_a_folder_gives_good_and_broken_plans_by_name(folder: Path) -> None:
    """A broken plan does not hide other plans and is listed itself."""
    found = load_folder(folder)
    names = [("good", p.name) if isinstance(p, Plan) else ("broken", p.stem) for p in found]
    assert names == [("good", "billing"), ("broken", "broken"), ("good", "web")]


def test_one_plan_of_a_folder_can_be_asked_for(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that runs one drill does not read the other plans' files."""
    read: list[str] = []
    read_file = files.read

    def recorded(file: Path) -> bytes:
        read.append(file.name)
        return read_file(file)

    monkeypatch.setattr(files, "read", recorded)
    (plan,) = load_folder(folder, only="web")
    assert isinstance(plan, Plan)
    assert read == ["web.yml"]


def test_a_plan_that_is_not_in_the_folder_gives_nothing(folder: Path) -> None:
    """An unknown name gives an empty list; the caller makes the message."""
    assert load_folder(folder, only="nope") == []


def test_two_files_of_one_stem_are_a_broken_plan(folder: Path, good: str) -> None:
    """The loader cannot know which of the two files is meant."""
    (folder / "web.yaml").write_text(good.replace("billing", "web"))
    (broken,) = load_folder(folder, only="web")
    assert isinstance(broken, BrokenPlan)
    (problem,) = broken.problems
    assert "web.yaml, web.yml" in problem.message
    assert "Keep one" in problem.remedy


def test_a_folder_that_does_not_exist_is_an_error(tmp_path: Path) -> None:
    """A missing folder is an error, while an empty folder is not."""
    with pytest.raises(PlanError, match="RECOVERY_PLAN_NOT_FOUND") as caught:
        load_folder(tmp_path / "nope")
    assert str(tmp_path / "nope") in str(caught.value)


def test_a_broken_plan_is_told_in_full(folder: Path) -> None:
    """Airflow's import error and the command line show this text."""
    (broken,) = load_folder(folder, only="broken")
    assert isinstance(broken, BrokenPlan)
    assert broken.describe() == (
        "Recovery plan broken cannot be used: 1 problem.\n"
        f"{folder}/broken.yaml:2  colour  [INVALID_FIELD]\n"
        "  There is no key colour here.\n"
        "  What to do: The keys that are allowed here are: "
        "name, description, owner, dag_tags, schedule, timezone, "
        "allow_recovery, target, objectives, network, protection_groups, launch, waves, cleanup, "
        "notifications."
    )


def test_plans_are_read_without_airflow_or_aws() -> None:
    """Validation is fast and works in a pre-commit hook, where neither is installed."""
    code = (
        "import sys, pathlib, drs.plan as p\n"
        "assert all(isinstance(x, p.Plan) for x in p.load_folder(pathlib.Path('include/plans')))\n"
        "print([m for m in ('airflow', 'boto3', 'botocore', 'croniter') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("[]\n", "")
