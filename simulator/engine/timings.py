"""How long the phases of a launch take, in seconds of DRS time, as recorded from real drills.

Linux: a recorded drill of two servers, 8 min 53 s from creation to end. Windows: the conversion (14 min 5 s)
and the longer launch (6 min 31 s) of a recorded drill of two servers, 23 min 56 s in all. The time that the
record leaves between the snapshot and the conversion is in ``conversion_wait``.
"""

from __future__ import annotations

import enum
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

Seconds = Annotated[float, Field(ge=0)]

STAGGER: Final = 0.026
"""Each server of a job starts this much after the one before. JOB_END is logged this much after the end."""

LAUNCH_STAGGER: Final = 0.164
"""Between conversion and launch, each server waits this much longer than the server before it."""

RECORDED_PENDING: Final = 0.357
"""How long the recorded job stayed PENDING, from its creation to JOB_START."""


class OperatingSystem(enum.StrEnum):
    LINUX = "linux"
    WINDOWS = "windows"


Phase = Literal[
    "snapshot_wait", "snapshot", "conversion_wait", "conversion", "launch_wait", "launch", "job_end_wait"
]
TimingOverrides = dict[Phase, Seconds]
"""Phases that differ from the recorded ones. A phase that is left out keeps its recorded time."""


class Timings(BaseModel):
    """The phases of one server's launch, each counted from the end of the phase before."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    snapshot_wait: float = 0.404
    snapshot: float = 0.191
    conversion_wait: float = 51.968
    conversion: float = 197.514
    launch_wait: float = 0.573
    launch: float = 279.520
    job_end_wait: float = 2.781

    def with_overrides(self, overrides: TimingOverrides) -> Timings:
        """Return these timings, with the phases of ``overrides`` replaced."""
        return self.model_copy(update={str(phase): seconds for phase, seconds in overrides.items()})


RECORDED: Final = {
    OperatingSystem.LINUX: Timings(),
    OperatingSystem.WINDOWS: Timings(conversion_wait=195.668, conversion=845.0, launch=391.0),
}
