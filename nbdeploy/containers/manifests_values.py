"""What may stand in a Kubernetes object: checked here, before a cluster or a file sees it."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from decimal import Decimal
from types import UnionType
from typing import NoReturn

from nbdeploy.containers.checked_values import IMAGE, SECRETS, VARIABLE
from nbdeploy.display.html import visible
from nbdeploy.display.table import shortened
from nbdeploy.exceptions import ClusterError

__all__ = [
    "checked_annotations",
    "checked_count",
    "checked_environment",
    "checked_host",
    "checked_image",
    "checked_name",
    "checked_port",
    "checked_quantity",
    "checked_seconds",
    "checked_token",
    "checked_type",
    "has_registry",
    "label_value_from",
]

# RFC 1123 labels without a leading digit: what a Service may be called (RFC 1035), the strictest.
_NAME = re.compile(r"[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?")
_HOST = re.compile(
    r"(?=.{1,253}\Z)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
    r"(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*"
)
_LABEL_VALUE = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)?")
_ANNOTATION = re.compile(
    r"(?:[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?/)?[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?"
)
_QUANTITY = re.compile(r"(?P<number>[0-9]{1,15}(?:\.[0-9]{1,9})?)(?P<unit>m|[kMGTP]|[KMGTP]i)?")
_UNITS = {
    "": Decimal(1), "m": Decimal("0.001"),
    **{unit: Decimal(1000) ** (power + 1) for power, unit in enumerate("kMGTP")},
    **{f"{unit}i": Decimal(1024) ** (power + 1) for power, unit in enumerate("KMGTP")},
}  # fmt: skip
_MOST_PORT = 65_535
_MOST_ANNOTATIONS = 262_144  # bytes, of the API server
_MOST_TOKEN = 4096
_LEAST_TOKEN = 16
_SHOWN = 80


def checked_name(value: object, what: str = "name") -> str:
    """Return the name of an object, or say why it cannot be one.

    Raises
    ------
    ClusterError
        If it is not up to 63 small letters, digits and hyphens, with a letter first.

    Examples
    --------
    >>> checked_name("churn-2")
    'churn-2'
    """
    if not isinstance(value, str) or _NAME.fullmatch(value) is None:
        _refuse(
            what, value, "up to 63 of a-z, 0-9 and '-', a letter first and no hyphen at the end"
        )
    return value


def checked_host(value: object, what: str = "host") -> str:
    """Return a DNS name, of an Ingress or of another object; raise `ClusterError` if it is none."""
    if not isinstance(value, str) or _HOST.fullmatch(value) is None:
        _refuse(what, value, "a DNS name in small letters, such as 'churn.example.org'")
    return value


def checked_image(value: object, digest: str | None = None) -> str:
    """Return the reference of an image that stays the same: with a tag or digest, never latest.

    Parameters
    ----------
    value
        Such as ``registry.example/churn:1.1``.
    digest
        Its ``sha256:...``, which is put behind it.

    Raises
    ------
    ClusterError
        If it is no reference, or one that means another image tomorrow.
    """
    text = value if digest is None or not isinstance(value, str) else f"{value}@{digest}"
    found = IMAGE.fullmatch(text) if isinstance(text, str) else None
    if not isinstance(text, str) or found is None:
        _refuse("image", text, "a reference such as 'registry.example/churn:1.1'")
    if found["digest"] is None and found["tag"] in (None, ":latest"):
        _refuse(
            "image",
            value,
            "a tag that says which image it is, such as ':1.1': without one, or with 'latest', "
            "nobody knows what runs and a rollback finds the same image again",
        )
    return text


def has_registry(image: str) -> bool:
    """Tell whether a reference says where the image is pulled from, and not only its name.

    Examples
    --------
    >>> has_registry("registry.example/churn:1.1"), has_registry("churn:1.1")
    (True, False)
    """
    return "/" in image


def checked_port(value: object, what: str = "port", least: int = 1) -> int:
    """Return a port; raise `ClusterError` if it is none."""
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= _MOST_PORT:
        _refuse(what, value, f"a number from {least} to {_MOST_PORT}")
    return value


def checked_count(value: object, what: str, least: int = 0, most: int = 10_000) -> int:
    """Return a whole number within bounds; raise `ClusterError` if it is none."""
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        _refuse(what, value, f"a whole number from {least} to {most}")
    return value


def checked_seconds(value: object, what: str, least: float = 0.0) -> float:
    """Return a time to wait; raise `ClusterError` if it is none, or has no end."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not least <= float(value) < math.inf:  # type: ignore[arg-type]
        _refuse(what, value, f"seconds from {least:g}")
    return float(value)  # type: ignore[arg-type]


