"""What services are called."""

from __future__ import annotations

import re

from nbdeploy.exceptions import ServingError

__all__ = ["checked_name", "name_from"]

_NAME = re.compile(r"\w[\w.\- ]{0,63}")
_WORD_STARTS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|[^A-Za-z0-9]+")


def checked_name(name: str) -> str:
    """Return the name if a service can be called so.

    Raises
    ------
    ServingError
        If it is empty, too long, or holds more than letters, digits, spaces and ``. _ -``.

    Examples
    --------
    >>> checked_name("churn 2.1")
    'churn 2.1'
    """
    if not isinstance(name, str) or _NAME.fullmatch(name) is None:
        message = (
            f"name={name!r} is no name of a service. Expected at most 64 letters, digits, spaces "
            "and . _ - with a letter or digit first."
        )
        raise ServingError(message)
    return name


def name_from(class_name: str) -> str:
    """Make a name of the name of a model's class.

    Examples
    --------
    >>> name_from("KNeighborsClassifier"), name_from("SVC"), name_from("<lambda>")
    ('k-neighbors-classifier', 'svc', 'lambda')
    """
    return _WORD_STARTS.sub("-", class_name).strip("-").lower()[:64] or "model"
