"""A plan's schedule: its times are those of Airflow's scheduler, its words are cron's, its zone a place."""

from __future__ import annotations

import datetime as dt
import itertools
import random
import zoneinfo

import pytest
from airflow._shared.timezones.timezone import coerce_datetime
from airflow.timetables.base import DataInterval, TimeRestriction
from airflow.timetables.trigger import CronTriggerTimetable
from pydantic_core import PydanticCustomError

from drs.plan import zones
from drs.plan.plan_schedule import (
    PRESETS,
    both_days,
    checked_schedule,
    checked_timezone,
    cron_of,
    next_time,
    next_times,
)
from drs.plan.schedule_words import in_words

CASES = 2_000
ZONES = [
    "Europe/Berlin",
    "Europe/Dublin",  # its winter time is the daylight saving time
    "America/New_York",
    "America/St_Johns",
    "America/Santiago",  # at midnight
    "Africa/Casablanca",  # around Ramadan
    "Africa/Cairo",
    "Asia/Beirut",  # at midnight
    "Australia/Lord_Howe",  # by half an hour
    "Pacific/Auckland",
    "Pacific/Chatham",
    "Asia/Kolkata",
    "UTC",
]
SCHEDULES = [
    *PRESETS,
    "0 6 1 * *",
    "30 2 * * *",
    "0 2 * * *",
    "15 1,2,3 * * *",
    "*/10 * * * *",
    "*/7 * * * *",
    "30 * * * *",
    "0 */2 * * *",
    "*/20 0-4 * * *",
    "30 0 * * *",
    "59 23 * * 6",
    "30 2 * 3,10,11 0",
    "0 3 1-7 * 0",
    "0 0 L * *",
    "45 1 * * 0#1",
]


def transitions(zone: str) -> list[dt.datetime]:
    """The half days of four years in which the zone's offset changes; of one without any, a day in summer."""
    begin = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
    halves = [begin + dt.timedelta(hours=12 * half) for half in range(4 * 365 * 2)]
    place = zoneinfo.ZoneInfo(zone)
    offsets = [half.astimezone(place).utcoffset() for half in halves]
    changed = [halves[index] for index in range(1, len(halves)) if offsets[index] != offsets[index - 1]]
    return changed or [dt.datetime(2025, 7, 1, tzinfo=dt.UTC)]


def airflows_next(schedule: str, zone: str, after: dt.datetime) -> dt.datetime:
    """The time of the run that Airflow's scheduler makes after a run of that time."""
    timetable = CronTriggerTimetable(cron_of(schedule), timezone=zone)
    info = timetable.next_dagrun_info(
        last_automated_data_interval=DataInterval.exact(coerce_datetime(after)),
        restriction=TimeRestriction(earliest=None, latest=None, catchup=True),
    )
    assert info is not None
    return info.run_after


def test_the_next_time_is_airflows_own_around_daylight_saving() -> None:
    """2,000 cases within a day and a half of a change of the clocks, the same in each run of this test."""
    chosen = random.Random(13)
    changes = {zone: transitions(zone) for zone in ZONES}
    differ = []
    for _ in range(CASES):
        zone, schedule = chosen.choice(ZONES), chosen.choice(SCHEDULES)
        after = chosen.choice(changes[zone]) + dt.timedelta(minutes=chosen.randint(-36 * 60, 36 * 60))
        ours, theirs = next_time(schedule, zone, after), airflows_next(schedule, zone, after)
        if ours != theirs:
            differ.append((schedule, zone, after, ours, theirs))
    assert differ == []


@pytest.mark.parametrize("zone", ["Europe/Berlin", "Australia/Lord_Howe", "America/Santiago"])
@pytest.mark.parametrize("schedule", ["*/10 * * * *", "30 2 * * *", "0 */2 * * *"])
def test_a_row_of_times_is_airflows_own(zone: str, schedule: str) -> None:
    """From tick to tick through both changes of a year, where each time is the start of the next search."""
    for change in transitions(zone)[:2]:
        start = change - dt.timedelta(hours=14)
        theirs, at = [], start
        for _ in range(150):
            at = airflows_next(schedule, zone, at)
            theirs.append(at)
        assert list(itertools.islice(next_times(schedule, zone, start), 150)) == theirs


def test_a_time_that_the_clock_skips_comes_an_hour_later() -> None:
    """In Berlin, the clock goes from 02:00 to 03:00 on 29 March 2026."""
    after = dt.datetime(2026, 3, 28, 12, tzinfo=dt.UTC)
    assert next_time("30 2 * * *", "Europe/Berlin", after) == dt.datetime(2026, 3, 29, 1, 30, tzinfo=dt.UTC)


