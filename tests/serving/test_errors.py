import pytest

from nbdeploy import exceptions
from nbdeploy.exceptions import NbdeployError, OverloadedError, RequestError, SignatureError
from nbdeploy.serving.errors import answer_of, error_of

SIGNATURE_ERROR = SignatureError(
    "row 2, column 'bill': expected a number, got 'abc'",
    row=2,
    column="bill",
    value="abc",
    expected="a number",
    suggestion="bill_length",
)


def there_and_back(error):
    answer = answer_of(error)
    return error_of(answer.status, answer.body, retry_after=answer.headers.get("Retry-After"))


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (SIGNATURE_ERROR, 422),
        (exceptions.VersionError("There is no version '9'."), 404),
        (exceptions.OverloadedError("full", retry_after=3), 503),
        (exceptions.StoppedError("stopped"), 503),
        (exceptions.DeadlineError("late"), 504),
        (exceptions.PredictionError("raised"), 500),
        (RequestError("no JSON"), 400),
        (RequestError("too large", status=413), 413),
    ],
)
def test_an_error_has_its_status_and_comes_back_as_itself(error, status):
    returned = there_and_back(error)

    assert answer_of(error).status == status
    assert type(returned) is type(error)
    assert str(returned) == str(error)


def test_a_signature_error_keeps_its_fields():
    assert vars(there_and_back(SIGNATURE_ERROR)) == vars(SIGNATURE_ERROR)


def test_an_overloaded_service_tells_when_to_come_back():
    assert answer_of(OverloadedError("full", retry_after=2.2)).headers == {"Retry-After": "3"}
    assert there_and_back(OverloadedError("full", retry_after=2.0)).retry_after == 2.0


def test_an_error_that_nobody_planned_tells_nothing():
    answer = answer_of(KeyError("/home/ada/secret row 5.1"))

    assert answer.status == 500
    assert "ada" not in str(answer.body)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), object(), {"a": 1}, b"\xff"])
def test_any_value_in_an_error_can_be_written(value):
    body = answer_of(SignatureError("wrong", value=value)).body

    assert isinstance(body["error"]["value"], (str, type(None)))


@pytest.mark.parametrize(
    "body", ["<html>", "", None, [], {"detail": [{"loc": []}]}, {"error": "text"}]
)
def test_a_strange_answer_still_becomes_an_error_with_its_status(body):
    error = error_of(502, body, retry_after="soon")

    assert isinstance(error, RequestError)
    assert error.status == 502
    assert "502" in str(error)


def every_error(kind=NbdeployError):
    return [kind, *(each for child in kind.__subclasses__() for each in every_error(child))]


def test_every_error_is_listed_in_the_tree_of_the_module():
    names = {kind.__name__ for kind in every_error() if kind.__module__ == exceptions.__name__}

    assert names == set(exceptions.__all__)
    assert all(name in exceptions.__doc__ for name in names)
