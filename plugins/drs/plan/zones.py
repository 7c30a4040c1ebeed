"""The time zones of plans: only names of the IANA database that mean the same on every machine."""

from __future__ import annotations

import re
import zoneinfo

from drs.plan.near import Names, folded, shown

_NO_PLACE = frozenset({"localtime", "Factory", "posixrules", "leapseconds", "tzdata.zi"})
"""Files of the database that are no time zone, or another one on each machine."""
_ABBREVIATIONS = {
    "ACDT ACST": ("Australia/Adelaide", "Australia/Darwin"),
    "ADT AST": ("America/Halifax", "America/Puerto_Rico"),
    "AEDT AEST": ("Australia/Sydney", "Australia/Brisbane"),
    "AKDT AKST": ("America/Anchorage",),
    "AWST": ("Australia/Perth",),
    "BST": ("Europe/London",),
    "CAT": ("Africa/Maputo", "Africa/Harare"),
    "CDT": ("America/Chicago", "America/Havana"),
    "CEST CET": ("Europe/Berlin", "Europe/Paris", "Europe/Madrid"),
    "CHST": ("Pacific/Guam",),
    "CST": ("America/Chicago", "America/Costa_Rica", "Asia/Shanghai"),
    "EAT": ("Africa/Nairobi",),
    "EDT EST": ("America/New_York", "America/Panama"),
    "EEST EET": ("Europe/Helsinki", "Europe/Athens", "Europe/Kyiv"),
    "HDT": ("America/Adak",),
    "HKT": ("Asia/Hong_Kong",),
    "HST": ("Pacific/Honolulu",),
    "IDT": ("Asia/Jerusalem",),
    "IST": ("Asia/Kolkata", "Asia/Jerusalem", "Europe/Dublin"),
    "JST": ("Asia/Tokyo",),
    "KST": ("Asia/Seoul",),
    "MDT MST": ("America/Denver", "America/Phoenix"),
    "MET MEST MEZ MESZ": ("Europe/Berlin", "Europe/Vienna", "Europe/Zurich"),
    "MSK": ("Europe/Moscow",),
    "NDT NST": ("America/St_Johns",),
    "NZDT NZST": ("Pacific/Auckland",),
    "PDT": ("America/Los_Angeles",),
    "PKT": ("Asia/Karachi",),
    "PST": ("America/Los_Angeles", "Asia/Manila"),
    "SAST": ("Africa/Johannesburg",),
    "SGT": ("Asia/Singapore",),
    "SST": ("Pacific/Pago_Pago",),
    "WAT": ("Africa/Lagos",),
    "WEST WET": ("Europe/Lisbon", "Atlantic/Canary"),
    "WIB": ("Asia/Jakarta",),
    "WIT": ("Asia/Jayapura",),
    "WITA": ("Asia/Makassar",),
    # What people call the times of a country that has several.
    "AT": ("America/Halifax",),
    "CT": ("America/Chicago",),
    "ET": ("America/New_York",),
    "MT": ("America/Denver", "America/Phoenix"),
    "PT": ("America/Los_Angeles",),
}
_BY_ABBREVIATION = {name: zones for names, zones in _ABBREVIATIONS.items() for name in names.split()}
_CALLED = re.compile(
    r"(eastern|central|mountain|pacific|atlantic)(?: standard| daylight)? time", re.IGNORECASE
)
_OFFSET = re.compile(r"(?:utc|gmt)?\s*([+-])\s*(\d{1,2})(?::?([0-5]\d))?", re.IGNORECASE | re.ASCII)
_ANY = "Write the name of a time zone of the IANA database, in the form Area/City, or UTC."
_LONGEST = 64


def problem(name: str) -> tuple[str, str] | None:
    """What is wrong with the name of a time zone, and what to write instead; ``None`` if it is right."""
    if name == "UTC":
        return None
    if name in _NO_PLACE:
        return f'"{name}" is not a time zone, but a file with other content on each machine', _ANY
    if not name.startswith(("posix/", "right/")) and _exists(name):
        return None
    return f'"{shown(name)}" is not a time zone of the IANA database', _remedy(name.strip())


def candidates(name: str) -> tuple[str, ...]:
    """The zones for which an abbreviation is used, the largest first; none if it is no abbreviation."""
    if called := _CALLED.fullmatch(name):
        name = f"{called[1][0]}T"
    return _BY_ABBREVIATION.get(name.upper(), ())


def doubt(name: str) -> tuple[str, str] | None:
    """What is misleading about a name that IANA has, and what to write instead; ``None`` if nothing is."""
    if zones := candidates(name):
        message = f"{name} is an abbreviation, which IANA keeps for old files"
        if name in ("EST", "MST"):
            message = f"{name} never has daylight saving time: in summer it is an hour off {zones[0]}"
        return message, f"Write {' or '.join(zones)}."
    fixed = re.fullmatch(r"(?:Etc/)?GMT([+-])(\d{1,2})", name)
    if fixed is None or not int(fixed[2]):
        return None
    way, other = ("behind", "-") if fixed[1] == "+" else ("ahead of", "+")
    return (
        f"{name} is {fixed[2]} h {way} UTC: the sign in these names is the other way round",
        f"Write Area/City. For {fixed[2]} h on the other side of UTC, write Etc/GMT{other}{fixed[2]}.",
    )


def _exists(name: str) -> bool:
    try:
        zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


def _remedy(name: str) -> str:
    if len(name) > _LONGEST:
        return _ANY
    if zones := candidates(name):
        several = ", whichever place is meant" if len(zones) > 1 else ""
        return f"Write Area/City: {' or '.join(zones)}{several}."
    if offset := _OFFSET.fullmatch(name):
        return _of_offset(*offset.groups(default="0"))
    short = name.removeprefix("posix/").removeprefix("right/")
    near = short if short != name and _exists(short) else _near(name)
    return f"Did you mean {near}?" if near else _ANY


def _of_offset(sign: str, hours: str, minutes: str) -> str:
    if not int(hours) and not int(minutes):
        return "Write UTC."
    remedy = "Write Area/City: an offset does not follow daylight saving time."
    if int(minutes) or int(hours) > 12:
        return remedy
    # The names of Etc have POSIX's sign: Etc/GMT-1 is one hour ahead of UTC.
    way, other = ("ahead of", "-") if sign == "+" else ("behind", "+")
    return f"{remedy} If that is meant: Etc/GMT{other}{int(hours)} is always {int(hours)} h {way} UTC."


def _near(name: str) -> str | None:
    known = sorted(
        (zone for zone in zoneinfo.available_timezones() if zone not in _NO_PLACE),
        key=lambda zone: ("/" not in zone, zone.startswith("Etc/"), zone),
    )
    wanted = folded(name)
    for zone in (
        each for each in known if not each.startswith("Etc/")
    ):  # a city without its area, or other capitals
        if wanted in (folded(zone), folded(zone.rpartition("/")[2])):
            return zone
    # A short name is most likely an abbreviation, to which another one is no answer.
    return Names((zone for zone in known if "/" in zone), most=1000).nearest(name) if len(name) > 4 else None
