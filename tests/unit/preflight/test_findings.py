"""How findings are told: one table, one failure with every remedy, and JSON."""

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
    """And if there is one: a good report has nothing to wait for."""
    assert Report((HELD, WARNING)).heals
    assert not Report((HELD, STALLED)).heals
    assert not Report((WARNING,)).heals


def test_one_error_is_told_as_itself() -> None:
    """With its own code and remedy; warnings stop nothing."""
    error = Report((WARNING, HELD)).as_error()
    assert str(error) == "[SERVER_CONFLICT] web-1 is held.\nWhat to do: Wait."


def test_several_errors_are_told_together_each_remedy_once() -> None:
    """A fleet of 300 stalled servers has one remedy, not 300."""
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
    """To ask for one is a mistake of the caller."""
    with pytest.raises(ValueError, match="no error"):
        Report((WARNING,)).as_error()


def test_findings_are_one_table() -> None:
    """Severity, code, wave and server in columns; what was seen last, since it is long."""
    first, _, stalled, held = findings_table((STALLED, HELD)).splitlines()
    assert first.split() == ["severity", "code", "wave", "server", "seen"]
    assert stalled.split()[:4] == ["error", "UNHEALTHY_SERVER_REPLICATION", "db", "s-1"]
    assert held.endswith("web-1 is held.")


def test_findings_are_json() -> None:
    """Plain values, which come out of JSON as they went in."""
    told = Report((HELD,)).as_json()
    assert json.loads(json.dumps(told)) == told
    assert told[0] == {
        "code": "SERVER_CONFLICT",
        "seen": "web-1 is held.",
        "remedy": "Wait.",
        "server_id": "s-3",
        "wave": "web",
        "severity": "error",
        "heals": True,
        "holders": ["j"],
    }
