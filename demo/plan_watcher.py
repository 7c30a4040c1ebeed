"""Has Airflow build the DAGs again as soon as a plan was written, edited or removed.

Airflow looks at its DAG files every 30 s. To have it look every other second costs half a core all day.
"""

from __future__ import annotations

import threading
import time
from pathlib import Path

from demo.airflow_api import AirflowApi
from drs.cli.airflow_api import AirflowError

LOOK_EVERY = 0.3
"""Seconds between two looks at the folder."""
AGAIN = 5.0
"""Seconds after which Airflow is asked once more: it ignores a wish for a file that it is just parsing."""


class PlanWatcher:
    """Watches a folder of plans from its making on.

    :param folder: the folder of plans
    :param api: Airflow's API
    """

    def __init__(self, folder: Path, api: AirflowApi) -> None:
        self._folder = folder
        self._api = api
        self._seen = self._look()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="plan watcher", daemon=True)

    def start(self) -> None:
        """Begin to ask; what changed since the watcher was made counts."""
        self._thread.start()

    def stop(self) -> None:
        """Ask no more."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()

    def _watch(self) -> None:
        due: list[float] = []
        while not self._ended.wait(LOOK_EVERY):
            now = time.monotonic()
            if (look := self._look()) != self._seen:
                self._seen = look
                due = [now, now + AGAIN]
            if due and due[0] <= now and self._ask():
                due.pop(0)

    def _ask(self) -> bool:
        try:
            return self._api.reparse_plans()
        except AirflowError:
            return False  # its API is down, or just starts

    def _look(self) -> dict[str, int]:
        look = {}
        for path in self._folder.glob("*.y*ml"):
            try:
                look[path.name] = path.stat().st_mtime_ns
            except FileNotFoundError:  # removed meanwhile
                continue
        return look
