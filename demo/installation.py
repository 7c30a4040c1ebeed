"""`Installation`: parts that run as processes, Airflow's API before them and a simulated DRS behind them."""

from __future__ import annotations

import signal
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from demo.airflow_api import AirflowApi
from demo.processes import Processes, StackError
from demo.simulator_client import Simulator


class Installation(ABC):
    """What a drill needs to run in, of whichever kind.

    :ivar components: the names of the parts that run until they are told to end.
    """

    components: Sequence[str]
    processes: Processes
    api: AirflowApi
    simulator: Simulator

    @abstractmethod
    def start(self) -> None:
        """Start everything, and return when all of it is healthy.

        :raises StackError: a part did not start; the message ends with its log.
        """

    @abstractmethod
    def _launch(self, component: str) -> None:
        """Start the process of a component."""

    @abstractmethod
    def _await(self, component: str, started: float) -> None:
        """Wait until a component that was started at this time is healthy."""

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:  # a Ctrl-C while it starts must not leave half of it behind
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start_component(self, component: str) -> None:
        """Start a component that was killed, and return when it is healthy."""
        started = time.time()
        self._launch(component)
        self._await(component, started)

    def kill(self, component: str, signum: int = signal.SIGKILL) -> None:
        """End a component and all its children, by default without a chance to say goodbye."""
        self.processes.kill(component, signum)

    def restart(self, component: str) -> None:
        """Kill a component and start it again."""
        self.kill(component)
        self.start_component(component)

    def stop(self) -> None:
        """End every process."""
        self.processes.stop()

    def check(self) -> None:
        """See that every component runs.

        :raises StackError: one has ended, which nobody asked it to.
        """
        for component in self.components:
            if not self.processes.is_running(component):
                raise StackError(f"{component} has ended.\n{self.processes.describe(component)}")

    def describe(self, lines: int = 30) -> str:
        """The ends of all components' logs, for the message of a failure."""
        return "\n".join(self.processes.describe(component, lines) for component in self.components)
