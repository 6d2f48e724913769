import os
import signal
import subprocess
import sys
import time

import pytest

from nbdeploy.serving.life_line import LifeLine

HELD = """
import math, os, sys, time
from nbdeploy.serving.life_line import end_with
end_with(int(sys.argv[1]), watch=sys.argv[2] == "watched")
print("held", flush=True)
{then}
"""


def hold(line, then, *, watched=True):
    end = line.take_other_end()
    words = [str(end), "watched" if watched else "unwatched"]
    process = subprocess.Popen(
        [sys.executable, "-c", HELD.format(then=then), *words],
        pass_fds=[end],
        stdout=subprocess.PIPE,
        text=True,
    )
    os.close(end)
    assert process.stdout.readline() == "held\n"
    return process


def ends(process):
    with process:
        return process.wait(10)


@pytest.mark.parametrize("watched", [True, False])
@pytest.mark.parametrize(
    "then", ["time.sleep(60)", "math.factorial(10**7)", "os.kill(os.getpid(), 19)"],
    ids=["asleep", "in C", "stopped"],
)  # fmt: skip
@pytest.mark.skipif(sys.platform != "linux", reason="other systems send no signal of one's choice")
def test_whatever_the_worker_does_it_ends_when_the_line_is_cut(then, watched):
    line = LifeLine()
    process = hold(line, then, watched=watched)
    assert line.is_held

    line.cut()

    # A thread that looks may be the first to see it.
    assert ends(process) in {-signal.SIGKILL, 1}
    assert not line.is_held


def test_the_owner_sees_when_the_worker_is_gone():
    line = LifeLine()
    process = hold(line, "time.sleep(60)")

    process.kill()
    ends(process)

    assert not line.is_held
    line.cut()
    line.cut()


def test_what_the_worker_forked_does_not_hide_its_end():
    line = LifeLine()
    process = hold(line, "pid = os.fork()\nif pid == 0: time.sleep(60)\nprint(pid, flush=True)")
    forked = int(process.stdout.readline())
    try:
        ends(process)
        end = time.monotonic() + 5
        while line.is_held:
            assert time.monotonic() < end, "the fork holds the line"
            time.sleep(0.005)
    finally:
        os.kill(forked, signal.SIGKILL)
        line.cut()


def test_a_line_that_is_forgotten_is_cut():
    line = LifeLine()
    process = hold(line, "time.sleep(60)")

    del line

    assert ends(process) in {-signal.SIGKILL, 1}
