"""Shows a drill as it runs: a table that moves on a terminal, one line for each change anywhere else."""

from __future__ import annotations

import sys
import time
from typing import Self

from rich.console import Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from demo.progress import Picture, WaveView

COLOURS = {
    "running": "yellow",
    "deferred": "yellow",
    "up_for_retry": "red",
    "failed": "red",
    "upstream_failed": "red",
    "success": "green",
    "PENDING": "yellow",
    "STARTED": "yellow",
    "COMPLETED": "green",
}


class PlainScreen:
    """Prints one line for each change, with the seconds since the start: for a pipe or a file."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._facts: dict[str, str] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def say(self, text: str) -> None:
        """Show what happens now."""
        print(f"[{time.monotonic() - self._began:6.1f} s] {text}", flush=True)

    def show(self, picture: Picture) -> None:
        """Show what has changed since the last picture."""
        for key, fact in picture.facts().items():
            if self._facts.get(key) != fact:
                self.say(fact)
                self._facts[key] = fact


class LiveScreen:
    """Draws a table of waves and their DRS jobs, again and again in its place: for a terminal."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._said = ""
        self._picture: Picture | None = None
        self._live = Live(get_renderable=self._render, refresh_per_second=4)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._live.stop()

    def say(self, text: str) -> None:
        """Show what happens now, above the table."""
        self._said = text

    def show(self, picture: Picture) -> None:
        """Draw this picture from now on."""
        self._picture = picture

    def _render(self) -> Group:
        head = Text(f"{time.monotonic() - self._began:6.1f} s  {self._said}")
        if self._picture is None:
            return Group(head)
        tasks = Text("          ")
        for task, state in self._picture.tasks:
            tasks.append(f"{task} ").append(state, COLOURS.get(state, "")).append("   ")
        return Group(head, tasks, _table(self._picture))


Screen = PlainScreen | LiveScreen


def screen() -> Screen:
    """The screen that fits standard output."""
    return LiveScreen() if sys.stdout.isatty() else PlainScreen()


def _table(picture: Picture) -> Table:
    table = Table("wave", "step", "servers", "DRS job", "state", "launched", "instances left")
    for wave in picture.waves:
        for number, row in enumerate(_rows(wave)):
            first = number == 0
            table.add_row(
                wave.name if first else "",
                wave.step if first else "",
                *row,
                str(len(wave.left)) if first else "",
            )
        table.add_section()
    return table


def _rows(wave: WaveView) -> list[tuple[str, str, Text, str]]:
    rows = [
        (
            _names(job.servers),
            job.job_id if job.is_ours else f"{job.job_id} (not this drill's)",
            Text(f"{job.kind} {job.status}", COLOURS.get(job.status, "")),
            f"{job.launched}/{len(job.servers)}" if job.kind == "LAUNCH" else "",
        )
        for job in wave.jobs
    ]
    in_jobs = {server for job in wave.jobs for server in job.servers}
    if waiting := tuple(name for name in wave.servers.values() if name not in in_jobs):
        rows.append((_names(waiting), "", Text("none yet", "dim"), ""))
    return rows


def _names(servers: tuple[str, ...]) -> str:
    return ", ".join(servers) if len(servers) <= 3 else f"{len(servers)} servers"
