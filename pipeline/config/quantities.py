"""Times, sizes, volumes and grids: text with a unit or a range, and its numbers."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal

from pipeline.config.convert import decimal, show, whole
from pipeline.config.reader import Numeral

MAX_GRID = 1000

_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([smh])")
_PASSES = re.compile(r"([1-9][0-9]{0,8}) pass(?:es)?")
_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([kmgt]?i?b)", re.IGNORECASE)
_VOLUME = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([pnuµ]L)")
_RANGE = re.compile(r"([0-9]{1,9})\s*\.\.\s*([0-9]{1,9})(?:\s+by\s+([0-9]{1,9}))?")

SECONDS = {"s": 1, "m": 60, "h": 3600}
DECIMAL_BYTES = {"b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12}
BINARY_BYTES = {"kib": 2**10, "mib": 2**20, "gib": 2**30, "tib": 2**40}
BYTES = DECIMAL_BYTES | BINARY_BYTES
NANOLITRES = {"pL": 1e-3, "nL": 1.0, "uL": 1e3, "µL": 1e3}


def duration(value: object) -> float:
    """Read ``60s``, ``5m`` or ``2h`` as seconds."""
    match = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        hint = f"; write {value}s for seconds" if isinstance(value, Numeral) else ""
        raise ValueError(f"needs a time such as 60s, 5m or 2h, got {show(value)}{hint}")
    seconds = decimal(match[1]) * SECONDS[match[2]]
    if not 0 < seconds < 1e9:
        raise ValueError(f"{show(value)} is out of range; a time is above 0 and below 30 years")
    return seconds


def show_duration(seconds: float) -> str:
    """Write seconds as ``duration`` reads them."""
    for unit, factor in (("h", 3600), ("m", 60)):
        if seconds % factor == 0 and seconds > factor:
            return f"{int(seconds // factor)}{unit}"
    exact = format(Decimal(repr(seconds)), "f")
    return f"{exact.rstrip('0').rstrip('.')}s"


def passes(value: object) -> int | None:
    """Read ``10 passes`` as 10; ``None`` when the value is not of this form."""
    match = _PASSES.fullmatch(value) if isinstance(value, str) else None
    return int(match[1]) if match else None


def size(value: object) -> int:
    """Read ``16GiB`` or ``4GB`` as bytes."""
    match = _SIZE.fullmatch(value) if isinstance(value, str) else None
    factor = BYTES.get(match[2].lower()) if match else None
    if match is None or factor is None:
        raise ValueError(f"needs a size such as 16GiB or 4GB, got {show(value)}")
    number = decimal(match[1]) * factor
    if not 1 <= number <= 2**60:
        raise ValueError(f"{show(value)} is out of range; a size is between 1B and 2^60 bytes")
    return round(number)


def show_size(number: int) -> str:
    """Write bytes as ``size`` reads them, in the largest unit that is exact."""
    units = ("TiB", "GiB", "MiB", "KiB")
    unit = next((unit for unit in units if number % BYTES[unit.lower()] == 0), "B")
    return f"{number // BYTES[unit.lower()]}{unit}"


def volume(value: object) -> float:
    """Read ``0.91 nL`` as nanolitres."""
    match = _VOLUME.fullmatch(value) if isinstance(value, str) else None
    if match is None or not 0 < decimal(match[1]) < 1e9:
        raise ValueError(f"needs a volume with its unit such as 0.91 nL, got {show(value)}")
    return decimal(match[1]) * NANOLITRES[match[2]]


def show_volume(nanolitres: float) -> str:
    """Write nanolitres as ``volume`` reads them."""
    return f"{format(Decimal(repr(nanolitres)), 'f')} nL"


def grid(low: int, high: int = 1_000_000) -> Callable[[object], tuple[int, ...]]:
    """Make a converter for ``8``, ``[4, 8]``, ``2..20`` and ``10..60 by 5``."""

    def convert(value: object) -> tuple[int, ...]:
        if isinstance(value, list | tuple):
            numbers = tuple(whole(low, high)(item) for item in value)
        elif isinstance(value, str) and not isinstance(value, Numeral):
            numbers = _range(value, low, high)
        else:
            numbers = (whole(low, high)(value),)
        if not numbers:
            raise ValueError("the list is empty; write for example [4, 8, 16]")
        if len(set(numbers)) < len(numbers):
            raise ValueError("a number is named twice; keep one")
        if len(numbers) > MAX_GRID:
            raise ValueError(f"the list has {len(numbers)} values; at most {MAX_GRID}")
        return numbers

    return convert


def _range(value: str, low: int, high: int) -> tuple[int, ...]:
    match = _RANGE.fullmatch(value.strip())
    if match is None:
        hint = "; a range is written with two dots" if re.search(r"[0-9]\s*[:-]", value) else ""
        forms = "a number, a list such as [4, 8, 16] or a range such as 2..20 or 10..60 by 5"
        raise ValueError(f"needs {forms}, got {show(value)}{hint}")
    first, last, step = int(match[1]), int(match[2]), int(match[3] or 1)
    if last < first or step < 1 or first < low or last > high:
        raise ValueError(f"{show(value)} must rise from {low} or more, by 1 or more, to {high}")
    numbers = range(first, last + 1, step)
    if len(numbers) > MAX_GRID:
        raise ValueError(f"{show(value)} has {len(numbers)} values; at most {MAX_GRID}")
    return tuple(numbers)
