"""A thread for code that may hang: nothing waits for it, and it ends with the process."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable


def start_daemon(function: Callable[[], None], *, name: str) -> threading.Thread:
    """Call the function in a daemon thread.

    In the triggerer it may ask Airflow for connections and Variables, as its caller may. Airflow's requests
    belong to one event loop. Some versions find it through asgiref, which knows it only in its own threads.
    """
    loop = _event_loop()

    def call() -> None:
        if loop is not None:
            from asgiref.sync import SyncToAsync

            SyncToAsync.threadlocal.main_event_loop = loop
            SyncToAsync.threadlocal.main_event_loop_pid = os.getpid()
        function()

    thread = threading.Thread(target=call, name=name, daemon=True)
    thread.start()
    return thread


def _event_loop() -> asyncio.AbstractEventLoop | None:
    """The event loop that runs in this thread, or that waits for this thread."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        pass
    try:
        from asgiref.sync import SyncToAsync
    except ImportError:  # without Airflow
        return None
    return getattr(SyncToAsync.threadlocal, "main_event_loop", None)
