"""Finds the known name that a misspelt one most likely means, and shows what a file holds in a message.

A suggestion is never the opposite of what was written: ``disapprove`` does not lead to ``approve``.
"""

from __future__ import annotations

import difflib
import heapq
import re
from collections.abc import Collection, Iterable

from drs.text.shown import line

MOST_SHOWN = 80
"""Characters of a file's text that a message repeats."""
_LONGEST = 100
"""A longer text is no misspelt name, and comparing it would take long."""
_MOST_COMPARED = 200
_ALIKE = 0.6
"""How much alike two names must be, from 0 to 1, so that one may be a misspelling of the other."""
_MOST_SEARCHED = 50
"""Misspelt names of one file for which the nearest is looked for: no more problems are reported."""
_NEGATION = re.compile(
    r"non|never|not?|without|deny|forbid|block|refuse|prevent|disable|disallow|skip|dont|un|in|im|dis|de"
)


def shown(text: object) -> str:
    """A text of a file as a message may repeat it: short, and without control characters."""
    whole = str(text)
    cut = whole if len(whole) <= MOST_SHOWN else f"{whole[:MOST_SHOWN]}…"
    return line(cut)


def folded(name: str) -> str:
    """A name without what people mix up: capitals, and the sign between its words."""
    return re.sub(r"[\s_.-]+", "", name).casefold()


class Names:
    """The names that are known at one place of a file.

    :param most: names with which a misspelt one is compared letter by letter
    """

    def __init__(self, known: Iterable[str], most: int = _MOST_COMPARED) -> None:
        self._by_fold: dict[str, str] = {}
        for name in known:
            if len(name) <= _LONGEST:
                self._by_fold.setdefault(folded(name), name)
        self._compared = list(self._by_fold)[:most]
        self._searched = 0

    def nearest(self, name: str) -> str | None:
        """The known name that a misspelt one most likely means; ``None`` if no name is near."""
        self._searched += 1
        if len(name) > _LONGEST or self._searched > _MOST_SEARCHED:
            return None
        written = folded(name)
        if written in self._by_fold:
            return self._by_fold[written]
        near = [each for each in self._closest(written) if not _opposite(written, each)]
        return self._by_fold[near[0]] if near else None

    def _closest(self, written: str) -> list[str]:
        """The few names that are alike, the most alike first, as ``difflib.get_close_matches`` finds them.

        It compares all names exactly, which takes long if they are all alike.
        """
        matcher = difflib.SequenceMatcher(b=written)

        def alike(name: str, *, exactly: bool) -> float:
            matcher.set_seq1(name)
            return matcher.ratio() if exactly else matcher.quick_ratio()

        first = heapq.nlargest(5, self._compared, key=lambda name: alike(name, exactly=False))
        scores = {name: alike(name, exactly=True) for name in first}
        return sorted((name for name in first if scores[name] >= _ALIKE), key=lambda name: -scores[name])


def nearest(name: str, known: Collection[str]) -> str | None:
    """The known name that a misspelt one most likely means; ``None`` if no name is near."""
    return Names(known).nearest(name)


def _opposite(written: str, known: str) -> bool:
    """Whether one of the two names begins with a negation that the other does not have."""
    if (negation := _NEGATION.match(written)) and not known.startswith(negation[0]):
        return difflib.SequenceMatcher(None, written[negation.end() :], known).ratio() >= _ALIKE
    if (negation := _NEGATION.match(known)) and not written.startswith(negation[0]):
        rest = known[negation.end() :]
        # "ntifications" is no opposite of "notifications": a letter is missing in the middle.
        return rest[:1] == written[:1] and difflib.SequenceMatcher(None, rest, written).ratio() >= 0.9
    return False
