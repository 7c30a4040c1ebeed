"""Files of environment variables: what docker compose would read otherwise is refused, not misread."""

from __future__ import annotations

from pathlib import Path

import pytest

from demo.env_file import read_env_file


def test_variables_are_read_in_their_order_and_quotes_left_out(tmp_path: Path) -> None:
    """Comments and empty lines are none; the last of a name holds."""
    path = tmp_path / ".env"
    path.write_text("# secrets\n\nB=1\nA='{\"x\": 1}'\nC=\nA=a=b\n")
    assert list(read_env_file(path).items()) == [("B", "1"), ("A", "a=b"), ("C", "")]


@pytest.mark.parametrize("line", ["export A=1", "A", "A=1 # one", "A: 1"])
def test_a_line_of_another_form_is_named(tmp_path: Path, line: str) -> None:
    """With its file and number."""
    path = tmp_path / ".env"
    path.write_text(f"B=1\n{line}\n")
    with pytest.raises(ValueError, match=rf"\.env, line 2: .*{line}"):
        read_env_file(path)
