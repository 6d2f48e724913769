import pytest

from nbdeploy.exceptions import OverloadedError, RequestError, SignatureError
from nbdeploy.serving.errors import answer_of
from nbdeploy.serving.protocols.error_shapes import in_shape_of

MISFIT = answer_of(SignatureError("row 0: expected a number", row=0))


@pytest.mark.parametrize("path", ["/v2", "/v2/models/m/infer", "/v2/nope", "/v1/models/m:predict"])
def test_v1_and_v2_have_one_sentence(path):
    answer = in_shape_of(path, MISFIT)

    assert (answer.status, answer.body) == (400, {"error": "row 0: expected a number"})


def test_mlflow_has_a_code_and_a_message():
    answer = in_shape_of("/invocations", MISFIT)

    assert answer.status == 400
    assert answer.body == {
        "error_code": "INVALID_PARAMETER_VALUE",
        "message": "row 0: expected a number",
    }


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 413, 415, 421, 500, 503, 504])
@pytest.mark.parametrize("path", ["/v2/models/m/infer", "/v1/models/m:predict", "/invocations"])
def test_every_other_status_stays(path, status):
    answer = in_shape_of(path, answer_of(RequestError("why", status=status)))

    assert answer.status == status
    assert "why" in answer.body.values()


@pytest.mark.parametrize("path", ["/predict", "/stats", "/v2x", "/v1", "/", ""])
def test_the_native_shape_stays(path):
    assert in_shape_of(path, MISFIT) is MISFIT


def test_what_the_headers_say_is_kept():
    answer = in_shape_of("/v2/models/m/infer", answer_of(OverloadedError("full", retry_after=3)))

    assert answer.headers == {"Retry-After": "3"}
