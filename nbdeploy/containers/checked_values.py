"""What a user writes into generated files: checked before it goes into any of them.

Each check is a list of what is allowed. Whatever could end a line, open a quote, name a variable
or leave the folder is not on any of them, so nothing has to be escaped afterwards.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import PurePosixPath

from nbdeploy.display.html import visible
from nbdeploy.display.table import shortened
from nbdeploy.exceptions import ContainerError

__all__ = [
    "IMAGE",
    "SECRETS",
    "VARIABLE",
    "checked_environment",
    "checked_image",
    "checked_labels",
    "checked_memory",
    "checked_path",
    "checked_port",
    "checked_service_name",
    "service_name_from",
]

#: What a container is told when it starts and never carries.
SECRETS = re.compile(
    r"(?:^|_)(?:TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIALS?|PRIVATE_?KEY|API_?KEY|ACCESS_?KEY)(?:_|$)",
    re.IGNORECASE,
)

_SHOWN = 80
_MOST_NAME = 63
_MOST_IMAGE = 255
_SERVICE_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_HOST = (
    r"(?:[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)*"
)
_STEP = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
#: An image: the grammar of the OCI distribution specification, with a host before it.
IMAGE = re.compile(
    rf"(?=.{{1,{_MOST_IMAGE}}}\Z)(?:{_HOST}(?::[0-9]{{1,5}})?/)?{_STEP}(?:/{_STEP})*"
    r"(?P<tag>:[A-Za-z0-9_][A-Za-z0-9._-]{0,127})?(?P<digest>@sha256:[0-9a-f]{64})?"
)
_PATH = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+-]*(?:/[A-Za-z0-9_][A-Za-z0-9._+-]*)*")
#: The name of an environment variable.
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9./-]{0,126}[a-z0-9])?")
_VALUE = re.compile(r"[A-Za-z0-9 _.,:;/@%+=~()\[\]{}-]{0,512}")
_MEMORY = re.compile(r"[1-9][0-9]{0,5}[kmg]")
_LAST_PORT = 65535


def _refused(value: object, what: str, expected: str) -> ContainerError:
    shown = visible(shortened(repr(value), _SHOWN))
    return ContainerError(f"{shown} is no {what}. Expected {expected}.")


def checked_service_name(name: object) -> str:
    """Return the name if a service of a compose file can be called so.

    Raises
    ------
    ContainerError
        If it is no name that resolves everywhere.

    Examples
    --------
    >>> checked_service_name("churn-v2")
    'churn-v2'
    """
    if not isinstance(name, str) or _SERVICE_NAME.fullmatch(name) is None:
        raise _refused(
            name,
            "name of a container",
            "at most 63 small letters a-z, digits and - with a letter or digit at both ends, "
            "such as 'churn'",
        )
    return name


def service_name_from(text: str) -> str:
    """Make the name of a container of any text.

    Examples
    --------
    >>> service_name_from("Churn model 2.1"), service_name_from("模型")
    ('churn-model-2-1', 'model')
    """
    plain = re.sub(r"[^a-z0-9]+", "-", text.lower())[:_MOST_NAME].strip("-")
    return plain or "model"


def checked_image(image: object) -> str:
    """Return the reference if an image can be called so.

    Raises
    ------
    ContainerError
        If it is none, or holds anything that is no part of one.

    Examples
    --------
    >>> checked_image("registry.example:5000/team/churn:1.1")
    'registry.example:5000/team/churn:1.1'
    """
    if not isinstance(image, str) or IMAGE.fullmatch(image) is None:
        raise _refused(
            image,
            "name of an image",
            "small letters, digits and . _ - with an optional registry before and a tag behind "
            "it, such as 'churn:1.1' or 'registry.example:5000/team/churn:1.1'",
        )
    return image


def checked_path(path: object, what: str) -> str:
    """Return a path inside of the folder that is built, written with ``/``.

    Parameters
    ----------
    path
        A relative path.
    what
        What is there, for the error.

    Raises
    ------
    ContainerError
        If it is absolute, leaves the folder, or holds more than plain letters.

    Examples
    --------
    >>> checked_path("./model/model.joblib", "model")
    'model/model.joblib'
    """
    text = str(path).removeprefix("./")
    parts = PurePosixPath(text).parts
    if _PATH.fullmatch(text) is None or ".." in parts:
        raise _refused(
            str(path),
            f"path of a {what} that can be copied into an image",
            "a path below the folder that is built, of letters A-Z and a-z, digits and . _ + -, "
            "such as 'model/model.joblib'",
        )
    return text


def checked_port(port: object) -> int:
    """Return the port if a process without privileges can listen on it.

    Raises
    ------
    ContainerError
        If it is no whole number from 1024 to 65535.
    """
    is_number = isinstance(port, int) and not isinstance(port, bool)
    if not is_number or not 1024 <= port <= _LAST_PORT:  # type: ignore[operator]  # noqa: PLR2004
        raise _refused(
            port, "port of a container that runs without privileges", "a whole number from 1024 "
            "to 65535, such as 8000",
        )  # fmt: skip
    return int(port)  # type: ignore[call-overload, no-any-return]


def checked_memory(memory: object) -> str:
    """Return a limit of memory as compose takes it.

    Raises
    ------
    ContainerError
        If it is none.

    Examples
    --------
    >>> checked_memory("512m")
    '512m'
    """
    if not isinstance(memory, str) or _MEMORY.fullmatch(memory) is None:
        raise _refused(memory, "limit of memory", "a whole number with k, m or g, such as '512m'")
    return memory


def checked_environment(environment: Mapping[str, str] | None) -> dict[str, str]:
    """Return the variables if they can be set, in the order of their names.

    Raises
    ------
    ContainerError
        If a name or a value could mean something else, or if it looks like a secret: what is
        written into an image can be read by whoever has the image.
    """
    checked = {}
    for name, value in sorted(dict(environment or {}).items(), key=lambda item: str(item[0])):
        if not isinstance(name, str) or VARIABLE.fullmatch(name) is None:
            raise _refused(name, "name of a variable", "letters A-Z and a-z, digits and _")
        if SECRETS.search(name):
            message = (
                f"{name} looks like a secret, and what stands in a file is read by everybody who "
                f"has it. Give it when the container starts: docker run --env {name} ..."
            )
            raise ContainerError(message)
        checked[name] = _checked_value(value, f"value of {name}")
    return checked


def checked_labels(labels: Mapping[str, str] | None) -> dict[str, str]:
    """Return the labels if an image can carry them, in the order of their names.

    Raises
    ------
    ContainerError
        If a name or a value could mean something else.
    """
    checked = {}
    for name, value in sorted(dict(labels or {}).items(), key=lambda item: str(item[0])):
        if not isinstance(name, str) or _LABEL.fullmatch(name) is None:
            raise _refused(
                name, "name of a label", "small letters, digits and . / - such as 'org.team'"
            )  # fmt: skip
        checked[name] = _checked_value(value, f"value of the label {name}")
    return checked


def _checked_value(value: object, what: str) -> str:
    if not isinstance(value, str) or _VALUE.fullmatch(value) is None:
        raise _refused(
            value,
            what,
            "up to 512 letters, digits, spaces and _ . , : ; / @ % + = ~ ()[]{} -",
        )
    return value
