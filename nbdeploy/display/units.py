"""Numbers as people read them."""

from __future__ import annotations

__all__ = ["MISSING", "age", "count", "counted", "duration", "file_size", "percent", "rate"]

#: What stands where there is no number.
MISSING = "-"

_SIZES, _SIZE_STEP = ("B", "kB", "MB", "GB", "TB"), 1000
_MINUTE, _HOUR, _DAY = 60, 3_600, 86_400
_LONG = ((_DAY, "d", _HOUR, "h"), (_HOUR, "h", _MINUTE, "min"), (_MINUTE, "min", 1, "s"))
_SHORT = ((1.0, 1, "s"), (1e-3, 1e3, "ms"), (0.0, 1e6, "µs"))


def duration(seconds: float | None) -> str:
    """Write a duration with three digits, from a minute on as :func:`age` does.

    Examples
    --------
    >>> duration(0.0000421), duration(0.0123), duration(1.5), duration(3723), duration(None)
    ('42.1 µs', '12.3 ms', '1.50 s', '1 h 2 min', '-')
    """
    if seconds is None:
        return MISSING
    # Rounded first: 0.9999 s is 1.00 s and not 1000 ms.
    seconds = float(f"{seconds:.3g}")
    if seconds == 0:
        return "0 s"
    if seconds >= _MINUTE:
        return age(seconds)
    factor, unit = next((factor, unit) for least, factor, unit in _SHORT if seconds >= least)
    return f"{seconds * factor:#.3g}".rstrip(".") + f" {unit}"


def age(seconds: float) -> str:
    """Write a duration in whole seconds, or in its two largest units.

    Examples
    --------
    >>> age(0.3), age(59.9), age(125), age(90_000)
    ('0 s', '59 s', '2 min 5 s', '1 d 1 h')
    """
    for large, large_unit, small, small_unit in _LONG:
        if seconds >= large:
            whole, rest = divmod(int(seconds), large)
            return f"{whole} {large_unit} {rest // small} {small_unit}"
    return f"{int(seconds)} s"


def count(number: int) -> str:
    """Write a count with thousands apart.

    Examples
    --------
    >>> count(1234567)
    '1,234,567'
    """
    return f"{number:,}"


def counted(number: int, noun: str) -> str:
    """Write a count and what is counted.

    Examples
    --------
    >>> counted(1, "error"), counted(0, "error")
    ('1 error', '0 errors')
    """
    return f"{count(number)} {noun}" if number == 1 else f"{count(number)} {noun}s"


def percent(share: float) -> str:
    """Write a share; what is not nothing does not read as 0 %, nor what is not all as 100 %.

    Examples
    --------
    >>> percent(0.125), percent(0.0), percent(0.00001), percent(0.9999)
    ('12.5 %', '0 %', '< 0.1 %', '> 99.9 %')
    """
    if 0 < share < 0.001:  # noqa: PLR2004 -- what one digit can show
        return "< 0.1 %"
    if 0.999 < share < 1:  # noqa: PLR2004 -- what one digit can show
        return "> 99.9 %"
    return f"{share * 100:.1f} %".replace(".0 %", " %")


def rate(per_second: float) -> str:
    """Write how often something happens.

    Examples
    --------
    >>> rate(0.0), rate(0.25), rate(12.34), rate(2345.6)
    ('0/s', '0.25/s', '12.3/s', '2,346/s')
    """
    digits = 0 if per_second >= 100 else 1 if per_second >= 10 else 2  # noqa: PLR2004 -- 3 digits
    written = f"{per_second:,.{digits}f}"
    return f"{written.rstrip('0').rstrip('.') if digits else written}/s"


def file_size(number: int) -> str:
    """Write a number of bytes with three digits.

    Examples
    --------
    >>> file_size(999), file_size(123_456), file_size(999_999)
    ('999 B', '123 kB', '1 MB')
    """
    # Rounded first: 999,999 B are 1 MB and not 1000 kB.
    size = float(f"{number:.3g}")
    for unit in _SIZES[:-1]:
        if size < _SIZE_STEP:
            return f"{size:.3g} {unit}"
        size /= _SIZE_STEP
    return f"{size:.3g} {_SIZES[-1]}"
