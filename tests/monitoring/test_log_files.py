from __future__ import annotations

import errno
import os
import shutil
import signal
import stat
import subprocess
import sys
import time

import pytest

from nbdeploy.monitoring import log_files as module
from nbdeploy.monitoring.log_files import LogFiles, log_files
from nbdeploy.monitoring.request_lines import read_lines


def lines(count, *, size=100, start=0):
    return [f"{number:0{size - 1}}\n".encode() for number in range(start, start + count)]


def files(folder, **options):
    return LogFiles(folder, **{"max_bytes": 1000, "max_files": 3, **options})


def written(folder):
    return b"".join(path.read_bytes() for path in log_files(folder)).splitlines(keepends=True)


def test_lines_are_appended_and_only_their_owner_reads_them(tmp_path):
    folder = tmp_path / "penguins"
    log = files(folder)
    before = os.umask(0)
    try:
        assert log.append(lines(2)) == (2, None)
        assert log.append(lines(1, start=2)) == (1, None)
    finally:
        os.umask(before)

    assert written(folder) == lines(3)
    (path,) = log_files(folder)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_files_rotate_and_the_bytes_on_disk_stay_bounded(tmp_path):
    log = files(tmp_path / "a")
    most = 0
    for start in range(0, 200, 7):
        assert log.append(lines(7, start=start)) == (7, None)
        most = max(most, sum(path.stat().st_size for path in log_files(tmp_path / "a")))

    assert most <= 3 * 1000
    kept = written(tmp_path / "a")
    assert 20 <= len(kept) <= 30
    assert kept == lines(203)[-len(kept) :]


def test_one_file_is_enough(tmp_path):
    log = files(tmp_path / "a", max_files=1)
    for start in range(25):
        log.append(lines(1, start=start))

    assert written(tmp_path / "a") == lines(5, start=20)


def test_several_writers_and_those_of_before_share_the_bound(tmp_path):
    for start in range(6):
        files(tmp_path / "a", wall_clock=lambda start=start: start).append(lines(1, start=start))

    assert written(tmp_path / "a") == lines(3, start=3)


def test_files_of_others_are_left_alone(tmp_path):
    foreign = tmp_path / "notes.jsonl"
    foreign.write_text("mine")
    log = files(tmp_path, max_files=1)
    for start in range(25):
        log.append(lines(1, start=start))

    assert foreign.read_text() == "mine"
    assert len(log_files(tmp_path)) == 1


def full_disk(monkeypatch, room):
    """Let the disk take so many bytes more."""
    left = [room]
    write = os.write

    def writes(file, data):
        if not left[0]:
            raise OSError(errno.ENOSPC, "No space left on device")
        part = bytes(data)[: left[0]]
        left[0] -= len(part)
        return write(file, part)

    monkeypatch.setattr(module.os, "write", writes)
    return left


def test_a_full_disk_leaves_whole_lines_and_is_told(tmp_path, monkeypatch):
    log = files(tmp_path / "a")
    log.append(lines(2))
    left = full_disk(monkeypatch, 350)

    count, error = log.append(lines(5, start=2))

    assert count == 0
    assert error.errno == errno.ENOSPC
    assert written(tmp_path / "a") == lines(2)
    left[0] = 10_000
    assert log.append(lines(1, start=7)) == (1, None)
    assert written(tmp_path / "a") == [*lines(2), *lines(1, start=7)]
    assert len(log_files(tmp_path / "a")) == 1


def test_what_went_into_one_file_counts_though_the_next_has_no_room(tmp_path, monkeypatch):
    log = files(tmp_path / "a")
    full_disk(monkeypatch, 1_050)

    count, error = log.append(lines(15))

    assert (count, error.errno) == (10, errno.ENOSPC)
    assert written(tmp_path / "a") == lines(10)


