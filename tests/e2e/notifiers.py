"""Notifiers that the plans of the end-to-end tests name."""

from __future__ import annotations

from typing import Any

from airflow.sdk import BaseNotifier


class Broken(BaseNotifier):
    """A channel that is down.

    :param text: what it would say
    """

    template_fields = ("text",)

    def __init__(self, *, text: str) -> None:
        super().__init__()
        self.text = text

    def notify(self, context: Any) -> None:
        raise ConnectionError(f"the pager is down; unsaid: {self.text}")
