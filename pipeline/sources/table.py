"""`Table`: values by absolute row, with the identity of each row beside them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from gmm_dask import Block, RowLayout
from pipeline.sources.describe import place
from pipeline.sources.spec import SourceSpec
from pipeline.sources.trouble import DataError
from pipeline.sources.wide import Wide

IntArray = npt.NDArray[np.int64]

ROW = "row"
"""Name of the row number where no id was named."""


class Reader(Protocol):
    """Rows of one format by position among the rows that are kept; pickles as a recipe."""

    @property
    def n_rows(self) -> int:
        """Number of rows kept."""
        ...

    @property
    def n_origin(self) -> int:
        """Number of rows of the original input."""
        ...

    def values(self, lo: int, hi: int) -> npt.NDArray[Any]:
        """Return the values of rows lo to hi as (n, D), C order, float32 or float64."""
        ...

    def labels(self, lo: int, hi: int) -> pa.Table:
        """Return the id and carried columns of rows lo to hi."""
        ...

    def origin(self, lo: int, hi: int) -> IntArray:
        """Return the positions of rows lo to hi in the original input, (n,) int64."""
        ...


class Table(Protocol):
    """A `gmm_dask.Source` whose rows know who they are.

    Pickles as a recipe; workers read by path, through handles that each process keeps.
    """

    @property
    def needs_ingest(self) -> bool:
        """Whether rows can be read only after `ingest`."""
        ...

    @property
    def n_rows(self) -> int:
        """Number of rows; before an ingest that filters, at most so many, or an estimate."""
        ...

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the numbers of a row: D values, then its weight and its noise, if any."""
        ...

    @property
    def value_columns(self) -> tuple[str, ...]:
        """Names of the D value columns."""
        ...

    @property
    def layout(self) -> RowLayout:
        """Which of the numbers of a row are values, weight and noise."""
        ...

    @property
    def dtype(self) -> np.dtype[Any]:
        """float32 or float64."""
        ...

    @property
    def fingerprint(self) -> str:
        """SHA-256 (hex) of what decides the values, not of the values."""
        ...

    @property
    def described(self) -> dict[str, Any]:
        """Facts for the plan and the manifest; JSON types only, no credential."""
        ...

    @property
    def dropped(self) -> dict[str, int]:
        """Rows left out by the filter, counted by reason."""
        ...

    def read(self, lo: int, hi: int) -> Block:
        """Return the values of rows ``lo <= row < hi``."""
        ...

    def identity(self, lo: int, hi: int) -> pa.Table:
        """Return the id columns (or the int64 ``row``), then the carried ones, of rows lo to hi."""
        ...

    def origin_rows(self, lo: int, hi: int) -> IntArray:
        """Return the positions in the original input of rows lo to hi, (n,) int64."""
        ...

    def where(self, origin: int) -> str:
        """Return where a row of the original input stands: its file, and its number there."""
        ...

    def ingest(self) -> Table:
        """Return a table whose rows can be read; the same one where nothing is to be done."""
        ...


