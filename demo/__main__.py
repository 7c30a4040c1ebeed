"""`python -m demo`: what `make drill` and `make airflow` run."""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path

import httpx

from demo.drill import drill
from demo.processes import StackError
from demo.serve import serve
from demo.stack import REPOSITORY
from drs.cli.airflow_api import AirflowError

EPILOG = """exit codes: 0 success; 1 the drill failed, or left an instance behind; 2 wrong usage, or something
could not be started; 130 interrupted by Ctrl-C"""


def parser() -> argparse.ArgumentParser:
    """The command line."""
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument(
        "--fleet",
        type=Path,
        default=REPOSITORY / "include" / "fleets" / "default.yaml",
        help="the source servers that the simulated DRS has (default: include/fleets/default.yaml)",
    )
    common.add_argument(
        "--speed",
        type=positive,
        default=60.0,
        help="how many times faster than real the simulated DRS works (default: 60)",
    )
    top = argparse.ArgumentParser(prog="python -m demo", description=__doc__, epilog=EPILOG)
    commands = top.add_subparsers(dest="command", required=True)
    drill = commands.add_parser(
        "drill", parents=[common], help="run a drill from start to end", epilog=EPILOG
    )
    drill.add_argument(
        "--plan",
        default="order-system",
        help="a plan's file, or its name in include/plans (default: order-system)",
    )
    airflow = commands.add_parser(
        "airflow", parents=[common], help="run Airflow for the browser", epilog=EPILOG
    )
    airflow.add_argument(
        "--port", type=port_number, default=8080, help="port of Airflow's user interface (default: 8080)"
    )
    return top


def positive(text: str) -> float:
    """A number above 0."""
    number = float(text)
    if not number > 0:
        raise argparse.ArgumentTypeError("must be more than 0")
    return number


def port_number(text: str) -> int:
    """A port that can be chosen."""
    number = int(text)
    if not 0 < number < 2**16:
        raise argparse.ArgumentTypeError("a port is a number from 1 to 65535")
    return number


def main() -> int:
    """Run a command, and give its exit code."""
    arguments = parser().parse_args()
    signal.signal(
        signal.SIGTERM, lambda signum, _: sys.exit(128 + signum)
    )  # so that `with` blocks end the stack
    try:
        if arguments.command == "drill":
            return drill(arguments.plan, arguments.fleet, arguments.speed)
        serve(arguments.port, arguments.fleet, arguments.speed)
    except (StackError, TimeoutError, AirflowError, httpx.HTTPError) as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nInterrupted. Airflow and the simulated DRS have ended.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
