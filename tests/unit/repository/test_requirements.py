"""requirements.txt is what a deployment installs. `make lint` holds it to what uv exports from uv.lock."""

from __future__ import annotations

from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[3]


def test_requirements_leave_the_simulator_out() -> None:
    """moto serves tests and demo only, and is not installed where real drills run."""
    assert "moto" not in (REPOSITORY / "requirements.txt").read_text(encoding="utf-8")