@dataclass(frozen=True)
class RowTable:
    """The `Table` over a `Reader`: sentinels, the limit and the default identity.

    Parameters
    ----------
    reader : Reader
    wide : Wide
        How a row is made of the columns that the reader gives.
    dtype : float32 or float64
    fingerprint : str
    facts : mapping
        What `described` returns besides rows, columns and drops.
    drops : mapping of reason to count
    names_rows : bool
        Whether the reader's labels hold an id; otherwise the row number is the id.
    sentinels : tuple of float
        Values that mean missing.
    limit : int, optional
        Only the first rows.
    made : bool
        Whether the reader gives rows as they are to be, values, weight and noise.
    """

    reader: Reader
    wide: Wide
    dtype: np.dtype[Any]
    fingerprint: str
    facts: Mapping[str, Any]
    drops: Mapping[str, int] = field(default_factory=dict)
    names_rows: bool = False
    sentinels: tuple[float, ...] = ()
    limit: int | None = None
    made: bool = False
    needs_ingest: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if self.n_rows < 1:
            raise DataError(f"source: {self.facts.get('path', '')} has no rows")

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return min(self.reader.n_rows, self.limit or self.reader.n_rows)

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the numbers of a row."""
        return self.wide.names

    @property
    def value_columns(self) -> tuple[str, ...]:
        """Names of the D value columns."""
        return self.wide.columns

    @property
    def layout(self) -> RowLayout:
        """Which of the numbers of a row are values, weight and noise."""
        return self.wide.layout

    @property
    def described(self) -> dict[str, Any]:
        """Facts for the plan and the manifest."""
        return {
            **self.facts,
            "rows": self.n_rows,
            "rows_exact": True,
            "columns": list(self.value_columns),
            "dtype": str(self.dtype),
            "dropped": self.dropped,
            **self.wide.facts,
        }

    @property
    def dropped(self) -> dict[str, int]:
        """Rows left out by the filter, by reason."""
        return dict(self.drops)

    def read(self, lo: int, hi: int) -> Block:
        """Return the numbers of rows lo to hi; sentinels become NaN."""
        self._check(lo, hi)
        values = self.reader.values(lo, hi)
        for sentinel in self.sentinels:
            values[values == self.dtype.type(sentinel)] = np.nan
        if not self.made and self.wide.more:
            values = self.wide.made(values, self.where, self.reader.origin(lo, hi))
        return Block(values, lo)

    def identity(self, lo: int, hi: int) -> pa.Table:
        """Return the identity of rows lo to hi."""
        self._check(lo, hi)
        labels = self.reader.labels(lo, hi)
        if self.names_rows:
            return labels
        row = pa.array(self.reader.origin(lo, hi), pa.int64())
        return pa.table([row, *labels.columns], names=[ROW, *labels.column_names])

    def origin_rows(self, lo: int, hi: int) -> IntArray:
        """Return the positions in the original input of rows lo to hi."""
        self._check(lo, hi)
        return self.reader.origin(lo, hi)

    def where(self, origin: int) -> str:
        """Return where a row of the original input stands: its file, and its number there."""
        return place(str(self.facts.get("path", "")), self.facts.get("file_rows", ()), origin)

    def ingest(self) -> Table:
        """Return the table itself: its rows can be read already.

        The first one is, so that damage is told once, as such, and not by every worker.
        """
        self.read(0, 1)
        return self

    def _check(self, lo: int, hi: int) -> None:
        if not 0 <= lo < hi <= self.n_rows:
            raise DataError(f"rows {lo} to {hi} were asked for; there are {self.n_rows}")


def row_table(
    spec: SourceSpec,
    reader: Reader,
    wide: Wide,
    dtype: np.dtype[Any],
    fingerprint: str,
    facts: Mapping[str, Any],
    drops: Mapping[str, int] | None = None,
) -> RowTable:
    """Return the table over a reader of original rows, with the settings of `spec`."""
    return RowTable(
        reader,
        wide,
        dtype,
        fingerprint,
        facts,
        drops or {},
        names_rows=bool(spec.id),
        sentinels=spec.sentinels,
        limit=spec.limit,
    )


def counting(lo: int, hi: int) -> IntArray:
    """Return lo, lo + 1, ..., hi - 1 as int64."""
    return np.arange(lo, hi, dtype=np.int64)


def no_labels(lo: int, hi: int) -> pa.Table:
    """Return a table of hi - lo rows without columns."""
    return pa.table({ROW: counting(lo, hi)}).select([])


def digest(facts: Any) -> str:
    """Return the SHA-256 (hex) of JSON values, and of anything else by its text."""
    text = json.dumps(facts, sort_keys=True, default=str, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def values_digest(spec: SourceSpec, columns: tuple[str, ...], inputs: Any) -> str:
    """Return the fingerprint of a table: its inputs and the settings that decide the values."""
    decisive: tuple[Any, ...] = (spec.key, columns, spec.filter, spec.missing_values, spec.limit)
    if spec.noise is not None or spec.sample_weight is not None:
        noise = None if spec.noise is None else asdict(spec.noise)
        decisive = (*decisive, spec.sample_weight, noise)
    return digest({"inputs": inputs, "settings": decisive})
