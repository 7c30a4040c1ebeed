"""``files``: list and copy what comes with this package and is no code of it: DAG files, example plans, IAM
policies, alarms, schemas.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from drs.cli.common import BROKEN, OK, USAGE, add_json, add_parser, counted, print_json

SHIPPED = (
    "dags",
    "include/airflow.env",
    "include/cloudwatch",
    "include/evidence.schema.json",
    "include/iam",
    "include/plans",
)
"""The files and folders, by their paths in a clone; pyproject.toml puts the same ones into the package."""


def add_commands(commands: Any) -> None:
    parser = add_parser(
        commands,
        "files",
        help="list and copy DAG files, example plans, IAM policies, alarms and schemas",
        description="List the files that come with this package: DAG files, example plans, IAM policies, the "
        "CloudFormation template of the alarms, and schemas. With --to, copy them into a folder, where they "
        "keep their paths. No file is replaced that has another content.",
        exit_codes={
            0: "the files were listed or copied",
            1: "a file exists already and has another content; all others were copied",
            2: "wrong usage, a name that no file or folder has, or a file that cannot be written",
        },
    )
    parser.add_argument(
        "names",
        nargs="*",
        metavar="NAME",
        help="a file or folder of the list, such as include/iam (default: all)",
    )
    parser.add_argument("--to", type=Path, metavar="FOLDER", help="copy them into this folder")
    parser.add_argument("--replace", action="store_true", help="with --to: replace files of another content")
    add_json(parser)
    parser.set_defaults(run=_files)


def _files(arguments: argparse.Namespace) -> int:
    root = files_root()
    if root is None:
        print(
            "These files are not here: this is neither the installed package nor a clone of its repository.\n"
            "What to do: pip install drs-drills, or take them from the folders dags and include of the "
            "repository.",
            file=sys.stderr,
        )
        return USAGE
    listed = list(shipped(root))
    chosen = [path for path in listed if not arguments.names or any(map(_under(path), arguments.names))]
    unknown = [name for name in arguments.names if not any(_under(path)(name) for path in listed)]
    if unknown:
        print(
            f"No file or folder is called {', '.join(unknown)}.\n"
            "What to do: `python -m drs files` lists all.",
            file=sys.stderr,
        )
        return USAGE
    if arguments.to is not None:
        return _copy(root, chosen, arguments.to, replace=arguments.replace)
    if arguments.json:
        print_json(chosen)
    else:
        print("\n".join(chosen))
    return OK


def _under(path: str) -> Any:
    """Whether the file is the one of a name, or in the folder of that name."""
    return lambda name: f"{path}/".startswith(f"{name.rstrip('/')}/")


def files_root() -> Path | None:
    """The folder that holds :data:`SHIPPED`; ``None`` in a plugins folder, where they are the user's own."""
    package = Path(__file__).parents[1]
    if (package / "shipped").is_dir():
        return package / "shipped"
    clone = package.parents[1]
    return clone if (clone / "pyproject.toml").is_file() else None


def shipped(root: Path) -> Iterator[str]:
    """The paths of all files, relative to the root."""
    for name in SHIPPED:
        place = root / name
        for path in [place] if place.is_file() else sorted(place.rglob("*")):
            if path.is_file() and path.suffix != ".pyc":
                yield path.relative_to(root).as_posix()


def _copy(root: Path, paths: Sequence[str], to: Path, *, replace: bool) -> int:
    kept = []
    for path in paths:
        content, target = (root / path).read_bytes(), to / path
        try:
            if target.exists() and target.read_bytes() != content and not replace:
                kept.append(str(target))
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
        except OSError as error:
            print(f"{target} cannot be written: {error.strerror}.", file=sys.stderr)
            return USAGE
    print(f"{counted(len(paths) - len(kept), 'file')} copied to {to}.")
    for name in kept:
        print(f"Not replaced, because it has another content: {name}", file=sys.stderr)
    if kept:
        print("What to do: compare them, and repeat the command with --replace.", file=sys.stderr)
    return BROKEN if kept else OK
