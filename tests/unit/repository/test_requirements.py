"""requirements.txt is what a deployment installs: it must say what was tested."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[3]


def test_requirements_pin_the_direct_dependencies_to_the_locked_versions() -> None:
    """No dependency and no version has drifted from uv.lock; `make requirements` mends it."""
    command = [sys.executable, REPOSITORY / ".ci" / "requirements.py"]
    generated = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert generated == (REPOSITORY / "requirements.txt").read_text(encoding="utf-8")


def test_requirements_leave_the_simulator_out() -> None:
    """moto serves tests and demo only, and is not installed where real drills run."""
    assert "moto" not in (REPOSITORY / "requirements.txt").read_text(encoding="utf-8")
