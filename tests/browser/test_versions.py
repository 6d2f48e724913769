"""The tables of versions in a real JupyterLab, light and dark."""

import re

import pytest

pytestmark = pytest.mark.browser

SAVE = """
from sklearn.datasets import load_wine
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from nbdeploy import ModelVersionControl

X, y = load_wine(return_X_y=True, as_frame=True)
versions = ModelVersionControl("models/wine-{theme}")
forest = RandomForestClassifier(n_estimators=30, random_state=0).fit(X, y)
versions.save_model_version(
    forest, "1.0", {{"accuracy": 0.951, "log_loss": 0.31}}, "a forest", example=X)
larger = RandomForestClassifier(n_estimators=90, random_state=0).fit(X, y)
versions.save_model_version(
    larger, "1.1", {{"accuracy": 0.962, "log_loss": 0.24}}, "three times the trees", example=X)
line = LogisticRegression(max_iter=5000).fit(X, y)
versions.save_model_version(line, "2.0", {{"accuracy": 0.944, "log_loss": 0.19}}, example=X)
versions.set_alias("production", "1.0", why="first release")
versions.set_alias("production", "1.1", why="better in the test")
versions.rollback("production", why="slow")
"""


def luminance(color):
    red, green, blue = map(int, re.findall(r"\d+", color)[:3])
    return (0.2126 * red + 0.7152 * green + 0.0722 * blue) / 255


def style(locator, name):
    return locator.evaluate("(node, name) => getComputedStyle(node)[name]", name)


@pytest.mark.parametrize("theme", ["dark", pytest.param("light", marks=pytest.mark.acceptance)])
def test_tables_of_versions_are_readable_in_the_theme(lab, theme):
    cells = [
        SAVE.format(theme=theme),
        "versions",
        "versions.compare()",
        'versions.diff("1.0", "1.1")',
        "versions.history()",
        'versions["1.0"]',
        "versions.compare().plot()",
        "versions.verify()",
    ]
    notebook = lab.open(cells, theme=f"JupyterLab {theme.title()}", name=f"versions-{theme}")
    notebook.run_all()
    notebook.output(6).locator("img").wait_for()
    names = ("table", "compare", "diff", "history", "version", "plot", "verify")
    for number, name in enumerate(names, start=1):
        notebook.screenshot(f"versions-{name}-{theme}", notebook.output(number))

    table = notebook.output(1).locator(".nbdeploy")
    assert all(
        fact in table.inner_text()
        for fact in ("wine", "3 versions", "production", "0.962", "three times the trees")
    )
    assert "★ 0.962" in notebook.output(2).inner_text()
    assert "n_estimators" in notebook.output(3).inner_text()
    assert "slow" in notebook.output(4).inner_text()
    background = luminance(style(notebook.page.locator(".jp-Notebook"), "backgroundColor"))
    assert (background > 0.5) == (theme == "light")
    for number in (1, 2, 3, 4):
        cell = notebook.output(number).locator("td").first
        assert abs(luminance(style(cell, "color")) - background) > 0.5
    notebook.close()