def checked_quantity(value: object, what: str) -> Decimal:
    """Read a quantity of Kubernetes, such as ``500m`` or ``256Mi``; more than nothing.

    Raises
    ------
    ClusterError
        If it is none. ``256m`` of memory is refused too: it is a quarter of a byte.

    Examples
    --------
    >>> checked_quantity("500m", "cpu"), checked_quantity("1Ki", "memory")
    (Decimal('0.500'), Decimal('1024'))
    """
    is_cpu = "cpu" in what
    expected = "CPUs such as '500m' or '2'" if is_cpu else "bytes such as '256Mi' or '1Gi'"
    found = _QUANTITY.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        _refuse(what, value, expected)
    number = Decimal(found["number"]) * _UNITS[found["unit"] or ""]
    if number <= 0 or (not is_cpu and number != number.to_integral_value()):
        _refuse(what, value, expected)
    if is_cpu and number * 1000 != (number * 1000).to_integral_value():
        _refuse(what, value, f"{expected}, no finer than a thousandth")
    return number


def checked_environment(values: Mapping[str, str]) -> dict[str, str]:
    """Return environment variables; secrets are refused, they belong into the Secret.

    Raises
    ------
    ClusterError
        If a name is none, a value is no text or has a NUL, or a name speaks of a secret.
    """
    for name, value in _items(values, "env"):
        if not isinstance(name, str) or VARIABLE.fullmatch(name) is None:
            _refuse("env name", name, "letters, digits and '_', no digit first")
        if SECRETS.search(name):
            message = (
                f"env {name!r} looks like a secret, and everybody who may read a Deployment could "
                "read it. Expected no secret in env: give token= for the service's own, and put "
                "others into a Secret of the cluster."
            )
            raise ClusterError(message)
        if not isinstance(value, str) or "\0" in value or not _is_encodable(value):
            _refuse(f"env {name}", value, "text without NUL; write numbers as '8'")
    return dict(values)


def checked_annotations(values: Mapping[str, str]) -> dict[str, str]:
    """Return annotations; raise `ClusterError` if a key or a value cannot be one."""
    for key, value in _items(values, "annotations"):
        if not isinstance(key, str) or _ANNOTATION.fullmatch(key) is None:
            _refuse("annotation key", key, "a key such as 'example.org/team'")
        if not isinstance(value, str) or not _is_encodable(value):
            _refuse(f"annotation {key}", value, "text; write true as 'true'")
    size = sum(len(text.encode()) for pair in values.items() for text in pair)
    if size > _MOST_ANNOTATIONS:
        _refuse("annotations", f"{size} bytes", f"at most {_MOST_ANNOTATIONS} bytes in all")
    return dict(values)


def checked_type(value: object, what: str, kind: type | UnionType, expected: str) -> None:
    """Raise `ClusterError` if a value is of another type."""
    if not isinstance(value, kind):
        _refuse(what, value, expected)


def checked_token(value: object) -> str:
    """Return the token that callers send; the error never holds it."""
    is_fine = isinstance(value, str) and value.isascii() and value.isprintable()
    if not is_fine or " " in str(value) or not _LEAST_TOKEN <= len(str(value)) <= _MOST_TOKEN:
        message = (
            f"The token cannot be used. Expected {_LEAST_TOKEN} to {_MOST_TOKEN} visible ASCII "
            "characters without a space, such as secrets.token_urlsafe(32) gives."
        )
        raise ClusterError(message)
    return str(value)


def label_value_from(text: str) -> str:
    """Make a value of a label of any text: what is not allowed becomes a hyphen.

    Examples
    --------
    >>> label_value_from("1.0 beta!"), label_value_from("2026.11+gpu"), label_value_from("模型")
    ('1.0-beta', '2026.11-gpu', 'unnamed')
    """
    if _LABEL_VALUE.fullmatch(text) and text:
        return text
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text)[:63].strip("._-") or "unnamed"


def _items(values: object, what: str) -> list[tuple[object, object]]:
    if not isinstance(values, Mapping):
        _refuse(what, values, "a dict of text to text")
    return list(values.items())


def _is_encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _refuse(what: str, value: object, expected: str) -> NoReturn:
    shown = visible(shortened(repr(value), _SHOWN))
    message = f"{what} {shown} cannot be used. Expected {expected}."
    raise ClusterError(message)
