from __future__ import annotations

import pytest

from nbdeploy.teach import steps
from nbdeploy.teach.records import PROGRESS


@pytest.fixture(autouse=True)
def fresh_progress(monkeypatch):
    for name in ("NBDEPLOY_STRICT", "NBDEPLOY_LANG", "JPY_SESSION_NAME"):
        monkeypatch.delenv(name, raising=False)
    PROGRESS.forget()
    yield
    PROGRESS.forget()
    for name in [name for name in steps._STEPS if name.startswith("demo.")]:
        del steps._STEPS[name]


@pytest.fixture
def even_step():
    @steps.step("demo.1", title="Give an even number", hints=("Try `2`.", "Or `4`.", "4 it is."))
    def is_even(number):
        from nbdeploy.teach import expect

        expect(number % 2 == 0, expected="an even number", came=f"{number}", look="the last digit")
        return f"{number} is even"

    return is_even
