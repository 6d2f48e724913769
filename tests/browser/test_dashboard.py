"""The live dashboard in a real JupyterLab, and its page in a browser alone."""

import json
import re

import pytest

pytestmark = pytest.mark.browser

SERVED = """
import threading, time
from palmerpenguins import load_penguins
from sklearn.ensemble import HistGradientBoostingClassifier
from nbdeploy import Client, deploy

penguins = load_penguins()
X = penguins.select_dtypes("number")
model = HistGradientBoostingClassifier(max_iter=5).fit(X, penguins["species"])
service = deploy(model, name="penguins", example=X)
service.split({"old": model, "new": model}, weights=[0.7, 0.3])


def callers():
    with Client(service.url) as client:
        while service._server.running:
            time.sleep(0.01)
            try:
                client.predict(X.sample(3) if time.time() % 7 > 1 else [[1, 2]])
            except Exception:
                pass


for _ in range(2):
    threading.Thread(target=callers, daemon=True).start()
time.sleep(3)
"""
SHOWN = "service.dashboard()"
BUSY = "time.sleep(6)"


def requests_of(card):
    tiles = card.locator(".nbd-tiles").inner_text()
    told = re.search(r"^requests\s+([\d,]+)\s*$", tiles, re.MULTILINE)
    return int(told[1].replace(",", ""))


def saved_html(notebook):
    """What the notebook file holds of the last state, after it was saved."""
    notebook.page.evaluate("() => window.jupyterapp.commands.execute('docmanager:save')")
    model = notebook.page.evaluate(
        "() => JSON.stringify(window.jupyterapp.shell.currentWidget.context.model.toJSON())"
    )
    outputs = json.loads(model)["cells"][1]["outputs"]
    return [
        "".join(output["data"]["text/html"])
        for output in outputs
        if "text/html" in output.get("data", {})
    ][-1]


@pytest.mark.parametrize(
    "theme", ["JupyterLab Light", pytest.param("JupyterLab Dark", marks=pytest.mark.acceptance)]
)
def test_it_lives_while_a_cell_is_busy_and_ends_with_its_service(lab, theme):
    tone = theme.split()[-1].lower()
    notebook = lab.open([SERVED, SHOWN, BUSY], theme=theme, name=f"dashboard-{tone}")
    notebook.page.evaluate(
        "() => void window.jupyterapp.commands.execute('notebook:run-all-cells')"
    )
    card = notebook.output(1).locator(".nbd-dashboard")
    card.wait_for()
    # The last cell sleeps now.
    notebook.page.wait_for_function(
        "() => [...document.querySelectorAll('.jp-CodeCell .jp-InputArea-prompt')]"
        ".at(-1).textContent.includes('*')"
    )
    first = requests_of(card)
    notebook.page.wait_for_timeout(2500)
    later = requests_of(card)
    notebook.screenshot(f"dashboard-{tone}", notebook.output(1))

    assert later > first
    text = card.inner_text()
    assert all(told in text for told in ("p95", "latency", "old", "new", "70 %", "errors"))
    assert card.evaluate("node => node.scrollWidth <= node.clientWidth + 1")
    notebook.output(1).get_by_role("button", name="Stop service").click()
    notebook.output(1).get_by_text("Stopped; this is what it did last.").wait_for()
    assert "Stopped; this is what it did last." in saved_html(notebook)
    notebook.close()


def test_reopened_without_a_kernel_it_shows_the_last_state(lab):
    notebook = lab.open([SERVED, SHOWN], name="dashboard-again")
    notebook.run_all()
    notebook.output(1).locator(".nbd-dashboard").wait_for()
    assert "<svg" in saved_html(notebook)
    notebook.page.wait_for_timeout(500)
    notebook.page.evaluate(
        "() => window.jupyterapp.shell.currentWidget.context.sessionContext.shutdown()"
    )
    page = notebook.page.context.new_page()
    page.goto(f"{lab.url}doc/tree/dashboard-again.ipynb?reset")

    card = page.locator(".jp-CodeCell").nth(1).locator(".nbd-dashboard")
    card.wait_for()

    assert requests_of(card) > 0
    # The buttons are gone with their kernel; that is no error to be shown above the last state.
    gone = page.get_by_text("Error displaying widget: model not found")
    gone.wait_for(state="attached")
    assert not gone.is_visible()
    notebook.page.context.close()


@pytest.mark.parametrize(("scheme", "width"), [("light", 600), ("dark", 1000)])
def test_the_page_alone_follows_the_theme_and_fits(chromium, penguins_url, scheme, width):
    import httpx2
    from palmerpenguins import load_penguins

    rows = load_penguins().select_dtypes("number").head(40).fillna(0.0).to_dict("records")
    for row in rows:
        assert httpx2.post(f"{penguins_url}/predict", json={"features": row}).is_success
    context = chromium.new_context(color_scheme=scheme, viewport={"width": width, "height": 900})
    page = context.new_page()
    failed = []
    page.on("console", lambda message: failed.append(message.text))
    page.on("pageerror", lambda error: failed.append(str(error)))
    page.goto(f"{penguins_url}/dashboard")
    before = requests_of(page.locator(".nbd-dashboard"))
    for row in rows[:5]:
        httpx2.post(f"{penguins_url}/predict", json={"features": row})
    page.wait_for_function(
        f"() => document.querySelector('.nbd-tiles').innerText.includes('{before + 5}')"
    )
    page.screenshot(path=f"build/screenshots/dashboard-page-{scheme}-{width}.png")

    assert failed == []
    assert page.evaluate("() => document.documentElement.scrollWidth <= window.innerWidth")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert page.locator("#pause").get_attribute("aria-pressed") == "true"
    context.close()
