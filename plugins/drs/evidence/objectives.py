"""Computes the measured RTO and RPO from instants, and says which objectives were missed. Pure.

The required servers count. If all servers are optional, those that launched count. If any part of a measure
is unknown, the measure is unknown.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from drs.errors import Code
from drs.evidence.record import Measure, Objectives, ServerEvidence, WaveEvidence
from drs.plan import Plan
from drs.text.times import duration

NOT_MET = "not_met"
"""The key of the unmet objectives in what the task ``evidence`` returns. The verdict reads them there."""


@dataclass(frozen=True)
class Unmet:
    """An objective that a run did not meet, or is not known to have met.

    :param code: RTO_MISSED or RPO_MISSED
    :param says: what was missed, as a clause
    """

    code: Code
    says: str

    def as_json(self) -> dict[str, str]:
        return {"code": self.code.value, "says": self.says}


def missed(objectives: Objectives) -> tuple[Unmet, ...]:
    """The objectives that were measured and missed."""
    return tuple(_missed(objectives))


def unmet(objectives: Objectives, *, doubted: bool) -> tuple[Unmet, ...]:
    """What fails a run whose plan enforces its objectives: every objective that is not known to be met.

    :param doubted: whether the run failed for another reason. Then an objective that could not be measured
        says nothing new: most often the reason is a server that did not launch
    """
    return (*missed(objectives), *(() if doubted else _unmeasured(objectives)))


def read_unmet(told: object, plan: Plan) -> tuple[Unmet, ...]:
    """The unmet objectives by what the task ``evidence`` returned.

    If it returned nothing, the objectives are not known to be met. That counts if the plan enforces them.
    """
    if isinstance(told, Mapping) and NOT_MET in told:
        return tuple(Unmet(Code(each["code"]), str(each["says"])) for each in told[NOT_MET])
    if not plan.objectives.enforce:
        return ()
    says = "the objectives are not known to be met: the task evidence left no measures, and the plan enforces"
    code = Code.RPO_MISSED if plan.objectives.rto is None else Code.RTO_MISSED
    return (Unmet(code, f"{says} them (objectives.enforce)"),)


def _missed(objectives: Objectives) -> Iterator[Unmet]:
    for measure, until in ((objectives.rto_validated, "validated"), (objectives.rto_launched, "launched")):
        if measure.met is False:
            what = f"all servers were {until} after {{}}"
            yield Unmet(Code.RTO_MISSED, _in_words("RTO", measure, what))
            break
    if objectives.rpo.met is False:
        what = "the data of the worst server was {} old"
        yield Unmet(Code.RPO_MISSED, _in_words("RPO", objectives.rpo, what))


def _in_words(name: str, measure: Measure, what: str) -> str:
    assert measure.measured_seconds is not None
    assert measure.target_seconds is not None
    over = duration(measure.measured_seconds - measure.target_seconds)
    measured, target = duration(measure.measured_seconds), duration(measure.target_seconds)
    return f"the {name} was missed by {over}: {what.format(measured)}, the target is {target}"


def _unmeasured(objectives: Objectives) -> Iterator[Unmet]:
    why = "and the plan enforces its objectives (objectives.enforce)"
    rto = objectives.rto_validated
    if rto.target_seconds is not None and rto.met is None and objectives.rto_launched.met is not False:
        lacks = "it is not known when every server was launched and validated"
        yield Unmet(Code.RTO_MISSED, f"the RTO is not known to be met: {lacks}, {why}")
    if objectives.rpo.target_seconds is not None and objectives.rpo.met is None:
        lacks = "it is not known of every server how old its data was"
        yield Unmet(Code.RPO_MISSED, f"the RPO is not known to be met: {lacks}, {why}")


def rpo_seconds(requested_at: dt.datetime | None, point_in_time: dt.datetime | None) -> float | None:
    """How old the data was when the launch of its server was requested.

    :param requested_at: when DRS created the job
    :param point_in_time: the moment of the data that the launched instance holds
    """
    if requested_at is None or point_in_time is None:
        return None
    return max(0.0, (requested_at - point_in_time).total_seconds())


def span(begin: dt.datetime, end: dt.datetime | None) -> float | None:
    """Seconds from ``begin`` to ``end``."""
    return None if end is None else (end - begin).total_seconds()


def counting(servers: Sequence[ServerEvidence]) -> list[ServerEvidence]:
    """The servers that count in the measures of a wave."""
    return [server for server in servers if not server.optional] or [s for s in servers if s.launched]


def last_launch(servers: Sequence[ServerEvidence]) -> dt.datetime | None:
    """When the last server of a wave launched; ``None`` unless every server that counts did."""
    return _last(server.launched_at if server.launched else None for server in counting(servers))


def worst_rpo(servers: Sequence[ServerEvidence]) -> float | None:
    """The RPO of a wave's worst server; ``None`` unless it is known for every server that counts."""
    return _worst(server.rpo_seconds if server.launched else None for server in counting(servers))


def measure(plan: Plan, waves: Sequence[WaveEvidence]) -> Objectives:
    """Measure the whole run against the plan's objectives.

    :param waves: every wave that the run was to launch, including waves that it did not reach; waves without
        servers that count are ignored
    """
    waves = [wave for wave in waves if not wave.servers or counting(wave.servers)]
    return Objectives(
        rto_launched=_measure(plan.objectives.rto, _worst(wave.rto_launched_seconds for wave in waves)),
        rto_validated=_measure(plan.objectives.rto, _worst(wave.rto_validated_seconds for wave in waves)),
        rpo=_measure(plan.objectives.rpo, _worst(wave.rpo_seconds for wave in waves)),
    )


def _measure(target: dt.timedelta | None, measured: float | None) -> Measure:
    seconds = None if target is None else target.total_seconds()
    met = None if seconds is None or measured is None else measured <= seconds
    return Measure(target_seconds=seconds, measured_seconds=measured, met=met)


def _worst(values: Iterable[float | None]) -> float | None:
    known = list(values)
    numbers = [value for value in known if value is not None]
    return max(numbers) if numbers and len(numbers) == len(known) else None


def _last(values: Iterable[dt.datetime | None]) -> dt.datetime | None:
    known = list(values)
    moments = [value for value in known if value is not None]
    return max(moments) if moments and len(moments) == len(known) else None
