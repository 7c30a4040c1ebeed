"""``python -m simulator``: serve a simulated DRS and moto's other services on one port."""

from __future__ import annotations

import argparse
import sys

import simulator
from simulator.engine.fleet import Fleet, FleetError


def main() -> int:
    """Run the server. Exit code 2: it could not start, and standard error says why."""
    parser = argparse.ArgumentParser(prog="python -m simulator", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1", help="the address to serve on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=5777, help="0 picks a free one (default: %(default)s)")
    parser.add_argument("--fleet", default="include/fleets/default.yaml", help="default: %(default)s")
    parser.add_argument(
        "--speed", type=_positive, default=1.0, help="how many times faster than DRS the jobs run"
    )
    arguments = parser.parse_args()

    try:
        fleet = Fleet.load(arguments.fleet)
        # Imported here and not above, because moto takes seconds to import.
        from simulator.server import serve

        simulator.register()
        simulator.seed(fleet, speed=arguments.speed)
        serve(arguments.host, arguments.port)
    except FleetError as error:
        return _refuse(str(error))
    except (OSError, OverflowError) as error:
        return _refuse(f"cannot listen on port {arguments.port}: {getattr(error, 'strerror', None) or error}")
    return 0


def _positive(text: str) -> float:
    speed = float(text)
    if not 0 < speed < float("inf"):
        raise argparse.ArgumentTypeError("must be greater than 0")
    return speed


def _refuse(reason: str) -> int:
    sys.stderr.write(f"simulator: {reason}\n")
    return 2


if __name__ == "__main__":
    sys.exit(main())
