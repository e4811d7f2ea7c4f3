"""Data sets that come with scikit-learn: ``builtin:digits``, iris, wine, breast_cancer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline.sources.describe import facts
from pipeline.sources.matrix import open_matrix
from pipeline.sources.spec import SourceSpec
from pipeline.sources.table import Table, digest
from pipeline.sources.trouble import ConfigError, listed, nearest

PREFIX = "builtin:"
NAMES = ("digits", "iris", "wine", "breast_cancer")


@dataclass(frozen=True)
class BuiltinMatrix:
    """The rows of one data set; pickles as its name.

    Further columns are ``target`` (number of the class) and ``target_name``.

    Parameters
    ----------
    name : str
        One of `NAMES`.
    """

    name: str

    @property
    def where(self) -> str:
        """The name as it is written in a configuration."""
        return PREFIX + self.name

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return len(_load(self.name).data)

    @property
    def names(self) -> tuple[str, ...]:
        """Feature names, as scikit-learn has them."""
        return tuple(str(name) for name in _load(self.name).feature_names)

    @property
    def dtype(self) -> np.dtype[Any]:
        """float64."""
        return np.dtype(np.float64)

    @property
    def extra_types(self) -> Mapping[str, pa.DataType]:
        """The class of each row."""
        return {"target": pa.int64(), "target_name": pa.string()}

    def rows(self, lo: int, hi: int) -> npt.NDArray[Any]:
        """Return rows lo to hi."""
        rows: npt.NDArray[Any] = _load(self.name).data[lo:hi]
        return rows

    def extras(self, names: Sequence[str], lo: int, hi: int) -> pa.Table:
        """Return the classes of rows lo to hi."""
        target = np.asarray(_load(self.name).target[lo:hi], np.int64)
        words = [str(_load(self.name).target_names[item]) for item in target]
        return pa.table({"target": target, "target_name": words}).select(list(names))


@lru_cache(maxsize=len(NAMES))
def _load(name: str) -> Any:
    from sklearn import datasets

    return getattr(datasets, f"load_{name}")()


def open_builtin(spec: SourceSpec, scratch: Path) -> Table:
    """Open a bundled data set.

    Parameters
    ----------
    spec : SourceSpec
    scratch : Path
        For the rows that a filter leaves.

    Raises
    ------
    ConfigError
        If there is no such data set.
    """
    name = ", ".join(spec.paths).removeprefix(PREFIX)
    if name not in NAMES:
        raise ConfigError(
            f"source.path: there is no {PREFIX}{name}; there are {listed(NAMES)}."
            + nearest(name, NAMES)
        )
    matrix = BuiltinMatrix(name)
    content = digest([matrix.names, matrix.rows(0, matrix.n_rows).tobytes().hex()])
    about = facts(spec, "builtin", (), matrix.n_rows) | {
        "bytes": matrix.n_rows * len(matrix.names) * 8
    }
    return open_matrix(spec, scratch, matrix, content, about)
