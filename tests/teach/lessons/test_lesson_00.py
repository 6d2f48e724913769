from __future__ import annotations

import pytest

from nbdeploy.teach import check, ready_check
from nbdeploy.teach.lessons import lesson_00
from nbdeploy.teach.ready import Finding, Readiness


@pytest.fixture
def a_share_of_64(monkeypatch):
    monkeypatch.setattr(lesson_00, "usable_cpus", lambda: 2.0)
    monkeypatch.setattr(lesson_00, "machine_cpus", lambda: 64)


def test_a_ready_machine_passes(tmp_path, capsys):
    check("00.1", ready_check(tmp_path))
    assert "Step 00.1 passed: this machine is ready for the lessons" in capsys.readouterr().out


def test_warnings_pass_and_are_counted(capsys):
    check("00.1", Readiness((Finding("Memory", "0.5 GiB", "warning", "Close other kernels."),)))
    assert "ready for the lessons, with 1 warning." in capsys.readouterr().out


@pytest.mark.parametrize(
    ("ready", "came"),
    [
        (ready_check, "the function ready_check itself, not its result"),
        (True, "True"),
        (Readiness(()), "an empty one"),
        (
            Readiness((Finding("Port", "cannot listen", "problem", "Ask who runs it."),)),
            "Port: cannot listen",
        ),
    ],
)
def test_what_is_no_ready_machine_is_named(ready, came, capsys):
    check("00.1", ready)
    out = capsys.readouterr().out
    assert "Step 00.1 is not done yet." in out
    assert f"Came:     {came}" in out


def test_the_cure_stands_where_to_look(capsys):
    check("00.1", Readiness((Finding("Port", "closed", "problem", "Ask who runs it."),)))
    assert "Look at:  Ask who runs it." in capsys.readouterr().out


@pytest.mark.parametrize("processors", [2, 2.0])
def test_the_usable_processors_pass(processors, a_share_of_64, capsys):
    check("00.2", processors)
    assert "you may use 2 of the 64 processors" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("processors", "came"),
    [
        ("2", "the text '2'"),
        (64, "64: that is what the whole machine has"),
        (3, "3"),
        (True, "True"),
    ],
)
def test_other_numbers_are_named(processors, came, a_share_of_64, capsys):
    check("00.2", processors)
    assert f"Came:     {came}\n" in capsys.readouterr().out
