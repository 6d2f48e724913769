import sys

import jsonschema
import pandas as pd
from sklearn.linear_model import LinearRegression

from nbdeploy.models.signature import Signature
from nbdeploy.serving.protocols.vetiver import metadata, prototype


def test_the_metadata_names_what_a_model_needs():
    assert metadata("7", LinearRegression()) == {
        "user": {},
        "version": "7",
        "url": None,
        "required_pkgs": ["scikit-learn"],
        "python_version": list(sys.version_info),
    }
    assert metadata("7", print)["required_pkgs"] == []


def test_the_prototype_is_a_schema_that_its_own_examples_fit():
    frame = pd.DataFrame({"a": [1.5, 2.5], "b": ["x", "y"], "n": [1, 2]})
    schema = prototype(Signature.learn(example=frame))
    example = {name: column["example"] for name, column in schema["properties"].items()}

    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(example, schema)
    assert schema["title"] == "prototype"
    assert schema["required"] == ["a", "b", "n"]
    assert schema["properties"]["n"]["type"] == "integer"
