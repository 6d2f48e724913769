import re

import pytest

pytestmark = pytest.mark.browser

DEPLOY = """
from palmerpenguins import load_penguins
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from nbdeploy import deploy

penguins = load_penguins()
X, y = penguins.drop(columns="species"), penguins["species"]
numbers = make_pipeline(SimpleImputer(), StandardScaler())
texts = make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder())
columns = make_column_transformer(
    (numbers, make_column_selector(dtype_include="number")),
    (texts, make_column_selector(dtype_exclude="number")),
)
model = make_pipeline(columns, LogisticRegression(max_iter=1000)).fit(X, y)
"""


def luminance(color):
    red, green, blue = map(int, re.findall(r"\d+", color)[:3])
    return (0.2126 * red + 0.7152 * green + 0.0722 * blue) / 255


def style(locator, name):
    return locator.evaluate("(node, name) => getComputedStyle(node)[name]", name)


@pytest.mark.parametrize("theme", ["JupyterLab Light", "JupyterLab Dark"])
def test_the_card_is_readable_in_the_theme(lab, theme):
    notebook = lab.open(
        [
            DEPLOY,
            'service = deploy(model, name="penguins", example=X)',
            "service.predict(X.head(3))",
        ],
        theme=theme,
        name=theme.split()[-1].lower(),
    )
    notebook.run_all()
    card = notebook.output(1).locator(".nbd-card")
    notebook.screenshot(f"card-{theme.split()[-1].lower()}", notebook.output(1))

    assert card.count() == 1
    text = card.inner_text()
    assert all(
        fact in text for fact in ("penguins", "running", "bill_length_mm", "curl", "/predict")
    )
    assert "Adelie" in notebook.output(2).inner_text()
    background = luminance(style(notebook.page.locator(".jp-Notebook"), "backgroundColor"))
    foreground = luminance(style(card.locator("dd").first, "color"))
    assert abs(foreground - background) > 0.5
    assert (background > 0.5) == (theme == "JupyterLab Light")
    notebook.close()


ENSEMBLE = """
import time

from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from nbdeploy import Ensemble, deploy

X, y = load_iris(return_X_y=True, as_frame=True)


def broken(rows):
    raise ConnectionError


class SlowForest(RandomForestClassifier):
    def predict_proba(self, X):
        time.sleep(0.2)
        return super().predict_proba(X)


ensemble = Ensemble({
    "forest": SlowForest(20).fit(X, y),
    "line": LogisticRegression(max_iter=900).fit(X, y),
    "broken": broken,
})
service = deploy(ensemble, name="flowers", example=X)
for _ in range(5):
    service.predict(X.sample(5))
"""


@pytest.mark.parametrize(
    "theme", ["JupyterLab Dark", pytest.param("JupyterLab Light", marks=pytest.mark.acceptance)]
)
def test_the_card_of_an_ensemble_draws_its_members(lab, theme):
    tone = theme.split()[-1].lower()
    notebook = lab.open([ENSEMBLE, "service"], theme=theme, name=f"ensemble-{tone}")
    notebook.run_all()
    card = notebook.output(1).locator(".nbd-card")
    notebook.screenshot(f"ensemble-{tone}", notebook.output(1))

    text = card.inner_text()
    assert all(fact in text for fact in ("forest", "SlowForest", "broken", "mean time"))
    bars = card.locator(".nbd-time")
    widths = [bars.nth(place).bounding_box()["width"] for place in range(bars.count())]
    assert len(widths) == 3
    # The forest waits for longer than a busy machine makes the line wait.
    assert max(widths) == widths[0] > 2 * widths[1]
    assert widths[1] >= widths[2]
    paper = luminance(style(card, "backgroundColor"))
    assert (paper > 0.5) == (tone == "light")
    # It fits: nothing of the table is cut off.
    table = card.locator(".nbd-scroll:has(.nbd-time)")
    assert table.evaluate("node => node.scrollWidth <= node.clientWidth + 1")
    notebook.close()


