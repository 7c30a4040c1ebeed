"""The installation of docker-compose.yaml, natively, in place of the other end-to-end tests' stack."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from demo.compose_stack import ComposeStack, new_project
from demo.natively import missing_programs
from tests.e2e.compose.plans import write_own_code, write_plans


@pytest.fixture(scope="package")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project, with the plans, the check and the DAG of these tests among what comes along."""
    if missing := missing_programs():
        pytest.skip(f"not installed: {', '.join(missing)}; `make services` installs them")
    made = new_project(tmp_path_factory.mktemp("project"), "flower", "debug")
    write_own_code(made)
    return made


@pytest.fixture(scope="package")
def plans(project: Path) -> Path:
    """The plans that are mounted; Airflow looks at them every 30 s, so they are all there from the start."""
    write_plans(project / "include" / "plans")
    return project / "include" / "plans"


@pytest.fixture(scope="package")
def running_stack(
    tmp_path_factory: pytest.TempPathFactory, project: Path, plans: Path
) -> Iterator[ComposeStack]:
    """All services, started once."""
    with ComposeStack(tmp_path_factory.mktemp("compose"), project) as stack:
        yield stack
