"""Finds the waves that wait for each other, in time that grows linearly with the plan."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence

_MOST = 50
"""Cycles that are looked for: no more problems are reported."""


def cycles(depends_on: Mapping[str, Sequence[str]]) -> Iterator[list[str]]:
    """Cycles of names, each of which depends on the next and the last on the first. No two share a name.

    After each of them is broken, there may be more in what they shared.

    :param depends_on: for each name those that come before it; others than the mapping's own do not count
    """
    missing = {name: len(set(before) & depends_on.keys()) for name, before in depends_on.items()}
    after: dict[str, list[str]] = {name: [] for name in depends_on}
    for name, before in depends_on.items():
        for each in set(before) & depends_on.keys():
            after[each].append(name)
    waiting = dict.fromkeys(depends_on)
    _remove([name for name, count in missing.items() if not count], waiting, missing, after)
    for _ in range(_MOST):
        if not waiting:
            return
        # Every name left is in a cycle or after one: follow what it depends on until a name comes up again.
        path = {next(iter(waiting)): 0}
        while (following := _first_waiting(depends_on[next(reversed(path))], waiting)) not in path:
            path[following] = len(path)
        found = list(path)[path[following] :]
        yield found
        _remove(found, waiting, missing, after)


def _first_waiting(names: Sequence[str], waiting: Mapping[str, None]) -> str:
    return next(name for name in names if name in waiting)


def _remove(
    names: Sequence[str],
    waiting: dict[str, None],
    missing: dict[str, int],
    after: Mapping[str, Sequence[str]],
) -> None:
    """Remove names, and all those that then depend on nothing that is left."""
    ready = deque(names)
    while ready:
        name = ready.popleft()
        if name not in waiting:
            continue
        del waiting[name]
        for each in after[name]:
            missing[each] -= 1
            if not missing[each] and each in waiting:
                ready.append(each)
