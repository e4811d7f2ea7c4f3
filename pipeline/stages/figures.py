"""What the report draws, measured in one pass: histograms of pairs, probabilities, densities."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from gmm_dask import Block, Fold, Mixture, RowLayout
from pipeline.stages.seen import Sight, labels_of
from pipeline.stages.transform import Transform

FloatArray = npt.NDArray[np.float64]

BINS = 80
PROBABILITY_BINS = 50
TILE = 16384


@dataclass(frozen=True)
class View:
    """The plane of two columns, or the line of one, that a figure shows.

    Parameters
    ----------
    columns : tuple of one or two int
        Positions among the shown columns.
    edges : tuple of arrays
        Bin edges of each.
    """

    columns: tuple[int, ...]
    edges: tuple[FloatArray, ...]

    def counts(self, rows: FloatArray) -> FloatArray:
        """Return the histogram of rows (n, D); values missing or outside fall into no bin."""
        picked = rows[:, self.columns]
        picked = picked[~np.isnan(picked).any(axis=1)]
        return np.histogramdd(picked, bins=list(self.edges))[0]


class FigureSums(NamedTuple):
    """Counts of all figures."""

    n_rows: FloatArray
    views: tuple[FloatArray, ...]
    """One histogram for each `View`."""
    probability: FloatArray
    """(50,) rows by largest responsibility, 0 to 1."""
    density: FloatArray
    """Rows by log density; first and last bin take what is beyond."""
    labels: FloatArray
    """(K,) rows by most probable component."""
    label_probability: FloatArray
    """(K,) summed largest responsibility of the rows with this label."""
    label_entropy: FloatArray
    """(K,) summed entropy of the rows with this label, nats."""


@dataclass(frozen=True)
class Figures(Fold[Any, FigureSums, FigureSums]):
    """All histograms of a report over a source in source units.

    Parameters
    ----------
    mixture : Mixture
    transform : Transform
    views : tuple of View
        Of source columns, or of transformed ones where `after` is set.
    after : bool
        Show what the mixture sees, as after pca, instead of source columns.
    density_edges : array
    layout : RowLayout, optional
        Of the rows of the source; rows without any value are in no figure.
    """

    mixture: Mixture
    transform: Transform
    views: tuple[View, ...]
    after: bool
    density_edges: FloatArray
    layout: RowLayout | None = None

    @property
    def sight(self) -> Sight:
        """The mixture with the way to it."""
        return Sight(self.mixture, self.transform, self.layout)

    def prepare(self) -> Any:
        """Factorise the covariances."""
        return self.sight.prepare()

    def measure(self, prepared: Any, block: Block) -> FigureSums:
        """Return the counts of one block."""
        sums = self._tile(prepared, block.values[:TILE], block.start)
        for lo in range(TILE, len(block), TILE):
            tile = self._tile(prepared, block.values[lo : lo + TILE], block.start + lo)
            sums = self.merge(sums, tile)
        return sums

    def _tile(self, prepared: Any, values: npt.NDArray[Any], start: int) -> FigureSums:
        seen = self.sight.see(prepared, values, start)
        shown = (seen.inner.values if self.after else seen.values).astype(np.float64)
        log_density, resp = seen.log_density[~seen.blank], seen.resp[~seen.blank]
        largest, labels = resp.max(axis=1), resp.argmax(axis=1)
        K = resp.shape[1]
        entropy = -(resp * np.log(np.where(resp > 0, resp, 1.0))).sum(axis=1)
        clipped = np.clip(log_density, self.density_edges[0], self.density_edges[-1])
        return FigureSums(
            np.asarray(float(len(resp))),
            tuple(view.counts(shown) for view in self.views),
            np.histogram(largest, PROBABILITY_BINS, (0.0, 1.0))[0].astype(np.float64),
            np.histogram(clipped, self.density_edges)[0].astype(np.float64),
            np.bincount(labels, minlength=K).astype(np.float64),
            np.bincount(labels, largest, minlength=K).astype(np.float64),
            np.bincount(labels, entropy, minlength=K).astype(np.float64),
        )

    def finish(self, stats: FigureSums) -> FigureSums:
        """Return the counts."""
        return stats

    def working_bytes(self, rows: int) -> int:
        """Return the bytes of one tile."""
        D, K = len(self.transform.before), self.mixture.n_components
        matrices = 4 * D * D if self.layout is not None and self.layout.noise == "full" else 0
        return 8 * min(rows, TILE) * (3 * D + 5 * K + 8 + matrices)

    @property
    def stats_bytes(self) -> int:
        """Bytes of all counts."""
        cells = sum(int(np.prod([len(e) - 1 for e in view.edges])) for view in self.views)
        return 8 * (
            cells + PROBABILITY_BINS + len(self.density_edges) + 3 * self.mixture.n_components
        )


def edges_of(values: FloatArray, bins: int = BINS) -> FloatArray:
    """Return bin edges over the central 99.8 % of the values that are there, widened by a tenth."""
    values = values[~np.isnan(values)]
    low, high = np.quantile(values, [0.001, 0.999])
    margin = 0.1 * (high - low) or max(abs(low), 1.0) * 0.1
    return np.linspace(low - margin, high + margin, bins + 1)


def ellipse(
    mean: FloatArray, covariance: FloatArray, radius: float, points: int = 73
) -> FloatArray:
    """Return the closed contour (points, 2) at a Mahalanobis radius of a plane Gaussian."""
    angle = np.linspace(0, 2 * np.pi, points)
    circle = np.stack([np.cos(angle), np.sin(angle)])
    values, vectors = np.linalg.eigh(covariance)
    outline: FloatArray = mean + radius * ((vectors * np.sqrt(values.clip(0))) @ circle).T
    return outline


@dataclass(frozen=True)
class Composition:
    """Counts of labels by category of some identity columns, block by block.

    Parameters
    ----------
    mixture : Mixture
    transform : Transform
    identity : callable
        ``identity(lo, hi)`` returns a table with the columns.
    columns : tuple of str
    layout : RowLayout, optional
        Of the rows of the source; rows without any value are not counted.
    """

    mixture: Mixture
    transform: Transform
    identity: Any
    columns: tuple[str, ...]
    layout: RowLayout | None = None

    def __call__(self, block: Block) -> dict[str, dict[str, list[int]]]:
        """Return for each column the counts (K,) of every category in the block."""
        prepared = Sight(self.mixture, self.transform, self.layout).prepare()
        spans = [(lo, min(lo + TILE, len(block))) for lo in range(0, len(block), TILE)]
        return merged(tuple(self._tile(prepared, block, lo, hi) for lo, hi in spans))

    def _tile(
        self, prepared: Any, block: Block, lo: int, hi: int
    ) -> dict[str, dict[str, list[int]]]:
        sight = Sight(self.mixture, self.transform, self.layout)
        labels = labels_of(sight.see(prepared, block.values[lo:hi], block.start + lo))
        table = self.identity(block.start + lo, block.start + hi)
        counts: dict[str, dict[str, list[int]]] = {}
        for column in self.columns:
            categories = np.asarray(table.column(column).cast("string").fill_null("missing"))
            found = counts.setdefault(column, {})
            for category in np.unique(categories):
                mine = labels[(categories == category) & (labels >= 0)]
                of = np.bincount(mine, minlength=self.mixture.n_components)
                found[str(category)] = of.tolist()
        return counts


def merged(parts: tuple[dict[str, dict[str, list[int]]], ...]) -> dict[str, dict[str, list[int]]]:
    """Return the summed counts of all blocks."""
    total: dict[str, dict[str, FloatArray]] = {}
    for part in parts:
        for column, counts in part.items():
            into = total.setdefault(column, {})
            for category, of in counts.items():
                into[category] = into.get(category, np.zeros(len(of))) + np.asarray(of)
    return {c: {k: v.astype(int).tolist() for k, v in d.items()} for c, d in total.items()}
