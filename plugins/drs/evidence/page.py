"""Renders a run's record as one self-contained HTML page, for an auditor and to print on A4. Pure."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from markupsafe import Markup

from drs.evidence import axis, drawing, texts
from drs.evidence.record import Evidence, InstanceEvidence
from drs.run.records import RECOVERY_APPROVAL
from drs.text import shown, times


def render_page(record: Evidence) -> str:
    """The record as an HTML page. The same record always gives the same page.

    All values come from outside, so they are escaped, and invisible characters are shown as escape sequences.
    """
    return _template().render(
        record=record,
        figures=drawing.draw(record),
        names={server.server_id: server.name for wave in record.waves for server in wave.servers},
        plan_text=yaml.safe_dump(
            record.plan.content, sort_keys=False, allow_unicode=True, default_flow_style=False, width=96
        ),
    )


@cache
def _template() -> Template:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_seen,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        instant=times.instant, duration=times.duration, known=_known, number=_number, css_word=_css_word
    )
    environment.tests.update(is_remarkable=texts.is_remarkable)
    environment.globals.update(
        axis=axis,
        texts=texts,
        drawing=drawing,
        subject=_subject,
        instance_name=_instance_name,
        is_web_address=_is_web_address,
    )
    return environment.get_template("page.html.j2")


def _seen(value: Any) -> Any:
    """Show characters that are invisible, or that hide others, as escape sequences."""
    if not isinstance(value, str) or isinstance(value, Markup):
        return value
    return shown.html(value)


def _known(value: object) -> object:
    """The value, or a dash if there is none."""
    return "–" if value in (None, "", ()) else value


def _number(value: float) -> str:
    """A coordinate with at most two decimals and without trailing zeros."""
    return f"{value:.2f}".rstrip("0").rstrip(".")


def _css_word(text: str) -> str:
    """The text without the characters that a CSS string may not contain."""
    return re.sub(r"[^A-Za-z0-9._-]", "", text)


def _subject(key: str) -> str:
    """What an approval was about."""
    return "the recovery as a whole" if key == RECOVERY_APPROVAL else key.strip("*")


def _instance_name(instance: InstanceEvidence) -> str:
    """The id of an instance; both ids if DRS and EC2 use different ones."""
    if instance.ec2_instance_id == instance.recovery_instance_id:
        return instance.recovery_instance_id
    return f"{instance.recovery_instance_id} (EC2: {instance.ec2_instance_id})"


def _is_web_address(url: str) -> bool:
    """Whether the page may link to this URL. Other URLs, such as ``javascript:``, stay text."""
    return url.startswith(("https://", "http://"))
