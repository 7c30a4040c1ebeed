"""Explains a failed launch: the cause in plain words, a remedy, and whether a retry is safe. Pure.

The patterns are data (``raw_errors.py``, ``signs.py``). ``docs/failures.md`` lists all of them.
"""

from drs.explain.events import MEANINGS as MEANINGS
from drs.explain.explanation import LaunchExplanation as LaunchExplanation
from drs.explain.explanation import explain_failure as explain_failure
from drs.explain.explanation import raw_error_of as raw_error_of
from drs.explain.pattern import Pattern as Pattern
from drs.explain.raw_errors import RAW_ERRORS
from drs.explain.signs import SIGNS, UNKNOWN

PATTERNS: tuple[Pattern, ...] = (*RAW_ERRORS, *SIGNS, UNKNOWN)
"""Every pattern, in the order in which they are tried."""
