"""What a browser makes of the HTML: the only judge of colours, overflow and scripts."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from nbdeploy import DockerConfig
from nbdeploy.containers.check_report import CheckReport, Finding
from nbdeploy.display.card import ServiceCard
from nbdeploy.monitoring.comparison import compare_contest
from nbdeploy.monitoring.contest import Contest
from nbdeploy.monitoring.monitor import ModelMonitor
from nbdeploy.monitoring.scores import ACCURACY
from nbdeploy.monitoring.shadow import ShadowLog
from tests.hostile import HOSTILE

pytestmark = pytest.mark.browser

LAB = Path(sys.prefix, "share/jupyter/nbconvert/templates/lab/static")
CURL = "curl http://127.0.0.1:43210/predict \\\n  -d '{\"features\": [5.8, 3.0, 4.35, 1.3]}'"

# Text, with its contrast against what is behind it, for every element that holds text itself.
CONTRASTS = """() => {
  const parse = text => {
    const numbers = text.match(/[\\d.]+/g).map(Number);
    const unit = text.startsWith('color(') ? 1 : 255;
    return [...numbers.slice(0, 3).map(n => n / unit), numbers[3] ?? 1];
  };
  const over = (top, below) => [0, 1, 2].map(i => top[i] * top[3] + below[i] * (1 - top[3]));
  const behind = node => node === null
    ? (matchMedia('(prefers-color-scheme: dark)').matches ? [0, 0, 0] : [1, 1, 1])
    : over(parse(getComputedStyle(node).backgroundColor), behind(node.parentElement));
  const light = rgb => rgb
    .map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  return [...document.querySelectorAll('.nbdeploy *:not(style)')]
    .filter(e => [...e.childNodes].some(c => c.nodeType === 3 && c.data.trim()))
    .filter(e => e.getAttribute('aria-hidden') !== 'true')
    .map(e => {
      const back = behind(e);
      const [a, b] = [light(over(parse(getComputedStyle(e).color), back)), light(back)];
      return [e.textContent, (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05)];
    });
}"""

TOUCH_EVERYTHING = """() => document.querySelectorAll('.nbdeploy *').forEach(element =>
  ['mouseover', 'click', 'focus', 'load', 'error'].forEach(event =>
    element.tagName === 'A' && event === 'click' || element.dispatchEvent(new Event(event))))"""


@pytest.fixture
def open_page(chromium):
    pages = []

    def open_page(html, *, theme=None, scheme="light", width=900):
        page = chromium.new_page(viewport={"width": width, "height": 700}, color_scheme=scheme)
        page.route("**", lambda route: route.abort())
        page.set_content(in_lab(html, theme) if theme else html)
        pages.append(page)
        return page

    yield open_page
    for page in pages:
        page.close()


def in_lab(html, theme):
    styles = "".join(
        f"<style>{(LAB / name).read_text()}</style>" for name in ("index.css", f"theme-{theme}.css")
    )
    is_light = str(theme == "light").lower()
    return (
        f'{styles}<body class="jp-Notebook" data-jp-theme-light="{is_light}">'
        f'<div class="jp-RenderedHTMLCommon jp-RenderedHTML">{html}</div></body>'
    )


def card(**fields):
    facts = {
        "name": "iris",
        "model_type": "LogisticRegression",
        "state": "running",
        "url": "http://127.0.0.1:43210",
        "browser_url": "http://127.0.0.1:43210/docs",
        "methods": ("/predict", "/predict_proba"),
        "schema": (("petal length (cm)", "number", "1.0 to 6.9"),),
        "who_may_call": "Any program on this machine can call it.",
        "curl": CURL,
        "notes": ("It replaces the model that was deployed before.",),
        "version": "1.0",
    }
    return ServiceCard(**{**facts, **fields}).to_html()


def monitor():
    monitor = ModelMonitor()
    for number in range(100):
        monitor.log_prediction([1], 0, number / 1000, version="1.0", status=200)
    return monitor.to_html()


def comparison():
    contest = Contest({"1.0": 0.9, "1.1": 0.1}, ACCURACY)
    contest.shadow = ShadowLog("1.2")
    contest.shadow.compare(["a", "b"], ["a", "a"])
    for number in range(400):
        version = "1.0" if number % 2 else "1.1"
        contest.ended(version, number / 1000, "answered")
        contest.judge(version, ["a"], ["a" if number % 3 else "b"])
    return compare_contest(contest).to_html()


def container_files():
    dockerfile = DockerConfig.generate_dockerfile(
        "requirements.txt", "model/model.joblib", environment={"OMP_NUM_THREADS": "1"}
    )
    compose = DockerConfig.generate_compose_file("churn", "churn:1.1", memory="512m")
    return dockerfile.to_html() + compose.to_html()


def check_report():
    findings = (
        Finding("green", "30 packages install into an empty environment", detail="(391 MB)"),
        Finding("amber", "A function of the notebook carries 'train' along", "Let it use rows."),
        Finding("red", "The module 'xgboost' is missing there", 'requirements=["xgboost"]'),
    )
    return CheckReport("churn", findings).to_html()


def container_cards():
    return container_files() + check_report()


@pytest.mark.parametrize(
    ("theme", "scheme"),
    [("light", "light"), ("light", "dark"), ("dark", "light"), (None, "light"), (None, "dark")],
)
def test_all_text_is_readable_in_every_theme(open_page, theme, scheme):
    html = card() + card(state="stopped", browser_url=None) + monitor() + comparison()
    html += container_cards()
    page = open_page(html, theme=theme, scheme=scheme)
    contrasts = page.evaluate(CONTRASTS)
    assert len(contrasts) > 40
    assert [found for found in contrasts if found[1] < 4.5] == []


def test_a_theme_of_jupyterlab_wins_over_the_colours_of_the_system(open_page):
    page = open_page(card(), theme="dark", scheme="light")
    root = page.locator(".nbdeploy")
    assert root.evaluate("e => getComputedStyle(e).backgroundColor") == "rgb(33, 33, 33)"


@pytest.mark.parametrize("theme", ["light", None])
def test_nothing_is_wider_than_a_narrow_cell(open_page, theme):
    word = HOSTILE["long word"]
    hostile = card(name=word, version=word, who_may_call=word, curl=word, notes=(word,), url=word)
    page = open_page(
        hostile + card() + monitor() + comparison() + container_cards(), theme=theme, width=600
    )
    assert page.evaluate("document.documentElement.scrollWidth") <= 600
    inside = "e => Math.max(...[...e.children].map(c => c.getBoundingClientRect().right))"
    for root in page.locator(".nbdeploy").all():
        box = root.bounding_box()
        assert root.evaluate(inside) <= box["x"] + box["width"]


def test_a_generated_file_is_coloured_and_downloaded_under_its_name(open_page, chromium):
    page = open_page(container_files())

    colours = page.locator("pre span").evaluate_all(
        "all => all.map(e => getComputedStyle(e).color)"
    )
    assert len(set(colours)) >= 4
    for name, text in (("Dockerfile", "FROM python:"), ("compose.yaml", "services:")):
        with page.expect_download() as download:
            page.locator(f'a[download="{name}"]').click()
        assert download.value.suggested_filename == name
        assert text in Path(download.value.path()).read_text()


def test_one_click_selects_the_whole_call(open_page):
    page = open_page(card())
    page.locator("pre").click()
    assert page.evaluate("getSelection().toString()").strip() == CURL


def test_hostile_strings_run_nothing(open_page):
    html = "".join(
        card(
            name=text,
            url=text,
            browser_url=text,
            methods=(text,),
            schema=((text, text, text),),
            who_may_call=text,
            curl=text,
            notes=(text,),
            version=text,
        )
        for name, text in HOSTILE.items()
        if not name.startswith("long")
    )
    page = open_page("<p>before</p>")
    alarms = []
    page.on("dialog", lambda dialog: (alarms.append(dialog.message), dialog.dismiss()))
    page.on("request", lambda request: alarms.append(request.url))
    page.set_content(html)
    page.evaluate(TOUCH_EVERYTHING)
    assert alarms == []
    assert page.locator("script, img, svg, iframe").count() == 0
    assert page.locator(".nbdeploy").count() == len(HOSTILE) - 2
    assert page.evaluate("getComputedStyle(document.body).display") == "block"
