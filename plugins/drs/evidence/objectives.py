"""RTO and RPO as they were measured: arithmetic on instants, and nothing else. Pure.

What counts are the required servers. Where all are optional, those that were launched count. A measure of
which any part is unknown is unknown.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence

from drs.evidence.record import Measure, Objectives, ServerEvidence, WaveEvidence
from drs.plan import Plan


def rpo_seconds(requested_at: dt.datetime | None, point_in_time: dt.datetime | None) -> float | None:
    """How old the data was when its server's launch was asked for.

    :param requested_at: when DRS created the job
    :param point_in_time: of which moment the launched instance holds the data
    """
    if requested_at is None or point_in_time is None:
        return None
    return max(0.0, (requested_at - point_in_time).total_seconds())


def span(begin: dt.datetime, end: dt.datetime | None) -> float | None:
    """Seconds from one to the other."""
    return None if end is None else (end - begin).total_seconds()


def counting(servers: Sequence[ServerEvidence]) -> list[ServerEvidence]:
    """The servers by which a wave is measured."""
    return [server for server in servers if not server.optional] or [s for s in servers if s.launched]


def last_launch(servers: Sequence[ServerEvidence]) -> dt.datetime | None:
    """When the last server of a wave was launched; ``None`` unless all that count were."""
    return _last(server.launched_at if server.launched else None for server in counting(servers))


def worst_rpo(servers: Sequence[ServerEvidence]) -> float | None:
    """The RPO of a wave's worst server; ``None`` unless that of every one that counts is known."""
    return _worst(server.rpo_seconds if server.launched else None for server in counting(servers))


def measure(plan: Plan, waves: Sequence[WaveEvidence]) -> Objectives:
    """The whole run against the plan's objectives.

    :param waves: every wave that the run was to launch, those that it did not reach included; one of which
        no server counts does not matter
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
