"""Computes the measured RTO and RPO from instants. Pure.

The required servers count. If all servers are optional, those that launched count. If any part of a measure
is unknown, the measure is unknown.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence

from drs.evidence.record import Measure, Objectives, ServerEvidence, WaveEvidence
from drs.plan import Plan


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
