"""What a data scientist does in a notebook, in a real kernel."""

import httpx2
import psutil
import pytest

from tests.kernel.running_kernel import SAY_WHEN_WAITING

MODEL = """
import asyncio, time
import numpy as np
from sklearn.linear_model import LinearRegression
from nbdeploy import deploy, deployments, stop_all

def fitted(slope):
    return LinearRegression().fit([[0.0], [1.0]], [0.0, slope])

model = fitted(1.0)
"""
DEPLOY = "service = deploy(model, name='line'); print(service.url)"


def answer(url):
    response = httpx2.post(f"{url}/predict", json={"features": [2.0]}, timeout=10)
    return response.raise_for_status().json()["prediction"]


@pytest.fixture
def deployed(kernel):
    kernel.run(MODEL)
    yield kernel.run(DEPLOY).stdout.strip()
    kernel.run("stop_all()")


def test_deploying_again_keeps_the_url_and_takes_the_new_model(kernel, deployed):
    first = answer(deployed)
    again = kernel.run("model = fitted(5.0)\n" + DEPLOY)

    assert again.stdout.strip() == deployed
    assert first == pytest.approx([2.0])
    assert answer(deployed) == pytest.approx([10.0])
    assert kernel.run("len(deployments())").results == ["1"]


def test_fitting_while_it_serves_changes_nothing_until_the_next_deploy(kernel, deployed):
    fitting = kernel.start(
        "print('fits')\nfor _ in range(50):\n"
        "    model.fit(np.random.rand(500, 1), np.random.rand(500)); time.sleep(0.01)"
    )
    fitting.wait_for("fits")
    answers = [answer(deployed) for _ in range(20)]

    fitting.wait()
    assert all(each == pytest.approx([2.0]) for each in answers)
    kernel.run("deploy(model, name='line')")
    assert answer(deployed) != pytest.approx([2.0])


def test_deploy_shows_the_card_once_even_as_the_last_line_of_a_cell(kernel, deployed):
    assigned = kernel.run("service = deploy(model, name='line')")
    last = kernel.run("deploy(model, name='line')")
    later = kernel.run("service")

    assert [len(cell.html) for cell in (assigned, last, later)] == [1, 1, 1]
    assert all("nbd-card" in cell.html[0] for cell in (assigned, last, later))
    assert last.results[-1] == "<Deployment 'line': LinearRegression, running>"


def test_a_cell_that_deploys_several_shows_one_card_whole(kernel, deployed):
    several = kernel.run("for name in ('one', 'two', 'two'): deploy(model, name=name)")
    later = kernel.run("three = deploy(model, name='three')")

    assert ["curl" in card for card in several.html] == [True, False, False]
    assert ["127.0.0.1" in card for card in several.html] == [True, True, True]
    assert "Replaced the LinearRegression" in several.html[2]
    assert "curl" in later.html[0]


def test_the_prints_of_a_model_are_shown_under_the_cell_that_deployed_it(kernel, deployed):
    kernel.run("""
class Chatty:
    n_features_in_ = 1
    def predict(self, rows):
        print("I was asked")
        return [0] * len(rows)
""")
    deploying = kernel.start("chatty = deploy(Chatty(), name='chatty'); print(chatty.url)")
    url = deploying.wait().stdout.split()[-1]
    other = kernel.run("before = 1")
    answer(url)

    deploying.wait_for("I was asked", times=2)  # once to warm up, once for the request
    assert other.stdout == ""


def test_an_interrupt_leaves_the_service_alive(kernel, deployed):
    busy = kernel.start("print('busy')\nwhile True: pass")
    busy.wait_for("busy")
    kernel.interrupt()

    assert "KeyboardInterrupt" in busy.wait(check=False).error
    assert answer(deployed) == pytest.approx([2.0])


def test_waiting_can_be_interrupted_and_the_service_lives_on(kernel, deployed):
    waiting = kernel.start(f"{SAY_WHEN_WAITING}\nservice.wait()")
    waiting.wait_for("waits")
    kernel.interrupt()

    waiting.wait()
    assert answer(deployed) == pytest.approx([2.0])


