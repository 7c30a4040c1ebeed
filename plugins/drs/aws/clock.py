"""AWS's clock, as the header ``Date`` of its answers shows it. Pure.

DRS writes the times of its jobs by its own clock. The clock of a worker may differ from it by minutes, and
the clocks of two workers from each other. So what is compared with a time of DRS is read off AWS's clock.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any


def clock_ahead(answer: Mapping[str, Any], asked: dt.datetime, answered: dt.datetime) -> dt.timedelta | None:
    """How far this machine's clock is ahead of AWS's, to a second; negative if it is behind.

    :param answer: what a boto3 client returned
    :param asked: when the call was made, by this machine's clock
    :param answered: when the answer was there
    :return: ``None`` if the answer does not show AWS's time
    """
    try:
        then = parsedate_to_datetime(answer["ResponseMetadata"]["HTTPHeaders"]["date"])
    except (KeyError, TypeError, ValueError):
        return None
    if asked - dt.timedelta(seconds=1) <= then <= answered:
        return dt.timedelta(0)
    return (asked if then < asked else answered) - then
