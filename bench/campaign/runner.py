"""Runs the drills of many seeds, shared out among processes."""

from __future__ import annotations

import multiprocessing
import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from multiprocessing.pool import Pool

from bench.campaign.result import Result

CHUNK = 25
OURS, GUIDE = "drs-drills", "guide"
HASH_SEED = "PYTHONHASHSEED"
"""If it differs between processes, so does the order of sets, and a seed would not always give one drill."""
NICE = 10
"""Drills by the thousand make way for what else runs on the machine."""


@contextmanager
def environment() -> Iterator[None]:
    """The environment in which a seed always gives the same drill, with an Airflow home of its own."""
    before = dict(os.environ)
    with tempfile.TemporaryDirectory(prefix="drs-drills-campaign-") as home:
        os.environ |= {HASH_SEED: "0", "AIRFLOW_HOME": home, "AIRFLOW__CORE__LOAD_EXAMPLES": "False"}
        try:
            yield
        finally:
            os.environ.clear()
            os.environ.update(before)


@dataclass(frozen=True)
class Task:
    """One drill to run.

    :param mix: the mix; ``None`` lets the seed choose
    :param case: a case that is written down, instead of a mix
    """

    seed: int = 1
    flow: str = OURS
    mix: str | None = None
    case: str | None = None


_installed = ExitStack()


def _prepare(nice: int) -> None:
    from bench.campaign import stand_ins  # here, because the parent needs none of Airflow

    os.nice(nice)
    _installed.enter_context(stand_ins.installed())


def run_one(task: Task) -> Result:
    """Run one drill in this process, which must be prepared."""
    from bench.campaign.drill import drill, source_of

    return drill(task.seed, source_of(task), task.flow)


@contextmanager
def workers(processes: int, nice: int = NICE) -> Iterator[Pool]:
    """Processes that are prepared for drills."""
    with environment(), multiprocessing.get_context("spawn").Pool(processes, _prepare, (nice,)) as pool:
        yield pool


def run(tasks: Iterable[Task], processes: int) -> Iterator[Result]:
    """Run drills, and give what came of each as soon as it is known."""
    with workers(processes) as pool:
        yield from pool.imap_unordered(run_one, list(tasks), chunksize=CHUNK)
