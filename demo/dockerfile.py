"""The Dockerfile's stages as values: what an image of ours holds, and in which environment it runs."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from demo.processes import StackError


@dataclass(frozen=True)
class Image:
    """What a stage comes to.

    :param workdir: the folder in which its command runs; copies and relative paths start there.
    :param copies: for each path in the image, relative to `workdir`, the project's folder that is copied.
    """

    workdir: str
    environment: Mapping[str, str]
    copies: Mapping[str, str]


def read_dockerfile(path: Path, target: str) -> Image:
    """The stage of this name, with the stages that it is built on.

    :raises StackError: there is none, or it copies in a way that is not understood.
    """
    workdir, environment, copies = "/", dict[str, str](), dict[str, str]()
    for instruction, arguments in _stage(path, target):
        if instruction == "WORKDIR":
            (workdir,) = arguments
        elif instruction == "ENV":
            environment |= dict(argument.split("=", 1) for argument in arguments)
        elif instruction == "COPY" and not arguments[0].startswith("--from="):
            *sources, destination = arguments
            if len(sources) != 1 or not destination.endswith("/"):
                raise StackError(f"Stage {target}: one folder is copied at a time, not {arguments}.")
            copies[destination] = sources[0]
    return Image(workdir, environment, copies)


def _stage(path: Path, target: str) -> list[tuple[str, list[str]]]:
    stages: dict[str, list[tuple[str, list[str]]]] = {}
    text = path.read_text(encoding="utf-8").replace("\\\n", " ")
    for line in text.splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        instruction, rest = line.split(maxsplit=1)
        if instruction == "FROM":
            base, _, name = rest.split()
            stages[name] = current = list(stages.get(base, []))
        else:
            current.append((instruction, shlex.split(rest)))
    if target not in stages:
        raise StackError(f"{path} has no stage {target}.")
    return stages[target]
