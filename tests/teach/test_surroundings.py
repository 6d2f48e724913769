from __future__ import annotations

import errno
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from nbdeploy.teach.surroundings import (
    clock_finding,
    encoding_finding,
    kernel_finding,
    neighbour_finding,
    open_files_finding,
    registry_findings,
    settings_finding,
    write_once,
)

NOW = datetime(2026, 11, 26, tzinfo=UTC).timestamp()


def full_disk(*_args):
    raise OSError(errno.ENOSPC, "No space left on device")


def test_what_was_written_is_gone_again(tmp_path):
    written, cure = write_once(tmp_path)

    assert (written > NOW - 1e9, cure, list(tmp_path.iterdir())) == (True, "", [])


def test_a_full_disk_is_told_from_a_folder_of_somebody_else(tmp_path, monkeypatch):
    monkeypatch.setattr(Path, "write_bytes", full_disk)

    assert write_once(tmp_path) == (0.0, "Delete what you no longer need, or ask for more space.")
    (finding,) = registry_findings(str(tmp_path))
    assert (finding.status, finding.found) == ("warning", "the disk of the first folder is full")


def test_a_folder_for_the_key_is_made_and_kept_private(tmp_path):
    finding = settings_finding(tmp_path / "new" / "nbdeploy")

    assert finding.status == "ok"
    assert list((tmp_path / "new" / "nbdeploy").iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has other permissions")
def test_a_disk_without_permissions_is_a_warning(tmp_path, monkeypatch):
    monkeypatch.setattr(Path, "chmod", lambda path, _mode: _open_to_all(path))

    finding = settings_finding(tmp_path)

    assert finding.status == "warning"
    assert "others can read your key" in finding.found


def _open_to_all(path):
    import os

    os.chmod(path, 0o644)  # noqa: PTH101 -- Path.chmod is what is replaced


def test_the_first_folder_of_the_registry_is_the_one_to_write_to(tmp_path):
    (tmp_path / "file").touch()
    (fine,) = registry_findings(f"{tmp_path}/models:/sys")
    (bad,) = registry_findings(f"{tmp_path}/file/models:{tmp_path}")

    assert (fine.status, bad.status) == ("ok", "warning")
    assert not (tmp_path / "models").exists()
    assert list(registry_findings("")) == []
    assert [one.status for one in registry_findings("s3://bucket/models")] == ["ok"]


@pytest.mark.parametrize(
    ("now", "written", "status", "told"),
    [
        (NOW, NOW + 2, "ok", ""),
        (NOW, 0.0, "ok", ""),
        (NOW, NOW - 3600, "warning", "3600 seconds away"),
        (100.0, 100.0, "warning", "it is 1970 here"),
    ],
)
def test_the_clock_is_compared_with_the_calendar_and_the_disk(now, written, status, told):
    finding = clock_finding(now, written)

    assert finding.status == status
    assert told in finding.found


@pytest.mark.parametrize(("encoding", "status"), [("UTF-8", "ok"), ("utf8", "ok")])
def test_utf_8_is_fine_however_it_is_written(encoding, status):
    assert encoding_finding(encoding).status == status


@pytest.mark.parametrize("encoding", ["ANSI_X3.4-1968", "cp950", "latin-1"])
def test_another_encoding_is_a_warning(encoding):
    finding = encoding_finding(encoding)

    assert finding.status == "warning"
    assert "PYTHONUTF8=1" in finding.cure


def test_few_open_files_are_a_warning_with_the_command():
    (few,) = open_files_finding(64)
    (enough,) = open_files_finding(1024)

    assert (few.status, enough.status) == ("warning", "ok")
    assert "ulimit -n 1024" in few.cure
    assert list(open_files_finding(None)) == []


def test_a_kernel_of_another_python_is_a_warning(tmp_path):
    other = str(tmp_path / "bin" / "python")

    assert kernel_finding(sys.executable, sys.executable).status == "ok"
    assert kernel_finding("python", sys.executable).status == "ok"
    assert kernel_finding(other, sys.executable).status == "warning"
    assert str(tmp_path) not in kernel_finding(other, sys.executable).found


def test_neighbours_are_no_problem_and_what_follows_is_told():
    assert neighbour_finding(is_shared=True).status == "ok"
    assert "token" in neighbour_finding(is_shared=True).found
