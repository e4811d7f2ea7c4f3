"""Compare what decides the model in two configurations."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

LONGEST = 60


def difference(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """List what differs between two identities, a line for each key.

    Parameters
    ----------
    old, new : mapping
        Results of ``Config.identity``, also after a way through JSON.

    Returns
    -------
    list of str
        Lines such as ``model.covariance_type: full -> diag``; long values become ``changed``.
        A key that is absent equals ``null``, so that a later version may add keys.
    """
    before, after = dict(_leaves(old)), dict(_leaves(new))
    keys = sorted({*before, *after})
    return [
        f"{key}: {_change(before.get(key), after.get(key))}"
        for key in keys
        if before.get(key) != after.get(key)
    ]


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _leaves(item, f"{path}.{key}" if path else str(key))
    else:
        yield path, list(value) if isinstance(value, tuple) else value


def _change(old: Any, new: Any) -> str:
    before, after = _show(old), _show(new)
    return f"{before} -> {after}" if len(before) + len(after) <= LONGEST else "changed"


def _show(value: Any) -> str:
    if value is None:
        return "not set"
    if isinstance(value, str):
        return value
    if isinstance(value, list) and len(value) > 2 and all(type(item) is int for item in value):
        steps = {after - before for before, after in pairwise(value)}
        if len(steps) == 1:
            step = steps.pop()
            return f"{value[0]}..{value[-1]}" + (f" by {step}" if step != 1 else "")
    return json.dumps(value)
