"""``python -m drs``."""

from __future__ import annotations

import os
import sys

from drs.cli import main
from drs.cli.common import INTERRUPTED, PIPE_CLOSED


def _run() -> int | str | None:
    code: int | str | None
    try:
        try:
            code = main()
        except SystemExit as end:  # argparse ends so, after --help and after wrong usage
            code = end.code
        except KeyboardInterrupt:
            print("\nInterrupted.", file=sys.stderr)
            code = INTERRUPTED
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:  # it is None if the shell closed it (`>&-`)
                stream.flush()
    except BrokenPipeError:
        # The reader closed the pipe, as `head` does.
        _write_nowhere()
        return PIPE_CLOSED
    return code


def _write_nowhere() -> None:
    """Nothing more is shown: Python flushes both streams when it ends, and must not fail then either."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except BrokenPipeError:
            os.dup2(nowhere, stream.fileno())


# Without a package, Airflow executes this file as a plugin, under its bare name (plugins/drs_plugin.py).
if __name__ == "__main__" and __package__:
    raise SystemExit(_run())
