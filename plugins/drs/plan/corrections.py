"""Corrects the value that somebody wrote, if it is plain what is meant.

A remedy shows the reader's own value as it should be written. It never shows the value of an example, which
would be somebody else's account, Region or server, and it guesses nothing: a value that cannot be corrected
has no correction.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Callable, Collection, Mapping
from datetime import timedelta
from decimal import Decimal

import yaml

from drs.plan import durations, fields, regions
from drs.plan.near import MOST_SHOWN, folded

_TRUE = frozenset({"true", "yes", "y", "on", "1", "enabled", "enable"})
_FALSE = frozenset({"false", "no", "n", "off", "0", "disabled", "disable", "never", "none"})
_NO_ITEM = frozenset({"", "none", "nothing", "nobody", "no", "all", "any", "anyone", "everyone", "everybody"})
"""Words with which people mean no item, or no restriction: both are an empty list, but not the same."""
_LONGEST = 300
"""A longer text is not corrected: it is no mistyped value."""
_UNITS = {
    "d": 86400, "day": 86400, "days": 86400, "w": 604800, "week": 604800, "weeks": 604800,
    "h": 3600, "hr": 3600, "hrs": 3600, "hour": 3600, "hours": 3600,
    "m": 60, "min": 60, "mins": 60, "minute": 60, "minutes": 60,
    "s": 1, "sec": 1, "secs": 1, "second": 1, "seconds": 1,
}  # fmt: skip
_AMOUNT = re.compile(r"(\d{1,6}(?:\.\d{1,6})?)\s*([a-z]+)[\s,]*(?:and\s+)?", re.ASCII)


def as_yaml(value: object) -> str:
    """A value as it may be written in a plan, also within a list. Text that YAML would not read as text is
    quoted.
    """
    if isinstance(value, str):
        plain = re.fullmatch(r"[A-Za-z0-9_/.<][\w/.@<> -]*", value, re.ASCII)
        same = plain and not value.endswith(" ") and yaml.safe_load(value) == value
        return value if same else json.dumps(value, ensure_ascii=False)
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{as_yaml(key)}: {as_yaml(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(as_yaml(each) for each in value) + "]"
    return json.dumps(value, default=str)


def is_short(value: object) -> bool:
    """Whether a message may repeat the whole value."""
    return len(as_yaml(value)) <= MOST_SHOWN


def as_boolean(value: object) -> bool | None:
    """What a text or number most likely means as true or false; ``None`` if that is not plain."""
    word = str(value).strip().casefold()
    return True if word in _TRUE else False if word in _FALSE else None


def as_number(value: object) -> int | None:
    """The whole number in a text such as ``"443"``, or in 443.0; ``None`` if there is none."""
    text = str(value).strip()
    found = re.fullmatch(r"(\d{1,9})(?:\.0+)?", text, re.ASCII)
    return int(found[1]) if found and not isinstance(value, bool) else None


def as_duration(written: str) -> timedelta | None:
    """What a text such as ``15 minutes``, ``1.5h`` or ``-5s`` means; ``None`` if that is not plain."""
    text = written.strip().casefold().removeprefix("-").strip()
    if len(text) > _LONGEST:
        return None
    if clock := re.fullmatch(r"(\d{1,3}):([0-5]\d):([0-5]\d)", text, re.ASCII):
        hours, minutes, seconds = (int(each) for each in clock.groups())
        return timedelta(hours=hours, minutes=minutes, seconds=seconds)
    if re.fullmatch(durations.PATTERN, text.upper(), re.ASCII):
        return durations.parse(text.upper())
    amounts = list(_AMOUNT.finditer(text))
    if not amounts or "".join(each[0] for each in amounts) != text:
        return None
    if not all(each[2] in _UNITS for each in amounts):
        return None
    total = sum((Decimal(each[1]) * _UNITS[each[2]] for each in amounts), Decimal(0))
    return timedelta(microseconds=int(total * 1_000_000)) if total < 10**9 else None


def corrected(text: str, pattern: str) -> str | None:
    """The text as the field with this pattern wants it; ``None`` if it is not plain what is meant."""
    correct = _BY_PATTERN.get(pattern)
    if correct is None or len(text) > _LONGEST:
        return None
    found = correct(text.strip())
    return found if found is not None and re.search(pattern, found) else None


def _id(prefix: str) -> Callable[[str], str | None]:
    """Corrects an id such as ``s-3c1730a9e0771ea14``, also within an ARN or a URL."""

    def correct(text: str) -> str | None:
        lower = text.lower().replace("_", "-")
        if re.fullmatch(r"[0-9a-f]{17}", lower):
            return f"{prefix}-{lower}"
        found = re.findall(rf"(?<![a-z0-9-]){prefix}-?([0-9a-f]{{8,17}})(?![0-9a-z])", lower)
        return f"{prefix}-{found[0]}" if len(set(found)) == 1 else None

    return correct


def _account(text: str) -> str | None:
    if text.startswith("arn:"):
        found = set(re.findall(r"(?<!\d)\d{12}(?!\d)", text))
        return found.pop() if len(found) == 1 else None
    return re.sub(r"[\s_.-]", "", text)


def _region(text: str) -> str | None:
    near = regions.nearest_regions(text)
    return near[0] if len(near) == 1 else None


def _plan_name(text: str) -> str:
    return _name(text).lower().lstrip("-_")[:64]


def _name(text: str) -> str:
    """Letters, digits, - and _; accents are left out, and other characters become a dash."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return re.sub(r"[^A-Za-z0-9_-]+", "-", plain).strip("-")


