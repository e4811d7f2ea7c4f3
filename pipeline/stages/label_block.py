"""`LabelBlock`: what a worker does with one block when the assignments are written."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from gmm_dask import Block, DataError, Mixture, posterior_rows
from pipeline.stages.label import Array, FloatArray, outputs_of, shares_of

TILE = 4096
BINS = 50
KEPT = 2  # two runs in one process do not evict each other

_prepared: OrderedDict[str, Any] = OrderedDict()
_guard = threading.Lock()


class Identities(Protocol):
    """A table that knows the identity of its rows."""

    def identity(self, lo: int, hi: int) -> pa.Table:
        """Return the identity of rows lo to hi."""
        ...


class PartWriter(Protocol):
    """Where the rows go; `pipeline.sinks.Sink` is one."""

    def write_part(self, start: int, table: pa.Table) -> Any:
        """Write rows from absolute row `start`, and return a small record of it."""
        ...


@dataclass(frozen=True)
class LabelResult:
    """What is known after a block (or all blocks, see `summarize`) was written.

    Parameters
    ----------
    n_rows : int
    parts : tuple
        The writer's records, with names and SHA-256 of the files.
    label_counts : tuple of K int
        Rows by label.
    ambiguous : int
        Rows whose largest responsibility is below 0.9.
    histogram : tuple of 50 int
        Rows by probability of the label, in equal bins from 0 to 1.
    """

    n_rows: int
    parts: tuple[Any, ...]
    label_counts: tuple[int, ...]
    ambiguous: int
    histogram: tuple[int, ...]


@dataclass(frozen=True)
class LabelBlock:
    """A function from a `Block` to a `LabelResult`, for ``Engine.map``; pickles.

    The rows are written in parts; a part written twice is the same. Rows go through the model in
    tiles of 4096, so memory is that of the part's outputs.

    Parameters
    ----------
    mixture : Mixture
    table : Identities
        Gives the identity of each row by its absolute number.
    writer : PartWriter
    columns : tuple of str
        See `outputs_of`.
    part_rows : int
        Rows of a part; divides the rows of a block.
    transform : callable, optional
        From the block's values (n, D) and the absolute row of the first to the values that the
        model was fitted on; default the block's own.
    log_jacobian : callable, optional
        From the block's values (n, D) to what is added to the log density (n,): the log of the
        transform's Jacobian determinant, so that densities are in source units.
    name : str
        Tells the mixture apart in this process's cache; default its fingerprint.
    """

    mixture: Mixture
    table: Identities
    writer: PartWriter
    columns: tuple[str, ...]
    part_rows: int
    transform: Callable[[npt.NDArray[Any], int], npt.NDArray[Any]] | None = None
    log_jacobian: Callable[[npt.NDArray[Any]], FloatArray] | None = None
    name: str = field(default="")

    def __post_init__(self) -> None:
        # found once by the driver: hashing parameters for every block would take longer than some
        object.__setattr__(self, "name", self.name or self.mixture.fingerprint)

    def __call__(self, block: Block) -> LabelResult:
        """Write the outputs of one block.

        Raises
        ------
        DataError
            If a row has no density or its identity cannot be read.
        ResourceError
            If the rows cannot be written.
        """
        cuts = range(0, len(block), self.part_rows)
        parts = [Block(block.values[lo : lo + self.part_rows], block.start + lo) for lo in cuts]
        return summarize([self._part(part) for part in parts])

    def _part(self, rows: Block) -> LabelResult:
        tiles = [self._tile(rows, lo) for lo in range(0, len(rows), TILE)]
        outputs = {name: np.concatenate([tile[0][name] for tile in tiles]) for name in tiles[0][0]}
        record = self.writer.write_part(rows.start, self._table(rows, outputs))
        counts = summarize([tile[1] for tile in tiles])
        return LabelResult(
            counts.n_rows, (record,), counts.label_counts, counts.ambiguous, counts.histogram
        )

    def _tile(self, rows: Block, lo: int) -> tuple[dict[str, Array], LabelResult]:
        values = rows.values[lo : lo + TILE]
        fitted = values if self.transform is None else self.transform(values, rows.start + lo)
        ready = prepared(self.name, self.mixture)
        log_density, resp = posterior_rows(self.mixture, ready, fitted, rows.start + lo)
        if self.log_jacobian is not None:
            log_density = log_density + self.log_jacobian(values)
        _check(log_density, resp, values, rows.start + lo)
        return outputs_of(resp, log_density, self.columns), _count(resp)

    def _table(self, rows: Block, outputs: dict[str, Array]) -> pa.Table:
        identity = self.table.identity(rows.start, rows.start + len(rows))
        if identity.num_rows != len(rows):
            raise DataError(
                f"rows {rows.start} to {rows.start + len(rows) - 1} have {identity.num_rows} "
                "identities; the source must name every row once"
            )
        columns = [*identity.columns, *(pa.array(values) for values in outputs.values())]
        return pa.table(columns, names=[*identity.column_names, *outputs])


def summarize(results: Sequence[LabelResult]) -> LabelResult:
    """Return the sum of the results of all blocks, their parts in the order given."""
    return LabelResult(
        n_rows=sum(result.n_rows for result in results),
        parts=tuple(part for result in results for part in result.parts),
        label_counts=_total(result.label_counts for result in results),
        ambiguous=sum(result.ambiguous for result in results),
        histogram=_total(result.histogram for result in results),
    )


def _total(counts: Iterator[tuple[int, ...]]) -> tuple[int, ...]:
    return tuple(sum(column) for column in zip(*counts, strict=True))


def prepared(name: str, mixture: Mixture) -> Any:
    """Return the factorisations of a mixture, made once per process."""
    with _guard:
        if name in _prepared:
            _prepared.move_to_end(name)
            return _prepared[name]
    made = mixture.prepare()
    with _guard:
        _prepared[name] = made
        while len(_prepared) > KEPT:
            _prepared.popitem(last=False)
    return made


def _count(resp: FloatArray) -> LabelResult:
    shares = shares_of(resp)
    labels = np.bincount(shares.label, minlength=resp.shape[1])
    histogram, _ = np.histogram(shares.probability, bins=BINS, range=(0.0, 1.0))
    ambiguous = int(shares.ambiguous.sum())
    return LabelResult(len(resp), (), tuple(labels.tolist()), ambiguous, tuple(histogram.tolist()))


def _check(log_density: FloatArray, resp: FloatArray, values: Array, start: int) -> None:
    """Raise DataError for a row whose log density (or Jacobian) is not a number."""
    good = np.isfinite(log_density) & np.isfinite(resp).all(axis=1)
    if not good.all():
        row = int((~good).argmax())
        raise DataError(
            f"row {start + row} has no density in double precision (values {values[row]}); "
            "remove such rows with source.filter, or state them in source.missing_values"
        )
