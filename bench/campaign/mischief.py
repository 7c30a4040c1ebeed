"""What happens to workers: a process is killed, or its machine is frozen and thaws, at any call and any write.

A process passes a *point* before and after each call of AWS and each write of an XCom, and before each report
to Airflow. At a point it may be killed or frozen, by the drill's seed.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.campaign.hub import Hub, Killed

if TYPE_CHECKING:
    from bench.campaign.tries import Try

DANGEROUS = 25.0
"""How many times as likely a point around StartRecovery or TerminateRecoveryInstances is hit as any other."""


@dataclass(frozen=True)
class Harm:
    """How often workers are harmed. The chances are for one ordinary point; a drill has several hundred.

    :param kill: the chance of being killed
    :param freeze: the chance of being frozen
    :param longest: the longest freeze, in seconds
    :param most: kills and freezes in one drill
    :param most_in_task: kills and freezes in one task
    :param spared: tasks that nothing happens to
    """

    kill: float = 0.0
    freeze: float = 0.0
    longest: float = 900.0
    most: int = 3
    most_in_task: int = 3
    spared: frozenset[str] = frozenset()


class Mischief:
    """Decides at each point what happens to the process there.

    :param freeze: freezes a try for that many seconds
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

    def point(self, attempt: Try | None, where: str) -> None:
        """A process passes a point.

        :param attempt: the try of a task that it runs; anything else is left alone
        :raises Killed: the process ends here
        """
        harm = self._harm
        if attempt is None or attempt.guarded or not (harm.kill or harm.freeze):
            return
        task = attempt.row.run.actor, attempt.row.task_id
        if self._done >= harm.most or attempt.row.task_id in harm.spared:
            return
        if self._in_task[task] >= harm.most_in_task:
            return
        weight = DANGEROUS if "Recovery" in where and "Describe" not in where else 1.0
        drawn = self._rng.random()
        if drawn < harm.kill * weight:
            self._count(task)
            attempt.dies_with_host = self._rng.random() < 0.5
            self._say(f"{attempt}: killed at {where} ({'host' if attempt.dies_with_host else 'process'})")
            raise Killed
        if drawn < (harm.kill + harm.freeze) * weight:
            self._count(task)
            seconds = self._length()
            beats = self._rng.random() < 0.3
            self._say(
                f"{attempt}: frozen for {seconds:.0f} s at {where}{', heart beats on' if beats else ''}"
            )
            attempt.freeze(seconds, heart_beats=beats)

    def _count(self, task: tuple[str, str]) -> None:
        self._done += 1
        self._in_task[task] += 1

    def _length(self) -> float:
        """Short freezes are as likely as long ones: the logarithm is even."""
        shortest = min(5.0, self._harm.longest)
        return float(shortest * (self._harm.longest / shortest) ** self._rng.random())
