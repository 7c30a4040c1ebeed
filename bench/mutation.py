"""Changes the code in small ways and counts how many of the changes the unit tests notice.

    make mutation [MODULE=timeline]

mutmut makes the mutants of a module's files, and a seeded sample of them is tested. Every mutant gets a
process of its own, forked from this one, which has imported all libraries before. It loads the changed code
in place of the file and runs those of the module's unit tests that execute the changed lines, the shortest
first, until one fails.

Not changed are type annotations, decorated functions, assertions and wording (text, what is formatted into
text, and calls of the log): nobody tests words.
"""

from __future__ import annotations

import contextlib
import difflib
import functools
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
from mutmut.mutation.file_mutation import Mutation, create_mutations

SAMPLE, SEED = 60, 20261127
PLUGINS, TESTS = Path("plugins"), Path("tests/unit")
MODULES = {
    "timeline": (("run/timeline.py",), "run/test_timeline.py"),
    "ownership": (("run/ownership.py",), "run/test_ownership.py"),
    "proof": (("run/proof.py",), "tasks/test_closing.py run/test_stopped.py"),
    "guards": (("run/guards.py",), "run/test_guards.py"),
    "jobs": (("aws/jobs.py",), "aws/test_jobs.py"),
    "launch": (
        (
            "launch/wave_launch.py",
            "launch/wave_record.py",
            "launch/earlier_try.py",
            "launch/before_call.py",
        ),
        "launch",
    ),
    "cleanup": (
        (
            "cleanup/clean_up.py",
            "cleanup/look.py",
            "cleanup/situation.py",
            "cleanup/drill_instances.py",
            "cleanup/lost.py",
        ),
        "cleanup",
    ),
    "standing": (("run/standing.py", "run/other_drills.py"), "run/test_standing.py run/test_other_drills.py"),
    "identity": (
        ("tasks/identity.py", "tasks/standing.py", "tasks/active_run.py", "tasks/installation.py"),
        "tasks/test_identity.py tasks/test_standing.py tasks/test_active_run.py tasks/test_installation.py",
    ),
}
"""By the name of each module: its files, and the unit tests that are to notice its mutants."""
WORDING = (
    matchers.SimpleString()
    | matchers.FormattedString()
    | matchers.Assert()
    | matchers.Call(func=matchers.Attribute(value=matchers.Attribute(attr=matchers.Name("_log"))))
)
PROPERTY, STATIC = "@property", "@staticmethod"
OUR_OWN = {"__main__", "bench", "demo", "drs", "simulator", "tests"}


@dataclass(frozen=True)
class Mutant:
    """One change of a file, and the lines that it touches."""

    path: Path
    code: str
    lines: range

    @property
    def changes(self) -> str:
        """The lines before and after."""
        before, after = self.path.read_text().splitlines(), self.code.splitlines()
        lines = difflib.unified_diff(before, after, str(self.path), n=0, lineterm="")
        return "\n    ".join(line for line in lines if not line.startswith("+++"))


def make_mutants(path: Path) -> Iterator[Callable[[], Mutant]]:
    """All changes that mutmut makes of a file, but for wording; each is made when it is asked for."""
    # mutmut leaves decorated functions out, but for static methods: that is how it gets to see properties.
    seen = path.read_text().replace(PROPERTY, STATIC)
    module, mutations, _, _ = create_mutations(str(path), seen)
    anything: Any = matchers.MatchIfTrue(lambda _: True)
    wording = {
        part for found in matchers.findall(module, WORDING) for part in matchers.findall(found, anything)
    }
    positions = MetadataWrapper(module, unsafe_skip_copy=True).resolve(PositionProvider)

    def make(mutation: Mutation) -> Mutant:
        node = mutation.original_node
        changed = module.deep_replace(node, mutation.mutated_node)
        code = module.code_for_node(changed).replace(STATIC, PROPERTY)
        while node not in positions:  # an operator has none of its own
            node = next(other for other in positions if node in other.children)
        place: Any = positions[node]
        return Mutant(path, code, range(place.start.line, place.end.line + 1))

    return (functools.partial(make, each) for each in mutations if each.original_node not in wording)


class MutatedModule(SourceFileLoader):
    """Finds and loads one module, with other code than its file has."""

    def __init__(self, mutant: Mutant) -> None:
        super().__init__(".".join(mutant.path.relative_to(PLUGINS).with_suffix("").parts), str(mutant.path))
        self._code = mutant.code

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
    return int(pytest.main(["-xq", "-p", "no:cacheprovider", "--timeout=45", *tests], plugins=list(plugins)))


def watch_tests(
    paths: Sequence[Path], tests: Sequence[str]
) -> tuple[list[str], dict[tuple[Path, int], set[str]]]:
    """The tests, the shortest first; and which of them execute each line, "" where it is executed at import.

    Imports the libraries that they use.
    """
    with tempfile.NamedTemporaryFile("r", suffix=".json") as result:

        def watch() -> int:
            lines = coverage.Coverage(data_file=None, include=[str(path) for path in paths])
            with lines.collect():
                status = run_tests(tests, seen := Watch(lines))
            executed = [
                (str(path), line, tests)
                for path in paths
                for line, tests in lines.get_data().contexts_by_lineno(str(path.resolve())).items()
            ]
            Path(result.name).write_text(json.dumps([seen.seconds, executed, list(sys.modules)]))
            return status

        if fork(watch) != 0:
            sys.exit(f"The tests do not pass as they are: {', '.join(tests)}")
        seconds, executed, modules = json.load(result)
    for module in modules:
        if module.partition(".")[0] not in OUR_OWN:
            with contextlib.suppress(ImportError):
                importlib.import_module(module)
    order = sorted(seconds, key=seconds.__getitem__)
    return order, {(Path(path), line): set(names) for path, line, names in executed}


def is_killed(mutant: Mutant, tests: Sequence[str]) -> bool:
    """Whether one of the tests fails on the mutant."""

    def test() -> int:
        sys.meta_path.insert(0, MutatedModule(mutant))
        return run_tests(tests)

    return bool(tests) and fork(test) != 0


def measure(name: str) -> None:
    """Test a sample of the module's mutants, and show those that survive."""
    files, tests = MODULES[name]
    paths = [PLUGINS / "drs" / file for file in files]
    order, executed = watch_tests(paths, [str(TESTS / test) for test in tests.split()])
    mutants = [mutant for path in paths for mutant in make_mutants(path)]
    sample, killed = random.Random(SEED).sample(mutants, min(SAMPLE, len(mutants))), 0
    for mutant in (make() for make in sample):
        touching = set[str]().union(*(executed.get((mutant.path, line), set()) for line in mutant.lines))
        chosen = [test for test in order if test in touching or "" in touching]
        if is_killed(mutant, chosen):
            killed += 1
        else:
            print(f"survived {len(chosen)} tests:\n    {mutant.changes}", flush=True)
    share = killed / len(sample)
    print(
        f"{name}: {killed} of {len(sample)} mutants killed ({share:.0%}), of {len(mutants)} in all",
        flush=True,
    )


def main() -> None:
    for name in sys.argv[1:] or MODULES:
        measure(name)


if __name__ == "__main__":
    main()
