"""A folder of files that are no plans, beside one good plan; and what it costs to check each of them.

    python -m bench.bad_plans FOLDER
    time python -m drs validate FOLDER

Each file is one that could stop a reader, fill its memory or take its time. The good plan must be read all
the same. Pipes and links to devices cannot be kept in a repository, so the folder is made each time.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from drs.plan import BrokenPlan, load_folder

GOOD = """\
name: {name}
target: {{region: eu-central-1, account_id: "111122223333"}}
protection_groups:
  database: {{source_servers: [s-aaaa0000bbbb00001]}}
waves:
  - {{name: database, protection_groups: [database]}}
"""
MIB = 1024 * 1024
SECRET = "hunter2-8h3gq"  # made up; no message may repeat it


def _changed(name: str, old: str, new: str) -> str:
    return GOOD.format(name=name).replace(old, new)


def _bomb() -> str:
    lines = ["a0: &a0 [x, x]", *(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 40))]
    return "name: aliases\n" + "\n".join(lines) + "\n"


def _misspelt_groups() -> str:
    groups = "".join(f"  application-tier-{n:03d}: {{server_tags: {{Tier: t{n}}}}}\n" for n in range(100))
    waves = "".join(f"  - {{name: w{n}, protection_groups: [aplication-tier-{n:03d}]}}\n" for n in range(100))
    return (
        "name: misspelt-groups\ntarget: {region: eu-central-1, account_id: '111122223333'}\n"
        f"protection_groups:\n{groups}waves:\n{waves}"
    )


def _chain() -> str:
    """800 waves, each of which waits for the next, and the last for the first."""
    groups = "".join(f"  g{n}: {{server_tags: {{Tier: t{n}}}}}\n" for n in range(800))
    waves = "".join(
        f"  - {{name: w{n}, protection_groups: [g{n}], depends_on: [w{(n + 1) % 800}]}}\n" for n in range(800)
    )
    return (
        "name: chain\ntarget: {region: eu-central-1, account_id: '111122223333'}\n"
        f"protection_groups:\n{groups}waves:\n{waves}"
    )


CONTENTS: dict[str, Callable[[], str | bytes]] = {
    "keys-700000": lambda: "".join(f"key{n}: 1\n" for n in range(700_000)),
    "keys-1-mib": lambda: ("name: keys-1-mib\n" + "".join(f"k{n}: 1\n" for n in range(200_000)))[:MIB],
    "keys-19000": lambda: "name: keys-19000\n" + "".join(f"nmae{n}: 1\n" for n in range(9_400)),
    "one-key-often": lambda: "name: one-key-often\n" * 9_000,
    "misspelt-groups": _misspelt_groups,
    "chain": _chain,
    "deep": lambda: "name: deep\nwaves: " + "[" * 500_000,
    "deep-blocks": lambda: "\n".join(" " * n + "a:" for n in range(1_400)),
    "aliases": _bomb,
    "base-60": lambda: _changed("base-60", "eu-central-1", "1" + ":1" * 400_000),
    "long-number": lambda: _changed("long-number", "eu-central-1", "9" * 900_000),
    "long-text": lambda: _changed("long-text", "[database]}", f"[{'a' * 900_000}]}}"),
    "long-schedule": lambda: _changed(
        "long-schedule", "target:", f"schedule: '{'1,' * 400_000}1 * * * *'\ntarget:"
    ),
    "tag-directives": lambda: "".join(f"%TAG !{n}! x\n" for n in range(70_000)) + "--- {}\n",
    "long-ago": lambda: _changed("long-ago", "target:", "recovery_point: 0001-01-01T00:00:00+23:59\ntarget:"),
    "not-text": lambda: bytes(range(256)) * 4000,
    "private-key": lambda: (
        f"-----BEGIN OPENSSH PRIVATE KEY-----\n{SECRET}\n-----END OPENSSH PRIVATE KEY-----\n"
    ),
    "kubernetes-secret": lambda: (
        f"apiVersion: v1\nkind: Secret\nstringData: {{password: {SECRET}}}\n{SECRET}: on\n"
    ),
    "syntax": lambda: f"password: *{SECRET}\n",
}
"""The text of each file, by its stem."""


def write(folder: Path) -> list[Path]:
    """Make the folder with all the bad files and the plan ``good.yaml``.

    :return: the bad files
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "good.yaml").write_text(GOOD.format(name="good"))
    for stem, content in CONTENTS.items():
        made = content()
        (folder / f"{stem}.yaml").write_bytes(made if isinstance(made, bytes) else made.encode())
    os.mkfifo(folder / "pipe.yaml")
    (folder / "folder.yaml").mkdir()
    for stem, target in {
        "endless": "/dev/zero",
        "terminal": "/dev/tty",
        "passwords": "/etc/shadow",
        "nowhere": "/nonexistent/plan.yaml",
        "itself": "itself.yaml",
    }.items():
        (folder / f"{stem}.yaml").symlink_to(target)
    return sorted(file for file in folder.iterdir() if file.name != "good.yaml")


def measure(folder: Path) -> Iterator[tuple[str, float, int]]:
    """For each file of the folder: its stem, the seconds that it took alone, and its number of problems."""
    for file in sorted(folder.iterdir()):
        begun = time.perf_counter()
        for loaded in load_folder(folder, only=file.stem):
            problems = len(loaded.problems) if isinstance(loaded, BrokenPlan) else 0
            yield file.stem, time.perf_counter() - begun, problems


def main() -> None:
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    folder = Path(sys.argv[1])
    if folder.exists():
        raise SystemExit(f"{folder} exists. Name a folder that does not exist yet.")
    write(folder)
    for stem, seconds, problems in measure(folder):
        print(f"{stem:18} {1000 * seconds:7.1f} ms  {problems:3} problems")


if __name__ == "__main__":
    main()
