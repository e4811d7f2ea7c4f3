"""Log densities under each component, by generated code."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from gmm_dask.blocks import FloatArray
from gmm_dask.kernels.call import call, checked, key_of, pieces
from gmm_dask.kernels.layout import Layout
from gmm_dask.kernels.types import GaussianPrepared


def whole_tiles(n: int, tile: int, *shape: int) -> FloatArray:
    """Return room for n rows of results and for the padding of the last tile."""
    return np.empty((-(-n // tile) * tile, *shape))


def log_prob(prepared: GaussianPrepared, model: Layout, values: npt.NDArray[Any]) -> FloatArray:
    """Return the log density (n, K) of each row under each component, at least -1e300.

    Parameters
    ----------
    model : Layout
        For log weights of 0.
    """
    rows = checked(values, prepared.means.shape[1])
    key = key_of("log_prob", model, rows, hard=False)
    result = whole_tiles(len(rows), key.tile, len(prepared.means))
    for piece in pieces(rows, key.tile):
        call(key, model, piece, out=result[piece.start :])
    result += model.offset
    return result[: len(rows)]
