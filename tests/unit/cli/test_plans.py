"""``validate`` and ``schema``: their output and exit codes."""

from __future__ import annotations

import datetime as dt
import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from drs.cli import main
from drs.plan.plan_schema import schema_text

EXAMPLES = Path("include/plans")


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    """A folder with a valid plan and a plan with two mistakes."""
    text = (EXAMPLES / "single-server.yaml").read_text()
    (tmp_path / "single-server.yaml").write_text(text)
    mistakes = text.replace("name: single-server", "name: broken").replace("us-east-1", "Virginia")
    (tmp_path / "broken.yaml").write_text(mistakes + "colour: red\n")
    return tmp_path


def lines_and_notes(capsys: pytest.CaptureFixture[str]) -> tuple[list[str], list[str]]:
    """The lines of the plans, and the notes on plans that share servers, without what that means."""
    printed = capsys.readouterr().out.splitlines()
    notes = [line.removeprefix("note  ") for line in printed if line.startswith("note  ")]
    return [line for line in printed if not line.startswith(("note  ", "      "))], notes


def test_the_examples_are_good_and_are_the_default(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a path, the command checks include/plans and prints one line for each plan, and notes."""
    assert main(["validate"]) == 0
    lines, notes = lines_and_notes(capsys)
    assert len(lines) == 3
    assert notes == ["order-system and single-server share s-3c1730a9e0771ea14"]
    assert lines[0].startswith(
        "ok  fleet: 5 waves, 5 groups by tags (directory database reporting application web)"
    )
    assert lines[1].startswith("ok  order-system: 3 waves, 6 servers (database application web), digest ")
    assert lines[2].startswith("ok  single-server: 1 wave, 1 server (single), digest ")


def test_every_problem_of_every_broken_plan_is_told(broken: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The valid plan in the same folder is still confirmed. The exit code is 1."""
    assert main(["validate", str(broken)]) == 1
    out = capsys.readouterr().out
    assert "Recovery plan broken cannot be used: 2 problems." in out
    assert "target.region  [INVALID_FIELD]" in out
    assert "colour  [INVALID_FIELD]" in out
    assert "ok  single-server" in out


def test_files_and_folders_may_be_mixed(broken: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A pre-commit hook passes files, and a person passes a folder."""
    assert main(["validate", str(broken / "single-server.yaml"), str(EXAMPLES)]) == 0
    lines, notes = lines_and_notes(capsys)
    assert (len(lines), len(notes)) == (4, 1)


def test_a_plan_that_does_not_exist_is_exit_code_2(capsys: pytest.CaptureFixture[str]) -> None:
    """The message lists the plans that exist."""
    assert main(["validate", str(EXAMPLES / "order-sytem.yaml")]) == 2
    out = capsys.readouterr().out
    assert "RECOVERY_PLAN_NOT_FOUND" in out
    assert "Did you mean order-system?" in out
    assert "fleet, order-system, single-server" in out


def test_a_folder_without_plans_is_exit_code_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A check of nothing must not pass in CI."""
    assert main(["validate", str(tmp_path)]) == 2
    assert "holds no recovery plan" in capsys.readouterr().out


def test_not_found_outweighs_broken(broken: Path) -> None:
    """After a wrong path, not everything was checked, so this exit code is more important."""
    assert main(["validate", str(broken), str(broken / "nope.yaml")]) == 2


def test_json_tells_the_same(broken: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The JSON has the digest and waves of valid plans, and every field of every problem."""
    assert main(["validate", "--json", str(broken)]) == 1
    bad, good = json.loads(capsys.readouterr().out)
    assert (bad["name"], bad["ok"]) == ("broken", False)
    assert bad["problems"][0] == {
        "file": str(broken / "broken.yaml"),
        "line": 9,
        "key": "target.region",
        "code": "INVALID_FIELD",
        "message": '"Virginia" is not allowed here. Wanted: The AWS Region of the drill.',
        "remedy": "Write region: us-east-1",
    }
    assert (good["name"], good["ok"], len(good["digest"])) == ("single-server", True, 64)
    assert good["waves"] == [{"name": "single", "depends_on": [], "listed_servers": ["s-3c1730a9e0771ea14"]}]


# --- schedules and warnings ---------------------------------------------------------------------------------


@pytest.fixture
def scheduled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A plan that runs on days of either kind, in Berlin, shortly before its clocks change."""
    now = dt.datetime(2026, 3, 28, 6, tzinfo=dt.UTC)
    monkeypatch.setattr("drs.cli.plans.utc_now", lambda: now)
    text = (EXAMPLES / "single-server.yaml").read_text()
    more = 'schedule: "0 6 30 * 0"\ntimezone: Europe/Berlin\n'
    (tmp_path / "single-server.yaml").write_text(text + more)
    return tmp_path


def test_a_schedule_is_told_in_words_with_its_next_runs(
    scheduled: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The times are those of clocks in the plan's zone. A warning does not change the exit code."""
    assert main(["validate", str(scheduled)]) == 0
    _, words, times, warning = capsys.readouterr().out.splitlines()
    assert words == "      At 06:00, on day 30 of the month, and also every Sunday, time zone Europe/Berlin"
    assert times == (
        "      Next: Sun 2026-03-29 06:00 +02:00, Mon 2026-03-30 06:00 +02:00, Sun 2026-04-05 06:00 +02:00"
    )
    assert warning.startswith("warning  single-server  schedule: Day of month and day of week are both set")


def test_json_has_the_next_runs_and_the_warnings(scheduled: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Programs get the times in UTC."""
    assert main(["validate", "--json", str(scheduled)]) == 0
    (plan,) = json.loads(capsys.readouterr().out)
    assert plan["schedule"]["next_runs"] == [
        "2026-03-29T04:00:00+00:00",
        "2026-03-30T04:00:00+00:00",
        "2026-04-05T04:00:00+00:00",
    ]
    assert [doubt["key"] for doubt in plan["warnings"]] == ["schedule"]


# --- plans that share servers ---------------------------------------------------------------------------


def write(folder: Path, name: str, group: str, region: str = "us-east-1") -> None:
    """Write a plan with one group, named like the plan's first letter."""
    target = f'{{region: {region}, account_id: "111122223333"}}'
    waves = f"[{{name: all, protection_groups: [{name[0]}]}}]"
    text = f"name: {name}\ntarget: {target}\nprotection_groups: {{{name[0]}: {group}}}\nwaves: {waves}\n"
    (folder / f"{name}.yaml").write_text(text)


A, B, C, D = (f"s-{letter * 17}" for letter in "abcd")


def notes_of(folder: Path, capsys: pytest.CaptureFixture[str]) -> list[str]:
    assert main(["validate", str(folder)]) == 0
    return lines_and_notes(capsys)[1]


def test_plans_that_list_the_same_servers_are_noted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The exit code stays 0: the plans are valid, and only their drills must not run at the same time."""
    write(tmp_path, "billing", f"{{source_servers: [{A}, {B}, {C}, {D}]}}")
    write(tmp_path, "orders", f"{{source_servers: [{D}, {C}, {B}, {A}]}}")
    write(tmp_path, "web", "{source_servers: [s-00000000000000000]}")
    write(tmp_path, "elsewhere", f"{{source_servers: [{A}]}}", region="eu-central-1")
    assert notes_of(tmp_path, capsys) == [f"billing and orders share {A}, {B}, {C} and 1 more"]
    assert main(["validate", str(tmp_path)]) == 0
    assert "SERVER_CONFLICT" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("one", "other", "may"),
    [
        ("{Tier: app}", "{Tier: app}", True),
        ("{Tier: app}", "{Tier: app, Application: billing}", True),
        ("{Tier: app, Owner: ada}", "{Tier: app, Application: billing}", True),
        ("{Tier: app}", "{Application: billing}", True),
        ("{Tier: app}", "{Tier: web}", False),
        ("{Tier: app, Application: billing}", "{Tier: app, Application: orders}", False),
    ],
)
def test_groups_that_no_tag_keeps_apart_may_share_servers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], one: str, other: str, may: bool
) -> None:
    """Only DRS knows which servers have the tags. Two values of one tag exclude each other."""
    write(tmp_path, "billing", f"{{server_tags: {one}}}")
    write(tmp_path, "orders", f"{{server_tags: {other}}}")
    note = "billing and orders may share servers: no tag keeps apart the groups b and o"
    assert notes_of(tmp_path, capsys) == ([note] if may else [])


def test_many_plans_that_share_servers_are_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The JSON lists all of them: for each plan the others, and its own group first."""
    for letter in "abcdefg":
        write(tmp_path, letter, "{server_tags: {Tier: app}}")
    *listed, last = notes_of(tmp_path, capsys)
    assert (len(listed), last) == (
        20,
        "1 more pair of plans share servers or may share them: --json lists all",
    )
    assert main(["validate", "--json", str(tmp_path)]) == 0
    plans = json.loads(capsys.readouterr().out)
    assert [len(plan["shares_servers_with"]) for plan in plans] == [6] * 7
    assert plans[1]["shares_servers_with"][0] == {"plan": "a", "servers": [], "groups": [["b", "a"]]}


def test_the_schema_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    """The schema is printed for editors on other machines."""
    assert main(["schema"]) == 0
    assert capsys.readouterr().out == schema_text()


def test_the_schema_is_written_to_a_file(tmp_path: Path) -> None:
    """The repository's own copy is made in this way."""
    assert main(["schema", "--output", str(tmp_path / "plan.schema.json")]) == 0
    assert (tmp_path / "plan.schema.json").read_text(encoding="utf-8") == schema_text()


def test_a_schema_that_cannot_be_written_is_exit_code_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The message has the system's reason and no traceback."""
    assert main(["schema", "--output", str(tmp_path / "nope" / "plan.schema.json")]) == 2
    assert "No such file or directory" in capsys.readouterr().err


@pytest.mark.parametrize("argv", [[], ["valdate"], ["validate", "--yaml"]])
def test_wrong_usage_is_exit_code_2(argv: list[str]) -> None:
    """argparse's exit code for wrong usage is 2."""
    with pytest.raises(SystemExit) as caught:
        main(argv)
    assert caught.value.code == 2


def test_help_documents_the_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    """The author of a script finds the exit codes in the help."""
    with pytest.raises(SystemExit):
        main(["validate", "--help"])
    out = capsys.readouterr().out
    assert all(line in out for line in ("0  every plan is valid", "1  a plan is broken", "2  wrong usage"))


def test_validation_runs_as_a_module_and_without_airflow() -> None:
    """The command starts much faster than Airflow can be imported."""
    code = (
        "import runpy, sys\n"
        "sys.argv = ['drs', 'validate']\n"
        "try: runpy.run_module('drs', run_name='__main__')\n"
        "except SystemExit as end: print(end.code, 'airflow' in sys.modules, 'boto3' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.splitlines()[-1] == "0 False False", done.stderr


@pytest.fixture
def coded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a valid plan, and one that names a notifier of its own and functions as checks."""
    for name in ("NOTIFIERS", "CHECKS"):
        monkeypatch.delenv(f"AIRFLOW__DRS__ALLOWED_{name}", raising=False)
    text = (EXAMPLES / "single-server.yaml").read_text()
    (tmp_path / "single-server.yaml").write_text(text)
    plan = yaml.safe_load(text) | {"name": "coded"}
    plan["notifications"] = {"notifiers": [{"notifier": "subprocess.Popen", "parameters": {"args": "date"}}]}
    plan["waves"][0]["validation"] = [
        {"type": "python", "function": "os.abort"},
        {"type": "python", "function": "my_team.checks.orders"},
    ]
    (tmp_path / "coded.yaml").write_text(yaml.safe_dump(plan))
    return tmp_path


def test_code_that_a_plan_may_not_name_is_told(coded: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As far as that can be said without importing it. The message says where the setting was read from."""
    assert main(["validate", str(coded), "--json"]) == 1
    broken, good = json.loads(capsys.readouterr().out)
    assert (broken["name"], good["ok"]) == ("coded", True)
    assert [(each["key"], each["code"]) for each in broken["problems"]] == [
        ("waves[0].validation[0].function", "INVALID_FIELD"),
        ("notifications.notifiers[0].notifier", "INVALID_FIELD"),
    ]
    assert {each["file"] for each in broken["problems"]} == {str(coded / "coded.yaml")}
    assert "from AIRFLOW__DRS__ALLOWED_NOTIFIERS, which is not set here" in broken["problems"][1]["message"]


def test_the_environment_allows_code(
    coded: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the variables that Airflow reads too."""
    monkeypatch.setenv("AIRFLOW__DRS__ALLOWED_NOTIFIERS", "airflow.*")
    assert main(["validate", str(coded / "coded.yaml")]) == 1
    assert "allows: airflow.*." in capsys.readouterr().out
    monkeypatch.setenv("AIRFLOW__DRS__ALLOWED_NOTIFIERS", "subprocess.*")
    monkeypatch.setenv("AIRFLOW__DRS__ALLOWED_CHECKS", "os.abort")
    assert main(["validate", str(coded / "coded.yaml")]) == 0
