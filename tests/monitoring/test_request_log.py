from __future__ import annotations

import itertools
import json
import logging
import threading
from pathlib import Path

import pytest

from nbdeploy.exceptions import ServingError
from nbdeploy.monitoring import RequestLog, request_log
from nbdeploy.monitoring.log_files import log_files
from nbdeploy.monitoring.request_lines import Noted
from nbdeploy.monitoring.request_log import RequestWriter, folder_of, require_columns

FALLS_BEHIND = (
    "The request log of 'penguins' falls behind: lines are dropped, and counted in stats(). "
    "RequestLog(folder, sample=0.1) would record fewer requests."
)
CANNOT_BE_WRITTEN = (
    "The request log of 'penguins' cannot be written: No space left on device. Requests are "
    "answered as before; their lines are lost, and counted in stats()."
)


def note(number=0, **changes):
    noted = Noted(0.0, "predict", "1", 200, 0.01, ("a", "b"), [[number, "x"]], 1, [number], None)
    return noted._replace(**changes)


def writer(folder, **options):
    return RequestWriter(RequestLog(folder, **options), "penguins", gather=0.0)


def numbers(folder):
    texts = [path.read_text() for path in log_files(folder / "penguins")]
    return [json.loads(line)["answer"][0] for text in texts for line in text.splitlines()]


class Disk:
    """Takes lines until it is told to fail, or holds whoever writes."""

    writer = "ab"

    def __init__(self):
        self.lines = []
        self.error = None
        self.free = threading.Event()
        self.free.set()
        self.reached = threading.Event()

    def append(self, lines):
        self.reached.set()
        self.free.wait(10)
        if self.error is not None:
            return 0, self.error
        self.lines += lines
        return len(lines), None


def on(disk, seconds=100.0):
    """Write to a disk, by a clock that goes on so many seconds at each look."""
    clock = itertools.count(1.0, seconds).__next__
    return RequestWriter(RequestLog("logs"), "penguins", files=disk, gather=0.0, clock=clock)


def counts(log):
    return tuple(log.stats()[name] for name in ("written", "dropped", "failed", "waiting"))


def test_what_is_noted_is_in_the_folder_of_the_service_after_close(tmp_path):
    log = writer(tmp_path)
    for number in range(200):
        log.offer(note(number), 2)
    log.close()

    assert numbers(tmp_path) == list(range(200))
    assert counts(log) == (200, 0, 0, 0)


def test_a_closed_log_goes_on_when_somebody_asks_again(tmp_path):
    log = writer(tmp_path)
    for number in range(3):
        log.offer(note(number), 2)
        log.close()

    assert numbers(tmp_path) == [0, 1, 2]
    assert not any("request-log" in thread.name for thread in threading.enumerate())


def test_its_thread_ends_when_nothing_comes(tmp_path, monkeypatch):
    monkeypatch.setattr(request_log, "_IDLE_SECONDS", 0.0)
    log = writer(tmp_path)
    log.offer(note(1), 2)
    thread = log._thread
    if thread is not None:
        thread.join(10)
    log.offer(note(2), 2)
    log.close()

    assert numbers(tmp_path) == [1, 2]


