from __future__ import annotations

import contextvars
import logging
import re
from itertools import count

import pytest

from nbdeploy.serving.log_ring import LogRing, LogTap

_numbers = count()


class Collector(logging.Handler):
    def __init__(self):
        super().__init__()
        self.messages = []

    def emit(self, record):
        self.messages.append(record.getMessage())


@pytest.fixture
def parent():
    """A logger with a handler of the user's, and a name nobody else has."""
    logger = logging.getLogger(f"user{next(_numbers)}")
    logger.propagate = False
    logger.setLevel(logging.WARNING)
    logger.collected = Collector()
    logger.addHandler(logger.collected)
    return logger


@pytest.fixture
def logger(parent):
    return parent.getChild("server")


def in_ring(ring, call, *args):
    """Call as a thread of the ring's server would, and leave this thread as it was."""

    def adopted():
        ring.adopt_thread()
        return call(*args)

    return contextvars.copy_context().run(adopted)


def test_each_ring_keeps_the_lines_of_its_own_thread(logger):
    one, other = LogRing(), LogRing()
    with LogTap(logger.name).open():
        in_ring(one, logger.info, "to %s", "one")
        in_ring(other, logger.info, "to other")
    assert [line.rsplit(" INFO ")[1] for line in one.lines()] == ["to one"]
    assert [line.rsplit(" INFO ")[1] for line in other.lines()] == ["to other"]


def test_lines_begin_with_the_time(logger):
    ring = LogRing()
    with LogTap(logger.name).open():
        in_ring(ring, logger.warning, "late")
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} WARNING late", ring.lines()[0])


def test_what_goes_into_a_ring_goes_nowhere_else(parent, logger):
    with LogTap(logger.name).open():
        in_ring(LogRing(), logger.error, "mine")
    assert parent.collected.messages == []


def test_a_tap_that_passes_leads_to_both_at_the_level_of_before(parent, logger):
    ring = LogRing()
    with LogTap(logger.name, passes=True).open():
        in_ring(ring, logger.info, "quiet")
        in_ring(ring, logger.error, "loud")
    assert len(ring.lines()) == 2
    assert parent.collected.messages == ["loud"]


def test_records_of_everybody_else_go_where_they_went_before(parent, logger):
    with LogTap(logger.name).open():
        logger.info("quiet")
        logger.error("loud")
    assert parent.collected.messages == ["loud"]


def test_no_filter_and_no_level_is_left_when_the_last_user_ends(logger):
    tap = LogTap(logger.name)
    with tap.open():
        with tap.open():
            pass
        assert logger.filters == [tap]
    assert logger.filters == []
    assert logger.level == logging.NOTSET


def test_the_oldest_lines_are_dropped_first(logger):
    ring = LogRing(size=3)
    with LogTap(logger.name).open():
        for number in range(10):
            in_ring(ring, logger.info, "line %d", number)
    assert [line[-1] for line in ring.lines()] == ["7", "8", "9"]


def test_an_error_is_one_line_and_its_traceback_is_there_on_request(logger):
    ring = LogRing()
    with LogTap(logger.name).open():
        try:
            int("x")
        except ValueError:
            in_ring(ring, logger.exception, "It failed\n")
    assert re.search(r"ERROR It failed: ValueError: invalid literal .* 'x'$", ring.lines()[0])
    assert "\n" not in ring.lines()[0]
    assert "Traceback (most recent call last)" in ring.lines(tracebacks=True)[0]


def test_a_traceback_in_the_message_itself_is_taken_apart_too(logger):
    ring = LogRing()
    with LogTap(logger.name).open():
        in_ring(ring, logger.error, "Traceback (most recent call last):\n  File\nKeyError: 'x'\n")
    assert ring.lines()[0].endswith("ERROR KeyError: 'x'")


def test_a_ring_knows_whether_the_thread_is_its_own():
    ring = LogRing()
    assert in_ring(ring, lambda: ring.is_current)
    assert not ring.is_current