def test_a_notebook_that_is_opened_again_still_shows_the_card(lab):
    notebook = lab.open([DEPLOY, 'deploy(model, name="penguins", example=X)'], name="again")
    notebook.run_all()
    assert notebook.output(1).locator(".nbd-card").count() == 1
    notebook.page.evaluate("() => window.jupyterapp.commands.execute('docmanager:save')")
    notebook.page.reload()

    card = notebook.page.locator(".nbd-card")
    card.wait_for()

    assert "penguins" in card.inner_text()
    notebook.close()


def test_the_docs_page_works_without_internet(chromium, penguins_url):
    context = chromium.new_context(viewport={"width": 1200, "height": 900})
    page = context.new_page()
    asked, said = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: said.append(message.text))

    page.goto(f"{penguins_url}/docs")
    page.get_by_text("/predict_proba").wait_for()
    page.locator("#operations-Predict-predict .opblock-summary-control").click()
    page.locator("#operations-Predict-predict button.execute").click()
    answer = page.locator("#operations-Predict-predict .live-responses-table .highlight-code").first
    answer.wait_for()

    assert re.search(r'"prediction":\s*\[\s*"\w+"', answer.inner_text())
    assert all(url.startswith((penguins_url, "data:")) for url in asked)
    assert [line for line in said if "Refused" in line or "violates" in line] == []
    context.close()


COMPARE = """
import itertools
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier
from nbdeploy import Client, deploy

X, y = load_iris(return_X_y=True, as_frame=True)
good = LogisticRegression(max_iter=500).fit(X, y)
shy = DecisionTreeClassifier(max_depth=1).fit(X, y)
other = DecisionTreeClassifier(max_depth=2).fit(X, y)
service = deploy(shy, name="iris", example=X)
"""
TRAFFIC = """
with Client(service.url) as client:
    for row in itertools.islice(itertools.cycle(range(150)), 600):
        _, prediction_id = client.predict(X.iloc[[row]], with_id=True)
        client.feedback(prediction_id, [int(y[row])])
"""


@pytest.mark.parametrize(
    "theme", ["JupyterLab Dark", pytest.param("JupyterLab Light", marks=pytest.mark.acceptance)]
)
def test_the_comparison_of_versions_is_readable_in_the_theme(lab, theme):
    kind = theme.rpartition(" ")[2].lower()
    cells = [
        COMPARE,
        'service.split({"1.0": shy, "1.1": good}, weights=[0.7, 0.3])\nservice.shadow(other)',
        TRAFFIC + "import time; time.sleep(0.5)",
        "service.compare()",
    ]
    notebook = lab.open(cells, theme=theme, name=f"compare-{kind}")
    notebook.run_all()
    card = notebook.output(3).locator(".nbd-comparison")
    card.wait_for()
    notebook.screenshot(f"compare-{kind}", notebook.output(3))

    assert "1.1 is better than 1.0: its accuracy is higher by" in card.inner_text()
    assert "The shadow" not in notebook.output(1).inner_text()
    background = luminance(style(notebook.page.locator(".jp-Notebook"), "backgroundColor"))
    for part in (
        card.locator("strong"),
        card.locator("td").first,
        card.locator(".nbd-quiet").first,
    ):
        assert abs(luminance(style(part, "color")) - background) > 0.3
    # Nothing is cut off: all columns are in view.
    for box in card.locator(".nbd-scroll").all():
        assert box.evaluate("node => node.scrollWidth <= node.clientWidth")
    notebook.close()


def test_checks_speak_the_language_of_the_folder_that_the_notebook_is_in(lab):
    (lab._folder / "zh-TW").mkdir()
    notebook = lab.open(
        [
            # What Jupyter tells of the notebook counts, not where its code went.
            "import os; os.chdir('/')",
            'from nbdeploy.teach import check, hint; check("05.1", ...)',
            'hint("05.1")',
        ],
        name="zh-TW/lesson",
    )
    notebook.run_all()
    assert "步驟 05.1 還沒完成。" in notebook.output(1).inner_text()
    assert "預期" in notebook.output(1).inner_text()
    assert "步驟 05.1 的提示 1（共 3 個）" in notebook.output(2).inner_text()
    notebook.close()
