"""Whether the parts of a `Results` fit each other, said before any figure is drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gmm_dask import FormatError

if TYPE_CHECKING:
    from pipeline.report.results import Results


def check_shapes(results: Results) -> None:
    """Compare lengths and positions of all parts.

    Raises
    ------
    FormatError
        Naming the first part that does not fit.
    """
    if not 0 <= results.chosen < len(results.candidates):
        raise FormatError(
            f"results: chosen is {results.chosen}, there are {len(results.candidates)} candidates"
        )
    _check_components(results)
    _check_histograms(results)
    _check_pairs(results)
    _check_tables(results)
    _check_meaning(results)


def _check_components(results: Results) -> None:
    K, D = len(results.components), len(results.source.columns)
    _need("overlap", results.overlap, (K, K))
    for component in results.components:
        where = f"component {component.number}"
        _need(f"mean of {where}", component.mean, (D,))
        _need(f"std of {where}", component.std, (D,))


def _check_meaning(results: Results) -> None:
    meaning = results.meaning
    if meaning is None:
        return
    for name in ("weight_low", "weight_high"):
        _need(name, getattr(meaning, name), (len(results.components),))
    if meaning.tails is not None:
        for name in ("ratio", "low", "high"):
            _need(f"{name} of tails", getattr(meaning.tails, name), meaning.tails.share.shape)


def _check_histograms(results: Results) -> None:
    for name in ("probability", "log_density"):
        histogram = getattr(results, name)
        if histogram is not None:
            _need(f"edges of {name}", histogram.edges, (len(histogram.counts) + 1,))
    line = results.line
    if line is not None:
        _need("edges of line", line.histogram.edges, (len(line.histogram.counts) + 1,))
        shape = (len(results.components), len(line.grid))
        _need("densities of line", line.densities, shape)
    if results.passes is not None:
        _need("live_fits of passes", results.passes.live_fits, results.passes.seconds.shape)


def _check_pairs(results: Results) -> None:
    D = len(results.source.columns)
    for number, pair in enumerate(results.pairs):
        where = f"pair {number}"
        if not (0 <= pair.x < D and 0 <= pair.y < D):
            raise FormatError(f"results: {where} is of columns {pair.x}, {pair.y}; there are {D}")
        _need(f"counts of {where}", pair.counts, (len(pair.x_edges) - 1, len(pair.y_edges) - 1))
        for contour in pair.contours:
            if len(contour.points):
                _need(f"a contour of {where}", contour.points, (len(contour.points), 2))


def _check_tables(results: Results) -> None:
    K = len(results.components)
    for table in results.compositions:
        _need(f"counts by {table.name[:60]!r}", table.counts, (K, len(table.categories)))
    if results.widths is not None:
        D = len(results.source.columns)
        _need("std of the widths", results.widths.std, (K, D))
        _need("weights of the widths", results.widths.weights, (K,))
        _need("error of the widths", results.widths.error, (D,))
    space = results.embedding
    if space is not None:
        shape = (len(space.x_edges) - 1, len(space.y_edges) - 1)
        _need("counts of the embedding", space.counts, shape)
        _need("medians of the embedding", space.medians, (K, 2))


def _need(name: str, array: np.ndarray, shape: tuple[int, ...]) -> None:
    if np.shape(array) != shape:
        raise FormatError(f"results: {name} has shape {np.shape(array)}, {shape} is needed")
