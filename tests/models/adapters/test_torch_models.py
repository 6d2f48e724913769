"""Modules of PyTorch, which only `make acceptance` installs: it is most of a gigabyte."""

import sys

import numpy as np
import pytest

from nbdeploy import Ensemble, ModelSerializer, deploy
from nbdeploy.models.predictor import predictor_for
from nbdeploy.models.serializer import load_saved, save
from nbdeploy.models.signature import Signature

torch = pytest.importorskip(
    "torch", reason="PyTorch is not installed: its tests are the only ones that may be skipped"
)

pytestmark = pytest.mark.acceptance


@pytest.fixture(scope="module")
def net(flowers, named_kinds):
    torch.manual_seed(0)
    rows = torch.tensor(flowers[0].to_numpy(dtype="float32"))
    truth = torch.tensor(flowers[1])
    net = torch.nn.Sequential(
        torch.nn.Linear(4, 16), torch.nn.ReLU(), torch.nn.Dropout(), torch.nn.Linear(16, 3)
    )
    optimizer = torch.optim.Adam(net.parameters(), lr=0.02)
    for _ in range(200):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(net(rows), truth).backward()
        optimizer.step()
    net.classes_ = ["setosa", "versicolor", "virginica"]
    return net.eval()


def test_a_classifier_gives_the_probabilities_of_its_logits(net, flowers, named_kinds):
    predictor = predictor_for(net)
    rows = flowers[0].to_numpy(dtype="float32")

    with torch.inference_mode():
        shares = torch.softmax(net(torch.tensor(rows)).double(), dim=1).numpy()

    assert np.array_equal(predictor.call("predict_proba", rows), shares)
    assert (predictor.call("predict", rows) == named_kinds).mean() > 0.9


def test_without_classes_it_gives_what_the_module_gives(flowers):
    net = torch.nn.Linear(4, 1)
    rows = flowers[0].to_numpy(dtype="float32")

    answers = predictor_for(net).call("predict", rows)

    assert np.array_equal(answers, net(torch.tensor(rows)).detach().numpy()[:, 0])
    assert predictor_for(net).methods == ("predict",)


@pytest.mark.parametrize(
    ("last", "expected"),
    [("Sigmoid", [0.25, 0.75]), (None, [1 / (1 + np.exp(0.75)), 1 / (1 + np.exp(-0.75))])],
    ids=["a share", "a logit"],
)
def test_one_output_stands_for_the_second_of_two_classes(last, expected):
    class Constant(torch.nn.Module):
        def __init__(self):
            super().__init__()
            if last:
                self.last = torch.nn.Sigmoid()
            self.classes_ = ["no", "yes"]

        def forward(self, rows):
            return torch.full((len(rows), 1), 0.75)

    shares = predictor_for(Constant()).call("predict_proba", [[1.0]])

    assert shares == pytest.approx(np.array([expected]))


def test_a_saved_module_answers_the_same_in_a_fresh_process(net, flowers, tmp_path, run_script):
    rows = flowers[0].to_numpy(dtype="float32")
    saved = save(net, tmp_path / "net.joblib", example=rows)
    np.save(tmp_path / "rows.npy", rows)
    np.save(tmp_path / "shares.npy", predictor_for(net).call("predict_proba", rows))

    told = run_script(
        """
        import sys
        import numpy as np
        from nbdeploy.models.predictor import predictor_for
        from nbdeploy.models.serializer import load_saved
        folder = sys.argv[1]
        predictor = predictor_for(load_saved(f"{folder}/net.joblib")[0])
        shares = predictor.call("predict_proba", np.load(f"{folder}/rows.npy"))
        print(np.array_equal(shares, np.load(f"{folder}/shares.npy")))
        """,
        tmp_path,
    )

    assert (saved.format, told) == ("torch", "True")
    assert torch.load(tmp_path / "net.joblib", weights_only=False)[0].in_features == 4


def test_a_module_of_the_notebook_takes_its_code_along(tmp_path, run_script):
    run_script(
        """
        import sys, torch
        from nbdeploy import ModelSerializer
        class Doubling(torch.nn.Module):
            def forward(self, rows):
                return 2 * rows[:, 0]
        ModelSerializer.save_model(Doubling(), sys.argv[1])
        """,
        tmp_path / "net.pt",
    )

    told = run_script(
        """
        import os, shutil, sys
        from nbdeploy import ModelSerializer
        from nbdeploy.models.predictor import predictor_for
        print(predictor_for(ModelSerializer.load_model(sys.argv[1])).call("predict", [[3.0]]))
        """,
        tmp_path / "net.pt",
    )

    assert told == "[6.]"


def test_it_is_served_and_the_width_is_that_of_its_first_layer(net, flowers, named_kinds):
    with deploy(net, name="net") as service:
        answers = service.predict(flowers[0].to_numpy())

    assert (answers == named_kinds).mean() > 0.9
    assert Signature.learn(net).width == 4


def test_without_pytorch_the_error_names_the_extra(net, tmp_path, run_script):
    save(net, tmp_path / "net.joblib")

    told = run_script(
        """
        import sys
        sys.modules["torch"] = None  # as if it were not installed
        from nbdeploy import ModelSerializer
        from nbdeploy.exceptions import ModelFileError
        try:
            ModelSerializer.load_model(sys.argv[1])
        except ModelFileError as error:
            print(error)
        """,
        tmp_path / "net.joblib",
    )

    assert "pip install 'nbdeploy[torch]'" in told


def test_it_is_a_member_of_an_ensemble(net, flowers, named_kinds, onnx_model, tmp_path):
    ensemble = Ensemble({"net": net, "onnx": onnx_model})
    ModelSerializer.save_model(ensemble, tmp_path / "both")

    loaded, _ = load_saved(tmp_path / "both")

    assert (loaded.predict(flowers[0]) == named_kinds).mean() > 0.9
    assert "torch" in sys.modules
