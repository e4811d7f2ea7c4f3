"""JSON for other programs: one object, numbers that are not finite as null."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np


def plain(value: Any) -> Any:
    """Return a value of JSON types; nan and infinity become null."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, np.ndarray | np.generic):
        return plain(value.tolist())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if isinstance(value, str | int | bool | None) else str(value)


def print_json(facts: Any) -> None:
    """Print one JSON object to standard output."""
    print(json.dumps(plain(facts), indent=2))


def dump(facts: Any, path: Path) -> None:
    """Write one JSON object to a file, at once or not at all.

    Raises
    ------
    OSError
        The file system refuses.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    draft.write_text(json.dumps(plain(facts), indent=2) + "\n", encoding="utf-8")
    draft.replace(path)
