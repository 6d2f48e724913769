"""The live dashboard, without a browser."""

import pytest
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

from nbdeploy import deploy
from nbdeploy.dashboard import Dashboard
from nbdeploy.exceptions import StoppedError, UnreachableError

X, Y = load_iris(return_X_y=True, as_frame=True)


@pytest.fixture
def service():
    model = LogisticRegression(max_iter=500).fit(X, Y)
    with deploy(model, name="iris", example=X) as service:
        yield service


def test_it_is_static_html_where_no_kernel_runs(service):
    service.predict(X)
    dashboard = service.dashboard()

    assert repr(dashboard) == "<Dashboard of 'iris'>"
    assert "requests/s" in dashboard.to_html()
    assert not dashboard.is_live
    dashboard.show()
    assert not dashboard.is_live


def test_it_shows_what_came_since_unless_it_is_paused(service):
    dashboard = service.dashboard()
    assert "No request" in dashboard.to_html()
    dashboard.pause()
    service.predict(X)
    dashboard.refresh()
    assert "No request" in dashboard.to_html()
    assert "Paused." in dashboard.to_html()

    dashboard.resume()

    assert "<svg" in dashboard.to_html()


def test_after_the_end_the_last_state_stays(service):
    service.predict(X)
    dashboard = service.dashboard()
    service.stop()
    dashboard.refresh()

    assert "<svg" in dashboard.to_html()
    assert "does not answer" in dashboard.to_html()
    with pytest.raises(StoppedError):
        service.dashboard()


def test_a_button_that_fails_says_why():
    def nobody():
        message = "Nobody answers."
        raise UnreachableError(message)

    dashboard = Dashboard("gone", nobody, reset=nobody, stop=nobody, is_running=lambda: True)
    assert "gone does not answer: Nobody answers." in dashboard.to_html()

    dashboard._press(nobody)

    assert "gone does not answer" not in dashboard.to_html()
    assert "Nobody answers." in dashboard.to_html()


@pytest.mark.parametrize("where", ["kernel", "process"])
def test_the_window_is_reset_wherever_it_is_counted(where):
    model = LogisticRegression(max_iter=500).fit(X, Y)
    with deploy(model, name="apart", example=X, where=where) as service:
        service.predict(X)
        dashboard = service.dashboard()
        assert service.stats()["requests"] == 1

        dashboard._press(dashboard._reset)

        assert service.stats()["requests"] == 0
        assert "No request" in dashboard.to_html()
