"""Changes the code in small ways and counts how many of the changes the unit tests notice.

    make mutation [MODULE=plugins/drs/run/timeline.py]

mutmut makes the mutants of each module, and a seeded sample of them is tested. Every mutant gets a process of
its own, forked from this one, which has imported all libraries before. It loads the changed code in place of
the module's file and runs those of its unit tests that execute the changed lines, the shortest first, until
one fails.

Not changed are type annotations, decorated functions, assertions and wording (text, what is formatted into
text, and calls of the log): nobody tests words.
"""

from __future__ import annotations

import contextlib
import difflib
import importlib
import importlib.util
import json
import os
import random
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from importlib.machinery import ModuleSpec, SourceFileLoader
from pathlib import Path
from types import CodeType
from typing import Any

import coverage
import pytest
from libcst import matchers
from libcst.metadata import MetadataWrapper, PositionProvider
from mutmut.mutation.file_mutation import create_mutations

SAMPLE, SEED = 60, 20261127
PACKAGE, TESTS = Path("plugins/drs"), Path("tests/unit")
MODULES = {
    "run/timeline.py": "run/test_timeline.py",
    "run/ownership.py": "run/test_ownership.py",
    "run/proof.py": "tasks/test_closing.py",
    "run/guards.py": "run/test_guards.py",
    "aws/jobs.py": "aws/test_jobs.py",
    "launch/wave_launch.py": "launch/test_wave_launch.py",
    "cleanup/clean_up.py": "cleanup/test_clean_up.py",
}
"""The modules, and for each the unit tests that are to notice its mutants."""
WORDING = (
    matchers.SimpleString()
    | matchers.FormattedString()
    | matchers.Assert()
    | matchers.Call(func=matchers.Attribute(value=matchers.Attribute(attr=matchers.Name("_log"))))
)
OUR_OWN = {"__main__", "bench", "demo", "drs", "simulator", "tests"}


@dataclass(frozen=True)
class Mutant:
    """One change of a module, and the lines that it touches."""

    code: str
    lines: range


def sample_mutants(path: Path) -> tuple[list[Mutant], int]:
    """A sample of the changes that mutmut makes of the module, and how many there are."""
    module, mutations, _, _ = create_mutations(str(path), path.read_text())
    anything: Any = matchers.MatchIfTrue(lambda _: True)
    wording = {
        part for found in matchers.findall(module, WORDING) for part in matchers.findall(found, anything)
    }
    positions = MetadataWrapper(module, unsafe_skip_copy=True).resolve(PositionProvider)
    fitting = [each for each in mutations if each.original_node not in wording]
    sample = []
    for each in random.Random(SEED).sample(fitting, min(SAMPLE, len(fitting))):
        changed = module.deep_replace(each.original_node, each.mutated_node)
        node = each.original_node
        while node not in positions:  # an operator has none of its own
            node = next(other for other in positions if node in other.children)
        place: Any = positions[node]
        sample.append(Mutant(module.code_for_node(changed), range(place.start.line, place.end.line + 1)))
    return sample, len(fitting)


class MutatedModule(SourceFileLoader):
    """Finds and loads one module, with other code than its file has."""

    def __init__(self, path: Path, code: str) -> None:
        super().__init__(".".join(path.relative_to("plugins").with_suffix("").parts), str(path))
        self._code = code

    def get_code(self, _: str) -> CodeType:
        return compile(self._code, self.path, "exec")

    def find_spec(self, name: str, *_: object) -> ModuleSpec | None:
        return (
            importlib.util.spec_from_file_location(name, self.path, loader=self)
            if name == self.name
            else None
        )


@dataclass
class Watch:
    """Notes which test executes which lines, and how long it takes."""

    lines: coverage.Coverage
    seconds: dict[str, float] = field(default_factory=lambda: defaultdict(float))

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        self.lines.switch_context(item.nodeid)
        return (yield)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.seconds[report.nodeid] += report.duration


def fork(work: Callable[[], int]) -> int:
    """The result of the work, which is done in a process of its own and in silence."""
    child = os.fork()
    if child == 0:
        result = os.EX_SOFTWARE
        try:
            silence = os.open(os.devnull, os.O_WRONLY)
            os.dup2(silence, 1)
            os.dup2(silence, 2)
            result = work()
        finally:
            os._exit(result)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def run_tests(tests: Sequence[str], *plugins: object) -> int:
    return int(pytest.main(["-xq", "-p", "no:cacheprovider", "--timeout=120", *tests], plugins=list(plugins)))


def watch_tests(path: Path, tests: Sequence[str]) -> tuple[list[str], dict[int, set[str]]]:
    """The tests, the shortest first; and which of them execute each line, "" where it is executed at import.

    Imports the libraries that they use.
    """
    with tempfile.NamedTemporaryFile("r", suffix=".json") as result:

        def watch() -> int:
            lines = coverage.Coverage(data_file=None, include=[str(path)])
            with lines.collect():
                status = run_tests(tests, seen := Watch(lines))
            executed = lines.get_data().contexts_by_lineno(str(path.resolve()))
            Path(result.name).write_text(json.dumps([seen.seconds, executed, list(sys.modules)]))
            return status

        if fork(watch) != 0:
            sys.exit(f"These tests do not pass as they are: {' '.join(tests)}")
        seconds, executed, modules = json.load(result)
    for module in modules:
        if module.partition(".")[0] not in OUR_OWN:
            with contextlib.suppress(ImportError):
                importlib.import_module(module)
    return sorted(seconds, key=seconds.__getitem__), {int(line): set(ids) for line, ids in executed.items()}


def is_killed(mutant: Mutant, path: Path, tests: Sequence[str]) -> bool:
    """Whether one of the tests fails on the mutant."""

    def test() -> int:
        sys.meta_path.insert(0, MutatedModule(path, mutant.code))
        return run_tests(tests)

    return bool(tests) and fork(test) != 0


def measure(path: Path, tests: Sequence[str]) -> None:
    """Test a sample of the module's mutants and show those that survive."""
    order, executed = watch_tests(path, tests)
    sample, count = sample_mutants(path)
    before, killed = path.read_text().splitlines(), 0
    for mutant in sample:
        touching = set[str]().union(*(executed.get(line, set()) for line in mutant.lines))
        chosen = [test for test in order if test in touching or "" in touching]
        if is_killed(mutant, path, chosen):
            killed += 1
            continue
        changes = difflib.unified_diff(before, mutant.code.splitlines(), n=0, lineterm="")
        print(f"survived {len(chosen)} tests:", *list(changes)[2:], sep="\n    ", flush=True)
    share = killed / len(sample)
    print(
        f"{path}: {killed} of {len(sample)} mutants killed ({share:.0%}), sampled of {count} by {SEED}",
        flush=True,
    )


def main() -> None:
    for module, tests in MODULES.items():
        path = PACKAGE / module
        if len(sys.argv) < 2 or str(path) in sys.argv[1:]:
            measure(path, [str(TESTS / tests)])


if __name__ == "__main__":
    main()
