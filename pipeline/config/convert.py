"""From the text of a file to the values of fields; each refusal is a ``ValueError`` in words.

Every converter takes what the reader gives (text, ``Numeral``, ``None``, ``bool``, list, dict) or
what JSON gives (``int`` and ``float`` besides), so that a stored configuration is read back by the
same rules.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

from pipeline.config.reader import Numeral

MAX_WHOLE = 2**63 - 1

_FLOAT = re.compile(r"[-+]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]+)?")
_NAME = re.compile(r"[A-Za-z0-9._-]{1,128}")


def show(value: object) -> str:
    """Name a value in a message, short."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return "a list"
    if isinstance(value, dict):
        return "key: value pairs" if value else "nothing"
    text = " ".join(str(value).split())
    return (text if len(text) <= 60 else text[:57] + "...") or "an empty text"


def free(value: Any) -> Any:
    """Resolve the numbers inside options that are handed on verbatim."""
    if isinstance(value, Numeral):
        return value.number
    if isinstance(value, dict):
        return {key: free(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [free(item) for item in value]
    return value


def text(value: object) -> str:
    """Take a text that is not empty; a number keeps its spelling, true and null are refused."""
    if isinstance(value, bool) or value is None:
        raise ValueError(f"needs a text, got {show(value)}; quote it if that is the text")
    if isinstance(value, list | tuple | dict):
        raise ValueError(f"needs one text, got {show(value)}")
    stripped = str(value).strip()
    if not stripped:
        raise ValueError("needs a text, got an empty one; leave the key out or write null")
    return stripped


def name(value: object) -> str:
    """Take the name of a run: ASCII letters, digits, ``.``, ``_`` and ``-``."""
    word = text(value)
    if not _NAME.fullmatch(word) or word in (".", ".."):
        raise ValueError(f"{show(word)} is no run name; use letters, digits, . _ - (at most 128)")
    return word


def flag(value: object) -> bool:
    """Take true or false, nothing that resembles them."""
    if isinstance(value, bool):
        return value
    raise ValueError(f"needs true or false, got {show(value)}")


def whole(low: int, high: int = MAX_WHOLE) -> Callable[[object], int]:
    """Make a converter for integers from ``low`` to ``high``."""

    def convert(value: object) -> int:
        number = _integer(value)
        if number is None:
            raise ValueError(f"needs a whole number such as {max(low, 5)}, got {show(value)}")
        if not low <= number <= high:
            limit = f"at least {low}" if number < low else f"at most {high}"
            raise ValueError(f"{show(value)} is out of range; it must be {limit}")
        return number

    return convert


def _integer(value: object) -> int | None:
    if isinstance(value, Numeral):
        return int(value) if value.is_integer else None
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def real(low: float, high: float = math.inf, *, bounds: str = "[]") -> Callable[[object], float]:
    """Make a converter for finite numbers between two limits, ``bounds`` such as ``(]``."""

    def convert(value: object) -> float:
        number = decimal(value)
        above = number > low if bounds[0] == "(" else number >= low
        below = number < high if bounds[1] == ")" else number <= high
        if not (above and below):
            limits = f"above {low:g}" if bounds[0] == "(" else f"at least {low:g}"
            if high < math.inf:
                limits += f" and {'below' if bounds[1] == ')' else 'at most'} {high:g}"
            raise ValueError(f"{show(value)} is out of range; it must be {limits}")
        return number

    return convert


def decimal(value: object) -> float:
    """Take a finite number, with or without an exponent."""
    if isinstance(value, str) and _FLOAT.fullmatch(value):
        number = float(value)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        number = float(value) if abs(value) < 1e300 else math.inf
    else:
        raise ValueError(f"needs a finite number such as 0.001 or 1e-3, got {show(value)}")
    if not math.isfinite(number):
        raise ValueError(f"{show(value)} is not a finite number")
    return number


def sentinel(value: object) -> float | str:
    """Take a stand-in for a missing value: a number, else a text."""
    if isinstance(value, str) and not _FLOAT.fullmatch(value):
        return text(value)
    return decimal(value)
