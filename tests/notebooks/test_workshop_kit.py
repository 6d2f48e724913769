"""The index, the notes for teachers and the cheat sheet: links, times and commands are true."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import tomllib
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from builder.source import LANGUAGES, Role, read_sources

from nbdeploy.cli import _parser

ROOT = Path(__file__).parents[2]
NOTEBOOKS = ROOT / "notebooks"
TEACHER = NOTEBOOKS / "teacher"
SHEET = NOTEBOOKS / "cheat_sheet.md"
PAGES = [ROOT / "README.md", SHEET, *sorted(TEACHER.glob("*.md"))]
SCRIPTS = [TEACHER / "half_day.md", TEACHER / "one_day.md"]
NAMES = [
    edition.path.as_posix()
    for source in read_sources(NOTEBOOKS / "src")
    for edition in source.editions()
    if edition.language == LANGUAGES[0] and edition.role is not Role.SOLUTION
]
LESSONS = [name for name in NAMES if name != "index.ipynb"]
IS_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
ENVIRONMENT_LINE = re.compile(r"(export )?[A-Z_]+=\S+")


def index_text():
    (index,) = (source for source in read_sources(NOTEBOOKS / "src") if source.name == "index")
    return "\n\n".join(c.text for c in index.cells_in(LANGUAGES[0]) if c.kind == "markdown")


def links_in(text):
    return re.findall(r"\]\(([^)\s]+)\)", IS_BLOCK.sub("", text))


def blocks(page, language):
    return [code for kind, code in IS_BLOCK.findall(page.read_text()) if kind == language]


def broken(text, folder):
    found = [link for link in links_in(text) if "://" not in link and not link.startswith("#")]
    paths = [Path(folder, link.partition("#")[0]).resolve() for link in found]
    return [str(path) for path in paths if not path.exists()]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_of_a_page_leads_somewhere(page):
    assert broken(page.read_text(), page.parent) == []


def test_every_link_of_the_index_leads_somewhere():
    assert broken(index_text(), NOTEBOOKS) == []


def test_the_index_and_the_notes_name_every_notebook():
    index, notes = links_in(index_text()), links_in((TEACHER / "lessons.md").read_text())

    assert set(LESSONS) - set(index) == set()
    assert {f"../{name}" for name in LESSONS} - set(notes) == set()


def test_the_long_day_has_every_lesson_and_the_readme_every_notebook_of_the_chapter():
    planned = links_in((TEACHER / "one_day.md").read_text())
    shown = links_in((ROOT / "README.md").read_text())

    assert {f"../{name}" for name in LESSONS if "/" not in name} - set(planned) == set()
    chapter = [name for name in LESSONS if re.search(r"(^|/)(\d\d|ex\d)_", name)]
    assert {f"notebooks/{name}" for name in chapter} - set(shown) == set()


def test_the_notes_have_four_things_for_each_notebook():
    sections = (TEACHER / "lessons.md").read_text().split("\n## ")[1:]

    assert len(sections) == len(LESSONS)
    for section in sections:
        assert all(part in section for part in ("**Timing.**", "**Ask.**", "**Skip.**")), section
        numbers = re.findall(r"^(\d)\. ", section, re.MULTILINE)
        assert numbers == ["1", "2", "3", "4", "5"], section
        assert section.partition("**Ask.** ")[2].partition("\n")[0].endswith("?"), section


@pytest.mark.parametrize("page", SCRIPTS, ids=lambda page: page.stem)
def test_the_times_of_a_script_add_up(page):
    rows = re.findall(r"^\| (\d\d:\d\d) \| (\d*) ?\|", page.read_text(), re.MULTILINE)
    starts = [datetime.strptime(time, "%H:%M") for time, _ in rows]  # noqa: DTZ007 -- of no day
    lasts = [timedelta(minutes=int(minutes)) for _, minutes in rows[:-1]]

    assert rows[-1][1] == ""
    assert [start + last for start, last in zip(starts, lasts, strict=False)] == starts[1:]


def test_what_the_cheat_sheet_shows_runs(run_script):
    code = "".join(blocks(SHEET, "python"))

    run_script(f"{code}\nassert deployments() == []\nassert report.ok and scaler and load")


def test_the_cheat_sheet_is_one_page():
    lines = SHEET.read_text().splitlines()

    assert len(lines) <= 100
    assert max(map(len, lines)) <= 120


def test_a_teacher_can_read_the_reports_of_a_class(run_script):
    (code,) = blocks(TEACHER / "README.md", "python")
    begin = """
from nbdeploy.teach import check, report, reset

for name, latencies in (("ana", [0.01] * 18 + [0.3] * 2), ("ben", [0.3])):
    reset()
    check("04.1", latencies)
    report(f"reports/{name}.json")
"""
    said = run_script(begin + code)

    assert re.search(r"^04\.1 +1$", said, re.MULTILINE)
    assert re.search(r"^04\.2 +0$", said, re.MULTILINE)


def commands():
    return sorted(
        {
            line.strip()
            for page in PAGES
            for kind in ("sh", "bash")
            for code in blocks(page, kind)
            for line in code.splitlines()
            if line.strip() and not line.startswith("#")
        }
    )


@pytest.mark.parametrize("command", commands())
def test_a_command_that_is_shown_exists(command):
    words = [word for word in shlex.split(command) if not ENVIRONMENT_LINE.fullmatch(word)]
    if not words or words == ["export"]:
        return  # sets variables only
    program, *rest = words
    check = {
        "make": _is_target,
        "nbdeploy": _is_call,
        "conda": _is_environment,
        "jupyter": _is_notebook,
    }[Path(program).name]
    check(*rest)


def _is_target(*names):
    targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert set(names) <= set(targets)


def _is_call(*arguments):
    _parser().parse_args(arguments)


def _is_environment(*arguments):
    environment = (ROOT / "environment.yml").read_text()
    assert arguments in (("env", "create", "-f", "environment.yml"), ("activate", "nbdeploy"))
    assert "\nname: nbdeploy\n" in environment


def _is_notebook(*arguments):
    assert arguments[0] == "nbconvert"
    assert (ROOT / arguments[-1]).is_file()


def test_a_wrong_link_and_a_wrong_command_are_noticed(tmp_path):
    assert broken("[a](gone.ipynb) [b](https://example.org)", tmp_path) == [
        str((tmp_path / "gone.ipynb").resolve())
    ]
    with pytest.raises(SystemExit):
        test_a_command_that_is_shown_exists("nbdeploy redy")


def test_what_binder_runs_after_the_installation_runs_here(tmp_path):
    import os

    folder = str(Path(sys.executable).parent)
    environment = {
        **os.environ,
        "HOME": str(tmp_path),
        "PATH": f"{folder}:{os.environ['PATH']}",
        "JUPYTER_DATA_DIR": str(tmp_path / "jupyter"),
    }
    script = ROOT / "postBuild"

    assert os.access(script, os.X_OK)
    done = subprocess.run(
        [str(script)], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr
    assert "index.ipynb" in done.stdout


def test_the_kit_needs_what_the_environment_installs():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = " ".join(project["optional-dependencies"]["notebooks"])

    assert all(name in wanted for name in ("jupyterlab", "jupyter-server-proxy", "palmerpenguins"))
