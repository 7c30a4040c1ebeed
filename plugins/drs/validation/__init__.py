"""Checks the servers that a wave has launched: what is read about them, and how each check is made.

May import: ``run``, ``plan``, ``aws``. Runs in the triggerer, and in a worker where waiting is not deferred.
``LaunchedServer`` and ``drs_check`` are for authors of checks of their own.
"""

from drs.run.own_code import drs_check
from drs.validation.server import LaunchedServer

__all__ = ["LaunchedServer", "drs_check"]
