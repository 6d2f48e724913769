"""A wheel is packed from what is installed, and pip takes it."""

from __future__ import annotations

import base64
import hashlib
import io
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import nbdeploy
from nbdeploy import ContainerError
from nbdeploy.containers.wheel import pack_wheel


def test_it_holds_the_code_that_runs_here():
    name, data = pack_wheel("nbdeploy")
    archive = zipfile.ZipFile(io.BytesIO(data))
    package = Path(nbdeploy.__file__).parent

    assert name == f"nbdeploy-{nbdeploy.__version__}-py3-none-any.whl"
    for inside in ("nbdeploy/cli.py", "nbdeploy/display/style.css", "nbdeploy/py.typed"):
        assert archive.read(inside) == (package.parent / inside).read_bytes()
    assert not [each for each in archive.namelist() if "__pycache__" in each or "tests" in each]


def test_its_record_lists_the_digest_of_every_file():
    archive = zipfile.ZipFile(io.BytesIO(pack_wheel("nbdeploy")[1]))
    (record,) = [name for name in archive.namelist() if name.endswith("RECORD")]
    lines = [line.split(",") for line in archive.read(record).decode().splitlines()]

    assert {line[0] for line in lines} == set(archive.namelist())
    for name, digest, size in lines:
        if name != record:
            content = archive.read(name)
            expected = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=")
            assert (digest, size) == (f"sha256={expected.decode()}", str(len(content)))


def test_the_same_code_is_the_same_wheel():
    assert pack_wheel("nbdeploy") == pack_wheel("nbdeploy")


def test_pip_installs_it_with_its_command(tmp_path):
    name, data = pack_wheel("nbdeploy")
    (tmp_path / name).write_bytes(data)
    target = tmp_path / "site"

    subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index",
         "--no-compile", "--target", target, tmp_path / name],
        check=True,
    )  # fmt: skip

    assert (target / "nbdeploy" / "__init__.py").exists()
    assert (target / "bin" / "nbdeploy").exists()


def test_what_is_not_installed_cannot_be_packed():
    with pytest.raises(ContainerError, match="no-such-package is not installed here"):
        pack_wheel("no-such-package")