def test_it_answers_while_a_cell_is_busy(kernel, deployed):
    busy = kernel.start(
        "print('busy')\nend = time.monotonic() + 1\nwhile time.monotonic() < end: pass"
    )
    busy.wait_for("busy")

    assert answer(deployed) == pytest.approx([2.0])
    busy.wait()


def test_asynchronous_code_in_a_cell_can_ask_too(kernel, deployed):
    asked = kernel.run(
        "from nbdeploy import Client\n"
        "answers = await asyncio.gather("
        "*(Client(service.url).predict_async([[2.0]]) for _ in range(5)))\n"
        "np.round(answers, 6).ravel().tolist()"
    )

    assert asked.results == ["[2.0, 2.0, 2.0, 2.0, 2.0]"]


@pytest.mark.parametrize("package", ["nest_asyncio", "nest_asyncio2"])
@pytest.mark.parametrize("first", ["apply", "deploy"])
def test_nest_asyncio_in_any_order_does_no_harm(fresh_kernel, package, first):
    cells = [f"import {package}; {package}.apply()", MODEL + DEPLOY]
    if first == "deploy":
        cells.reverse()
    url = [fresh_kernel.run(cell).stdout for cell in cells][first == "apply"].strip()

    assert answer(url) == pytest.approx([2.0])
    assert fresh_kernel.run("round(service.predict([[2.0]])[0], 6)").results == ["2.0"]
    fresh_kernel.run("deploy(fitted(3.0), name='line')")
    assert answer(url) == pytest.approx([6.0])
    fresh_kernel.run("stop_all()")


def test_a_restart_frees_the_port_and_a_shutdown_leaves_nothing(fresh_kernel, tmp_path):
    fresh_kernel.run(MODEL)
    url = fresh_kernel.run(DEPLOY).stdout.strip()
    port = url.rpartition(":")[2]
    fresh_kernel.restart()
    with pytest.raises(httpx2.ConnectError):
        answer(url)

    fresh_kernel.run(MODEL)
    again = fresh_kernel.run(f"service = deploy(model, port={port}); print(service.url)")
    assert answer(again.stdout.strip()) == pytest.approx([2.0])
    process = psutil.Process(fresh_kernel.pid)
    children = process.children(recursive=True)
    ended = tmp_path / "ended"
    fresh_kernel.run(f"import atexit, pathlib; atexit.register(pathlib.Path({str(ended)!r}).touch)")
    fresh_kernel.shutdown()

    # Whoever takes too long is killed, and gets no further than that.
    assert ended.exists()
    assert not process.is_running()
    assert not any(child.is_running() for child in children)


def test_a_token_in_a_notebook_is_in_no_output(fresh_kernel):
    fresh_kernel.run(MODEL)
    cells = [
        "service = deploy(model, token='hush-hush-token')",
        "service",
        "service.snippets()",
        "print(service.snippets())",
        "service.open()",
        "service.logs(), service.errors(), service.stats()",
        "service.predict('x')",
    ]
    shown = [fresh_kernel.run(cell, check=False) for cell in cells]

    assert not any("hush-hush-token" in str(cell) for cell in shown)
    assert "X-API-Key: $(cat " in shown[0].html[0]
    fresh_kernel.run("stop_all()")


def test_a_cell_of_a_dashboard_may_be_run_again_and_again(kernel):
    kernel.run(
        "from sklearn.dummy import DummyClassifier\n"
        "from nbdeploy import deploy\n"
        "dummy = DummyClassifier().fit([[0.0], [1.0]], [0, 1])\n"
        "watched = deploy(dummy, name='watched', example=[[0.0], [1.0]])"
    )
    for _ in range(7):
        kernel.run("dashboard = watched.dashboard()\ndashboard.show()")
    kernel.run("import threading, time")
    count = "sum(each.name == 'nbdeploy-dashboard' for each in threading.enumerate())"
    kernel.run(
        f"deadline = time.time() + 10\nwhile {count} > 4 and time.time() < deadline:\n"
        "    time.sleep(0.05)"
    )
    assert kernel.run(count).results == ["4"]
    kernel.run("watched.stop()")
    kernel.run(
        f"deadline = time.time() + 10\nwhile {count} and time.time() < deadline:\n"
        "    time.sleep(0.05)"
    )

    assert kernel.run(count).results == ["0"]
    assert kernel.run("'Stopped' in dashboard.to_html()").results == ["True"]
