"""A check that the plan's author wrote: a Python function, which the plan names by its dotted path."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from typing import Any

from drs.errors import InvalidField
from drs.plan.checks import PythonCheck
from drs.run.own_code import AllowedCode, check_function
from drs.validation.daemon_thread import start_daemon
from drs.validation.observation import Observation, failed, first_line, not_yet, passed
from drs.validation.server import Subject


async def python(check: PythonCheck, subject: Subject, allowed: AllowedCode) -> Observation:
    """The check passes if the function returns. What it returns or raises is what was seen.

    :param allowed: the functions that may be called; preflight has compared them, and so does this, because
        only here it counts
    """
    try:
        # In a thread, because a module may be slow to import.
        function = await _in_a_thread(lambda: check_function(check.function, allowed))
    except InvalidField as error:
        return failed(f"it was not called: {error.message} {error.remedy}")
    except Exception as error:  # a module may raise anything
        return failed(f"{check.function} cannot be imported here: {type(error).__name__}: {error}")
    server = await subject.launched()
    try:
        if inspect.iscoroutinefunction(function):
            said = await function(server, **check.parameters)
        else:
            said = await _in_a_thread(lambda: function(server, **check.parameters))
    except Exception as error:
        text = f"{type(error).__name__}: {error}"
        return not_yet(first_line(text), text)
    text = "" if said is None else str(said)
    return passed(first_line(text) or f"{check.function} returned and said nothing", text)


async def _in_a_thread(function: Callable[[], Any]) -> Any:
    """Call the function in a daemon thread, so that one that hangs delays neither the time-out of the check
    nor the end of the process.
    """
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[Any] = loop.create_future()

    def settle(value: Any, error: BaseException | None) -> None:
        if answer.done():  # the check has timed out
            return
        if error is None:
            answer.set_result(value)
        else:
            answer.set_exception(error)

    def call() -> None:
        value, error = None, None
        try:
            value = function()
        except Exception as raised:
            error = raised
        if not loop.is_closed():
            loop.call_soon_threadsafe(settle, value, error)

    start_daemon(call, name="drs-check")
    return await answer
