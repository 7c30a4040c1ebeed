"""What the log says about a wave that has to wait. Pure."""

from __future__ import annotations

import datetime as dt

from drs.aws import call_errors
from drs.run.timeline import ServerSlot, Timeline
from drs.text.times import clock_time


def planned_waits(slot: ServerSlot, timeline: Timeline) -> str:
    """When a refused server is tried again, and for how long.

    :param slot: a server's slot, with ``refused_since`` set
    """
    assert slot.refused_since is not None
    until = slot.refused_since + dt.timedelta(seconds=timeline.conflict_timeout)
    waits = [f"{span:.0f} s" for span in timeline.conflict_backoff]
    sooner = ", or earlier if the job that holds the server ends" if slot.holder else ""
    return (
        f"refused or held {slot.refusals} time(s). The next try is at {clock_time(slot.not_before)}{sooner}. "
        f"Planned waits: {', '.join(waits)}, then every {waits[-1]} while it is held, until "
        f"{clock_time(until)} at the latest."
    )


def why_paused(error: Exception) -> str:
    """Why no call is made for a while."""
    if call_errors.error_code(error) in call_errors.THROTTLED:
        return "DRS throttles this account"
    return "DRS cannot be reached" if call_errors.unreached(error) else "DRS gave no usable answer"
