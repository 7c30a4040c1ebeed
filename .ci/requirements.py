"""Prints requirements.txt: the package's direct dependencies, at the versions that uv.lock gives them."""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
HEADER = "# What the DAGs need at run time, at the versions that are tested. Made by `make requirements`."


def requirements(project: str, lock: str) -> str:
    """Pin the dependencies in `project` (pyproject.toml) to those in `lock` (uv.lock), both as text."""
    versions = {package["name"]: package["version"] for package in tomllib.loads(lock)["package"]}
    lines = [HEADER]
    for dependency in tomllib.loads(project)["project"]["dependencies"]:
        match = re.match(r"(?P<name>[\w.-]+)(?P<extras>\[.+])?", dependency)
        assert match is not None, f"not a requirement: {dependency}"
        lines.append(f"{match[0]}=={versions[match['name']]}")
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    pyproject = (REPOSITORY / "pyproject.toml").read_text(encoding="utf-8")
    sys.stdout.write(requirements(pyproject, (REPOSITORY / "uv.lock").read_text(encoding="utf-8")))
