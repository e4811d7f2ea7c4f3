"""Errors of cells in a matrix of their own, such as the variances of a latent space."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.sources.beside import array_columns, array_names
from pipeline.sources.cells import Cells, open_cells
from pipeline.sources.spec import NoiseSpec, SourceSpec
from pipeline.sources.store import Store
from pipeline.sources.trouble import DataError


@dataclass(frozen=True)
class Beside:
    """A matrix whose rows belong to the same cells, under names of its own.

    Parameters
    ----------
    cells : Cells
    names : tuple of str
        For its columns, in order.
    """

    cells: Cells
    names: tuple[str, ...]

    def values(
        self, names: Sequence[str], dtype: np.dtype[Any], lo: int, hi: int
    ) -> npt.NDArray[Any]:
        """Return columns of rows lo to hi as floats."""
        own = [self.cells.names[self.names.index(name)] for name in names]
        return self.cells.values(own, dtype, lo, hi)


def noise_beside(spec: SourceSpec, cells: Cells) -> NoiseSpec | None:
    """Return where errors stand, an array's as a map of columns."""
    noise = spec.noise
    return array_columns(noise, cells.names) if noise is not None and noise.array else noise


def open_beside(spec: SourceSpec, store: Store, cells: Cells) -> Beside | None:
    """Return the matrix of errors, where it is one.

    Raises
    ------
    DataError
        If it has not one column (of a covariance: D) for each column of the values.
    """
    noise = spec.noise
    if noise is None or noise.array is None:
        return None
    errors = open_cells(replace(spec, key=noise.array), store, f"source.noise.{noise.form}")
    names = array_names(noise, cells.names)
    if len(errors.names) != len(names) or errors.n_rows != cells.n_rows:
        raise DataError(
            f"source.noise.{noise.form}: {errors.where} has {errors.n_rows} rows of "
            f"{len(errors.names)} numbers, {cells.where} needs {cells.n_rows} of {len(names)}"
        )
    return Beside(errors, names)
