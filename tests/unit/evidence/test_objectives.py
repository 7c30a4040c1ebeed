"""RTO and RPO: arithmetic, by wave and in all."""

from __future__ import annotations

from typing import Any

import pytest

from drs.evidence.objectives import measure, rpo_seconds
from drs.evidence.record import Measure, WaveEvidence
from drs.run.records import Resolution
from tests.unit.drill import APPLICATION, DATABASE, after, make_plan, make_run
from tests.unit.evidence.runs import found, outcome, passed_run, resolved, told

A, B = DATABASE


def wave(**fields: Any) -> WaveEvidence:
    """The database wave of a run that passed, with other measures."""
    return found().waves[0].model_copy(update=fields)


@pytest.mark.parametrize(
    ("requested", "point", "seconds"),
    [(100, 40, 60.0), (100, 100, 0.0), (100, 130, 0.0), (None, 40, None), (100, None, None)],
)
def test_the_rpo_of_a_server(requested: float | None, point: float | None, seconds: float | None) -> None:
    """It is the age of the data when the job was created: never below zero, and unknown if either time is."""
    moments = [None if at is None else after(at) for at in (requested, point)]
    assert rpo_seconds(*moments) == seconds


def test_each_wave_is_measured_from_the_runs_start() -> None:
    """To its last LAUNCH_END, and to its validation. Its RPO is that of its worst server."""
    database, application = found().waves
    assert (database.rto_launched_seconds, application.rto_launched_seconds) == (541.5, 612.0)
    assert (database.rto_validated_seconds, application.rto_validated_seconds) == (600.0, 700.0)
    assert (database.rpo_seconds, application.rpo_seconds) == (75.0, 20.0)


def test_the_run_is_measured_by_its_last_wave_and_its_worst_server() -> None:
    """The plan's objectives here are an RTO of 15 min and an RPO of 1 min."""
    objectives = found().objectives
    assert objectives.rto_launched == Measure(target_seconds=900, measured_seconds=612, met=True)
    assert objectives.rto_validated == Measure(target_seconds=900, measured_seconds=700, met=True)
    assert objectives.rpo == Measure(target_seconds=60, measured_seconds=75, met=False)


def test_a_target_that_is_just_reached_is_met() -> None:
    """The target is the longest time that is allowed."""
    plan = make_plan(objectives={"rto": "612s"})
    assert measure(plan, found().waves).rto_launched.met is True
    assert measure(plan, [wave(rto_launched_seconds=612.001)]).rto_launched.met is False


def test_without_a_target_nothing_is_met_or_missed() -> None:
    """The run is measured all the same."""
    objectives = measure(make_plan(), found().waves)
    assert objectives.rto_launched == Measure(target_seconds=None, measured_seconds=612, met=None)
    assert objectives.rpo.met is None


@pytest.mark.parametrize("unknown", ["rto_launched_seconds", "rto_validated_seconds", "rpo_seconds"])
def test_what_is_unknown_of_one_wave_is_unknown_of_the_run(unknown: str) -> None:
    """A recovery of some of the waves is not a recovery."""
    objectives = measure(make_plan(objectives={"rto": "1h", "rpo": "1h"}), [wave(), wave(**{unknown: None})])
    told_of = {
        "rto_launched_seconds": objectives.rto_launched,
        "rto_validated_seconds": objectives.rto_validated,
        "rpo_seconds": objectives.rpo,
    }
    assert told_of.pop(unknown) == Measure(target_seconds=3600, measured_seconds=None, met=None)
    assert all(each.met is True for each in told_of.values())


def test_a_run_without_waves_measured_nothing() -> None:
    """A dry run is an example."""
    assert measure(make_plan(), []).rto_launched.measured_seconds is None


def test_an_optional_server_is_not_waited_for() -> None:
    """It did not launch, and the wave is measured by its other server."""
    ledger = passed_run()
    waves = {"database": resolved("database", optional=[B]), "application": resolved("application")}
    ledger.save_resolution(Resolution(waves=waves))
    ledger.save_outcome("database", outcome("database", failed={B: "no capacity"}))
    database = found(ledger).waves[0]
    assert (database.rto_launched_seconds, database.rpo_seconds) == (540.0, 30.0)


def test_a_required_server_that_was_not_launched_leaves_its_wave_unmeasured() -> None:
    """The whole run is not measured either; the other server keeps its own times."""
    ledger = passed_run()
    ledger.save_outcome("database", outcome("database", failed={B: "no capacity"}))
    record = found(ledger)
    assert (record.waves[0].launched_at, record.waves[0].rpo_seconds) == (None, None)
    assert record.waves[0].validated_at is None
    assert record.waves[0].servers[0].launch_seconds == 530.0
    assert record.objectives.rto_launched.measured_seconds is None
    assert record.waves[1].rto_launched_seconds == 612.0


def test_a_wave_of_optional_servers_is_measured_by_those_that_were_launched() -> None:
    """If none of them launched, the wave is ignored."""
    ledger = passed_run()
    waves = {"database": resolved("database", optional=DATABASE), "application": resolved("application")}
    ledger.save_resolution(Resolution(waves=waves))
    ledger.save_outcome("database", outcome("database", failed={B: "no capacity"}))
    assert found(ledger).waves[0].rto_launched_seconds == 540.0
    ledger.save_outcome("database", outcome("database", failed=dict.fromkeys(DATABASE, "no capacity")))
    record = found(ledger)
    assert record.waves[0].rto_launched_seconds is None
    assert record.objectives.rto_launched.measured_seconds == 612.0


def test_a_wave_that_the_run_left_out_is_not_waited_for() -> None:
    """It was not chosen for the run."""
    run = make_run(waves=["application"])
    ledger = passed_run(run)
    ledger.save_resolution(Resolution(waves={"application": resolved("application")}))
    record = found(ledger)
    assert record.waves[0].state == "left_out"
    assert record.objectives.rto_launched.measured_seconds == 612.0


def test_a_validation_that_came_before_the_launch_is_of_an_earlier_try() -> None:
    """The wave was cleared and launched again, and has not been validated since."""
    ledger = passed_run()
    ledger.save_reached("application", "validated", after(599))
    record = found(ledger)
    assert record.waves[1].validated_at is None
    assert record.objectives.rto_validated.measured_seconds is None


def test_the_job_log_outweighs_the_runs_own_record() -> None:
    """LAUNCH_END says when a server launched; without the log, the time in the run's record is used."""
    assert {server.server_id: server.launched_at for server in found().waves[1].servers} == {
        APPLICATION[0]: after(612),
        APPLICATION[1]: after(600),
    }
    ledger = passed_run()
    late = outcome("application").model_copy(
        update={
            "servers": tuple(
                server.model_copy(update={"launched_at": after(999)})
                for server in outcome("application").servers
            )
        }
    )
    ledger.save_outcome("application", late)
    assert found(ledger).waves[1].launched_at == after(612)
    assert found(ledger, told(logs={})).waves[1].launched_at == after(999)
