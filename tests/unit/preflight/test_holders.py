"""Servers that somebody else holds, and quotas that others use up: findings that may clear by themselves."""

from __future__ import annotations

from typing import Any
from unittest import mock

import pytest

from drs.errors import Code
from drs.plan import Plan
from drs.preflight.capacity import peak
from drs.run.ownership import RUN_TAG
from tests.unit.drill import make_plan
from tests.unit.preflight.account import DATABASE, WEB, Make, only, summary, two_waves
from tests.unit.versions import needs_recovery_plans

CROWD = tuple(f"s-{number:017x}" for number in range(1, 31))


@pytest.mark.parametrize("kind", ["LAUNCH", "TERMINATE"])
def test_a_server_in_a_live_job_is_held(account: Make, kind: str) -> None:
    """The finding names the job. It clears when the job has ended."""
    look = account()
    look.arm(kind="foreign_job", servers=[WEB[0]], seconds=60, type=kind)
    (holder,) = look.drs.jobs
    report = look.look()
    finding = only(report)
    assert (finding.code, finding.wave, finding.server_id) == (Code.SERVER_CONFLICT, "web", WEB[0])
    assert (finding.heals, finding.holders) == (True, (holder,))
    assert f"{WEB[0]} (host-e1) is held by job {holder} ({kind} by " in finding.seen
    assert holder in finding.remedy
    assert report.heals
    look.clock.advance(61)
    look.simulation.tick()
    assert look.look().findings == ()


def test_jobs_of_the_run_itself_hold_nothing(account: Make) -> None:
    """If preflight is cleared in the middle of a drill, it checks servers that its own run is launching."""
    look = account()
    job = look.start(*DATABASE)
    assert look.look(own_jobs=frozenset({job})).findings == ()
    look.finish_jobs()
    assert look.look(own_jobs=frozenset({job})).findings == (), "own instances are no leftovers"


@pytest.mark.parametrize("is_drill", [True, False])
def test_jobs_with_the_run_s_token_are_its_own(account: Make, is_drill: bool) -> None:
    """When a whole run is cleared, its record of what it has launched is lost, too.

    Without the token, the real instances of a RECOVERY would then stop the run for ever.
    """
    look = account()
    look.start(DATABASE[0], is_drill=is_drill, tags={RUN_TAG: "mine"})
    assert look.look(token="mine").findings == ()
    assert look.look(token="another").heals
    look.finish_jobs()
    assert look.look(token="mine").findings == ()
    assert only(look.look(token="another")).server_id == DATABASE[0]


@needs_recovery_plans
def test_a_running_recovery_plan_of_aws_holds_its_servers(account: Make) -> None:
    """The steps of the execution need not have a job yet. The finding names the plan."""
    look = account()
    look.arm(kind="plan_execution", servers=[DATABASE[1]], name="nightly")
    report = look.look()
    finding = only(report)
    assert (finding.code, finding.server_id) == (Code.SERVER_CONFLICT, DATABASE[1])
    assert "AWS's own recovery plans that is being executed: arn:aws:drs:" in finding.seen
    assert "(DRILL, IN_PROGRESS since " in finding.seen
    assert (finding.heals, finding.holders) == (True, ())
    look.simulation.disarm()
    assert look.look().findings == ()


def test_a_finding_that_stays_keeps_the_rest_from_healing(account: Make) -> None:
    """Waiting for a holder is useless if another server cannot be launched in any case."""
    look = account({DATABASE[0]: {"replication": {"state": "STALLED"}}})
    look.arm(kind="foreign_job", servers=[WEB[0]], seconds=60)
    report = look.look()
    assert [finding.heals for finding in report.errors] == [False, True]
    assert not report.heals


def crowd_plan(count: int, **wave: object) -> Plan:
    """A plan of one wave with this number of servers."""
    return make_plan(
        protection_groups={"crowd": {"source_servers": CROWD[:count]}},
        waves=[{"name": "crowd", "protection_groups": ["crowd"], **wave}],
    )


def test_jobs_of_others_that_leave_too_few_are_waited_for(account: Make) -> None:
    """Eleven jobs of the run and ten of others are one more than the 20 that DRS allows."""
    look = account(servers=CROWD)
    for server in CROWD[20:]:
        look.arm(kind="foreign_job", servers=[server], seconds=60)
    finding = only(look.look(crowd_plan(11)))
    assert (finding.code, finding.heals) == (Code.CONCURRENT_JOBS_LIMIT_EXCEEDED, True)
    assert set(finding.holders) == set(look.drs.jobs)
    assert "needs up to 11 jobs in progress at once, and others use 10 of the 20" in finding.seen
    assert look.look(crowd_plan(10)).findings == ()
    assert look.look(crowd_plan(20, launch={"jobs": "per_wave"})).findings == ()


def test_a_run_that_is_too_large_by_itself_never_heals(account: Make) -> None:
    """Two waves with eleven jobs each may be live together."""
    plan = make_plan(
        protection_groups={"a": {"source_servers": CROWD[:11]}, "b": {"source_servers": CROWD[11:22]}},
        waves=[{"name": name, "protection_groups": [name]} for name in ("a", "b")],
    )
    finding = only(account(servers=CROWD).look(plan))
    assert (finding.code, finding.heals) == (Code.CONCURRENT_JOBS_LIMIT_EXCEEDED, False)
    assert "Waves a, b may be live together and need 22 jobs in progress at once" in finding.seen
    assert "next_wave_when: launched" in finding.remedy


