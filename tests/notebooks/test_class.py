"""A class on one machine: everybody runs the same lesson at the same moment.

``NBDEPLOY_CLASS`` says how many there are (30 by default), ``NBDEPLOY_CLASS_LESSONS`` which lessons
(``03_rest_service`` and so on, with commas between). What was measured is in ``build/class.json``.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import time
from contextlib import ExitStack
from copy import deepcopy
from pathlib import Path

import psutil
import pytest
from builder.execution import sandbox
from builder.notebook import read_notebook
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat.v4 import new_code_cell

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
FIGURES = Path(__file__).parents[2] / "build" / "class.json"
SIZE = int(os.environ.get("NBDEPLOY_CLASS", "30"))
ALL_LESSONS = "03_rest_service,07_load_balancing,08_autoscaling"
LESSONS = os.environ.get("NBDEPLOY_CLASS_LESSONS", ALL_LESSONS).split(",")
LONGEST = 25 * 60
MOST_OF_A_KERNEL = 350 << 20
MOST_OF_A_REPLICA = 150 << 20
LOOK_EVERY = 1.0
WITH_A_REPLICA = """\
with deploy(model, name="with-a-replica", example=X) as copied:
    copied.scale(1)
    copied.predict(X.head(3))
"""


def test_the_memory_that_is_shared_is_counted_in_shares():
    """Two processes of the same program have less between them than twice one."""
    shared = psutil.Process().memory_info().rss

    assert 0 < share_of_memory(os.getpid()) <= shared
    assert share_of_memory(2**22 + 1) is None


@pytest.mark.acceptance
@pytest.mark.parametrize("lesson", LESSONS)
def test_a_class_runs_a_lesson_at_once(lesson):
    notebook = read_notebook(NOTEBOOKS / f"{lesson}.ipynb")
    stop = max(n for n, cell in enumerate(notebook.cells) if "stop_all()\n" in f"{cell.source}\n")
    # The lessons serve from the kernel; this one cell shows what a process of its own takes.
    notebook.cells.insert(stop, new_code_cell(WITH_A_REPLICA))
    seats = Seats(notebook, SIZE)

    asyncio.run(seats.run())

    keep(lesson, seats.figures())
    assert seats.problems == []
    assert seats.seconds < LONGEST
    assert max(seats.kernels.values()) < MOST_OF_A_KERNEL
    assert max(seats.replicas.values()) < MOST_OF_A_REPLICA


class Seats:
    """The kernels of a class: run them all, and look at their memory meanwhile."""

    def __init__(self, notebook, size):
        self.notebook = notebook
        self.size = size
        self.problems = []
        self.kernels = {}
        self.replicas = {}
        self.seconds = 0.0
        self._clients = []

    async def run(self):
        began = time.monotonic()
        looking = asyncio.create_task(self._look())
        with ExitStack() as stack:
            boxes = [stack.enter_context(sandbox()) for _ in range(self.size)]
            await asyncio.gather(*map(self._sit, boxes))
        looking.cancel()
        self.seconds = time.monotonic() - began

    def figures(self):
        of_kernels, of_replicas = list(self.kernels.values()), list(self.replicas.values())
        return {
            "kernels": self.size,
            "finished": self.size - len(self.problems),
            "seconds": round(self.seconds),
            "kernel_mb_median": round(statistics.median(of_kernels) / 2**20),
            "kernel_mb_most": round(max(of_kernels) / 2**20),
            "replicas": len(of_replicas),
            "replica_mb_most": round(max(of_replicas, default=0) / 2**20),
            "problems": self.problems,
        }

    async def _sit(self, box):
        client = NotebookClient(
            deepcopy(self.notebook),
            timeout=LONGEST,
            startup_timeout=LONGEST,
            kernel_name="python3",
            extra_arguments=["--IPKernelApp.log_level=40"],
            resources={"metadata": {"path": str(box.work)}},
        )
        self._clients.append(client)
        try:
            await client.async_execute(env=box.environment())
        except (CellExecutionError, CellTimeoutError, DeadKernelError, RuntimeError) as error:
            self.problems.append(str(error)[-2000:])

    async def _look(self):
        while True:
            await asyncio.sleep(LOOK_EVERY)
            await asyncio.to_thread(self._look_once)

    def _look_once(self):
        for client in list(self._clients):
            pid = getattr(getattr(client.km, "provisioner", None), "pid", None)
            if pid is None:
                continue
            _keep_most(self.kernels, pid)
            try:
                children = psutil.Process(pid).children(recursive=True)
            except psutil.Error:
                continue
            for child in children:
                if _is_replica(child):
                    _keep_most(self.replicas, child.pid)


def _is_replica(process):
    """Tell replicas, and what they are forked from, from others that a kernel starts.

    A child that has not become its program yet has the kernel's command, and the kernel's memory.
    """
    try:
        command = " ".join(process.cmdline())
    except psutil.Error:
        return False
    return "nbdeploy.scaling.forkserver" in command


def share_of_memory(pid):
    """Read the bytes of a process, those that it shares with others counted in shares (PSS)."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
    except OSError:
        return None
    line = next((line for line in text.splitlines() if line.startswith("Pss:")), "Pss: 0 kB")
    return int(line.split()[1]) * 1024


def _keep_most(most, pid):
    found = share_of_memory(pid)
    if found:
        most[pid] = max(found, most.get(pid, 0))


def keep(lesson, figures):
    """Add what was measured to the file."""
    FIGURES.parent.mkdir(exist_ok=True)
    known = json.loads(FIGURES.read_text()) if FIGURES.exists() else {}
    FIGURES.write_text(json.dumps(known | {lesson: figures}, indent=2) + "\n")
