"""What differs between two versions of a plan: its keys, and the servers that came or went. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from drs.text.tables import first_of


def changes(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Every changed key, such as ``launch.job_timeout`` or ``waves.web (added)``.

    :param then: the content of the earlier version, as plain data
    :param now: the content of the later version
    """
    return list(_changed("", then, now))


def _changed(path: str, then: Any, now: Any) -> Iterator[str]:
    if then == now:
        return
    if isinstance(then, Mapping) and isinstance(now, Mapping):
        yield from _members(path, then, now)
    elif _named(then) and _named(now):
        before, after = ({each["name"]: each for each in version} for version in (then, now))
        yield from _members(path, before, after)
        if [name for name in before if name in after] != [name for name in after if name in before]:
            yield f"{path} (another order)"
    elif _texts(then) and _texts(now):
        yield f"{path}{_came_and_went(then, now)}"
    else:
        yield path


def _members(path: str, then: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    for key in dict.fromkeys([*now, *then]):
        place = f"{path}.{key}" if path else key
        if key not in then:
            yield f"{place} (added)"
        elif key not in now:
            yield f"{place} (removed)"
        else:
            yield from _changed(place, then[key], now[key])


def _came_and_went(then: Sequence[str], now: Sequence[str]) -> str:
    came = [each for each in now if each not in then]
    went = [each for each in then if each not in now]
    parts = [f"added {first_of(came)}"] if came else []
    parts += [f"removed {first_of(went)}"] if went else []
    return f" ({'; '.join(parts)})" if parts else " (another order)"


def _named(value: Any) -> bool:
    """Whether this is a list of parts that have names, such as the waves."""
    return isinstance(value, list | tuple) and all(
        isinstance(each, Mapping) and "name" in each for each in value
    )


def _texts(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(each, str) for each in value)
