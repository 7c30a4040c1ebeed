"""The pre-commit hook that other repositories use."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[3]


def run(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("GIT_")},
        "PRE_COMMIT_HOME": str(folder.parent / "home"),
        "GIT_AUTHOR_NAME": "a",
        "GIT_AUTHOR_EMAIL": "a@b",
        "GIT_COMMITTER_NAME": "a",
        "GIT_COMMITTER_EMAIL": "a@b",
    }
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=60, check=False
    )


def repository(folder: Path) -> str:
    """Commit the content of the folder, and return the commit."""
    for command in (["init", "--quiet"], ["add", "."], ["commit", "--quiet", "--message", "x"]):
        done = run(folder, "git", *command)
        assert done.returncode == 0, done.stderr
    return run(folder, "git", "rev-parse", "HEAD").stdout.strip()


@pytest.fixture
def plans(tmp_path: Path) -> Path:
    """A repository with plans that uses the hook as documented, with the Python of these tests."""
    published = tmp_path / "published"
    published.mkdir()
    shutil.copy(ROOT / ".pre-commit-hooks.yaml", published)
    rev = repository(published)
    folder = tmp_path / "plans"
    (folder / "include" / "plans").mkdir(parents=True)
    shutil.copy(ROOT / "include" / "plans" / "single-server.yaml", folder / "include" / "plans")
    (folder / "values.yaml").write_text("not: a plan\n")
    hook = {"id": "drs-validate", "language": "system", "entry": f"{sys.executable} -m drs validate"}
    config = {"repos": [{"repo": str(published), "rev": rev, "hooks": [hook]}]}
    (folder / ".pre-commit-config.yaml").write_text(yaml.safe_dump(config))
    repository(folder)
    return folder


def test_good_plans_pass_and_other_files_are_left_alone(plans: Path) -> None:
    """The hook checks include/plans and no other files."""
    done = run(plans, sys.executable, "-m", "pre_commit", "run", "--all-files", "--verbose")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "ok  single-server" in done.stdout
    assert "values" not in done.stdout


def test_a_broken_plan_stops_the_commit(plans: Path) -> None:
    """The hook prints the key and the code of the problem."""
    plan = plans / "include" / "plans" / "single-server.yaml"
    plan.write_text(plan.read_text() + "colour: red\n")
    run(plans, "git", "add", ".")
    done = run(plans, sys.executable, "-m", "pre_commit", "run")
    assert done.returncode == 1
    assert "colour  [INVALID_FIELD]" in done.stdout
