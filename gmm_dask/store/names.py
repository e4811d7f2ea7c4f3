"""Names of stored arrays: readable, safe as file names everywhere, and unique."""

from __future__ import annotations

import re

LONGEST = 96
SAFE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")


def unique_name(place: tuple[str, ...], taken: set[str]) -> str:
    """Return a name made of the place in the value, such as ``params.means``, and take it.

    Names differ even where upper and lower case do not (macOS, Windows).
    """
    parts = [re.sub(r"[^A-Za-z0-9_-]+", "_", part) or "_" for part in place]
    stem = ".".join(parts)[:LONGEST].strip(".-") or "value"
    name, count = stem, 1
    while name.lower() in taken or name == "zarr.json":
        count += 1
        name = f"{stem}~{count}"
    taken.add(name.lower())
    return name


def is_safe_key(key: str) -> bool:
    """Return whether a zarr key read from a file can only name a file inside the store."""
    return all(SAFE.fullmatch(part.replace("~", "_")) for part in key.split("/"))
