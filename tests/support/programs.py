"""Programs that are no Python packages: a test that needs one skips, and never in CI."""

import os
import shutil
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def program(name: str, package: str) -> str:
    """Return the path of a program, or skip with the Debian package that has it."""
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")
    if found is None:
        _do_without(f"{name} is missing: apt-get install {package}")
    return str(found)


def python_program(name: str, package: str) -> str:
    """Return the path of a program that a Python package brings, or skip with which."""
    found = shutil.which(name, path=str(Path(sys.executable).parent))
    if found is None:
        _do_without(f"{name} is missing: pip install {package}")
    return str(found)


def node_package(name: str) -> Path:
    """Return the folder of a package of the npm registry, or skip with how to install it."""
    folder = ROOT / ".node" / "node_modules" / name
    if not folder.is_dir():
        _do_without(f"{name} is missing: npm install --prefix .node {name}")
    return folder


def _do_without(reason: str) -> None:
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)
