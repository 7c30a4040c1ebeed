"""Keeps the tests off the machine: an Airflow home of their own, no AWS settings, and Ctrl-C at work.

Airflow reads its home when it is first imported, so this is said before any test module is.
"""

from __future__ import annotations

import atexit
import gc
import os
import shutil
import signal
import tempfile
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling
from xdist.workermanage import WorkerController

for _name in [name for name in os.environ if name.startswith(("AIRFLOW_", "AWS_"))]:
    del os.environ[_name]

_home = tempfile.mkdtemp(prefix="drs-drills-tests-")
atexit.register(shutil.rmtree, _home, ignore_errors=True)
os.environ |= {
    "AIRFLOW_HOME": _home,
    "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    "AWS_ACCESS_KEY_ID": "AKIASIMULATOR1111222",  # the simulated fleet's, in account 111122223333
    "AWS_SECRET_ACCESS_KEY": "simulated",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
}

# A shell that runs the tests in the background has them, and all that they start, ignore Ctrl-C.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


END_TO_END = "tests/e2e/"
CAMPAIGN = "tests/campaign/"
TOGETHER = (
    "tests/e2e/compose/",
    "tests/e2e/test_never_twice.py::test_drs_makes",
    "tests/e2e/test_guide.py",
    "tests/e2e/test_another_airflow.py",
)
"""End-to-end tests that share an installation, or drills that run side by side."""


LONG = (
    "tests/e2e/test_cleanup.py::test_a_survivor",
    "tests/e2e/test_schedule.py",
    "tests/e2e/test_shapes.py",
    "tests/e2e/test_codes.py",
    "tests/e2e/test_never_twice.py",
    "tests/e2e/test_failures.py::test_held",
    "tests/e2e/test_demo.py",
)
"""End-to-end tests that take more than a minute: the last minutes are for short ones."""


class _Shares(LoadScopeScheduling):
    """Shares the tests out among processes: end-to-end tests one by one, other files whole.

    An end-to-end test mostly waits, and each process has an Airflow of its own. The marks of xdist's
    `--dist loadgroup` would say this more simply, but have no effect in pytest 9.2.
    """

    def _split_scope(self, nodeid: str) -> str:
        if together := next((start for start in TOGETHER if nodeid.startswith(start)), None):
            return together
        return nodeid if nodeid.startswith(END_TO_END) else nodeid.partition("::")[0]

    def _assign_work_unit(self, node: WorkerController) -> None:
        """Give the last process tests that start no Airflow, as long as there are any: they fill the time in
        which the others wait.
        """
        if len(self.nodes) > 1 and node is self.nodes[-1]:
            for scope in self.workqueue:
                if not scope.startswith(END_TO_END):
                    self.workqueue.move_to_end(scope, last=False)
                    break
        super()._assign_work_unit(node)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> _Shares:
    return _Shares(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the tests that take longest; the short files fill up the rest."""
    items.sort(
        key=lambda item: (
            not item.nodeid.startswith(END_TO_END),
            not item.nodeid.startswith(TOGETHER),
            not item.nodeid.startswith(LONG),
            not item.nodeid.startswith(CAMPAIGN),
        )
    )


def pytest_collection_finish() -> None:
    """Have the garbage collector leave out what is imported by now: it stays, and is most of the memory."""
    gc.collect()
    gc.freeze()