def _topic(text: str) -> str | None:
    found = re.fullmatch(
        r"arn:(aws[a-z-]*):sns:([a-z0-9-]+):([0-9-]{12,14}):([A-Za-z0-9_-]{1,256})(?::[0-9a-f-]{36})?",
        text if text.startswith("arn:") else text.replace("ARN:", "arn:"),
        re.IGNORECASE,
    )
    if found is None or text.endswith(".fifo"):
        return None
    partition, region, account, name = found.groups()
    return f"arn:{partition.lower()}:sns:{region.lower()}:{account.replace('-', '')}:{name}"


def _path(text: str) -> str:
    if url := re.fullmatch(r"https?://[^/\s]+(/.*)?", text):
        text = url[1] or "/"
    return "/" + re.sub(r"\s", "%20", text).lstrip("/")


def _dotted(text: str) -> str:
    return text.removesuffix("()").replace(".py:", ".").replace(":", ".").replace("/", ".").replace(" ", "")


def _document(text: str) -> str:
    return re.sub(r"\s+", "-", text)


_BY_PATTERN: Mapping[str, Callable[[str], str | None]] = {
    fields.SERVER_ID_PATTERN: _id("s"),
    fields.SUBNET_PATTERN: _id("subnet"),
    fields.SECURITY_GROUP_PATTERN: _id("sg"),
    fields.ACCOUNT_PATTERN: _account,
    fields.REGION_PATTERN: _region,
    fields.PLAN_NAME_PATTERN: _plan_name,
    fields.NAME_PATTERN: _name,
    fields.TOPIC_PATTERN: _topic,
    fields.DOTTED_PATTERN: _dotted,
    fields.PATH_PATTERN: _path,
    fields.DOCUMENT_PATTERN: _document,
}


def mistaken_id(text: str, pattern: str) -> str:
    """What an id is instead of the one that is wanted; empty if it is not one of another kind."""
    if pattern not in (fields.SERVER_ID_PATTERN, fields.SUBNET_PATTERN, fields.SECURITY_GROUP_PATTERN):
        return ""
    kinds = {
        "i": "an EC2 instance", "vpc": "a VPC", "subnet": "a subnet", "sg": "a security group",
        "s": "a source server", "ami": "an image", "lt": "a launch template",
    }  # fmt: skip
    found = re.match(r"([a-z]+)-[0-9a-f]+$", text.strip().lower())
    kind = kinds.get(found[1]) if found else None
    wanted = re.match(r"\^([a-z]+)-", pattern)
    if found is None or kind is None or wanted is None:
        return ""
    if found[1] == wanted[1]:
        digits = len(text.strip()) - len(found[1]) - 1
        return f"It has {digits} digits after {found[1]}-."
    return f"It is the id of {kind}."


def wrapped(value: object, keys: Collection[str], *, apart: bool) -> list[object] | None:
    """The list that somebody meant who wrote a single item, or several with commas between them.

    :param keys: the keys that an item may have
    :param apart: whether an item has no spaces or commas, so that they come between items
    """
    if isinstance(value, str):
        if folded(value) in _NO_ITEM:
            return None
        return [each for each in re.split(r"[,;\s]+", value) if each] if apart else [value]
    if isinstance(value, Mapping) and any(key in keys for key in value):
        return [dict(value)]
    return None
