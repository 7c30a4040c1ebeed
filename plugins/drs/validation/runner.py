"""Makes all checks of a wave in parallel. Each is repeated until it passes or its time-out has passed."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from botocore.exceptions import BotoCoreError, ClientError

from drs.aws.call_errors import DENIED, error_code, meaning, unavailable
from drs.aws.clients import AsyncAwsClients
from drs.plan.check_labels import ALWAYS, labelled
from drs.run.own_code import AllowedCode
from drs.run.records import CheckResult
from drs.text.times import duration, utc_now
from drs.validation.checks import Look, look_at, recovery_instance
from drs.validation.observation import Observation, failed, not_yet
from drs.validation.server import Subject
from drs.validation.wave_reader import WaveReader
from drs.validation.wave_to_check import ServerToCheck, WaveToCheck

FOR_THE_INSTANCE = dt.timedelta(minutes=5)
"""How long an instance may take to pass the check that is always made."""
NOT_KNOWN_YET = "InvalidInstanceID.NotFound"
"""A call of EC2 may not know a new instance yet that another call has listed already."""
LAST_LOOK = 10.0
"""Seconds that a look has at least, even if it begins when the time-out has almost passed."""
DENIES = "AWS denies the caller"
"""How what was seen begins where AWS denied the call of a check."""


@dataclass(frozen=True, slots=True)
class _PendingCheck:
    """One check of one server."""

    label: str
    server: ServerToCheck
    look: Look
    timeout: dt.timedelta


class Validation:
    """The checks of one wave.

    :param wave: the servers, and the checks that the plan asks for
    :param clients: gives the clients of AWS
    :param every: seconds between two looks of one check
    :param report: called with each result as soon as it is known
    :param allowed: the functions that checks of type ``python`` may call
    :param now: the clock
    """

    def __init__(
        self,
        wave: WaveToCheck,
        clients: AsyncAwsClients,
        *,
        every: float,
        report: Callable[[CheckResult], None],
        allowed: AllowedCode | None = None,
        now: Callable[[], dt.datetime] = utc_now,
    ) -> None:
        self._wave = wave
        self._allowed = allowed or AllowedCode()
        self._every = every
        self._report = report
        self._now = now
        # The checks of one round share what is read.
        self._reader = WaveReader(wave.servers, clients, max_age=every / 2)
        self._checks = list(self._all_checks())

    async def run(self) -> tuple[CheckResult, ...]:
        """Make every check until it has a result. The results are in the order of servers and checks."""
        async with asyncio.TaskGroup() as group:
            running = [group.create_task(self._repeated(check)) for check in self._checks]
        return tuple(each.result() for each in running)

    async def look_once(self) -> tuple[CheckResult, ...] | None:
        """Look once for every check. Return the results if this decides all of them, otherwise ``None``."""
        seen = await asyncio.gather(*(self._look(check) for check in self._checks))
        if not all(each.final for each in seen):
            return None
        results = tuple(self._result(check, each) for check, each in zip(self._checks, seen, strict=True))
        for result in results:
            self._report(result)
        return results

    def _all_checks(self) -> Iterator[_PendingCheck]:
        for server in self._wave.servers:
            subject = Subject(self._wave, server, self._reader)
            yield _PendingCheck(ALWAYS, server, _always(subject), FOR_THE_INSTANCE)
            for label, asked in labelled(self._wave.checks[server.group]):
                yield _PendingCheck(
                    label, server, look_at(subject, label, asked, self._allowed), asked.timeout
                )

    async def _repeated(self, check: _PendingCheck) -> CheckResult:
        deadline = self._wave.began_at + check.timeout
        while True:
            seen = await self._look(check)
            left = (deadline - self._now()).total_seconds()
            if seen.final or left <= 0:
                break
            await asyncio.sleep(min(self._every, left))
        result = self._result(check, seen)
        self._report(result)
        return result

    async def _look(self, check: _PendingCheck) -> Observation:
        left = (self._wave.began_at + check.timeout - self._now()).total_seconds()
        bound = max(left, LAST_LOOK)
        try:
            async with asyncio.timeout(bound):
                return await check.look()
        except TimeoutError:
            return not_yet(f"no answer within {duration(bound)}")
        except (ClientError, BotoCoreError) as error:
            return _refused(error)
        except Exception as error:  # a check that breaks must not end the others
            return failed(f"the check itself broke: {type(error).__name__}: {error}")

    def _result(self, check: _PendingCheck, seen: Observation) -> CheckResult:
        at = self._now()
        tried = "" if seen.final else f" (tried for {duration(check.timeout.total_seconds())})"
        return CheckResult(
            check=check.label,
            server_id=check.server.server_id,
            instance_id=check.server.instance_id,
            passed=seen.passed,
            optional=check.server.optional,
            seen=f"{seen.text}{tried}",
            at=at,
            seconds=max((at - self._wave.began_at).total_seconds(), 0.0),
            output=seen.output,
        )


def last_deadline(wave: WaveToCheck) -> dt.datetime:
    """When the time-out of every check has passed."""
    timeouts = [check.timeout for checks in wave.checks.values() for check in checks]
    return wave.began_at + max((FOR_THE_INSTANCE, *timeouts))


def failures(results: Sequence[CheckResult]) -> list[CheckResult]:
    """The results that have not passed; those of optional servers, which only warn, come last."""
    return sorted((result for result in results if not result.passed), key=lambda result: result.optional)


def _always(subject: Subject) -> Look:
    return lambda: recovery_instance(subject)


def _refused(error: ClientError | BotoCoreError) -> Observation:
    """What a refusal by AWS means for a check: whether a later look may get an answer."""
    if error_code(error) in DENIED:
        found = meaning(error)
        action = found.action or "an action"
        return failed(f"{DENIES} {action} ({found.phrase}): {error}")
    if error_code(error) == NOT_KNOWN_YET:
        return not_yet(f"EC2 does not know the instance yet: {error}")
    if unavailable(error):
        return not_yet(f"AWS did not answer: {error}")
    return failed(f"AWS refused: {error}")
