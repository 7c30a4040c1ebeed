"""What ``drs validate`` says about a plan with one mistake: the author's own value, corrected.

It never says the account, Region or server of an example, and never the opposite of what was written.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from drs.cli import main

HERE = Path(__file__).parent
GIVEN = yaml.safe_load((HERE / "messages.yaml").read_text())
CASES = [*GIVEN["cases"], *yaml.safe_load((HERE / "more_messages.yaml").read_text())["cases"]]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["replace"][-40:])
def test_a_message_leads_from_the_mistake_to_what_was_meant(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], case: dict[str, Any]
) -> None:
    """The exit code, what the message must say, and what it must not say."""
    assert case["find"] in GIVEN["base"]
    file = tmp_path / "p01.yaml"
    file.write_text(GIVEN["base"].replace(case["find"], case["replace"]))
    status = main(["validate", str(file)])
    said = capsys.readouterr().out.replace(str(tmp_path), "")
    assert status == (0 if case["accepted"] else 1), said
    assert re.search(case["must_say"], said), said
    assert not re.search(case["must_not_say"], said), said
