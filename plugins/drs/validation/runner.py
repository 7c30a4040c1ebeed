"""Makes all checks of a wave in parallel: each again and again, until it passes or its own time is over."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from botocore.exceptions import BotoCoreError, ClientError

from drs.aws.access_denied import denied_action
from drs.aws.call_errors import DENIED, error_code, unavailable
from drs.aws.clients import AsyncAwsClients
from drs.plan.check_labels import ALWAYS, labelled
from drs.run.records import CheckResult
from drs.times import utc_now
from drs.validation.checks import Look, look_at, recovery_instance
from drs.validation.observation import Observation, failed, not_yet
from drs.validation.server import Subject
from drs.validation.wave_reader import WaveReader
from drs.validation.wave_to_check import ServerToCheck, WaveToCheck

FOR_THE_INSTANCE = dt.timedelta(minutes=5)
"""How long an instance may take to be what it should be."""
NOT_KNOWN_YET = "InvalidInstanceID.NotFound"
"""EC2's calls do not all know a new instance at the same moment."""
LAST_LOOK = 10.0
"""Seconds for a look that begins when the time is over, or all but."""


@dataclass(frozen=True, slots=True)
class _Due:
    """One check of one server."""

    label: str
    server: ServerToCheck
    look: Look
    timeout: dt.timedelta


class Validation:
    """The checks of one wave.

    :param wave: the servers and what is asked of them
    :param clients: how AWS is reached
    :param every: seconds between two looks of one check
    :param tell: is told each result as it is known
    :param now: the clock
    """

    def __init__(
        self,
        wave: WaveToCheck,
        clients: AsyncAwsClients,
        *,
        every: float,
        tell: Callable[[CheckResult], None],
        now: Callable[[], dt.datetime] = utc_now,
    ) -> None:
        self._wave = wave
        self._every = every
        self._tell = tell
        self._now = now
        # So that the checks of one round read once.
        self._reader = WaveReader(wave.servers, clients, max_age=every / 2)
        self._due = list(self._all_due())

    async def run(self) -> tuple[CheckResult, ...]:
        """Make every check to its end; the results in the order of servers and checks."""
        async with asyncio.TaskGroup() as group:
            running = [group.create_task(self._decided(due)) for due in self._due]
        return tuple(each.result() for each in running)

    async def look_once(self) -> tuple[CheckResult, ...] | None:
        """One look of every check: the results, if that decides all of them."""
        seen = await asyncio.gather(*(self._look(due) for due in self._due))
        if not all(each.final for each in seen):
            return None
        results = tuple(self._result(due, each) for due, each in zip(self._due, seen, strict=True))
        for result in results:
            self._tell(result)
        return results

    def _all_due(self) -> Iterator[_Due]:
        for server in self._wave.servers:
            subject = Subject(self._wave, server, self._reader)
            yield _Due(ALWAYS, server, _always(subject), FOR_THE_INSTANCE)
            for label, check in labelled(self._wave.checks[server.group]):
                yield _Due(label, server, look_at(subject, label, check), check.timeout)

    async def _decided(self, due: _Due) -> CheckResult:
        deadline = self._wave.began_at + due.timeout
        while True:
            seen = await self._look(due)
            left = (deadline - self._now()).total_seconds()
            if seen.final or left <= 0:
                break
            await asyncio.sleep(min(self._every, left))
        result = self._result(due, seen)
        self._tell(result)
        return result

    async def _look(self, due: _Due) -> Observation:
        left = (self._wave.began_at + due.timeout - self._now()).total_seconds()
        bound = max(left, LAST_LOOK)
        try:
            async with asyncio.timeout(bound):
                return await due.look()
        except TimeoutError:
            return not_yet(f"no answer within {bound:.0f} s")
        except (ClientError, BotoCoreError) as error:
            return _refused(error)
        except Exception as error:  # whatever is wrong with one check must not end the others
            return failed(f"the check itself broke: {type(error).__name__}: {error}")

    def _result(self, due: _Due, seen: Observation) -> CheckResult:
        at = self._now()
        in_vain = "" if seen.final else f" (tried for {due.timeout.total_seconds():.0f} s)"
        return CheckResult(
            check=due.label,
            server_id=due.server.server_id,
            instance_id=due.server.instance_id,
            passed=seen.passed,
            optional=due.server.optional,
            seen=f"{seen.text}{in_vain}",
            at=at,
            seconds=max((at - self._wave.began_at).total_seconds(), 0.0),
            output=seen.output,
        )


def last_deadline(wave: WaveToCheck) -> dt.datetime:
    """When the time of every check is over."""
    timeouts = [check.timeout for checks in wave.checks.values() for check in checks]
    return wave.began_at + max((FOR_THE_INSTANCE, *timeouts))


def failures(results: Sequence[CheckResult]) -> list[CheckResult]:
    """The results that are not passed, those that only warn last."""
    return sorted((result for result in results if not result.passed), key=lambda result: result.optional)


def _always(subject: Subject) -> Look:
    return lambda: recovery_instance(subject)


def _refused(error: ClientError | BotoCoreError) -> Observation:
    """What a refusal of AWS means for a check: one that may well be answered later is asked again."""
    if error_code(error) in DENIED:
        action = denied_action(str(error)) or "an action"
        return failed(f"AWS denies the caller {action}: {error}")
    if error_code(error) == NOT_KNOWN_YET:
        return not_yet(f"EC2 does not know it yet: {error}")
    if unavailable(error):
        return not_yet(f"AWS did not answer: {error}")
    return failed(f"AWS refused: {error}")
