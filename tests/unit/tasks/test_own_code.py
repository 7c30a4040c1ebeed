"""The code that plans name, in Airflow: what is called, what is refused, and what preflight says of it."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.amazon.aws.notifications.sns import SnsNotifier

from drs import settings
from drs.errors import Code, InvalidField
from drs.plan import Plan
from drs.preflight import Finding, PreflightInputs
from drs.run.own_code import AllowedCode
from drs.tasks.operators import preflight
from drs.tasks.own_code import code_findings, notifier_class
from tests.unit.drill import make_plan

HERE = "tests.unit.tasks.test_own_code"
OWN = "tests.unit.validation.own_checks"
ANY = AllowedCode(notifiers=("*",))
SNS = "airflow.providers.amazon.aws.notifications.sns.SnsNotifier"
made: list[Any] = []


class Impostor:
    """A class that would do harm when it is called."""

    def __init__(self, **parameters: Any) -> None:
        made.append(parameters)


def impostor(**parameters: Any) -> None:
    made.append(parameters)


def test_a_notifier_of_airflow_is_found() -> None:
    assert notifier_class(SNS, AllowedCode()) is SnsNotifier


@pytest.mark.parametrize(
    "path",
    [f"{HERE}.Impostor", f"{HERE}.impostor", "subprocess.Popen", "airflow.sdk.DAG"],
)
def test_a_class_that_is_no_notifier_is_not_called(path: str) -> None:
    """Even if its path is allowed."""
    made.clear()
    with pytest.raises(InvalidField, match="is not an Airflow notifier, so it was not called"):
        notifier_class(path, ANY)
    assert made == []


def named(*notifiers: str, check: str = "") -> Plan:
    """A plan with these notifiers, and with this check in its first wave."""
    parts = make_plan().model_dump(mode="json")
    parts["notifications"]["notifiers"] = [{"notifier": path} for path in notifiers]
    if check:
        parts["waves"][0]["validation"] = [{"type": "python", "function": check}]
    return Plan.model_validate(parts)


def findings(plan: Plan, **inputs: Any) -> list[Finding]:
    return list(code_findings(dataclasses.replace(PreflightInputs.whole(plan), **inputs)))


@pytest.fixture
def armed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A module that ends the process when it is imported."""
    (tmp_path / "armed_module.py").write_text("raise SystemExit('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    yield "armed_module"
    assert "armed_module" not in sys.modules


def test_a_plan_with_allowed_code_has_no_finding() -> None:
    assert findings(named(SNS, check=f"{OWN}.says")) == []


def test_a_notifier_that_is_not_allowed_is_an_error(armed: str) -> None:
    """The finding names the plan and the key. In a real recovery it only warns."""
    (found,) = findings(named(f"{armed}.Notifier"))
    assert (found.code, found.severity, found.heals) == (Code.INVALID_FIELD, "error", False)
    assert found.seen.startswith(
        "Plan orders, notifications.notifiers[0].notifier: The notifier armed_module."
    )
    (found,) = findings(named(f"{armed}.Notifier"), execution_type="RECOVERY")
    assert found.severity == "warning"


@pytest.mark.parametrize("path", [f"{OWN}.drops_the_table", f"{OWN}.not_callable", "os.system"])
def test_a_function_that_is_no_check_is_an_error(path: str) -> None:
    """Also in a real recovery: its wave could not be validated."""
    for kind in ("DRILL", "RECOVERY"):
        (found,) = findings(named(check=path), execution_type=kind)
        assert (found.code, found.severity) == (Code.INVALID_FIELD, "error")
        assert found.seen.startswith(f"Plan orders, waves[0].validation[0].function: {path} is not a")


def test_a_check_that_cannot_be_imported_is_an_error_and_a_notifier_a_warning(armed: str) -> None:
    """Whatever its module raises."""
    found = findings(named("airflow.providers.nobody.Notifier", check=f"{armed}.check"))
    assert [(each.code, each.severity) for each in found] == [
        (Code.INVALID_FIELD, "error"),
        (Code.INVALID_FIELD, "warning"),
    ]
    assert "armed_module.check cannot be imported by Airflow's worker: SystemExit: imported" in found[0].seen
    assert "ModuleNotFoundError" in found[1].seen


def test_the_checks_of_a_wave_that_does_not_run_do_not_matter() -> None:
    assert findings(named(check="os.system"), waves=("application",)) == []


def test_the_settings_decide(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of the process that calls."""
    monkeypatch.setenv("AIRFLOW__DRS__ALLOWED_NOTIFIERS", f"{HERE}.Some*")
    monkeypatch.setenv("AIRFLOW__DRS__ALLOWED_CHECKS", f"{OWN}.drops*")
    assert settings.allowed_code() == AllowedCode((f"{HERE}.Some*",), (f"{OWN}.drops*",))
    assert findings(named(check=f"{OWN}.drops_the_table")) == []
    (found,) = findings(named(SNS))
    assert f"allows: {HERE}.Some*." in found.seen


def test_preflight_is_given_these_findings(monkeypatch: pytest.MonkeyPatch) -> None:
    """And those about the key that signs the records, which only warn in a real recovery."""
    broken = Finding(code=Code.INVALID_FIELD, seen="No key.", remedy="Name one.")
    monkeypatch.setenv("AIRFLOW__DRS__EVIDENCE_KMS_KEY_ID", "alias/drills")
    monkeypatch.setattr(preflight, "key_findings", lambda key: [broken] if key == "alias/drills" else [])
    inputs = PreflightInputs.whole(named("os.system"))
    of_code, of_key = preflight.with_findings(inputs).found
    assert "The notifier os.system is not allowed" in of_code.seen
    assert of_key == broken
    in_disaster = preflight.with_findings(dataclasses.replace(inputs, execution_type="RECOVERY"))
    assert [each.severity for each in in_disaster.found] == ["warning", "warning"]
