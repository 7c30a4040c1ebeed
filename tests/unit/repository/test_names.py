"""Names in ``plugins/drs``: each means one thing, and no file hides another package's module."""

from __future__ import annotations

import ast
import sys
from collections import Counter
from importlib.metadata import packages_distributions
from pathlib import Path

PACKAGE = Path(__file__).parents[3] / "plugins" / "drs"
FILES = sorted(PACKAGE.rglob("*.py"))


def test_no_class_name_is_used_twice() -> None:
    """A reader who meets a class by its name alone knows which one it is."""
    classes = Counter(
        node.name
        for path in FILES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef)
    )
    assert len(classes) > 100
    assert [name for name, count in classes.items() if count > 1] == []


def test_no_module_has_the_name_of_an_installed_one() -> None:
    """Airflow executes a plugins folder without .airflowignore file by file, each under its stem: there a
    ``calendar.py`` would replace the standard library's.
    """
    # policy-sentry needs a package schema; only tests import both, and never where plugins are executed.
    taken = {*sys.stdlib_module_names, *packages_distributions()} - {"drs", "schema"}
    assert {"calendar", "http", "airflow"} <= taken
    stems = {path.stem for path in FILES} - {"__init__", "__main__"}
    assert stems & taken == set()


def test_the_root_holds_few_files() -> None:
    """A step of a drill's life has a folder; the root holds what belongs to all of them."""
    assert len(list(PACKAGE.glob("*.py"))) <= 8
