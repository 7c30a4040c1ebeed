"""Values of a record in words."""

from __future__ import annotations

import datetime as dt

import pytest

from drs.evidence.record import Measure
from drs.evidence.texts import (
    fate,
    fates,
    headline,
    is_remarkable,
    objective,
    reservations,
    server_result,
    verdict,
)
from drs.text.times import duration, instant
from tests.unit.evidence.records import (
    RAW_ERROR,
    copy,
    dry_run_record,
    failed_record,
    make_server,
    partial_record,
    passed_record,
    recovery_record,
)

RTO_LATE = "the RTO was missed by 12 min: all servers were validated after 1 h 12 min, the target is 1 h"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (0.04, "0 s"),
        (4.5, "4.5 s"),
        (9.97, "10 s"),
        (59.6, "1 min"),
        (533, "8 min 53 s"),
        (3600, "1 h"),
        (90_061, "1 d 1 h 1 min 1 s"),
        (-90, "−1 min 30 s"),
        (None, "not known"),
    ],
)
def test_a_span_is_told_in_the_units_that_it_fills(seconds: float | None, text: str) -> None:
    """Tenths are shown only for short spans."""
    assert duration(seconds) == text


def test_an_instant_is_told_in_utc() -> None:
    """In whatever time zone it was written; without one it is taken as UTC."""
    berlin = dt.timezone(dt.timedelta(hours=1))
    assert instant(dt.datetime(2026, 3, 1, 0, 30, 15, 900_000, tzinfo=berlin)) == "2026-02-28 23:30:15"
    assert instant(dt.datetime(2026, 3, 1, 6, 0)) == "2026-03-01 06:00:00"  # noqa: DTZ001
    assert instant(None, "not reached") == "not reached"


@pytest.mark.parametrize(
    ("target", "measured", "met", "words"),
    [
        (3600.0, 3000.0, True, "met, 10 min to spare"),
        (3600.0, 3600.4, False, "missed by 0.4 s"),
        (3600.0, None, None, "not measured"),
        (None, 3000.0, None, "no target"),
    ],
)
def test_an_objective_says_by_how_much(
    target: float | None, measured: float | None, met: bool | None, words: str
) -> None:
    """A target and a measure may differ although they read the same."""
    assert objective(Measure(target_seconds=target, measured_seconds=measured, met=met))[1] == words


@pytest.mark.parametrize(
    ("changes", "result"),
    [
        ({}, ("✓", "launched, valid")),
        ({"valid": None}, ("✓", "launched, was not checked")),
        ({"valid": False}, ("✕", "launched, not valid")),
        ({"launched": False, "valid": None}, ("✕", "did not launch")),
        (
            {"launched": False, "valid": None, "live": True},
            ("✕", "was still launching when the wait ended"),
        ),
        ({"launched": False, "valid": None, "optional": True}, ("△", "did not launch (optional)")),
    ],
)
def test_a_servers_result_is_told_without_colour(changes: dict[str, object], result: tuple[str, str]) -> None:
    """A mark with its own shape, and words, show it."""
    assert server_result(copy(make_server(0, 0, 0), **changes)) == result


def test_a_launched_server_with_an_error_in_its_log_is_worth_telling_of() -> None:
    """For example, its snapshot failed, and DRS used an older one."""
    server = make_server(0, 0, 0)
    assert not is_remarkable(server)
    first, *rest = server.events
    assert is_remarkable(copy(server, events=(copy(first, raw_error=RAW_ERROR), *rest)))


def test_only_a_full_pass_without_reservations_looks_like_a_pass() -> None:
    """A partial run, a dry run and a missed objective stand in the headline."""
    assert (headline(passed_record()), verdict(passed_record())) == ("PASSED", "yes")
    assert list(reservations(passed_record())) == []
    partial = partial_record()
    assert (headline(partial), verdict(partial)) == ("PARTIAL DRILL PASSED", "part")
    assert list(reservations(partial)) == ["2 of 3 waves, 1 server excluded", RTO_LATE]
    assert (headline(dry_run_record()), verdict(dry_run_record())) == ("DRY RUN PASSED", "part")
    failed = failed_record()
    assert (headline(failed), verdict(failed)) == ("FAILED", "no")
    rpo = "the RPO was missed by 6 min: the data of the worst server was 21 min old, the target is 15 min"
    assert list(reservations(failed)) == [f"and {rpo}"]
    assert list(reservations(copy(failed, reasons=(rpo,)))) == [rpo]
    assert (headline(recovery_record()), verdict(recovery_record())) == ("PASSED", "yes")
    missed = copy(passed_record(), objectives=partial.objectives)
    assert (headline(missed), verdict(missed), list(reservations(missed))) == ("PASSED", "part", [RTO_LATE])


def test_the_fate_of_an_instance_is_told_in_words() -> None:
    """Older records do not say whose job ended an instance."""
    cleanup = failed_record().cleanup
    assert cleanup is not None
    lost, terminated, *_, left = cleanup.instances
    assert fate(lost, cleanup) == ("✕", "lost: it is gone: drsjob-0cc ended it")
    assert fate(terminated, cleanup) == ("✓", "terminated by this run, gone")
    assert fate(left, cleanup) == ("✕", "not proven gone")
    assert fate(copy(terminated, fate=None), cleanup) == ("✓", "gone")
    kept = copy(cleanup, kept=True, instances=(copy(left, fate="kept"),))
    assert fate(kept.instances[0], kept) == ("–", "kept")
    assert fates(cleanup) == "4 launched: 1 lost, 2 terminated, 1 not proven gone"
    assert fates(copy(cleanup, instances=())) == "none launched"
