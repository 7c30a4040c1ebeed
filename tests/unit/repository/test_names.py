"""Names in ``plugins/drs``: each means one thing, and no file hides another package's module."""

from __future__ import annotations

import ast
import sys
from collections import Counter
from importlib.metadata import packages_distributions
from pathlib import Path

PLUGINS = Path(__file__).parents[3] / "plugins"
PACKAGE = PLUGINS / "drs"
FILES = sorted(PACKAGE.rglob("*.py"))
OF_OTHERS = {"coverage", "schedule", "schema", "validate"}
"""Modules of widely used packages that are not always installed beside the tests."""
DEFINES = (
    ast.Import,
    ast.ImportFrom,
    ast.Assign,
    ast.AnnAssign,
    ast.FunctionDef,
    ast.AsyncFunctionDef,
    ast.ClassDef,
)


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
    """Airflow executes a plugins folder without .airflowignore files file by file, each under its stem: there
    a ``calendar.py`` would replace the standard library's.
    """
    taken = {*sys.stdlib_module_names, *packages_distributions(), *OF_OTHERS} - {"drs"}
    assert {"calendar", "http", "airflow", "schema"} <= taken
    stems = {path.stem for path in (*FILES, *PLUGINS.glob("*.py"))} - {"__init__", "__main__"}
    assert stems & taken == set()


def test_no_module_acts_when_it_is_imported() -> None:
    """A file that Airflow executes a second time, under its bare name, only defines things again. The one
    that starts the command line does so inside its package only.
    """
    acting = {
        path.relative_to(PLUGINS).as_posix()
        for path in (*FILES, *PLUGINS.glob("*.py"))
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if not isinstance(node, DEFINES) and not is_docstring(node) and not only_for_types(node)
    }
    assert acting == {
        "drs/__main__.py",  # starts the command line, if it is in its package
        "drs/tasks/preloaded.py",  # reads models, if it is in its package
        "drs/plan/source.py",  # looks for the faster parser
        "drs_plugin.py",  # is executed once, by Airflow; it warns
    }
    imports = (
        node
        for path in FILES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom)
    )
    assert all(node.level == 0 for node in imports)  # outside its package, a relative import fails
    assert 'if __name__ == "__main__" and __package__:' in (PACKAGE / "__main__.py").read_text()
    assert "if __package__:" in (PACKAGE / "tasks" / "preloaded.py").read_text()


def is_docstring(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def only_for_types(node: ast.stmt) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"


def test_the_root_holds_few_files() -> None:
    """A step of a drill's life has a folder; the root holds what belongs to all of them."""
    assert len(list(PACKAGE.glob("*.py"))) <= 8
