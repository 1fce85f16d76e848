"""The gates that are tests: sizes, names, prose of silenced checkers, locks, contracts."""

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("candor", "collector", "dashboards", "privacy", "slo")
FORBIDDEN_NAMES = {
    *("service", "manager", "utils", "util", "helpers", "helper", "common", "models", "misc"),
}
SOURCES = sorted(
    path for folder in (*PACKAGES, "tests", "benchmarks") for path in (ROOT / folder).rglob("*.py")
)
MOST_MODULE_LINES = 400
MOST_FUNCTION_LINES = 40
SILENCED = re.compile(r"#\s*(noqa|type: ignore)\b(?P<rest>.*)")


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def code_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Return the lines of a body, without its docstring: a shape that is told costs nothing."""
    told = ast.get_docstring(function, clean=False)
    lines = (function.end_lineno or 0) - function.body[0].lineno + 1
    return lines - (told.count("\n") + 1 if told else 0)


@pytest.mark.parametrize("path", SOURCES, ids=name)
def test_modules_and_functions_stay_small(path: Path) -> None:
    limit = MOST_MODULE_LINES if "tests" not in path.parts else 2 * MOST_MODULE_LINES
    assert len(path.read_text(encoding="utf-8").splitlines()) <= limit
    if "tests" not in path.parts:
        long = [one.name for one in functions(path) if code_lines(one) > MOST_FUNCTION_LINES]
        assert long == []


@pytest.mark.parametrize("path", SOURCES, ids=name)
def test_every_silenced_checker_says_why(path: Path) -> None:
    for line in path.read_text(encoding="utf-8").splitlines():
        found = SILENCED.search(line)
        if found and "re.compile" not in line:
            assert re.search(r"( - |\]\s+# )\S", found["rest"]), line


def test_packages_hold_a_docstring_and_nothing_else() -> None:
    for package in PACKAGES:
        for path in (ROOT / package).rglob("__init__.py"):
            body = ast.parse(path.read_text(encoding="utf-8")).body
            assert [type(node) for node in body] == [ast.Expr], path


def test_modules_are_named_for_concepts() -> None:
    assert [path for path in SOURCES if path.stem in FORBIDDEN_NAMES] == []


def test_every_package_of_the_wheel_has_a_whole_import_contract() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    contracts = project["tool"]["importlinter"]["contracts"]
    whole = {
        one
        for contract in contracts
        if contract.get("exhaustive")
        for one in contract["containers"]
    }
    assert set(wheel) <= whole
    assert set(wheel) == set(PACKAGES)


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-dev.lock"])
def test_locks_have_hashes_and_name_no_index(lock: str) -> None:
    text = (ROOT / lock).read_text(encoding="utf-8")
    packages = re.findall(r"^[a-z0-9][^ ]*==", text, re.MULTILINE)
    assert len(packages) > 50
    assert text.count("--hash=sha256:") >= len(packages)
    assert "://" not in text
    assert "index" not in text
    assert not {"pandas==", "pyarrow=="} & set(packages)
