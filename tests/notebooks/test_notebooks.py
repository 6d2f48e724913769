from __future__ import annotations

import json
import os
import subprocess
import sys
from copy import deepcopy
from pathlib import Path

import pytest
from builder.command import main
from builder.execution import run, sandbox
from builder.notebook import code_cells, read_notebook
from builder.source import LANGUAGES, read_sources
from nbformat.v4 import new_code_cell, new_notebook

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
GUARD = Path(__file__).parent / "guard"
EDITIONS = [
    edition.path
    for source in read_sources(NOTEBOOKS / "src")
    for edition in source.editions()
    if edition.is_executed and edition.language == LANGUAGES[0]
]
# Kept between kernels: the settings of IPython, and the key with which nbdeploy signs.
SETTINGS = (".ipython", ".config/nbdeploy", ".local/share/nbdeploy", ".local/state/nbdeploy")
# One empty file a path that was saved to, so that savers in several processes wait for each other.
LOCKS = f"nbdeploy-{os.geteuid()}"
LOOK = """\
import gc as _gc, json as _json, threading as _threading, time as _time, psutil as _psutil
_me = _psutil.Process()
def _names():  # without that of ZeroMQ, which comes with the first large message, as pictures are
    known = "GarbageCollectorThread"
    return sorted(one.name for one in _threading.enumerate() if type(one).__name__ != known)
def _wait(word, seconds):
    for _attempt in range(10 * seconds):
        _gc.collect()
        if not any(word in name for name in _names()): break
        _time.sleep(0.1)
_wait("nbdeploy", 2)  # what is dropped ends its threads a moment later
_wait("member ", 40)  # members of an ensemble wait for half a minute
print(_json.dumps({
    "threads": _names(),
    "ports": sorted(c.laddr.port for c in _me.net_connections("inet") if c.status == "LISTEN"),
    "children": len(_me.children(recursive=True)),
}))
"""


def test_the_committed_notebooks_are_what_their_sources_build(capsys):
    status = main(["--check"])
    assert (status, capsys.readouterr().err) == (0, "")


def test_nbval_runs_the_english_edition_only():
    options = ["-p", "nbval", "--nbval-lax", "--collect-only", "-q", "-p", "no:cacheprovider"]
    command = [sys.executable, "-m", "pytest", *options, str(NOTEBOOKS)]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    collected = {line.partition("::")[0] for line in told.splitlines() if "::" in line}
    assert {path.removeprefix("notebooks/") for path in collected} == set(map(str, EDITIONS))


@pytest.fixture
def box():
    with sandbox() as made:
        yield made


@pytest.fixture
def guarded(box):
    """Run cells in a kernel that is cut off from the network; tell what it wrote outside."""
    notes = box.root / "outside.txt"
    allowed = [*map(str, (box.root, Path.home() / ".cache")), "/dev/", "/proc/"]

    def run_guarded(notebook):
        run(
            notebook,
            box,
            PYTHONPATH=str(GUARD),
            GUARD_ALLOWED=":".join(allowed),
            GUARD_NOTES=str(notes),
        )
        return notes.read_text().splitlines() if notes.exists() else []

    return run_guarded


def test_the_guard_stops_calls_to_other_machines_and_notes_what_is_written_outside(
    guarded, tmp_path
):
    outside = tmp_path / "outside.txt"
    notebook = new_notebook(
        cells=[
            new_code_cell("import socket; socket.create_connection(('192.0.2.1', 80), timeout=1)"),
            new_code_cell("socket.getaddrinfo('example.org', 443)"),
            new_code_cell("socket.create_server(('127.0.0.1', 0)).close()"),
            new_code_cell(f"open({str(outside)!r}, 'w').close(); open('inside.txt', 'w').close()"),
        ]
    )
    for cell in notebook.cells[:2]:
        cell.metadata["tags"] = ["raises-exception"]
    assert guarded(notebook) == [str(outside)]
    assert [cell.outputs[0].evalue for cell in notebook.cells[:2]] == [
        "blocked: '192.0.2.1' is not this machine",
        "blocked: 'example.org' is not this machine",
    ]


@pytest.mark.acceptance
@pytest.mark.parametrize("path", EDITIONS, ids=str)
def test_a_notebook_runs_twice_in_one_kernel_and_leaves_nothing_behind(path, guarded, box):
    notebook = read_notebook(NOTEBOOKS / path)
    assert notebook is not None, "run `python notebooks/build.py`"
    codes = code_cells(notebook)
    looks = [new_code_cell(LOOK) for _ in range(3)]
    notebook.cells = [looks[0], *codes, looks[1], *deepcopy(codes), looks[2]]
    for number, cell in enumerate(notebook.cells):
        cell["id"] = str(number)

    outside = guarded(notebook)

    before, between, after = (json.loads(look.outputs[0].text) for look in looks)
    assert outside == []
    assert after["ports"] == before["ports"]
    assert after["children"] == before["children"]
    assert set(after["threads"]) <= set(before["threads"])
    assert len(after["threads"]) <= len(between["threads"]), "each run leaves more threads"
    assert [left.name for left in box.temporary.iterdir()] in ([], [LOCKS])
    assert [left for left in _files(box.home) if not left.startswith(SETTINGS)] == []
    assert {left.split("/")[0] for left in _files(box.work)} <= {"work"}


def _files(folder):
    return [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]
