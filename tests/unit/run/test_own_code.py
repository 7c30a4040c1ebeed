"""Which code a plan may name: notifiers by their path, checks by their mark."""

from __future__ import annotations

import functools
import sys
from pathlib import Path
from typing import Any

import pytest

from drs.errors import InvalidField
from drs.plan import Plan
from drs.run.own_code import (
    AllowedCode,
    check_function,
    drs_check,
    named_code,
    refusal,
    require_allowed_notifier,
)
from tests.unit.drill import make_plan
from tests.unit.validation import own_checks

OWN = own_checks.__name__
SMTP = "airflow.providers.smtp.notifications.smtp.SmtpNotifier"


def plan() -> Plan:
    """A plan that names a check of a group and of each wave, and two notifiers."""
    parts = make_plan().model_dump(mode="json")
    group, *_ = parts["protection_groups"].values()
    group["validation"] = [{"type": "instance_status"}, {"type": "python", "function": f"{OWN}.says"}]
    for wave in parts["waves"]:
        wave["validation"] = [{"type": "python", "function": f"{OWN}.{wave['name']}"}]
    parts["notifications"]["notifiers"] = [{"notifier": SMTP}, {"notifier": "subprocess.Popen"}]
    return Plan.model_validate(parts)


def test_every_notifier_and_check_of_a_plan_is_found_with_its_key() -> None:
    """With its place in the plan, so that a message can name it."""
    assert [(each.key, each.path, each.is_notifier) for each in named_code(plan())] == [
        ("protection_groups.database.validation[1].function", f"{OWN}.says", False),
        ("waves[0].validation[0].function", f"{OWN}.database", False),
        ("waves[1].validation[0].function", f"{OWN}.application", False),
        ("notifications.notifiers[0].notifier", SMTP, True),
        ("notifications.notifiers[1].notifier", "subprocess.Popen", True),
    ]


def test_a_run_of_some_waves_needs_only_their_checks() -> None:
    """The notifiers are those of the whole plan."""
    found = [each.key for each in named_code(plan(), ["application"])]
    assert found == [
        "waves[1].validation[0].function",
        "notifications.notifiers[0].notifier",
        "notifications.notifiers[1].notifier",
    ]


@pytest.mark.parametrize("path", [SMTP, "airflow.sdk.BaseNotifier"])
def test_airflows_notifiers_are_allowed_by_default(path: str) -> None:
    require_allowed_notifier(path, AllowedCode())


@pytest.mark.parametrize(
    "path",
    [
        "subprocess.Popen",
        "os.system",
        "builtins.eval",
        "airflow_of_mine.Notifier",
        "my.airflow.providers.Notifier",
        "importlib.import_module",
    ],
)
def test_any_other_notifier_is_refused_by_its_path_alone(path: str) -> None:
    """The remedy has the whole setting to write, with what it allows already."""
    with pytest.raises(InvalidField, match="is not allowed") as refused:
        require_allowed_notifier(path, AllowedCode())
    assert path in refused.value.message
    assert f"AIRFLOW__DRS__ALLOWED_NOTIFIERS=airflow.providers.*,airflow.*,{path}" in refused.value.remedy


def test_a_notifier_that_is_refused_is_not_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Importing a module already runs its code."""
    (tmp_path / "armed_module.py").write_text("raise SystemExit('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(InvalidField):
        require_allowed_notifier("armed_module.Notifier", AllowedCode())
    assert "armed_module" not in sys.modules


@pytest.mark.parametrize(
    ("text", "allowed", "refused"),
    [
        ("my_team.*", "my_team.pagers.Pager", SMTP),
        ("airflow.*, my_team.Pager", "my_team.Pager", "my_team.Other"),
        ("airflow.* my_team.Pager", SMTP, "my_team"),
        ("", None, SMTP),
    ],
)
def test_a_setting_replaces_the_default(text: str, allowed: str | None, refused: str) -> None:
    """Paths are separated by commas or white space; an empty setting allows nothing."""
    code = AllowedCode.of(text, None)
    if allowed:
        require_allowed_notifier(allowed, code)
    with pytest.raises(InvalidField):
        require_allowed_notifier(refused, code)


def test_a_setting_that_is_not_there_means_the_default() -> None:
    assert AllowedCode.of(None, None) == AllowedCode(("airflow.providers.*", "airflow.*"), ())


def test_a_marked_function_is_a_check() -> None:
    """Also one that another decorator wraps, and an asynchronous one."""
    assert check_function(f"{OWN}.says", AllowedCode()) is own_checks.says
    assert check_function(f"{OWN}.says_later", AllowedCode()) is own_checks.says_later


def test_the_mark_survives_a_decorator(monkeypatch: pytest.MonkeyPatch) -> None:
    """``functools.wraps`` hands it on."""

    @functools.wraps(own_checks.says)
    def wrapped(*args: Any) -> Any:
        return own_checks.says(*args)

    monkeypatch.setattr(own_checks, "wrapped", wrapped, raising=False)
    assert check_function(f"{OWN}.wrapped", AllowedCode()) is wrapped


def test_a_function_without_the_mark_is_no_check() -> None:
    """The remedy names the mark and the setting. With the setting it is allowed."""
    path = f"{OWN}.drops_the_table"
    with pytest.raises(InvalidField, match="is not a check") as refused:
        check_function(path, AllowedCode())
    assert "@drs_check (from drs.validation)" in refused.value.remedy
    assert f"AIRFLOW__DRS__ALLOWED_CHECKS={path}" in refused.value.remedy
    assert check_function(path, AllowedCode.of(None, f"{OWN}.*")) is own_checks.drops_the_table


@pytest.mark.parametrize("path", ["antigravity.fly", "os.system", "subprocess.run", "builtins.exec"])
def test_pythons_own_functions_are_refused_without_an_import(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``import antigravity`` opens a browser."""
    monkeypatch.delitem(sys.modules, "antigravity", raising=False)
    with pytest.raises(InvalidField, match="standard library"):
        check_function(path, AllowedCode())
    assert "antigravity" not in sys.modules


def test_a_class_or_an_object_that_answers_to_everything_is_no_check(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only a function carries the mark."""

    class Anything:
        def __getattr__(self, name: str) -> bool:
            return True

        def __call__(self, *_: Any) -> None:
            raise AssertionError("called")

    for value in (Anything(), drs_check(type("Marked", (), {}))):
        monkeypatch.setattr(own_checks, "found", value, raising=False)
        with pytest.raises(InvalidField, match="is not a check"):
            check_function(f"{OWN}.found", AllowedCode())


def test_what_can_be_said_without_an_import() -> None:
    """A check's mark cannot."""
    refused = {each.path: refusal(each, AllowedCode()) for each in named_code(plan())}
    assert [path for path, error in refused.items() if error] == ["subprocess.Popen"]
