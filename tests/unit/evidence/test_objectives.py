"""RTO and RPO: arithmetic, by wave and in all."""

from __future__ import annotations

from typing import Any

import pytest

from drs.errors import Code
from drs.evidence.objectives import NOT_MET, Unmet, measure, missed, read_unmet, rpo_seconds, unmet
from drs.evidence.record import Measure, Objectives, RunFindings, WaveEvidence
from drs.run.ledger import Ledger
from drs.run.records import Resolution
from tests.unit.drill import APPLICATION, DATABASE, after, make_plan, make_run
from tests.unit.evidence.runs import cleanup, found, outcome, passed_run, resolved, told

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


# --- missed, and enforced ---------------------------------------------------------------------------------

RTO_LATE = "the RTO was missed by 12 min: all servers were validated after 1 h 12 min, the target is 1 h"
RPO_OLD = "the RPO was missed by 15 s: the data of the worst server was 1 min 15 s old, the target is 1 min"


def objectives(
    launched: float | None = 600, validated: float | None = 700, rpo: float | None = 5
) -> Objectives:
    """An RTO of an hour and an RPO of a minute, and what was measured."""

    def against(target: float, measured: float | None) -> Measure:
        met = None if measured is None else measured <= target
        return Measure(target_seconds=target, measured_seconds=measured, met=met)

    return Objectives(
        rto_launched=against(3600, launched), rto_validated=against(3600, validated), rpo=against(60, rpo)
    )


@pytest.mark.parametrize(
    ("measured", "says"),
    [
        ({}, []),
        ({"validated": 4320}, [(Code.RTO_MISSED, RTO_LATE)]),
        ({"launched": 3700, "validated": 4320}, [(Code.RTO_MISSED, RTO_LATE)]),
        (
            {"launched": 4320, "validated": None},
            [(Code.RTO_MISSED, RTO_LATE.replace("validated", "launched"))],
        ),
        ({"rpo": 75}, [(Code.RPO_MISSED, RPO_OLD)]),
        ({"validated": 4320, "rpo": 75}, [(Code.RTO_MISSED, RTO_LATE), (Code.RPO_MISSED, RPO_OLD)]),
        ({"validated": None, "rpo": None}, []),
    ],
)
def test_what_was_missed_is_told_with_its_measure(
    measured: dict[str, float | None], says: list[tuple[Code, str]]
) -> None:
    """The RTO once: to the last validation, or to the last launch if no validation is known."""
    assert [(each.code, each.says) for each in missed(objectives(**measured))] == says


def test_what_could_not_be_measured_is_not_met() -> None:
    """If the run failed for another reason, that reason says why nothing was measured."""
    unknown = objectives(validated=None, rpo=None)
    assert [each.code for each in unmet(unknown, doubted=False)] == [Code.RTO_MISSED, Code.RPO_MISSED]
    assert unmet(unknown, doubted=True) == ()
    late = objectives(launched=3700, validated=None)
    assert unmet(late, doubted=False) == missed(late)
    assert unmet(objectives(validated=4320), doubted=True) == missed(objectives(validated=4320))
    free = measure(make_plan(), [])
    assert unmet(free, doubted=False) == ()


def enforced(ledger: Ledger | None = None, /, **fields: Any) -> RunFindings:
    """What a run showed whose plan enforces an RTO of 15 min and an RPO of 1 min (missed by 15 s)."""
    plan = make_plan(objectives={"rto": "15m", "rpo": "1m", "enforce": True})
    ledger = ledger or passed_run()
    ledger.save_run(make_run(plan, **fields))
    return found(ledger)


def test_an_enforced_objective_that_is_missed_fails_the_run() -> None:
    """Otherwise the run passes, and its sentence says what it missed."""
    record = enforced()
    assert (record.result, record.reasons) == ("failed", (RPO_OLD,))
    assert record.summary == f"The drill failed: {RPO_OLD}"
    free = found()
    assert (free.result, free.reasons) == ("passed", ())
    assert free.summary.startswith(f"The drill passed, but {RPO_OLD}. 4 server(s) launched")


def test_an_enforced_objective_is_the_last_of_several_reasons() -> None:
    """What could not be measured because a server did not launch is not a reason of its own."""
    ledger = passed_run()
    ledger.save_outcome("database", outcome("database", failed={A: "no capacity"}))
    (reason,) = enforced(ledger).reasons
    assert "did not launch" in reason
    ledger = passed_run()
    ledger.save_cleanup(cleanup(proven=False))
    first, second = enforced(ledger).reasons
    assert (first.partition(";")[0], second) == ("clean-up is not proven complete", RPO_OLD)


def test_an_enforced_objective_that_nothing_measured_fails_the_run() -> None:
    """A promise that cannot be checked is not kept."""
    ledger = passed_run()
    ledger.save_reached("application", "validated", after(611))
    record = enforced(ledger)
    assert [reason.partition(":")[0] for reason in record.reasons] == [
        "the RPO was missed by 15 s",
        "the RTO is not known to be met",
    ]


def test_only_what_a_run_was_to_launch_is_enforced() -> None:
    """A dry run launches nothing. In a partial run, the waves that were left out do not count."""
    ledger = passed_run()
    ledger.save_resolution(Resolution(waves={"application": resolved("application")}))
    assert enforced(ledger, waves=["application"]).result == "passed"
    dry = enforced(passed_run(), dry_run=True)
    assert not [reason for reason in dry.reasons if "RPO" in reason or "RTO" in reason]


def test_the_verdict_reads_what_evidence_measured() -> None:
    """If evidence left nothing, an enforced objective is not known to be met."""
    both = missed(objectives(validated=4320, rpo=75))
    told_of = {"id": "orders-000001", NOT_MET: [each.as_json() for each in both]}
    strict = make_plan(objectives={"rpo": "1m", "enforce": True})
    assert read_unmet(told_of, strict) == both
    assert read_unmet({**told_of, NOT_MET: []}, strict) == ()
    absent: tuple[object, ...] = (None, {}, "lost")
    for nothing in absent:
        (unknown,) = read_unmet(nothing, strict)
        assert isinstance(unknown, Unmet)
        assert unknown.code == Code.RPO_MISSED
        assert read_unmet(nothing, make_plan(objectives={"rpo": "1m"})) == ()
    both_targets = make_plan(objectives={"rto": "1h", "rpo": "1m", "enforce": True})
    assert read_unmet(None, both_targets)[0].code == Code.RTO_MISSED
