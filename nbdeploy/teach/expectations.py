"""What a check says to a student: what was expected, what came, where to look."""

from __future__ import annotations

from typing import Any

__all__ = ["Mismatch", "describe", "expect", "expect_running"]

_LONGEST = 60
_MOST_KEYS = 6


class Mismatch(Exception):  # noqa: N818 -- not an error of the program: a student's answer is not there yet
    """The student's object is not what the step asks for.

    Parameters
    ----------
    expected
        What the step asks for, as a noun phrase.
    came
        What the object is or did instead.
    look
        Where to look for the cause; empty if the first two say it all.
    """

    def __init__(self, *, expected: str, came: str, look: str = "") -> None:
        super().__init__(expected, came, look)
        self.expected = expected
        self.came = came
        self.look = look


def expect(condition: object, *, expected: str, came: str, look: str = "") -> None:
    """Go on if the condition holds, otherwise end the check.

    Parameters
    ----------
    condition
        Anything with a truth value.
    expected
        What the step asks for, as a noun phrase.
    came
        What the student's object is or did instead.
    look
        Where to look for the cause.

    Raises
    ------
    Mismatch
        If the condition does not hold.
    """
    if not condition:
        raise Mismatch(expected=expected, came=came, look=look)


def describe(value: Any) -> str:
    """Say in a few words what an object is.

    Examples
    --------
    >>> describe("wine.joblib")
    "the text 'wine.joblib'"
    >>> describe({"island": "Biscoe"})
    "a dict with the key 'island'"
    >>> describe(dict)
    'the class dict itself'
    """
    if value is None or isinstance(value, bool):
        return repr(value)
    if isinstance(value, (int, float)):
        return f"the number {value!r}"
    if isinstance(value, str):
        return f"the text {_short(repr(value))}"
    if isinstance(value, type):
        return f"the class {value.__name__} itself"
    if callable(value) and hasattr(value, "__qualname__"):
        return f"the function {value.__qualname__} itself, not its result"
    return _describe_object(value)


def _describe_object(value: Any) -> str:
    if isinstance(value, dict):
        return _describe_dict(value)
    name = _with_article(type(value).__name__)
    shape = getattr(value, "shape", None)
    if isinstance(shape, tuple) and shape:
        return f"{name} of shape {shape}"
    return f"{name} of length {len(value)}" if isinstance(value, (list, tuple, set)) else name


def _describe_dict(value: dict[Any, Any]) -> str:
    if not value:
        return "an empty dict"
    names = [repr(key) for key in value]
    if len(names) == 1:
        return f"a dict with the key {names[0]}"
    keys = f"a dict with the keys {', '.join(names[:_MOST_KEYS])}"
    return f"{keys} and {len(names) - _MOST_KEYS} more" if len(names) > _MOST_KEYS else keys


def _with_article(name: str) -> str:
    return f"an {name}" if name[:1].lower() in {*"aeiou"} else f"a {name}"


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - 4] + "...'"


def expect_running(service: Any) -> None:
    """Go on if the object is a service that answers, otherwise end the check.

    Parameters
    ----------
    service
        What the student gave as the service.

    Raises
    ------
    Mismatch
        If it is something else, or was stopped.
    """
    from nbdeploy.deployment import Deployment, deployments  # noqa: PLC0415 -- heavy import

    expect(
        isinstance(service, Deployment),
        expected="a running service",
        came=describe(service),
        look="what `deploy(...)` returns: `service = deploy(model, name=...)`",
    )
    expect(
        any(service is alive for alive in deployments()),
        expected="a running service",
        came=f"the service {service.name!r}, which was stopped",
        look="the cell that deploys it: run it again",
    )
