from __future__ import annotations

import threading

import pytest

from nbdeploy.teach.kept_records import KeptRecords
from nbdeploy.teach.records import Progress
from nbdeploy.teach.steps import find_step


@pytest.fixture
def kept(tmp_path):
    return KeptRecords(tmp_path / "progress")


def test_what_was_written_is_read_again(kept):
    kept.write("01.1", {"attempts": 2})
    kept.write("01.1", {"attempts": 3})

    assert kept.read() == {"01.1": {"attempts": 3}}
    assert [path.name for path in kept.folder.iterdir()] == ["01.1.json"]


def test_kernels_that_check_at_the_same_moment_lose_nothing(kept):
    names = [f"01.{number}" for number in range(20)]
    threads = [threading.Thread(target=kept.write, args=(name, {"n": 1})) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(kept.read()) == sorted(names)


@pytest.mark.parametrize("text", ["", "{", "[]", "\0", "null"])
def test_a_file_that_is_none_is_left_out(kept, text):
    kept.write("01.1", {"attempts": 1})
    (kept.folder / "01.2.json").write_text(text)

    assert list(kept.read()) == ["01.1"]


def test_one_or_all_are_forgotten(kept):
    for name in ("01.1", "01.2", "01.3"):
        kept.write(name, {"attempts": 1})
    kept.forget("01.2")
    assert list(kept.read()) == ["01.1", "01.3"]
    kept.forget()
    assert kept.read() == {}


def test_where_nothing_can_be_written_the_kernel_still_knows(tmp_path):
    (tmp_path / "progress").write_text("a file stands where the folder would be")
    progress = Progress(kept=KeptRecords(tmp_path / "progress"))

    progress.record(find_step("04.1"), passed=True)

    assert progress.records()["04.1"].passed
    progress.forget()
    assert progress.records() == {}


@pytest.mark.parametrize(
    "facts", [{}, {"attempts": "many"}, {"attempts": 1, "passed_at": "yesterday"}]
)
def test_facts_of_another_version_are_left_out(kept, facts):
    kept.write("04.1", facts)
    kept.write("99.9", {"attempts": 1, "passed_at": None})
    kept.write("04.2", {"attempts": 1, "passed_at": "2026-01-01T09:00:00Z"})

    assert list(Progress(kept=kept).records()) == ["04.2"]


def test_attempts_add_up_over_kernels(kept):
    for _ in range(2):
        Progress(kept=kept).record(find_step("04.1"), passed=False)

    assert Progress(kept=kept).records()["04.1"].attempts == 2
