"""Explains a failed launch: the cause in plain words, a remedy, and whether a retry is safe. Pure.

The patterns are data: the errors of AWS (``drs.aws.refusals``) and, without a known error, the signs in the
job log (``signs.py``). ``docs/failures.md`` lists all of them.
"""

from drs.aws.refusals import KINDS, UNKNOWN, ErrorKind
from drs.explain.events import MEANINGS as MEANINGS
from drs.explain.explanation import LaunchExplanation as LaunchExplanation
from drs.explain.explanation import explain_failure as explain_failure
from drs.explain.explanation import raw_error_of as raw_error_of
from drs.explain.pattern import Pattern as Pattern
from drs.explain.signs import SIGNS, UNEXPLAINED

PATTERNS: tuple[ErrorKind | Pattern, ...] = (*KINDS, *SIGNS, UNEXPLAINED, UNKNOWN)
"""Every pattern, in the order in which they are tried."""
