"""What AWS's errors mean: one table for the errors inside a DRS job and for those of a direct call. Pure.

``text.py`` reads the code and AWS's words, ``denial.py`` reads whose policy denies a call. The kinds of
errors are data, in the other files. ``docs/failures.md`` lists all of them.

.. seealso:: https://docs.aws.amazon.com/ec2/latest/devguide/errors-overview.html
"""

from drs.aws.refusals.denial import DENIED as DENIED
from drs.aws.refusals.denial import DeniedCall as DeniedCall
from drs.aws.refusals.denial import Denier as Denier
from drs.aws.refusals.kind import ErrorKind as ErrorKind
from drs.aws.refusals.meaning import KINDS as KINDS
from drs.aws.refusals.meaning import Meaning as Meaning
from drs.aws.refusals.meaning import codes_of as codes_of
from drs.aws.refusals.meaning import meaning_of as meaning_of
from drs.aws.refusals.meaning import meaning_of_reply as meaning_of_reply
from drs.aws.refusals.services import UNKNOWN as UNKNOWN
