"""``files``: what comes with the package, listed and copied."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from drs.cli import main, shipped_files

ROOT = Path(__file__).parents[3]


def test_all_files_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    """By the paths that the documentation names."""
    assert main(["files", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert {"dags/drs_watch.py", "dags/.airflowignore", "include/iam/drill.json"} <= set(listed)
    assert main(["files", "include/iam", "dags/drs_watch.py"]) == 0
    some = capsys.readouterr().out.split()
    assert some == [name for name in listed if name.startswith("include/iam/") or name == "dags/drs_watch.py"]


def test_they_are_copied_with_their_paths(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A second time, nothing changes."""
    for _ in range(2):
        assert main(["files", "include/iam/", "--to", str(tmp_path)]) == 0
        made = {path.relative_to(tmp_path) for path in tmp_path.rglob("*.json")}
        assert Path("include/iam/drill.json") in made
        assert all((tmp_path / path).read_bytes() == (ROOT / path).read_bytes() for path in made)
        assert f"{len(made) + 1} files copied to {tmp_path}." in capsys.readouterr().out


def test_a_file_that_somebody_changed_stays(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is named, all others are copied, and --replace replaces it."""
    mine = tmp_path / "dags" / "drs_watch.py"
    mine.parent.mkdir()
    mine.write_text("# mine\n")
    assert main(["files", "dags", "--to", str(tmp_path)]) == 1
    assert str(mine) in capsys.readouterr().err
    assert mine.read_text() == "# mine\n"
    assert (tmp_path / "dags" / "recovery_plans.py").exists()
    assert main(["files", "dags", "--to", str(tmp_path), "--replace"]) == 0
    assert mine.read_bytes() == (ROOT / "dags" / "drs_watch.py").read_bytes()


@pytest.mark.parametrize("name", ["include/nothing", "dag", "../README.md"])
def test_a_name_that_no_file_has_is_refused(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing outside the list is read."""
    assert main(["files", name]) == 2
    assert name in capsys.readouterr().err


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With the file's name."""
    (tmp_path / "dags").write_text("")
    assert main(["files", "dags", "--to", str(tmp_path)]) == 2
    assert "cannot be written" in capsys.readouterr().err


def test_a_plugins_folder_does_not_show_the_user_s_own_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Beside a copied package, dags/ and include/ are not what this package brought."""
    (tmp_path / "plugins" / "drs").mkdir(parents=True)
    (tmp_path / "dags").mkdir()
    here = tmp_path / "plugins" / "drs" / "cli" / "shipped_files.py"
    monkeypatch.setattr(shipped_files, "__file__", str(here))
    assert main(["files"]) == 2
    assert "pip install drs-drills" in capsys.readouterr().err