def test_many_threads_lose_nothing(tmp_path):
    log = writer(tmp_path)

    def offer(start):
        for number in range(start, start + 100):
            log.offer(note(number), 2)

    threads = [threading.Thread(target=offer, args=(start,)) for start in range(0, 800, 100)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    log.close()

    assert sorted(numbers(tmp_path)) == list(range(800))


def test_a_disk_that_hangs_keeps_nobody_and_the_queue_is_bounded(caplog, monkeypatch):
    monkeypatch.setattr(request_log, "MAX_WAITING", 50)
    disk = Disk()
    log = on(disk)
    disk.free.clear()
    log.offer(note(), 2)
    assert disk.reached.wait(10)

    with caplog.at_level(logging.WARNING, "nbdeploy"):
        for number in range(80):
            log.offer(note(number), 2)
        log.close(timeout=0.0)

    assert counts(log) == (0, 30, 0, 51)
    assert [record.getMessage() for record in caplog.records] == [FALLS_BEHIND]
    disk.free.set()
    log.close()
    assert counts(log) == (51, 30, 0, 0)
    assert "written again; lost: 30 lines." in caplog.text


def test_large_requests_fill_the_queue_by_their_cells(monkeypatch):
    monkeypatch.setattr(request_log, "MAX_WAITING_CELLS", 100)
    disk = Disk()
    disk.free.clear()
    log = on(disk)
    log.offer(note(), 10)
    assert disk.reached.wait(10)
    log.offer(note(), 101)
    log.offer(note(), 90)
    log.offer(note(), 90)

    assert counts(log) == (0, 2, 0, 2)
    disk.free.set()
    log.close()
    assert counts(log) == (2, 2, 0, 0)


def test_a_full_disk_is_told_once_and_so_is_its_end(caplog):
    disk = Disk()
    log = on(disk)
    with caplog.at_level(logging.WARNING, "nbdeploy"):
        disk.error = OSError(28, "No space left on device", "/home/me/secret-place")
        for _ in range(3):
            log.offer(note(), 2)
            log.close()
        disk.error = None
        log.offer(note(), 2)
        log.close()
        log.offer(note(), 2)
        log.close()

    assert counts(log) == (2, 0, 3, 0)
    assert [record.getMessage() for record in caplog.records] == [
        CANNOT_BE_WRITTEN,
        "The request log of 'penguins' is written again; lost: 3 lines.",
    ]


def test_what_comes_while_it_writes_waits_for_the_next_time():
    disk = Disk()
    log = on(disk)
    log._start = lambda: None
    append = disk.append

    def appends(lines):
        # As under load: there is always one more.
        log.offer(note(), 2)
        return append(lines)

    disk.append = appends
    for _ in range(3):
        log.offer(note(), 2)
    log.catch_up()

    assert counts(log) == (3, 0, 0, 1)


def test_a_disk_with_room_now_and_then_is_told_of_once(caplog):
    disk = Disk()
    log = on(disk, seconds=0.1)
    with caplog.at_level(logging.WARNING, "nbdeploy"):
        for number in range(20):
            disk.error = OSError(28, "No space left on device") if number % 2 else None
            log.offer(note(), 2)
            log.close()

    assert counts(log) == (10, 0, 10, 0)
    assert [record.getMessage() for record in caplog.records] == [CANNOT_BE_WRITTEN]


def test_a_row_that_cannot_be_written_costs_its_own_line_only(tmp_path):
    class Odd:
        def __str__(self):
            raise RuntimeError

    log = writer(tmp_path)
    for number in range(3):
        log.offer(note(number, rows=[[Odd() if number == 1 else 0, "x"]]), 2)
    log.close()

    assert numbers(tmp_path) == [0, 2]
    assert counts(log) == (2, 0, 1, 0)


def test_a_line_longer_than_a_file_is_dropped(tmp_path):
    log = writer(tmp_path, max_bytes=1000)
    log.offer(note(1, rows=[["x" * 2000, "y"]]), 300)
    log.offer(note(2), 2)
    log.close()

    assert numbers(tmp_path) == [2]
    assert counts(log) == (1, 1, 0, 0)


def test_a_folder_stays_where_it_was_meant_to_be(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    log = RequestLog("logs")
    monkeypatch.chdir("/")

    assert log.folder == tmp_path / "logs"
    assert RequestLog.of(json.loads(json.dumps(log.to_dict()))) == log
    assert RequestLog.of(Path(tmp_path / "logs")) == log
    assert RequestLog.of(None) is None


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"sample": 0}, "above 0 and at most 1"),
        ({"sample": "all"}, "above 0 and at most 1"),
        ({"sample": 10}, "above 0 and at most 1"),
        ({"max_bytes": 10}, "max_bytes is 10. Expected a whole number from 1,000 on"),
        ({"max_files": 0}, "max_files is 0"),
        ({"max_rows": 1.5}, "max_rows is 1.5"),
    ],
)
def test_options_that_make_no_sense_are_told(options, words):
    with pytest.raises(ValueError, match=words):
        RequestLog("logs", **options)


@pytest.mark.parametrize("value", [True, 5, "", ["logs"]])
def test_what_is_no_folder_is_told(value):
    with pytest.raises(ValueError, match="Expected a folder such as 'logs'"):
        RequestLog.of(value)


def test_a_file_in_the_place_of_the_folder_is_told_at_once(tmp_path):
    (tmp_path / "logs").write_text("")

    with pytest.raises(ServingError, match="cannot be made: File exists"):
        RequestLog(tmp_path / "logs").prepare()


def test_a_typo_in_redact_is_told_before_a_cell_gets_through():
    require_columns(["name"], ["name", "age"])
    with pytest.raises(ServingError, match=r"'nmae', which is no column\. Did you mean 'name'"):
        require_columns(["nmae"], ["name", "age"])


@pytest.mark.parametrize("name", ["..", ".", "", "a/b", "/etc", "a\0b", ".hidden", "a\nb"])
def test_no_name_of_a_service_leads_out_of_the_folder(name):
    found = folder_of(Path("/logs"), name)

    assert found.parent == Path("/logs")
    assert found.name.strip(".") != ""
    assert "\0" not in str(found)
