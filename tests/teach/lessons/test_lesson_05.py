from __future__ import annotations

from importlib.metadata import version

import pytest


def below(lines, changed):
    copies = [line.startswith("COPY") and changed in line.split() for line in lines]
    return lines[copies.index(True) :] if True in copies else []


def wherever_it_is_named(lines, changed):
    hits = [changed in line for line in lines]
    return lines[hits.index(True) :] if True in hits else []


def only_the_line(lines, changed):
    return below(lines, changed)[:1]


def everything(lines, changed):
    return lines


def pins(names):
    return sorted(f"{name}=={version(name)}" for name in names)


def test_the_lines_below_a_change_pass(verdict):
    assert "Step 05.1 passed" in verdict("05.1", below)


@pytest.mark.parametrize("wrong", [wherever_it_is_named, only_the_line, everything, len])
def test_other_lines_do_not(wrong, verdict):
    assert "passed" not in verdict("05.1", wrong)


def test_installed_versions_pass(verdict):
    assert "Step 05.2 passed" in verdict("05.2", pins)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda names: names,
        lambda names: [f"{name}>={version(name)}" for name in sorted(names)],
        lambda names: list(reversed(pins(names))),
        lambda names: "\n".join(pins(names)),
        lambda names: None,
    ],
)
def test_others_do_not(wrong, verdict):
    assert "is not done yet" in verdict("05.2", wrong)
