"""What is stored of an output: the same text for the same result, on any machine, in any run.

Two kinds of text differ from run to run. What only names a place (ports, addresses, folders,
tokens) is replaced by a fixed word: nobody learns from it. What was measured (latencies, times,
digests) is worth reading, so it stays as it was first stored, as long as the rest of the output
is the same. `sanitize.cfg`, the file that nbval reads too, says what counts as measured.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from nbformat import NotebookNode

from builder.notebook import code_cells

__all__ = ["keep_stored", "normalise", "normalise_text", "read_mask"]

_WIDGET = "application/vnd.jupyter.widget-view+json"
_VARIES = "varies"
_ANSI = re.compile(r"\x1b\[[0-9;]*m")
_FRAME_OF_A_LIBRARY = re.compile(r"File .*:\d+(, in|\x1b|$)", re.DOTALL)
_PLACES = [
    (re.compile(pattern), fixed)
    for pattern, fixed in (
        (r"(127\.0\.0\.1|localhost|0\.0\.0\.0):\d{2,5}\b", r"\1:8000"),
        (r"\b([Pp]ort[ =:]+)\d{4,5}\b", r"\g<1>8000"),
        (r"\b0x[0-9a-f]{6,16}\b", "0x7f0000000000"),
        (r"/ipykernel_\d+/\d+\.py", "/ipykernel/cell.py"),
        (r"/tmp[a-z0-9_]{8}\b", "/folder"),  # noqa: S108 -- a pattern, no path
        (r"((?:token=|Bearer |X-API-Key: ))[A-Za-z0-9_.~-]{16,}", r"\1TOKEN"),
        (
            r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b",
            "00000000-0000-0000-0000-000000000000",
        ),
        (r"\b[0-9a-f]{32}\b", "0" * 32),
    )
]


def normalise(outputs: Sequence[NotebookNode], folders: Mapping[str, str]) -> list[NotebookNode]:
    """Give the outputs of a cell as they are stored.

    Parameters
    ----------
    outputs
        As the kernel sent them.
    folders
        What is written instead of the folders of this machine.
    """
    stored: list[NotebookNode] = []
    for output in _joined(outputs):
        if "data" in output:
            output.data = _without_widget(output.data)
            output.metadata = {}
        if output.output_type == "error":
            output.traceback = _own_frames(output.traceback)
        stored.append(_mapped(output, lambda text: normalise_text(text, folders)))
    return stored


def normalise_text(text: str, folders: Mapping[str, str]) -> str:
    """Replace what only names a place in this run.

    Examples
    --------
    >>> normalise_text("http://127.0.0.1:43127/docs in /home/ana/x", {"/home/ana": "~"})
    'http://127.0.0.1:8000/docs in ~/x'
    """
    for folder in sorted(folders, key=len, reverse=True):
        text = text.replace(folder, folders[folder])
    for pattern, fixed in _PLACES:
        text = pattern.sub(fixed, text)
    return text


def read_mask(path: Path) -> Callable[[str], str]:
    """Read nbval's rules: a function that hides what differs from run to run."""
    rules = path.read_text(encoding="utf-8") if path.exists() else ""
    pairs = [
        (re.compile(pattern), fixed)
        for pattern, fixed in re.findall("^regex: (.*)$\n^replace: (.*)$", rules, re.MULTILINE)
    ]

    def hide(text: str) -> str:
        for pattern, fixed in pairs:
            text = pattern.sub(fixed, text)
        # Tables are as wide as their numbers.
        return " ".join(re.sub(r"-{3,}|─{3,}", "---", text).split())

    return hide


def keep_stored(new: NotebookNode, stored: NotebookNode | None, mask: Callable[[str], str]) -> None:
    """Put back the stored outputs of every cell that differs only in what was measured.

    The code up to the cell has to be the same: behind a change, a measurement means something else.

    Parameters
    ----------
    new
        The notebook that was just run; changed in place.
    stored
        The notebook of the last build, if there is one.
    mask
        Hides what was measured.
    """
    if stored is None:
        return
    for cell, before in zip(code_cells(new), code_cells(stored), strict=False):
        if cell.source != before.source:
            return
        form = _shape if _VARIES in cell.metadata.get("tags", []) else _masked(mask)
        if form(cell.outputs) == form(before.outputs):
            cell.outputs = before.outputs


def _masked(mask: Callable[[str], str]) -> Callable[[Sequence[NotebookNode]], str]:
    return lambda outputs: json.dumps([_mapped(one, mask) for one in outputs], sort_keys=True)


def _shape(outputs: Sequence[NotebookNode]) -> str:
    return json.dumps([[one.output_type, sorted(one.get("data", {}))] for one in outputs])


def _joined(outputs: Sequence[NotebookNode]) -> list[NotebookNode]:
    """Join the pieces of a stream: where a kernel cuts it is a matter of time."""
    joined: list[NotebookNode] = []
    streams: dict[str, NotebookNode] = {}
    for output in outputs:
        if output.output_type != "stream":
            streams = {}
        elif output.name in streams:
            streams[output.name].text += output.text
            continue
        else:
            streams[output.name] = output
        joined.append(output)
    return joined


def _without_widget(data: dict[str, Any]) -> dict[str, Any]:
    # A stored widget shows an error until its kernel runs again; its static form is beside it.
    kept = {mime: value for mime, value in data.items() if mime != _WIDGET}
    return kept or data


def _own_frames(traceback: Sequence[str]) -> list[str]:
    # The frames inside libraries have line numbers that move, and are not what is taught.
    return [part for part in traceback if not _FRAME_OF_A_LIBRARY.match(_ANSI.sub("", part))]


def _mapped(value: Any, change: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, list):
        return [_mapped(one, change) for one in value]
    if isinstance(value, dict):
        same = type(value)
        return same(
            {
                key: one if key.startswith("image/png") else _mapped(one, change)
                for key, one in value.items()
            }
        )
    return value
