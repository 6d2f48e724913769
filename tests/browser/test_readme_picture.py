"""The picture in the README is of a real JupyterLab: ``make picture`` takes it again."""

import struct
from pathlib import Path

import pytest

HEIGHT = 690
PICTURE = Path(__file__).parents[2] / "docs" / "card.png"
TRAIN = """\
from palmerpenguins import load_penguins
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

penguins = load_penguins().drop(columns="year")
X_train, y_train = penguins.drop(columns="species"), penguins["species"]
prepare = make_column_transformer(
    (make_pipeline(SimpleImputer(), StandardScaler()), make_column_selector(dtype_include=float)),
    (OneHotEncoder(handle_unknown="ignore"), make_column_selector(dtype_exclude="number")),
)
model = make_pipeline(prepare, LogisticRegression(max_iter=1000)).fit(X_train, y_train)"""
DEPLOY = """\
from nbdeploy import deploy

service = deploy(model, name="penguins", example=X_train)"""


@pytest.mark.browser
def test_a_notebook_with_a_service_fits_on_a_picture(lab):
    notebook = lab.open(
        [TRAIN, DEPLOY, "service.predict(X_train.tail(2))"], name="readme", device_scale_factor=2
    )
    notebook.run_all()
    notebook.page.set_viewport_size({"width": 900, "height": HEIGHT})
    notebook.page.locator(".jp-CodeCell").nth(1).evaluate("cell => cell.scrollIntoView()")
    notebook.screenshot("readme")

    shown = notebook.page.locator(".nbd-card").bounding_box()
    assert shown["width"] > 400
    assert shown["y"] >= 0
    assert shown["y"] + shown["height"] <= HEIGHT
    notebook.close()


def test_the_picture_is_there_and_small():
    data = PICTURE.read_bytes()
    width, height = struct.unpack(">II", data[16:24])

    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    assert 600 <= width <= 2000
    assert 300 <= height <= 1600
    assert len(data) < 150_000