def test_a_wave_that_is_too_large_is_reported_once(account: Make) -> None:
    """It is reported as a wave, and not a second time as the run's peak."""
    look = account({server: {"tags": {"Tier": "crowd"}} for server in CROWD}, servers=CROWD)
    plan = make_plan(
        protection_groups={"crowd": {"server_tags": {"Tier": "crowd"}}},
        waves=[{"name": "crowd", "protection_groups": ["crowd"]}],
    )
    finding = only(look.look(plan))
    assert finding.code is Code.CONCURRENT_JOBS_LIMIT_EXCEEDED
    assert finding.wave == "crowd"


@pytest.mark.parametrize(
    ("waves", "expected"),
    [
        ("a b c", "abc"),
        ("a! b! c", "c"),
        ("a! b c", "bc"),
        ("a b! c", "ac"),
        ("a! b:a c:a", "bc"),
        ("a! b!:a c:b d!: e:d", "ce"),
        ("a!: b!: d:a,b", "d"),
        ("a!: b: c:a", "bc"),
        ("a: b!: c!: d:b e:c", "ade"),
        ("a? b c", "bc"),
    ],
)
def test_the_peak_is_what_the_order_lets_be_live_together(waves: str, expected: str) -> None:
    """Each wave needs as many jobs as the position of its letter in the alphabet: a needs 1, b needs 2.

    ``!`` is the gate `launched`, and ``?`` is the gate `validated`. ``c:a,b`` depends on a and b, ``c:`` on
    no wave, and ``c`` on the wave before it.
    """
    entries = []
    for text in waves.split():
        head, colon, after = text.partition(":")
        entry: dict[str, object] = {"name": head.strip("!?"), "protection_groups": ["g" + head.strip("!?")]}
        if head[-1] in "!?":
            entry["next_wave_when"] = "launched" if "!" in head else "validated"
        if colon:
            entry["depends_on"] = after.split(",") if after else []
        entries.append(entry)
    names = [str(entry["name"]) for entry in entries]
    groups = {f"g{name}": {"source_servers": [CROWD[n]]} for n, name in enumerate(names)}
    plan = make_plan(protection_groups=groups, waves=entries)
    needs = {name: ord(name) - ord("a") + 1 for name in names}
    assert "".join(peak(plan, needs)) == expected


def test_a_wave_that_is_validated_has_ended_its_jobs() -> None:
    """So have the jobs of a wave with the gate `launched`. With the gate `started` they may be live."""
    peaks = {}
    for gate in ("started", "launched", "validated"):
        plan = make_plan(
            protection_groups={name: {"source_servers": [CROWD[n]]} for n, name in enumerate("ab")},
            waves=[{"name": name, "protection_groups": [name], "next_wave_when": gate} for name in "ab"],
        )
        peaks[gate] = peak(plan, {"a": 3, "b": 2})
    assert peaks == {"started": ("a", "b"), "launched": ("a",), "validated": ("a",)}


def test_a_wave_that_the_run_leaves_out_passes_its_order_on() -> None:
    """Wave a ends before wave c begins, although wave b between them is not launched."""
    plan = make_plan(
        protection_groups={name: {"source_servers": [CROWD[n]]} for n, name in enumerate("abc")},
        waves=[{"name": name, "protection_groups": [name], "next_wave_when": "launched"} for name in "abc"],
    )
    assert peak(plan, {"a": 3, "c": 2}) == ("a",)


def test_a_server_in_two_waves_stays_an_error_whatever_ends(account: Make) -> None:
    """The server leaves an optional wave. A required wave cannot give it up."""
    tags = {DATABASE[0]: {"tags": {"Tier": "both"}}}
    groups: dict[str, dict[str, Any]] = {
        "database": {"source_servers": [DATABASE[0]]},
        "web": {"server_tags": {"Tier": "both"}},
        "extra": {"source_servers": [WEB[0]]},
    }
    waves = [
        {"name": "database", "protection_groups": ["database"]},
        {"name": "web", "protection_groups": ["web", "extra"]},
    ]
    report = account(tags).look(two_waves(protection_groups=groups, waves=waves))
    assert summary(report) == [(Code.SERVER_CONFLICT, DATABASE[0], "error")]
    assert not report.heals
    lenient = {**groups, "web": {**groups["web"], "optional": True}}
    report = account(tags).look(two_waves(protection_groups=lenient, waves=waves))
    assert summary(report) == [(Code.SERVER_CONFLICT, DATABASE[0], "warning")]
    assert report.resolution is not None
    assert [server.server_id for server in report.resolution.waves["database"].servers] == [DATABASE[0]]


@needs_recovery_plans
@pytest.mark.parametrize("status", ["CREATED", "IN_PROGRESS", "CANCELLING"])
def test_an_execution_holds_its_servers_until_it_has_ended(account: Make, status: str) -> None:
    """One that is about to begin or being cancelled may still launch."""
    look = account()
    look.arm(kind="plan_execution", servers=[DATABASE[1]], name="nightly")
    (execution,) = look.clients.drs.recovery_plan_executions("IN_PROGRESS")
    executions = {status: [{**execution, "status": status}]}
    with mock.patch.object(
        look.clients.drs, "recovery_plan_executions", lambda status: executions.get(status, [])
    ):
        finding = only(look.look())
    assert (finding.code, finding.server_id) == (Code.SERVER_CONFLICT, DATABASE[1])
    assert status in finding.seen
