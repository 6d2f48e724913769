"""What a model imports is found by looking at it."""

from __future__ import annotations

import json

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from nbdeploy.containers.model_imports import imports_of
from nbdeploy.models.serializer import pack


def look(model):
    packed = pack(model)
    return imports_of(packed.data, packed.entry.format, model)


def test_a_model_of_scikit_learn_imports_it():
    found = look(LogisticRegression().fit([[0.0], [1.0]], [0, 1]))

    assert {name.partition(".")[0] for name in found.modules} == {"joblib", "sklearn", "numpy"}
    assert found.is_complete
    assert found.paths == set()
    assert found.datasets == {}


def test_code_of_the_notebook_is_followed(run_script):
    said = run_script(
        """
        import json, sys
        import numpy as np
        import pandas as pd
        from nbdeploy.containers.model_imports import imports_of
        from nbdeploy.models.serializer import pack

        big = pd.DataFrame({"a": np.arange(300_000.0)})
        small = np.arange(5.0)

        def inner(rows):
            import xgboost
            return len(xgboost.__name__)

        def make():
            table = np.zeros(400_000)
            def predict(rows):
                open(PLACE)
                return [inner(rows) + len(big) + len(table) + small.sum() + pd.NA for _ in rows]
            return predict

        PLACE = sys.executable
        model = make()
        packed = pack(model)
        found = imports_of(packed.data, packed.entry.format, model)
        print(json.dumps([sorted({m.partition(".")[0] for m in found.modules}),
                          [path == PLACE or path for path in found.paths], found.datasets]))
        """
    )

    modules, names_the_path, datasets = json.loads(said)
    assert {"numpy", "pandas", "xgboost"} <= set(modules)
    assert names_the_path == [True]
    assert datasets.keys() == {"big", "table"}
    assert datasets["table"] == 3_200_000


@pytest.mark.parametrize("is_skops", [False, True])
def test_skops_files_need_skops(is_skops):
    model = LogisticRegression().fit(np.eye(2), [0, 1])
    packed = pack(model, format="skops" if is_skops else "joblib")

    found = imports_of(packed.data, packed.entry.format, model)

    assert ("skops" in found.modules) == is_skops
