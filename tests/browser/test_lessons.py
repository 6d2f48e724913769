"""Every lesson in a real JupyterLab: it runs, can be read, and there are pictures to look at.

``make acceptance`` leaves them in ``build/screenshots/lessons``, page by page, light and dark.
"""

from __future__ import annotations

import re
import shutil
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NOTEBOOKS = ROOT / "notebooks"
PICTURES = ROOT / "build" / "screenshots" / "lessons"
LESSONS = sorted(path.stem for path in NOTEBOOKS.glob("*.ipynb"))
PAGE = {"width": 1100, "height": 1000}
PATIENCE = 240
COMMAND = "name => void window.jupyterapp.commands.execute(`notebook:${name}`)"
IS_IDLE = """() => {
    const context = window.jupyterapp?.shell?.currentWidget?.context;
    const kernel = context?.sessionContext?.session?.kernel;
    return kernel?.status === "idle" && kernel?.connectionStatus === "connected";
}"""
# What a light page has and a dark one has not: text that nobody can read.
UNREADABLE = """() => {
    const OF_JUPYTERLAB =
        "svg, style, .jp-OutputPrompt, .jp-InputPrompt, .cm-editor, .jp-RenderedText";
    const shown = [];
    const tone = text => {
        const scale = text.startsWith("color(") ? 255 : 1;
        const [r, g, b, a] = (text.match(/[\\d.]+/g) ?? []).map(Number);
        return a < 0.5 ? null : scale * (0.2126 * r + 0.7152 * g + 0.0722 * b) / 255;
    };
    const paper = node => {
        for (let at = node; at; at = at.parentElement) {
            const found = tone(getComputedStyle(at).backgroundColor);
            if (found !== null) return found;
        }
        return 1;
    };
    const walk = document.createTreeWalker(
        document.querySelector(".jp-Notebook"), NodeFilter.SHOW_TEXT);
    while (walk.nextNode()) {
        const node = walk.currentNode.parentElement;
        if (!walk.currentNode.data.trim() || !node.checkVisibility()) continue;
        // What JupyterLab itself colours is its own affair.
        if (!node.closest(".jp-Cell") || node.closest(OF_JUPYTERLAB)) continue;
        const style = getComputedStyle(node);
        if (Math.abs(tone(style.color) - paper(node)) < 0.18) shown.push(walk.currentNode.data);
    }
    return shown.slice(0, 5);
}"""
TOO_WIDE = """() => [...document.querySelectorAll(".jp-RenderedHTMLCommon")]
    .filter(node => node.scrollWidth > node.clientWidth + 2)
    .filter(node => !node.querySelector(".nbd-scroll, table.dataframe"))
    .map(node => node.innerText.slice(0, 80))"""


# JupyterLab leaves half a page of air below the last cell.
HEIGHT = """node => node.scrollTop - node.getBoundingClientRect().top
    + Math.max(...[...node.querySelectorAll(".jp-Cell")]
        .map(cell => cell.getBoundingClientRect().bottom))"""


class OpenLesson:
    def __init__(self, browser, url, name):
        self.name = name
        self.page = browser.new_context(viewport=PAGE).new_page()
        self.page.set_default_timeout(PATIENCE * 1000)
        self.page.goto(f"{url}doc/tree/{name}.ipynb?reset")
        self.page.wait_for_function(IS_IDLE)

    def run(self):
        for name in ("clear-all-cell-outputs", "run-all-cells"):
            self.page.evaluate(COMMAND, name)
        cells = self.page.locator(".jp-CodeCell .jp-InputArea-prompt")
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            prompts = cells.all_text_contents()
            if prompts and all(re.search(r"\d", prompt) for prompt in prompts):
                self.page.wait_for_timeout(500)
                return
            self.page.wait_for_timeout(200)
        raise TimeoutError(self.name)

    def photograph(self, tone):
        """Take one picture a page of the screen, top to bottom."""
        self.page.evaluate("() => document.querySelector('#jp-left-stack')?.remove()")
        body = self.page.locator(".jp-WindowedPanel-outer").first
        step = body.evaluate("node => node.clientHeight - 40")
        height = body.evaluate(HEIGHT)
        name = self.name.replace("/", "-")
        PICTURES.mkdir(parents=True, exist_ok=True)
        for old in PICTURES.glob(f"{name}-{tone}-*.png"):
            old.unlink()
        for number, top in enumerate(range(0, round(height), step)):
            body.evaluate("(node, top) => node.scrollTo(0, top)", top)
            self.page.wait_for_timeout(80)
            self.page.screenshot(path=PICTURES / f"{name}-{tone}-{number:02}.png")

    def close(self):
        self.page.evaluate(
            "() => window.jupyterapp.shell.currentWidget.context.sessionContext.shutdown()"
        )
        self.page.context.close()


@pytest.fixture(scope="module")
def course(lab_with, tmp_path_factory):
    """A JupyterLab in a copy of the notebooks: what learners write stays out of the repository."""
    folder = tmp_path_factory.mktemp("course")
    for path in (*NOTEBOOKS.glob("*.ipynb"), *NOTEBOOKS.glob("*.md")):
        shutil.copy(path, folder)
    (folder / "zh-TW").mkdir()
    for path in (NOTEBOOKS / "zh-TW").glob("*.ipynb"):
        shutil.copy(path, folder / "zh-TW")
    running = lab_with(folder).start()
    yield running
    running.stop()


@pytest.mark.acceptance
@pytest.mark.browser
@pytest.mark.parametrize("tone", ["light", "dark"])
@pytest.mark.parametrize("name", LESSONS)
def test_a_lesson_runs_in_jupyterlab_and_can_be_read(name, tone, course, chromium, monkeypatch):
    monkeypatch.setenv("NBDEPLOY_STRICT", "1")
    course._write_setting("apputils-extension/themes", theme=f"JupyterLab {tone.title()}")
    lesson = OpenLesson(chromium, course.url, name)
    lesson.run()

    lesson.photograph(tone)

    assert lesson.page.evaluate(UNREADABLE) == []
    assert lesson.page.evaluate(TOO_WIDE) == []
    assert list(PICTURES.glob(f"{name}-{tone}-*.png"))
    lesson.close()


@pytest.mark.acceptance
@pytest.mark.browser
@pytest.mark.parametrize("name", LESSONS)
def test_a_lesson_in_chinese_runs_and_its_checks_speak_chinese(name, course, chromium, monkeypatch):
    monkeypatch.setenv("NBDEPLOY_STRICT", "1")
    course._write_setting("apputils-extension/themes", theme="JupyterLab Light")
    lesson = OpenLesson(chromium, course.url, f"zh-TW/{name}")
    lesson.run()

    lesson.photograph("light")

    assert lesson.page.evaluate(TOO_WIDE) == []
    told = " ".join(lesson.page.locator(".jp-OutputArea").all_inner_texts())
    assert not re.search(r"Step \S+ passed|steps passed", told)
    assert re.search(r"步驟 \S+ 通過|通過 \d+ 個步驟", told)
    lesson.close()
