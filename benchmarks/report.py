"""The tables and the plot of a run, and their place in the README."""

from __future__ import annotations

import json
import math
import platform
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from figures import Verdict
from models import SUBJECTS
from notebook import NotebookFigures
from turns import Run

__all__ = [
    "circumstances",
    "goals_table",
    "notebook_table",
    "plot",
    "requirements",
    "to_json",
    "turns_table",
    "write_section",
]

README = Path(__file__).parent / "README.md"
_PACKAGES = ("nbdeploy", "scikit-learn", "numpy", "pandas", "fastapi", "uvicorn", "orjson")


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Write a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def goals_table(verdicts: Iterable[Verdict]) -> str:
    """Write a row for each goal and model: wanted, measured, reached or not."""
    rows = [
        [
            verdict.title,
            verdict.subject,
            verdict.wanted,
            f"{number(verdict.value)}" + (f" ({verdict.note})" if verdict.note else ""),
            verdict.state if verdict.state == "ok" else f"**{verdict.state}**",
        ]
        for verdict in verdicts
    ]
    return table(["must reach", "model", "goal", "measured", ""], rows)


def turns_table(run: Run, subject: str) -> str:
    """Write what each server did with one model, under every load, next to the chapter's code."""
    turns = [turn for turn in run.turns if turn.subject == subject]
    loads = list(dict.fromkeys(turn.load for turn in turns))
    head = ["server"]
    for load in loads:
        head += [f"{load}: req/s", "p50", "CPU µs"]
    rows = [
        [
            server,
            *(cell for load in loads for cell in _cells(run, server, subject, load)),
            f"{run.memory.get((server, subject), math.nan):.0f}",
        ]
        for server in dict.fromkeys(turn.server for turn in turns)
    ]
    absent = [
        [server, _first_line(reason)] + [""] * (len(head) - 1)
        for (server, model), reason in run.absent.items()
        if model == subject
    ]
    return table([*head, "MiB"], [*rows, *absent])


def notebook_table(figures: NotebookFigures) -> str:
    """Write what a notebook waits for and pays."""
    rows = [
        ["`deploy()` to the first answer, scikit-learn imported", f"{figures.start:.2f} s"],
        ["the chapter's code, fresh process to the first answer", f"{figures.chapter_start:.2f} s"],
        ["the two as a ratio, processor time", f"{figures.start_cpu_ratio:.2f}"],
        ["CPU of a service that nobody asks", f"{figures.idle_percent:.2f} % of a core"],
        ["p50 of one caller, kernel idle", f"{figures.quiet_p50 * 1e3:.2f} ms"],
        ["p50 of one caller, a cell computes in pure Python", f"{figures.busy_p50 * 1e3:.2f} ms"],
        ["that cell takes longer under the load by", f"{figures.busy_slowdown:.2f} x"],
        [
            "50 requests/s to a model that does nothing, p95 less the call",
            f"{(figures.paced_p95 - figures.call) * 1e3:.2f} ms",
        ],
    ]
    return table(["what", "figure"], rows)


def circumstances(command: str, generator: str) -> str:
    """Say what was run, where, when and with which versions."""
    versions = ", ".join(f"{package} {version(package)}" for package in _PACKAGES)
    today = datetime.now(UTC).date().isoformat()
    return (
        f"`{command}`, {today}, {_processor()}, Python {platform.python_version()}, "
        f"{versions}; load by {generator} on the same machine."
    )


def requirements(folder: Path, names: Iterable[str]) -> str:
    """Say which versions of the peers were measured: the first line of each requirements file."""
    pins = [(folder / f"{name}.txt").read_text().splitlines()[0] for name in names]
    return "Peers: " + ", ".join(pin.replace("==", " ") for pin in pins) + "."


def write_section(name: str, text: str, *, readme: Path = README) -> None:
    """Replace what stands between the markers of a section.

    Raises
    ------
    ValueError
        If the page has no such section.
    """
    page = readme.read_text(encoding="utf-8")
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    head, found, rest = page.partition(begin)
    _, closed, tail = rest.partition(end)
    if not found or not closed:
        message = f"{readme} has no section between {begin!r} and {end!r}. Add the two lines."
        raise ValueError(message)
    readme.write_text(f"{head}{begin}\n{text.strip()}\n{end}{tail}", encoding="utf-8")


def to_json(run: Run, notebook: NotebookFigures | None, verdicts: Iterable[Verdict]) -> str:
    """Write everything measured, absolute figures included, for programs."""
    document: dict[str, Any] = {
        "turns": [asdict(turn) for turn in run.turns],
        "memory": [[*key, value] for key, value in run.memory.items()],
        "absent": [[*key, value] for key, value in run.absent.items()],
        "notebook": asdict(notebook) if notebook else None,
        "goals": [{**asdict(verdict), "state": verdict.state} for verdict in verdicts],
    }
    return json.dumps(document, indent=1)


def plot(run: Run, path: Path, *, load: str = "c64") -> None:
    """Draw requests/s of every server as a multiple of the chapter's code, a panel a model."""
    from matplotlib.figure import Figure  # noqa: PLC0415 -- slow to import, only for this

    subjects = list(dict.fromkeys(turn.subject for turn in run.turns))
    servers = run.servers()[::-1]
    height = 1.2 + 0.3 * len(servers)
    figure = Figure(figsize=(3.0 * len(subjects) + 1.5, height), layout="constrained")
    panels = figure.subplots(1, len(subjects), sharey=True, squeeze=False)[0]
    for panel, subject in zip(panels, subjects, strict=True):
        ratios = [run.ratio(server, "chapter", subject, load, "per_second") for server in servers]
        colors = ["#2a6fb0" if server == "nbdeploy" else "#b8b8b8" for server in servers]
        bars = panel.barh(servers, [ratio or 0 for ratio in ratios], color=colors)
        panel.bar_label(bars, [number(ratio) for ratio in ratios], padding=2, fontsize=8)
        panel.axvline(1, color="#444444", linewidth=0.8)
        panel.set_xscale("log")
        panel.set_xlim(0.05, 400)
        panel.set_title(f"{subject}\n{SUBJECTS[subject].title}", fontsize=9)
    figure.supxlabel("requests per second at 64 connections, as a multiple of the chapter's code")
    figure.savefig(path)


def number(value: float | None) -> str:
    """Write a ratio with three digits."""
    if value is None:
        return "-"
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def _cells(run: Run, server: str, subject: str, load: str) -> list[str]:
    cpu = run.value(server, subject, load, "cpu")
    failed = run.value(server, subject, load, "failed")
    if cpu is None:
        return ["-"] * 3
    rate = number(run.ratio(server, "chapter", subject, load, "per_second"))
    p50 = number(run.ratio(server, "chapter", subject, load, "p50"))
    return [rate + (f" ({failed:.0f} failed)" if failed else ""), p50, f"{cpu * 1e6:.0f}"]


def _first_line(text: str) -> str:
    return text.strip().splitlines()[0][:200].replace("|", "/")


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor()
