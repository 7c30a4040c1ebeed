"""A run's record as one HTML page that needs nothing else: for an auditor, or to print on A4. Pure."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from markupsafe import Markup

from drs import times
from drs.evidence import axis, drawing, texts
from drs.evidence.record import Evidence, InstanceEvidence
from drs.run.records import RECOVERY_APPROVAL

_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]"
)
"""Control characters, and those that turn the direction of the text around them."""


def render_page(record: Evidence) -> str:
    """The record as an HTML page, the same for the same record.

    Everything in it is text from outside: it is escaped, and characters that nobody would see are spelt out.
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
    """Spell out the characters of a text that would not be seen, or would hide others."""
    if not isinstance(value, str) or isinstance(value, Markup):
        return value
    return _UNSEEN.sub(lambda found: f"\\u{ord(found.group()):04x}", value.replace("\r\n", "\n"))


def _known(value: object) -> object:
    """The value, or a dash for none."""
    return "–" if value in (None, "", ()) else value


def _number(value: float) -> str:
    """A coordinate: at most two decimals, and none where there are none to tell."""
    return f"{value:.2f}".rstrip("0").rstrip(".")


def _css_word(text: str) -> str:
    """What of a text may stand in a CSS string."""
    return re.sub(r"[^A-Za-z0-9._-]", "", text)


def _subject(key: str) -> str:
    """What an approval was about, by its key."""
    return "the recovery as a whole" if key == RECOVERY_APPROVAL else key.strip("*")


def _instance_name(instance: InstanceEvidence) -> str:
    """Both ids of an instance where they differ."""
    if instance.ec2_instance_id == instance.recovery_instance_id:
        return instance.recovery_instance_id
    return f"{instance.recovery_instance_id} (EC2: {instance.ec2_instance_id})"


def _is_web_address(url: str) -> bool:
    """Whether a link may lead there; nothing else is made one, ``javascript:`` least of all."""
    return url.startswith(("https://", "http://"))
