"""Files of environment variables: what docker compose would read otherwise is refused, not misread."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from demo.env_file import read_env_file


def test_variables_are_read_in_their_order_and_quotes_left_out(tmp_path: Path) -> None:
    """Comments and empty lines are none; the last of a name holds."""
    path = tmp_path / ".env"
    path.write_text("# secrets\n\nB=1\nA='{\"x\": 1}'\nC=\nA=a=b\n")
    assert list(read_env_file(path).items()) == [("B", "1"), ("A", "a=b"), ("C", "")]


@pytest.mark.parametrize("line", ["export A=1", "A=1 # one", 'A="1"'])
def test_the_other_forms_of_docker_compose_are_read(tmp_path: Path, line: str) -> None:
    """They all give A the value 1."""
    path = tmp_path / ".env"
    path.write_text(f"{line}\n")
    assert read_env_file(path) == {"A": "1"}


@pytest.mark.parametrize("line", ["A", "A: 1", "A=$B", "A=${B:-1}", 'A="1'])
def test_a_line_of_another_form_is_named(tmp_path: Path, line: str) -> None:
    """With its file and number."""
    path = tmp_path / ".env"
    path.write_text(f"B=1\n\n{line}\n")
    with pytest.raises(ValueError, match=rf"\.env, line 3: .*{re.escape(line)}$"):
        read_env_file(path)
