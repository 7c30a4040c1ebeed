"""Plans that the end-to-end tests write, and the servers of the default fleet that they use."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

DIRECTORY = [f"s-7d10c4e2f8a9{n:05x}" for n in range(1, 3)]
DATABASE = [f"s-7db0a5e1c6f2{n:05x}" for n in range(1, 7)]
APPLICATION = [f"s-7da9b8c7d6e5{n:05x}" for n in range(1, 11)]
WEB = [f"s-7de4f3a2b1c0{n:05x}" for n in range(1, 13)]
BILLING_EU = [f"s-8e21d5f309ba{n:05x}" for n in (0x20001, 0x20002)]
"""Of another account and Region: 444455556666 in eu-central-1."""

HERE = '{region: us-east-1, account_id: "111122223333"}'

QUICK = "{server_delay: 1s}"
AFTER_PREFLIGHT = "delay_before: 8s"
"""Of a first wave: time to make trouble that preflight must not see."""


def write_plan(
    folder: Path,
    name: str,
    waves: Sequence[tuple[str, Sequence[str]]],
    *,
    launch: str = QUICK,
    wave_extra: str = "delay_before: 1s",
    first_wave_extra: str = "",
    optional: Sequence[str] = (),
    target: str = HERE,
    top: str = "",
) -> Path:
    """Write a plan with one group for each wave, in the plans folder of the stack.

    :param waves: each wave's name and servers
    :param launch: the plan's launch section
    :param wave_extra: further keys of every wave but the first
    :param first_wave_extra: further keys of the first wave
    :param optional: waves whose group is optional
    :param target: the plan's target section
    :param top: further lines of the plan
    """
    groups, listed = [], []
    for position, (wave, servers) in enumerate(waves):
        lenient = ", optional: true" if wave in optional else ""
        groups.append(f"  {wave}: {{source_servers: [{', '.join(servers)}]{lenient}}}")
        extra = wave_extra if position else first_wave_extra
        listed.append(f"  - {{name: {wave}, protection_groups: [{wave}]{', ' if extra else ''}{extra}}}")
    path = folder / f"{name}.yaml"
    text = (
        f"name: {name}\n{top}\n"
        f"target: {target}\n"
        f"protection_groups:\n{chr(10).join(groups)}\nlaunch: {launch}\nwaves:\n{chr(10).join(listed)}\n"
    )
    # In one step, so that the DAG processor never sees half a file.
    scratch = path.with_suffix(".tmp")
    scratch.write_text(text)
    scratch.rename(path)
    return path
