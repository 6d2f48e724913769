from __future__ import annotations

import pytest


@pytest.fixture(scope="module", autouse=True)
def no_service_is_left():
    yield
    from nbdeploy import deployments, stop_all

    stop_all()
    assert deployments() == []


@pytest.fixture
def verdict(capsys):
    """What a check said, as one text."""
    from nbdeploy.teach import check

    def run(step, *objects):
        check(step, *objects)
        return capsys.readouterr().out

    return run