def test_a_time_that_the_clock_shows_twice_is_the_second() -> None:
    """In Berlin, the clock shows 02:30 twice on 25 October 2026."""
    after = dt.datetime(2026, 10, 24, 12, tzinfo=dt.UTC)
    assert next_time("30 2 * * *", "Europe/Berlin", after) == dt.datetime(2026, 10, 25, 1, 30, tzinfo=dt.UTC)


WORDS = {
    "0 6 1 * *": "At 06:00, on day 1 of the month",
    "@midnight": "At 00:00",
    "@quarterly": "At 00:00, on day 1 of the month, every 3 months",
    "0 6 * * 1-5": "At 06:00, Monday through Friday",
    "0 6 * * 1#1": "At 06:00, on the first Monday of the month",
    "0 6 1-7 * 1": "At 06:00, between day 1 and 7 of the month, and also every Monday",
    "0 6 1 * 1,3": "At 06:00, on day 1 of the month, and also every Monday and every Wednesday",
    "0 6 13 * 5": "At 06:00, on day 13 of the month, and also every Friday",
}


@pytest.mark.parametrize(("schedule", "words"), WORDS.items())
def test_a_schedule_is_told_as_cron_means_it(schedule: str, words: str) -> None:
    """If both kinds of days are set, cron runs on days of either kind."""
    assert in_words(schedule) == words


def test_a_long_list_of_days_is_told_as_it_is() -> None:
    """The cron-descriptor that MWAA pins takes twice as long for each further value, and never ends."""
    schedule = f"0 6 * * 1-5/2,{','.join('1' * 40)}"
    assert in_words(schedule) == f'By cron "{schedule}"'


def test_words_do_not_depend_on_the_language_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """The library would translate them."""
    monkeypatch.setattr("locale.getlocale", lambda *_: ("de_DE", "UTF-8"))
    assert in_words("0 18 1 * *") == "At 18:00, on day 1 of the month"


def test_a_schedule_without_words_is_told_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """The library knows fewer forms than croniter."""
    monkeypatch.setattr("cron_descriptor.ExpressionDescriptor.get_description", lambda *_: 1 / 0)
    assert in_words("0 6 1 * *") == 'By cron "0 6 1 * *"'


@pytest.mark.parametrize(
    ("schedule", "both"), [("0 6 1 * *", False), ("0 6 1-7 * 1", True), ("0 6 ? * 1", False)]
)
def test_days_of_both_kinds_are_noticed(schedule: str, both: bool) -> None:
    """A star is no restriction."""
    assert both_days(checked_schedule(schedule)) == both


@pytest.mark.parametrize(
    "schedule", ["*/61 * * * *", "0 */25 * * *", "0 0 */32 * *", "0 0 1 */13 *", "0 0 * * */8"]
)
def test_a_step_that_is_longer_than_its_field_is_refused(schedule: str) -> None:
    """croniter takes it for the first number of the field."""
    with pytest.raises(PydanticCustomError, match="has the step"):
        checked_schedule(schedule)


def in_use() -> dict[str, set[str]]:
    """The abbreviations that zones of the IANA database use in 2026, each with the places that use it."""
    found: dict[str, set[str]] = {}
    for zone in zoneinfo.available_timezones():
        if "/" in zone and not zone.startswith(("posix/", "right/", "Etc/", "US/", "SystemV/")):
            for month in (1, 7):
                name = dt.datetime(2026, month, 1, tzinfo=zoneinfo.ZoneInfo(zone)).tzname() or ""
                if name.isalpha() and name not in ("UTC", "GMT"):
                    found.setdefault(name, set()).add(zone)
    return found


def test_every_abbreviation_in_use_leads_to_a_place_that_uses_it() -> None:
    """The table is complete, and its first place is right."""
    wrong = {
        name: zones.candidates(name)
        for name, places in in_use().items()
        if not {*zones.candidates(name)[:1]} & places
    }
    assert wrong == {}


def test_every_place_of_the_table_is_a_zone() -> None:
    """A remedy can be copied."""
    named = {zone for places in zones._ABBREVIATIONS.values() for zone in places}
    assert named <= zoneinfo.available_timezones()


@pytest.mark.parametrize("name", ["localtime", "Factory", "posixrules", "posix/Europe/Berlin", "right/UTC"])
def test_a_file_of_the_database_is_not_yet_a_zone(name: str) -> None:
    """It exists on some machines only, or means something else on each."""
    with pytest.raises(PydanticCustomError, match="not a time zone"):
        checked_timezone(name)


@pytest.mark.parametrize(
    "name", ["UTC", "Europe/Berlin", "America/Argentina/Buenos_Aires", "Etc/GMT-1", "GMT"]
)
def test_a_place_is_a_zone(name: str) -> None:
    """So is a fixed offset, by its name."""
    assert checked_timezone(name) == name
