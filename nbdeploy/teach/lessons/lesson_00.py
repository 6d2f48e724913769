"""Lesson 0: is this machine ready?"""  # noqa: D400 -- the title of the lesson

from __future__ import annotations

from typing import Any

from nbdeploy.machine import machine_cpus, usable_cpus
from nbdeploy.teach.expectations import describe, expect
from nbdeploy.teach.ready import Readiness
from nbdeploy.teach.steps import step

__all__: list[str] = []


@step(
    "00.1",
    title="Look whether the machine is ready",
    hints=(
        "`ready_check()` looks at the machine and gives a table back.",
        'Run `ready = ready_check()`, then `check("00.1", ready)`.',
        "A problem is cured first: do what stands beside it, restart the kernel, look again.",
    ),
)
def machine_is_ready(ready: Any) -> str:
    """Accept a table without a problem."""
    expect(
        isinstance(ready, Readiness),
        expected="the table that `ready_check()` gives",
        came=describe(ready),
        look="the cell above: `ready = ready_check()`, with the parentheses",
    )
    expect(
        ready.findings,
        expected="a table with rows",
        came="an empty one",
        look="the call `ready_check()`: it fills the table",
    )
    expect(
        ready.ok,
        expected="no row with the status problem",
        came="; ".join(f"{one.name}: {one.found}" for one in ready.problems),
        look=" ".join(one.cure for one in ready.problems),
    )
    count = len(ready.warnings)
    limits = f", with {count} warning{'s' * (count > 1)}" if count else ""
    return f"this machine is ready for the lessons{limits}"


@step(
    "00.2",
    title="Find out how many processors are yours",
    hints=(
        "The table has a row for it. Not everything that the machine has is yours.",
        "The row is called Processors, and the number stands before the word usable.",
        "Write it as a number, `processors = 2` for example. A half is `0.5`.",
    ),
)
def processors_are_counted(processors: Any) -> str:
    """Accept the number of processors that this kernel may use."""
    expect(
        isinstance(processors, (int, float)) and not isinstance(processors, bool),
        expected="a number",
        came=describe(processors),
        look="`processors`: write the number without quotes",
    )
    usable, machine = usable_cpus(), machine_cpus()
    is_right = f"{processors:g}" == f"{usable:g}"
    expect(
        is_right or processors != machine,
        expected="the processors that you may use",
        came=f"{processors:g}: that is what the whole machine has",
        look="the row Processors of the table",
    )
    expect(
        is_right,
        expected="the number that stands before the word usable",
        came=f"{processors:g}",
        look="the row Processors of the table",
    )
    return f"you may use {usable:g} of the {machine} processors of this machine"
