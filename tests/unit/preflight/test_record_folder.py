"""A local folder of records where tasks run on several machines: a warning before the drill."""

from __future__ import annotations

import pytest

from drs.errors import Code
from drs.preflight import Finding, PreflightInputs
from drs.preflight.record_folder import class_names, unshared_folder
from drs.tasks.operators.preflight import with_findings
from tests.unit.preflight.account import two_waves

FOLDER = "/opt/airflow/drs-evidence"
CELERY = "airflow.providers.celery.executors.celery_executor.CeleryExecutor"


def found(executors: str, *, shared: bool = False, **environment: str) -> list[Finding]:
    return unshared_folder(FOLDER, executors, shared=shared, environment=environment)


@pytest.mark.parametrize(
    ("executors", "named"),
    [
        ("CeleryExecutor", "CeleryExecutor"),
        ("KubernetesExecutor", "KubernetesExecutor"),
        (CELERY, "CeleryExecutor"),
        (f"LocalExecutor,fast:{CELERY}", "CeleryExecutor"),
        ("LocalExecutor;team=my.executors.EcsExecutor", "EcsExecutor"),
    ],
)
def test_a_local_folder_of_several_machines_is_a_warning(executors: str, named: str) -> None:
    """It names the folder, the executor, and both ways out: S3, or the word that the folder is shared."""
    (finding,) = found(executors)
    assert (finding.code, finding.severity) == (Code.INVALID_FIELD, "warning")
    assert FOLDER in finding.seen
    assert f"({named})" in finding.seen
    assert "s3://" in finding.remedy
    assert "evidence_shared" in finding.remedy


def test_a_task_in_a_container_of_its_own_is_known_by_its_environment() -> None:
    """A pod of KubernetesExecutor may have another executor in its configuration."""
    assert "(KubernetesExecutor)" in found("LocalExecutor", AIRFLOW_IS_K8S_EXECUTOR_POD="True")[0].seen
    assert found("LocalExecutor", AIRFLOW_IS_EXECUTOR_CONTAINER="true")


@pytest.mark.parametrize("executors", ["", "LocalExecutor", "mine:LocalExecutor", " LocalExecutor , "])
def test_one_machine_is_no_finding(executors: str) -> None:
    """Nor is an executor that is not known, as on the command line."""
    assert found(executors) == []


def test_a_folder_that_is_said_to_be_shared_is_no_finding() -> None:
    """As the volume of docker-compose.yaml is."""
    assert found("CeleryExecutor", shared=True) == []


def test_executors_are_read_in_every_way_that_airflow_reads_them() -> None:
    """Names, paths, aliases, and those of teams."""
    assert class_names(f"LocalExecutor,a:{CELERY};team_a=KubernetesExecutor,b:my.Own") == [
        "LocalExecutor",
        "CeleryExecutor",
        "KubernetesExecutor",
        "Own",
    ]


@pytest.mark.parametrize(
    ("path", "shared", "warns"),
    [
        (FOLDER, "False", True),
        ("", "False", True),
        (FOLDER, "True", False),
        ("s3://bucket/drills", "False", False),
    ],
)
def test_preflight_in_airflow_reads_the_settings(
    monkeypatch: pytest.MonkeyPatch, path: str, shared: str, warns: bool
) -> None:
    """The folder by default is local too. So also readiness, which makes the same checks."""
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", "CeleryExecutor")
    monkeypatch.setenv("AIRFLOW__DRS__EVIDENCE_PATH", path)
    monkeypatch.setenv("AIRFLOW__DRS__EVIDENCE_SHARED", shared)
    findings = with_findings(PreflightInputs.whole(two_waves())).found
    assert [(finding.code, finding.severity) for finding in findings] == [
        (Code.INVALID_FIELD, "warning")
    ] * warns
