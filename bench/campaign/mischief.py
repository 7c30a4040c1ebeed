"""What happens to workers: a process is killed, or its machine is frozen and thaws, at any call or write.

A process passes a *point* before and after each call of AWS and each write of an XCom, and before each report
to Airflow. At a point it may be killed or frozen, by the drill's seed.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

from bench.campaign.hub import Hub, Killed

if TYPE_CHECKING:
    from bench.campaign.tries import Try

DANGEROUS = 25.0
"""How many times as likely a point around StartRecovery or TerminateRecoveryInstances is hit as any other."""


@dataclass(frozen=True)
class Hit:
    """Something that happens to a worker at one certain point.

    :param task: the task's id
    :param where: the point: ``before StartRecovery``, ``after the write of launch.database``
    :param freeze: for how many seconds the worker is frozen; ``None`` kills it
    :param nth: how often tasks of this id must have passed the point
    :param heart_beats: whether its supervisor goes on while it is frozen
    """

    task: str
    where: str
    freeze: float | None = None
    nth: int = 1
    heart_beats: bool = False


@dataclass(frozen=True)
class Harm:
    """How often workers are harmed. The chances are for one ordinary point; a drill has several hundred.

    :param kill: the chance of being killed
    :param freeze: the chance of being frozen
    :param longest: the longest freeze, in seconds
    :param most: kills and freezes in one drill
    :param most_in_task: kills and freezes in one task
    :param script: what happens at certain points, whatever the chances are
    """

    kill: float = 0.0
    freeze: float = 0.0
    longest: float = 900.0
    most: int = 3
    most_in_task: int = 3
    script: tuple[Hit, ...] = ()


class Mischief:
    """Decides at each point what happens to the process there.

    :param say: where a reader follows the drill
    """

    def __init__(
        self, hub: Hub, rng: random.Random, harm: Harm, say: Callable[[str], None] = lambda _: None
    ) -> None:
        self._hub = hub
        self._rng = rng
        self._harm = harm
        self._say = say
        self._done = 0
        self._in_task: Counter[tuple[str, str]] = Counter()
        self._passed: Counter[Hit] = Counter()

    def point(self, attempt: Try | None, where: str) -> None:
        """A process passes a point.

        :param attempt: the try of a task that it runs; anything else is left alone
        :raises Killed: the process ends here
        """
        harm = self._harm
        if attempt is None or attempt.guarded:
            return
        task = attempt.row.run.actor, attempt.row.task_id
        if harm.script:
            self._follow_script(attempt, where)
        if not (harm.kill or harm.freeze) or self._done >= harm.most:
            return
        if self._in_task[task] >= harm.most_in_task:
            return
        weight = DANGEROUS if "Recovery" in where and "Describe" not in where else 1.0
        drawn = self._rng.random()
        if drawn < (harm.kill + harm.freeze) * weight:
            self._done += 1
            self._in_task[task] += 1
            if drawn < harm.kill * weight:
                self._kill(attempt, where, with_host=self._rng.random() < 0.5)
            self._freeze(attempt, where, self._length(), heart_beats=self._rng.random() < 0.3)

    def _follow_script(self, attempt: Try, where: str) -> None:
        for hit in self._harm.script:
            if (hit.task, hit.where) == (attempt.row.task_id, where):
                self._passed[hit] += 1
                if self._passed[hit] != hit.nth:
                    continue
                if hit.freeze is None:
                    self._kill(attempt, where, with_host=False)
                else:
                    self._freeze(attempt, where, hit.freeze, heart_beats=hit.heart_beats)

    def _kill(self, attempt: Try, where: str, *, with_host: bool) -> NoReturn:
        attempt.dies_with_host = with_host
        self._say(
            f"{attempt}: killed at {where} ({'with its machine' if with_host else 'the process alone'})"
        )
        raise Killed

    def _freeze(self, attempt: Try, where: str, seconds: float, *, heart_beats: bool) -> None:
        beats = ", its heart beats on" if heart_beats else ""
        self._say(f"{attempt}: frozen for {seconds:.0f} s at {where}{beats}")
        attempt.freeze(seconds, heart_beats=heart_beats)

    def _length(self) -> float:
        """Short freezes are as likely as long ones: the logarithm is even."""
        shortest = min(5.0, self._harm.longest)
        return float(shortest * (self._harm.longest / shortest) ** self._rng.random())
