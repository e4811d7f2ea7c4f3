"""Labels of rows in Dask collections: which there are, and their numbers, lazily."""

# mypy: allow-untyped-calls
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from dask.base import compute
from dask.delayed import delayed

from gmm_dask.errors import DataError


def as_label_array(labels: Any) -> Any:
    """Return labels (N,) as a Dask array.

    Raises
    ------
    DataError
        They are a table.
    """
    array = labels.to_dask_array(lengths=True) if hasattr(labels, "to_dask_array") else labels
    if array.ndim != 1:
        raise DataError(f"groups have {array.ndim} dimensions; one label for each row is needed")
    return array


def distinct_labels(labels: Any) -> npt.NDArray[Any]:
    """Return the distinct labels of a Dask array (N,), computed chunk by chunk."""
    found = compute(*[delayed(_distinct)(part) for part in labels.to_delayed().ravel()])
    return np.concatenate([np.asarray(part, dtype=object) for part in found])


def coded(labels: Any, code: Callable[[Any], npt.NDArray[Any]]) -> Any:
    """Return the numbers (N,) of labels as a lazy float64 array."""
    return labels.map_blocks(code, dtype=np.float64, meta=np.empty(0))


def _distinct(part: Any) -> npt.NDArray[Any]:
    import pandas as pd

    return np.asarray(pd.unique(pd.Series(np.asarray(part), dtype=object)), dtype=object)
