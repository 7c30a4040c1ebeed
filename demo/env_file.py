"""Reads files of environment variables as docker compose reads them: `.env`, `include/airflow.env`."""

from __future__ import annotations

from pathlib import Path

from dotenv.parser import parse_stream


def read_env_file(path: Path) -> dict[str, str]:
    """The variables of a file, in its order.

    :raises ValueError: a line is not a variable with its value. Docker compose would look up the value of a
        bare name, and of `$NAME` within a value, in other places.
    """
    variables: dict[str, str] = {}
    with path.open(encoding="utf-8") as stream:
        for binding in parse_stream(stream):
            if binding.error or (binding.key and (binding.value is None or "$" in binding.value)):
                text = binding.original.string
                number = binding.original.line + text[: -len(text.lstrip())].count("\n")
                raise ValueError(f"{path}, line {number}: not NAME=value: {text.strip()}")
            if binding.key and binding.value is not None:
                variables[binding.key] = binding.value
    return variables
