"""What a notebook shows of an error: the caller's lines and the message."""

from __future__ import annotations

import pytest

SHELL = """
from IPython.core.interactiveshell import InteractiveShell

shell = InteractiveShell.instance()
shell.run_line_magic("colors", "nocolor")
shell.run_cell('''
from sklearn.linear_model import LinearRegression
from nbdeploy import ModelSerializer, deploy, stop_all
class Picky(LinearRegression):
    def predict(self, X):
        if X[0][0] > 100:
            raise ZeroDivisionError("too far")
        return super().predict(X)
def load(path):
    return ModelSerializer.load_model(path)
''')
"""


@pytest.fixture
def shown(run_script):
    """Run cells; give what the last one shows."""

    def run(*cells):
        code = SHELL + "".join(f"\nprint('== cell')\nshell.run_cell({cell!r})" for cell in cells)
        return run_script(code + "\nshell.run_cell('stop_all()')").rpartition("== cell")[2]

    return run


def test_a_notebook_shows_the_lines_of_the_caller_and_the_message(shown):
    said = shown("load('nowhere.joblib')")

    assert "load('nowhere.joblib')" in said
    assert "return ModelSerializer.load_model(path)" in said
    assert said.rstrip().splitlines()[-1].startswith("ModelFileNotFoundError: ")
    assert "serializer.py" not in said
    assert "direct cause" not in said


def test_the_lines_of_nbdeploy_are_there_when_they_are_asked_for(shown):
    said = shown("%xmode Verbose", "load('nowhere.joblib')")

    assert "serializer.py" in said


def test_an_error_of_the_model_shows_where_the_model_raised(shown):
    said = shown(
        "service = deploy(Picky().fit([[0.0], [1.0]], [0.0, 1.0]), example=[[0.0], [1.0]])",
        "service.predict([[200.0]])",
    )

    assert "in Picky.predict" in said
    assert "PredictionError" in said


def test_a_script_shows_everything(tmp_path):
    import subprocess
    import sys

    code = "from nbdeploy import ModelSerializer; ModelSerializer.load_model('nowhere.joblib')"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=tmp_path
    )

    assert "serializer.py" in done.stderr
