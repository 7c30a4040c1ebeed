"""The process of one command: how ``drs`` and ``python -m drs`` begin and end."""

from __future__ import annotations

import os
import sys

from drs.cli import main
from drs.cli.common import INTERRUPTED, PIPE_CLOSED


def run() -> int | str | None:
    """Run the command of this process.

    :return: the exit code of the process, or what to print on standard error before it ends with 1
    """
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