def test_where_half_a_line_cannot_be_taken_back_another_file_begins(tmp_path, monkeypatch):
    log = files(tmp_path / "a")
    left = full_disk(monkeypatch, 50)
    with monkeypatch.context() as patch:
        patch.setattr(module.os, "ftruncate", lambda *_: (_ for _ in ()).throw(OSError(5, "no")))
        assert log.append(lines(1))[0] == 0
    left[0] = 10_000

    log.append(lines(1, start=1))

    torn, whole = log_files(tmp_path / "a")
    assert torn.stat().st_size == 50
    assert whole.read_bytes() == lines(1, start=1)[0]


def test_a_folder_that_vanishes_is_told_until_it_is_there_again(tmp_path):
    around = tmp_path / "logs"
    around.mkdir()
    log = files(around / "a")
    log.append(lines(1))
    shutil.rmtree(around)

    count, error = log.append(lines(1))

    assert (count, error.errno) == (0, errno.ENOENT)
    assert not around.exists()
    around.mkdir()
    assert log.append(lines(2)) == (2, None)
    assert written(around / "a") == lines(2)


def test_a_file_that_is_taken_away_is_followed_by_another(tmp_path):
    log = files(tmp_path / "a")
    log.append(lines(1))
    log_files(tmp_path / "a")[0].unlink()

    assert log.append(lines(1, start=1)) == (1, None)
    assert written(tmp_path / "a") == lines(1, start=1)


def test_a_link_in_the_place_of_a_file_is_not_followed(tmp_path):
    log = files(tmp_path / "a")
    log.append(lines(1))
    (path,) = log_files(tmp_path / "a")
    path.unlink()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_bytes(b"")
    path.symlink_to(elsewhere)

    count, error = log.append(lines(1))

    assert (count, error.errno) == (0, errno.ELOOP)
    assert elsewhere.read_bytes() == b""


def test_a_limit_of_the_system_is_a_full_disk(tmp_path, run_script):
    told = run_script(
        """
        import resource, sys
        from pathlib import Path
        from nbdeploy.monitoring.log_files import LogFiles

        resource.setrlimit(resource.RLIMIT_FSIZE, (2_050, resource.RLIM_INFINITY))
        log = LogFiles(Path(sys.argv[1]), max_bytes=10_000, max_files=3)
        lines = [b"x" * 99 + b"\\n"] * 15
        print([(count, error and error.errno) for count, error in map(log.append, [lines] * 3)])
        """,
        tmp_path / "a",
    )

    assert told == str([(15, None), (0, errno.EFBIG), (0, errno.EFBIG)])
    assert written(tmp_path / "a") == [b"x" * 99 + b"\n"] * 15


def test_a_kill_leaves_whole_lines_but_perhaps_the_last(tmp_path):
    code = """if True:
        import sys
        from pathlib import Path
        from nbdeploy.monitoring.log_files import LogFiles
        from nbdeploy.monitoring.request_lines import Noted, line_of

        log = LogFiles(Path(sys.argv[1]), max_bytes=50_000_000, max_files=3)
        noted = Noted(0.0, "predict", "1", 200, 0.1, ("a",), [["x" * 50_000]], 1, ["y"], None)
        lines = [line_of(noted, id=str(number)) for number in range(64)]
        while True:
            log.append(lines)
    """
    process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "a")])
    try:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            found = log_files(tmp_path / "a") if (tmp_path / "a").is_dir() else []
            if sum(path.stat().st_size for path in found) > 20_000_000:
                break
            time.sleep(0.005)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()

    found = log_files(tmp_path / "a")
    requests = [request for path in found for _, request in read_lines(path)]
    assert len(requests) >= 64
    assert requests[:-1].count(None) == 0


@pytest.mark.parametrize("name", ["x.jsonl", "20260101T000000-00000000-000001.jsonl.old"])
def test_only_own_names_are_files_of_the_log(tmp_path, name):
    (tmp_path / name).write_text("{}")

    assert log_files(tmp_path) == []
