"""Recovery instances that a launch would terminate: a drill's may be replaced, a real one must not be."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from unittest import mock

import pytest

from drs.errors import Code
from tests.unit.preflight.account import DATABASE, WEB, Make, only, summary, two_waves

REAL = {"recovery_instance": {"is_drill": False, "age": "2h"}}
LEFTOVER = {"recovery_instance": {"is_drill": True, "age": "2h"}}


def test_a_drill_s_instance_from_before_is_a_warning(account: Make) -> None:
    """The server is launched, and the new launch replaces the instance."""
    look = account({WEB[0]: LEFTOVER})
    (instance,) = look.drs.recovery_instances
    report = look.look()
    finding = only(report)
    assert (finding.code, finding.severity) == (Code.LEFTOVER_DRILL_INSTANCE, "warning")
    assert f"{WEB[0]} (host-e1) has a drill's recovery instance {instance} of job drsjob-" in finding.seen
    assert "(running, data of " in finding.seen
    assert report.resolution is not None
    assert len(report.resolution.waves["web"].servers) == 2


@pytest.mark.parametrize("execution_type", ["DRILL", "RECOVERY"])
def test_a_real_recovery_instance_stops_the_run(account: Make, execution_type: str) -> None:
    """This holds for a RECOVERY, too: DRS would terminate the machine that has taken the server's place."""
    look = account({WEB[0]: REAL})
    (instance,) = look.drs.recovery_instances
    finding = only(look.look(execution_type=execution_type))
    assert (finding.code, finding.severity, finding.heals) == (Code.RECOVERY_INSTANCE_EXISTS, "error", False)
    assert (finding.wave, finding.server_id) == ("web", WEB[0])
    assert f"recovery instance {instance}" in finding.seen


@pytest.mark.parametrize("execution_type", ["DRILL", "RECOVERY"])
def test_an_optional_server_that_runs_in_recovery_is_never_launched(
    account: Make, execution_type: str
) -> None:
    """The finding only warns, so the server itself must leave the run."""
    report = account({WEB[0]: REAL}).look(two_waves(optional=["web"]), execution_type=execution_type)
    assert summary(report) == [(Code.RECOVERY_INSTANCE_EXISTS, WEB[0], "warning")]
    assert "left out of this run" in only(report).seen
    assert report.resolution is not None
    assert [server.server_id for server in report.resolution.waves["web"].servers] == [WEB[1]]


def test_instances_of_servers_that_the_run_does_not_launch_do_not_matter(account: Make) -> None:
    """One server is in another wave, the other one is excluded."""
    look = account({WEB[0]: REAL, DATABASE[0]: REAL})
    assert look.look(waves=("database",), exclude_servers=(DATABASE[0],)).findings == ()


def test_an_instance_that_drs_does_not_call_a_drill_s_counts_as_real(account: Make) -> None:
    """Without ``isDrill`` nobody knows: the launch could terminate a real recovery instance."""
    look = account({WEB[0]: LEFTOVER})
    listed = look.clients.drs.recovery_instances

    def unmarked(server_ids: Iterable[str]) -> list[dict[str, Any]]:
        return [{key: item[key] for key in item if key != "isDrill"} for item in listed(server_ids)]

    with mock.patch.object(look.clients.drs, "recovery_instances", unmarked):
        finding = only(look.look())
    assert (finding.code, finding.server_id) == (Code.RECOVERY_INSTANCE_EXISTS, WEB[0])
