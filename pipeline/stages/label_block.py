"""`LabelBlock`: what a worker does with one block when the assignments are written."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import pyarrow as pa

from gmm_dask import Block, DataError, Mixture, RowLayout
from pipeline.stages.label import AMBIGUOUS, Array, outputs_of, shares_of
from pipeline.stages.seen import EXPECTED, Seen, Sight
from pipeline.stages.transform import Transform

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
        Rows whose largest responsibility is below the threshold.
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
    transform : Transform, optional
        From the rows of the source to what the model was fitted on.
    layout : RowLayout, optional
        Of the rows of the source; None: complete rows of nothing but values.
    names : tuple of str
        The value columns of the source.
    name : str
        Tells the mixture apart in this process's cache; default its fingerprint.
    threshold : float
        Labels of a smaller probability are ambiguous.
    level : float
        Log density, in what the mixture sees, below which a row is an outlier.
    """

    mixture: Mixture
    table: Identities
    writer: PartWriter
    columns: tuple[str, ...]
    part_rows: int
    transform: Transform | None = None
    layout: RowLayout | None = None
    names: tuple[str, ...] = ()
    name: str = field(default="")
    threshold: float = AMBIGUOUS
    level: float = -np.inf

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
        sight = Sight(self.mixture, self.transform, self.layout)
        ready = prepared(self.name, sight)
        seen = sight.see(ready, rows.values[lo : lo + TILE], rows.start + lo)
        _check(seen, rows.start + lo)
        wanted = [word for word in self.columns if word in EXPECTED]
        true = {word: sight.expected(ready, seen, word) for word in wanted}
        resp, density = seen.resp, seen.log_density
        far = density - sight.volume(seen.values) < self.level
        outputs = outputs_of(
            resp, density, self.columns, seen.blank, true, self.names, far, self.threshold
        )
        return outputs, _count(resp[~seen.blank], len(resp), self.threshold)

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


def prepared(name: str, sight: Sight) -> Any:
    """Return the factorisations of a mixture, made once per process."""
    name = f"{name} {sight.plain}"
    with _guard:
        if name in _prepared:
            _prepared.move_to_end(name)
            return _prepared[name]
    made = sight.prepare()
    with _guard:
        _prepared[name] = made
        while len(_prepared) > KEPT:
            _prepared.popitem(last=False)
    return made


def _count(resp: Array, n_rows: int, threshold: float) -> LabelResult:
    """Return the counts of rows with values, and the number of all."""
    shares = shares_of(resp, threshold)
    labels = np.bincount(shares.label, minlength=resp.shape[1])
    histogram, _ = np.histogram(shares.probability, bins=BINS, range=(0.0, 1.0))
    ambiguous = int(shares.ambiguous.sum())
    return LabelResult(n_rows, (), tuple(labels.tolist()), ambiguous, tuple(histogram.tolist()))


def _check(seen: Seen, start: int) -> None:
    """Raise DataError for a row with values whose log density (or Jacobian) is not a number."""
    good = seen.blank | (np.isfinite(seen.log_density) & np.isfinite(seen.resp).all(axis=1))
    if not good.all():
        row = int((~good).argmax())
        raise DataError(
            f"row {start + row} has no density in double precision (values {seen.values[row]}); "
            "remove such rows with source.filter, or state them in source.missing_values"
        )
