"""Real disks that are really full: small file systems of their own."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path]:
    """Give a file system of that size (as mount spells it), gone at the end; only root may."""
    folder.mkdir()
    mounting, unmounting = shutil.which("mount"), shutil.which("umount")
    if os.geteuid() != 0 or mounting is None or unmounting is None:
        pytest.skip("a small disk needs root and mount")
    mount = [mounting, "-t", "tmpfs", "-o", f"size={size}", "tmpfs", os.fspath(folder)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        if os.environ.get("CI"):
            pytest.fail(f"root of a CI must be able to mount: {done.stderr}")
        pytest.skip("this machine does not let root mount a small disk")
    try:
        yield folder
    finally:
        subprocess.run([unmounting, "--lazy", os.fspath(folder)], check=True)


def fill(folder: Path, *, leave_bytes: int = 0) -> Path:
    """Fill the disk of a folder with one file, and return it."""
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            file.truncate(max(0, file.tell() - leave_bytes))
    return ballast
