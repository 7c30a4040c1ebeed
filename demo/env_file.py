"""Files of environment variables, in the form that docker compose reads: `.env`, `include/airflow.env`."""

from __future__ import annotations

import re
from pathlib import Path

LINE = re.compile(r"(?P<name>[A-Za-z_]\w*)=(?P<quote>['\"]?)(?P<value>.*)(?P=quote)")


def read_env_file(path: Path) -> dict[str, str]:
    """The variables of a file, in its order.

    :raises ValueError: a line is neither a variable, nor a comment, nor empty.
    """
    variables: dict[str, str] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        match = LINE.fullmatch(line.rstrip())
        if match is None or " #" in line:
            raise ValueError(f"{path}, line {number}: not NAME=value on a line of its own: {line}")
        variables[match["name"]] = match["value"]
    return variables
