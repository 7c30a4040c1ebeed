"""The settings: what they mean, and what is refused by name."""

from __future__ import annotations

import datetime as dt

import pytest

from drs import settings
from drs.errors import InvalidField


@pytest.mark.parametrize(
    ("text", "interval"),
    [
        (None, dt.timedelta(minutes=10)),
        ("", None),
        ("1m", dt.timedelta(minutes=1)),
        ("1h30m", dt.timedelta(hours=1.5)),
    ],
)
def test_the_watch_looks_every_ten_minutes_by_default(
    monkeypatch: pytest.MonkeyPatch, text: str | None, interval: dt.timedelta | None
) -> None:
    """If the setting is empty, it runs only by hand."""
    if text is not None:
        monkeypatch.setenv("AIRFLOW__DRS__WATCH_INTERVAL", text)
    assert settings.watch_interval() == interval


@pytest.mark.parametrize("text", ["10", "often", "59s", "0s"])
def test_an_interval_that_makes_no_sense_is_refused(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """Less than a minute would be a load on DRS, and no help."""
    monkeypatch.setenv("AIRFLOW__DRS__WATCH_INTERVAL", text)
    with pytest.raises(InvalidField, match="watch_interval") as refused:
        settings.watch_interval()
    assert text in refused.value.message


def test_a_run_may_begin_five_minutes_late_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    """A scheduler that was restarted, or a worker that was busy, needs no person."""
    assert settings.late_start() == dt.timedelta(minutes=5)
    monkeypatch.setenv("AIRFLOW__DRS__LATE_START", "1h")
    assert settings.late_start() == dt.timedelta(hours=1)


@pytest.mark.parametrize("text", ["5", "never", "29s", "0s"])
def test_no_lateness_at_all_is_refused(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """Every run is some seconds late, so no run would ever launch."""
    monkeypatch.setenv("AIRFLOW__DRS__LATE_START", text)
    with pytest.raises(InvalidField, match=r"late_start .* at least 30s"):
        settings.late_start()


def test_the_watch_terminates_nothing_unless_it_is_told_to(monkeypatch: pytest.MonkeyPatch) -> None:
    """The default is the careful one."""
    assert settings.watch_terminates() is False
    monkeypatch.setenv("AIRFLOW__DRS__WATCH_TERMINATES", "True")
    assert settings.watch_terminates() is True


def test_its_notifiers_are_written_as_in_a_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    """As JSON: a configuration file has no YAML."""
    assert settings.watch_notifiers() == ()
    text = '[{"notifier": "team.Pager", "parameters": {"text": "{{ drs.subject }}"}}]'
    monkeypatch.setenv("AIRFLOW__DRS__ALLOWED_NOTIFIERS", "team.*")
    monkeypatch.setenv("AIRFLOW__DRS__WATCH_NOTIFIERS", text)
    (notifier,) = settings.watch_notifiers()
    assert (notifier.notifier, notifier.parameters) == ("team.Pager", {"text": "{{ drs.subject }}"})


@pytest.mark.parametrize("text", ["team.Pager", '[{"notify": "team.Pager"}]', '{"notifier": "team.Pager"}'])
def test_other_notifiers_are_refused(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """The message has an example."""
    monkeypatch.setenv("AIRFLOW__DRS__WATCH_NOTIFIERS", text)
    with pytest.raises(InvalidField, match="watch_notifiers"):
        settings.watch_notifiers()


def test_the_watch_s_notifiers_must_be_allowed_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """One rule for all notifiers. The message names both settings."""
    monkeypatch.setenv("AIRFLOW__DRS__WATCH_NOTIFIERS", '[{"notifier": "team.Pager"}]')
    with pytest.raises(InvalidField, match=r"watch_notifiers .* team\.Pager is not allowed") as refused:
        settings.watch_notifiers()
    assert "AIRFLOW__DRS__ALLOWED_NOTIFIERS=airflow.providers.*,airflow.*,team.Pager" in refused.value.remedy
