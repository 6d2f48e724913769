"""A service behind a real jupyter-server-proxy, opened by a real Chromium."""

import re

import pytest

pytestmark = pytest.mark.browser

FIT = """
import os
from palmerpenguins import load_penguins
from sklearn.ensemble import HistGradientBoostingClassifier
from nbdeploy import deploy

penguins = load_penguins()
X = penguins.drop(columns="species")
X[["island", "sex"]] = X[["island", "sex"]].astype("category")
model = HistGradientBoostingClassifier(max_iter=20, categorical_features="from_dtype")
model.fit(X, penguins["species"])
"""


@pytest.fixture(scope="module")
def far_lab(lab_with, tmp_path_factory):
    """A JupyterLab that listens to other machines too, below a path, as on a server."""
    running = lab_with(
        tmp_path_factory.mktemp("far"), "--ServerApp.base_url=/user/ada/", ip="0.0.0.0"
    ).start()
    yield running
    running.stop()


def opened(notebook, cell):
    """Click the link in an output; give the page that opens."""
    link = notebook.output(cell).locator("a").first
    with notebook.page.expect_popup() as popup:
        link.click()
    page = popup.value
    page.set_default_timeout(30_000)
    return page


def listen(page):
    asked, said = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: said.append(message.text))
    return asked, said


def assert_predicts(page):
    """Use the page as a reader does: open an endpoint, send its example, read the answer."""
    page.locator("#operations-Predict-predict .opblock-summary-control").click()
    page.locator("#operations-Predict-predict button.execute").click()
    answer = page.locator("#operations-Predict-predict .live-responses-table .highlight-code").first
    answer.wait_for()
    assert re.search(r'"prediction":\s*\[\s*"\w+"', answer.inner_text())


def test_the_link_of_the_card_leads_through_jupyters_proxy(far_lab):
    notebook = far_lab.open([FIT, 'service = deploy(model, name="p", example=X, token=None)'])
    notebook.run_all()
    card = notebook.output(1).locator(".nbd-card")
    notebook.screenshot("card-behind-proxy", notebook.output(1))
    href = card.locator("a").get_attribute("href")

    page = opened(notebook, 1)
    asked, said = listen(page)
    page.reload()
    page.get_by_text("/predict_proba").wait_for()
    assert_predicts(page)

    assert re.fullmatch(r"/user/ada/proxy/\d+/docs", href)
    assert page.url == far_lab.url.removesuffix("/user/ada/") + href
    inside = far_lab.url + re.search(r"proxy/\d+/", href)[0]
    assert all(url.startswith((inside, "data:")) for url in asked), asked
    assert [line for line in said if "Refused" in line or "violates" in line] == []
    page.screenshot(path=notebook.screenshots / "docs-behind-proxy.png")
    page.close()
    notebook.close()


def test_with_a_token_the_link_opens_once_and_the_cookie_keeps_to_its_path(far_lab):
    notebook = far_lab.open(
        [FIT, 'service = deploy(model, name="p", example=X)', "service.open()"], name="token"
    )
    notebook.run_all()
    card = notebook.output(1).inner_text()
    context = notebook.page.context

    page = opened(notebook, 2)
    page.get_by_text("/predict_proba").wait_for()
    assert_predicts(page)

    assert "open() gives a link that works once" in card
    (cookie,) = [each for each in context.cookies() if each["name"].startswith("nbdeploy_")]
    assert re.fullmatch(r"/user/ada/proxy/\d+", cookie["path"])
    assert cookie["httpOnly"]
    assert cookie["sameSite"] == "Strict"
    again = notebook.output(2).locator("a").first.get_attribute("href")
    answer = notebook.page.request.get(far_lab.url.removesuffix("/user/ada/") + again)
    assert answer.status == 401
    assert "used or is older" in answer.json()["detail"]
    page.close()
    notebook.close()


def test_another_site_cannot_use_the_session(far_lab):
    notebook = far_lab.open(
        [FIT, 'service = deploy(model, name="p", example=X)', "service.open()", "service.url"],
        name="session",
    )
    notebook.run_all()
    page = opened(notebook, 2)
    page.get_by_text("/predict_proba").wait_for()
    predict = page.url.removesuffix("docs") + "predict"
    attack = """async (url) => {
        const told = [];
        for (const mode of ["cors", "no-cors"]) {
            try {
                const options = {method: "POST", mode, credentials: "include", body: "{}"};
                const answer = await fetch(url, options);
                told.push(answer.type === "opaque" ? "opaque" : answer.status);
            } catch (error) { told.push("blocked"); }
        }
        return told;
    }"""

    # The same machine under its other name is another site to the browser.
    foreign = notebook.page.context.new_page()
    foreign.goto(far_lab.url.replace("127.0.0.1", "localhost") + "api")
    told = foreign.evaluate(attack, predict)

    assert told[0] == "blocked"
    assert 200 not in told
    foreign.close()
    page.close()
    notebook.close()


def test_directly_the_one_time_link_works_from_jupyter_under_another_name(lab):
    # JupyterLab at localhost, the service at 127.0.0.1: the browser takes them for two sites, and
    # sends no cookie along while one leads to the other.
    lab_url, lab.url = lab.url, lab.url.replace("127.0.0.1", "localhost")
    try:
        notebook = lab.open(
            [FIT, 'service = deploy(model, name="p", example=X, token="s3cret")', "service.open()"],
            name="names",
        )
    finally:
        lab.url = lab_url
    notebook.run_all()

    page = opened(notebook, 2)
    page.get_by_text("/predict_proba").wait_for()
    assert_predicts(page)

    assert page.url.startswith("http://127.0.0.1:")
    page.close()
    notebook.close()


@pytest.mark.parametrize(
    "theme", ["JupyterLab Light", pytest.param("JupyterLab Dark", marks=pytest.mark.acceptance)]
)
def test_the_form_predicts_without_any_address(lab, theme):
    short = theme.split()[-1].lower()
    notebook = lab.open(
        [
            f'{FIT}os.environ["KAGGLE_KERNEL_RUN_TYPE"] = "Interactive"',
            'service = deploy(model, name="p", example=X)',
            "service.try_it()",
        ],
        theme=theme,
        name=f"form-{short}",
    )
    notebook.run_all()
    form = notebook.output(2)
    form.get_by_text("Predict").first.wait_for()
    form.locator("select").first.select_option("Biscoe")
    form.get_by_placeholder("172.0 to 231.0").fill("230")
    form.get_by_text("Predict").first.click()
    form.locator(".nbd-bars").wait_for()
    notebook.screenshot(f"try-it-{short}", form)
    notebook.screenshot(f"card-without-address-{short}", notebook.output(1))

    assert re.search(r"Prediction: \w+", form.inner_text())
    assert "Kaggle lets no browser reach a port" in notebook.output(1).inner_text()
    assert notebook.output(1).locator("a").count() == 0
    notebook.close()
