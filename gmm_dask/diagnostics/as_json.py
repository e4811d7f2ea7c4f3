"""Frozen results as JSON has them."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any

from gmm_dask.diagnostics.intervals import plain


def as_json(value: Any) -> Any:
    """Return nested dicts and lists; None for numbers that are not finite."""
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: as_json(getattr(value, field.name)) for field in fields(value)}
    if hasattr(value, "_asdict"):
        return {name: as_json(part) for name, part in value._asdict().items()}
    if isinstance(value, dict):
        return {str(name): as_json(part) for name, part in value.items()}
    if isinstance(value, tuple | list):
        return [as_json(part) for part in value]
    return plain(value)
