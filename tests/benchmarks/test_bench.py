"""The benchmarks run, compare what they say, and write where they should."""

from __future__ import annotations

import asyncio
import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def load(monkeypatch):
    """Import a module of the benchmarks, which are scripts beside each other."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module


def run(*arguments, timeout):
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=BENCHMARKS.parent,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


@pytest.fixture
def measured(load):
    """Make a run out of requests a second: ``{server: [of each rotation]}``."""
    turns = load("turns")

    def make(per_second, subject="m1", load="c64"):
        return turns.Run(
            tuple(
                turns.Measurement(server, subject, load, turn, rate, 1 / rate, 1 / rate, 0.01, 0)
                for server, rates in per_second.items()
                for turn, rate in enumerate(rates)
            ),
            memory={},
            absent={},
        )

    return make


def test_a_ratio_is_the_median_of_those_within_a_rotation(measured):
    run = measured({"nbdeploy": [10, 100, 30], "chapter": [1, 20, 2]})
    assert run.ratio("nbdeploy", "chapter", "m1", "c64", "per_second") == 10
    assert run.ratio("nbdeploy", "nobody", "m1", "c64", "per_second") is None


def test_a_goal_that_is_short_is_said_to_be(measured, load):
    figures = load("figures")
    verdicts = {
        (verdict.title, verdict.state)
        for verdict in figures.judge(
            measured({"nbdeploy": [70.0], "chapter": [10.0], "echo": [100.0], "slow": [9.0]})
        )
    }
    assert ("requests/s, 64 connections, by the chapter's code", "short") in verdicts
    assert (f"requests/s, 64 connections, by {figures.BEST_PEER}", "short") in verdicts
    assert ("requests/s, 64 connections, by a raw ASGI echo", "ok") in verdicts


def test_a_section_of_the_readme_is_replaced_and_an_unknown_one_is_told(load, tmp_path):
    report = load("report")
    page = tmp_path / "README.md"
    page.write_text("a\n<!-- bench: begin -->\nold\n<!-- bench: end -->\nz\n")
    report.write_section("bench", "new", readme=page)
    assert page.read_text() == "a\n<!-- bench: begin -->\nnew\n<!-- bench: end -->\nz\n"
    with pytest.raises(ValueError, match="no section"):
        report.write_section("other", "new", readme=page)


def test_every_section_that_is_written_has_its_place():
    page = (BENCHMARKS / "README.md").read_text()
    for name in ("bench", "peers", "formats", "profile"):
        assert f"<!-- {name}: begin -->" in page
        assert f"<!-- {name}: end -->" in page


@pytest.mark.acceptance
def test_the_benchmark_measures_every_server(tmp_path):
    file = tmp_path / "figures.json"
    command = ["--quick", "--models", "m1", "--no-notebook", "--json", str(file)]
    result = run("benchmarks/bench.py", *command, timeout=240)
    assert result.returncode == 0, result.stderr[-2000:]
    document = json.loads(file.read_text())
    assert document["absent"] == []
    assert {turn["server"] for turn in document["turns"]} >= {"nbdeploy", "chapter", "echo"}
    assert all(turn["failed"] == 0 for turn in document["turns"])


@pytest.mark.acceptance
@pytest.mark.parametrize("script", ["formats", "profile_request"])
def test_the_other_benchmarks_run(script):
    result = run(f"benchmarks/{script}.py", timeout=240)
    assert result.returncode == 0, result.stderr[-2000:]
    assert "| m2 |" in result.stdout


@pytest.mark.acceptance
def test_what_the_monitor_costs_is_measured_beside_the_error_of_the_measurement():
    result = run("benchmarks/monitor_cost.py", "--starts", "2", timeout=240)
    assert result.returncode == 0, result.stderr[-2000:]
    lines = [line.split("|") for line in result.stdout.splitlines() if "64 connections" in line]
    medians = [float(line[3]) for line in lines]
    assert len(medians) == 3
    assert all(0.5 < median < 2 for median in medians)


def test_a_connection_that_the_server_closed_is_not_asked_again(load):
    load_module, ask = load("load"), load("servers").Ask("/predict", b"{}")

    async def answer_once(reader, writer):
        await reader.readuntil(b"{}")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
        writer.close()

    async def answers():
        async with await asyncio.start_server(answer_once, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            return await asyncio.to_thread(
                load_module.paced, port, [ask], per_second=50, seconds=0.2
            )

    answered = asyncio.run(answers())
    assert (answered.requests, answered.failed) == (10, 0)
