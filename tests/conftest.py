"""Keeps the tests off the machine: an Airflow home of their own, no AWS settings, and Ctrl-C at work.

Airflow reads its home when it is first imported, so this is said before any test module is.
"""

from __future__ import annotations

import atexit
import os
import shutil
import signal
import tempfile

import pytest

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


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Share the tests out among processes: end-to-end tests one by one, other files whole.

    An end-to-end test mostly waits, and each process has an Airflow of its own. Those that share what a
    fixture has run bear an ``xdist_group``; they take longest and go first. The other files fill up the rest.
    """
    for item in items:
        if not is_e2e(item) and not item.get_closest_marker("xdist_group"):
            item.add_marker(pytest.mark.xdist_group(str(item.path)))
    items.sort(key=lambda item: (not is_e2e(item), not item.get_closest_marker("xdist_group")))


def is_e2e(item: pytest.Item) -> bool:
    return item.get_closest_marker("e2e") is not None
