"""How findings are reported: as a table, as one error with every remedy, and as JSON."""

from __future__ import annotations

import json

import pytest

from drs.errors import Code, ServerConflict, UnhealthyServerReplication
from drs.preflight import Finding, Report, findings_table

STALLED = Finding.of(UnhealthyServerReplication("db-1 is STALLED."), wave="db", server_id="s-1")
PAUSED = Finding.of(UnhealthyServerReplication("db-2 is PAUSED."), wave="db", server_id="s-2")
HELD = Finding.of(
    ServerConflict("web-1 is held.", remedy="Wait."), wave="web", server_id="s-3", heals=True, holders=("j",)
)
WARNING = Finding.of(ServerConflict("web-2 is held."), wave="web", server_id="s-4").as_warning()


def test_a_report_heals_only_if_every_error_does() -> None:
    """A report without errors does not heal: there is nothing to wait for."""
    assert Report((HELD, WARNING)).heals
    assert not Report((HELD, STALLED)).heals
    assert not Report((WARNING,)).heals


def test_a_single_error_is_raised_with_its_own_code() -> None:
    """The error has the finding's own code and remedy. Warnings are not in it."""
    error = Report((WARNING, HELD)).as_error()
    assert str(error) == "[SERVER_CONFLICT] web-1 is held.\nWhat to do: Wait."


def test_several_errors_are_raised_together_with_each_remedy_once() -> None:
    """For 300 stalled servers the remedy is given once, not 300 times."""
    error = Report((STALLED, HELD, PAUSED)).as_error()
    assert error.code is Code.UNHEALTHY_SERVER_REPLICATION
    remedy = UnhealthyServerReplication.remedy
    assert error.message.splitlines() == [
        "3 findings stop this run:",
        "[UNHEALTHY_SERVER_REPLICATION] db-1 is STALLED.",
        "[UNHEALTHY_SERVER_REPLICATION] db-2 is PAUSED.",
        f"  What to do: {remedy}",
        "[SERVER_CONFLICT] web-1 is held.",
        "  What to do: Wait.",
    ]


def test_a_report_without_errors_is_no_failure() -> None:
    """Asking such a report for an error is a mistake in the calling code."""
    with pytest.raises(ValueError, match="no error"):
        Report((WARNING,)).as_error()


def test_findings_are_one_table() -> None:
    """Severity, code, wave and server have columns. What was seen comes last, because it is long."""
    first, _, stalled, held = findings_table((STALLED, HELD)).splitlines()
    assert first.split() == ["severity", "code", "wave", "server", "seen"]
    assert stalled.split()[:4] == ["error", "UNHEALTHY_SERVER_REPLICATION", "db", "s-1"]
    assert held.endswith("web-1 is held.")


def test_findings_are_json() -> None:
    """The values are plain, so JSON returns them unchanged."""
    items = Report((HELD,)).as_json()
    assert json.loads(json.dumps(items)) == items
    assert items[0] == {
        "code": "SERVER_CONFLICT",
        "seen": "web-1 is held.",
        "remedy": "Wait.",
        "server_id": "s-3",
        "wave": "web",
        "severity": "error",
        "heals": True,
        "holders": ["j"],
    }
